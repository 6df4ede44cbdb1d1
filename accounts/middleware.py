"""Each page in its reader's language and time zone, and each request by a name in the log."""

import uuid
from contextlib import suppress

from django.db import DatabaseError
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers
from structlog.contextvars import bind_contextvars, clear_contextvars


def in_the_log(get_response):
    """What is logged meanwhile names the request, its page and its person; never its path or query."""

    def answer(request):
        clear_contextvars()
        name_in_the_log(request, request_id=uuid.uuid4().hex)
        try:
            response = get_response(request)
        finally:
            clear_contextvars()
        response.headers["X-Request-ID"] = request.META["mailhelper.log"]["request_id"]
        return response

    def process_view(request, view, args, kwargs):
        name_in_the_log(request, view=request.resolver_match.view_name)
        with suppress(DatabaseError):
            if request.user.is_authenticated:
                name_in_the_log(request, user_id=request.user.pk)

    answer.process_view = process_view
    return answer


def name_in_the_log(request, **names) -> None:
    """Also for the web server, which logs after the answer."""
    request.META.setdefault("mailhelper.log", {}).update(names)
    bind_contextvars(**names)


def in_the_readers_terms(get_response):
    """Django's own middleware for languages would leave the last reader's language in the thread."""

    def answer(request):
        language, zone = _terms_of(request)
        with translation.override(language), timezone.override(zone):
            response = get_response(request)
            response.headers.setdefault("Content-Language", translation.get_language())
        patch_vary_headers(response, ("Accept-Language",))
        return response

    return answer


def _terms_of(request) -> tuple[str, str]:
    """A person's own; a stranger's language is what the browser asks for.

    A monitor's question and the page for a failure are answered without the database, too.
    """
    with suppress(DatabaseError):
        if request.user.is_authenticated:
            return request.user.language, request.user.time_zone
    return translation.get_language_from_request(request), timezone.get_default_timezone_name()
