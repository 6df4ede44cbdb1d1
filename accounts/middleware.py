"""Each page in its reader's language and time zone."""

from contextlib import suppress

from django.db import DatabaseError
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers


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
