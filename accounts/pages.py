"""What every page shares: who may see it, and where those are sent who may not yet."""

from collections.abc import Callable
from functools import wraps
from math import ceil
from urllib.parse import quote

from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache

from accounts import actions, grants, unlocked
from accounts.errors import MailhelperError, TooManyAttempts, UsageError, VaultError
from accounts.models import MailAccount


class Locked(Exception):
    """What was asked for needs a key that neither the session nor the workers have now."""

    def __init__(self, back_to: str):
        self.back_to = back_to


def keys_for(request, accounts: list[MailAccount], back_to: str) -> dict | None:
    """The accounts' keys, or None where the workers can open each of them in any case.

    Raises Locked, which a signed_in view answers by asking to unlock and to come back.
    """
    if (user_key := unlocked.user_key(request)) is not None:
        return actions.account_keys(accounts, user_key)
    if not grants.all_in_background(accounts):
        raise Locked(back_to)
    return None


def signed_in(view):
    """Sends others to sign in: the whole page, also when only a part of it asked."""

    @wraps(view)
    def guarded(request, *args, **kwargs):
        if request.user.is_authenticated:
            try:
                return view(request, *args, **kwargs)
            except Locked as locked:
                return unlock_first(request, locked.back_to)
        return go(request, f"{reverse('sign_in')}?next={quote(_page_of(request), safe='/')}")

    return guarded


def with_user_key(view):
    """Calls view(request, user_key, …); who is locked unlocks first."""

    @signed_in
    @wraps(view)
    def guarded(request, *args, **kwargs):
        if (user_key := unlocked.user_key(request)) is None:
            raise Locked(_page_of(request))
        return view(request, user_key, *args, **kwargs)

    return guarded


def for_operators(view):
    """To everybody else the page is not there."""

    @signed_in
    @wraps(view)
    def guarded(request, *args, **kwargs):
        if not request.user.is_staff:
            raise Http404
        return view(request, *args, **kwargs)

    return guarded


def form_part(part: str, *, page: str, show: Callable, done: Callable, lasting: bool = False):
    """A view that changes something; what it refuses is shown in its part of the page with what was typed.

    Whoever comes without a form, as after signing in, is shown the page. Something `lasting` goes on to let
    somebody in or tell somebody when the session is over, so whoever is locked unlocks first.
    """

    def decorate(view):
        @never_cache
        @signed_in
        @wraps(view)
        def guarded(request, *args, **kwargs):
            if request.method != "POST":
                return redirect(page)
            if lasting and unlocked.user_key(request) is None:
                return unlock_first(request, reverse(page))
            try:
                return view(request, *args, **kwargs) or done()
            except (UsageError, VaultError) as error:
                request.user.refresh_from_db()
                words = {"part": part, "words": str(error)}
                return refused(show(request, error=words, typed=request.POST.dict()), error)

        return guarded

    return decorate


def refused(response: HttpResponse, error: MailhelperError) -> HttpResponse:
    """The page that says why something was not done, with the status for machines."""
    response.status_code = 422
    if isinstance(error, TooManyAttempts):
        response.status_code = 429
        response["Retry-After"] = max(1, ceil((error.until - timezone.now()).total_seconds()))
    return response


def unlock_first(request, back_to: str):
    return go(request, f"{reverse('unlock')}?next={quote(back_to, safe='/')}")


def go(request, url: str):
    """Elsewhere, whether the page or a part of it asked."""
    return HttpResponse(headers={"HX-Redirect": url}) if request.htmx else redirect(url)


def _page_of(request) -> str:
    """Where to come back to: a form's answer or a part of a page is none."""
    whole = request.method == "GET" and not request.htmx
    return request.get_full_path() if whole else reverse("overview")
