"""What every page shares: who may see it, and where those are sent who may not yet."""

from functools import wraps
from urllib.parse import quote

from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from accounts import unlocked


def signed_in(view):
    """Sends others to sign in: the whole page, also when only a part of it asked."""

    @wraps(view)
    def guarded(request, *args, **kwargs):
        if request.user.is_authenticated:
            return view(request, *args, **kwargs)
        return go(request, f"{reverse('sign_in')}?next={quote(_page_of(request), safe='/')}")

    return guarded


def with_user_key(view):
    """Calls view(request, user_key, …); who is locked unlocks first."""

    @signed_in
    @wraps(view)
    def guarded(request, *args, **kwargs):
        if (user_key := unlocked.user_key(request)) is not None:
            return view(request, user_key, *args, **kwargs)
        return unlock_first(request, _page_of(request))

    return guarded


def unlock_first(request, back_to: str):
    return go(request, f"{reverse('unlock')}?next={quote(back_to, safe='/')}")


def go(request, url: str):
    """Elsewhere, whether the page or a part of it asked."""
    return HttpResponse(headers={"HX-Redirect": url}) if request.htmx else redirect(url)


def _page_of(request) -> str:
    """Where to come back to: a form's answer or a part of a page is none."""
    whole = request.method == "GET" and not request.htmx
    return request.get_full_path() if whole else reverse("overview")
