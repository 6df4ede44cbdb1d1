"""What people set for themselves: language, time zone, password, recovery key."""

from functools import partial

from django.conf import settings
from django.contrib.auth import update_session_auth_hash
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as N_
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET

from accounts import actions, shown_once, unlocked
from accounts.pages import form_part, signed_in
from accounts.views.sessions import typed_twice, unlock_again

_SAVED = {
    "language": N_("Saved."),
    "zone": N_("The time zone was saved."),
    "password": N_("The new password is set, and every other session of yours has ended."),
}


@never_cache
@signed_in
@require_GET
def settings_page(request):
    part = request.GET.get("saved")
    saved = {"part": part, "words": gettext(_SAVED[part])} if part in _SAVED else None
    return _page(request, saved=saved)


def _page(request, *, saved=None, error=None, typed=None):
    facts = {
        "languages": settings.LANGUAGES,
        "zones": actions.time_zones(),
        "key_waits": shown_once.waits(request),
    }
    return render(request, "accounts/settings.html", facts | {"saved": saved, "error": error})


def _changes(part: str):
    return form_part(part, page="settings", show=_page, done=partial(_done, part))


def _done(part: str):
    return redirect(f"{reverse('settings')}?saved={part}#{part}")


@_changes("language")
def set_language(request):
    actions.set_language(request.user, request.POST.get("language", ""))


@_changes("zone")
def set_time_zone(request):
    actions.set_time_zone(request.user, request.POST.get("zone", ""))


@sensitive_post_parameters("old", "password", "again")
@_changes("password")
def change_password(request):
    """Other sessions end, because Django ties each to the password."""
    new_password = typed_twice(request.POST)
    user_key = unlock_again(request, request.POST.get("old", ""))
    actions.change_password(request.user, user_key, new_password)
    update_session_auth_hash(request, request.user)
    return _unlocked(request, user_key, _done("password"))


@sensitive_post_parameters("old")
@_changes("recovery")
def new_recovery_key(request):
    user_key = unlock_again(request, request.POST.get("old", ""))
    shown_once.keep(request, user_key, actions.new_recovery_key(request.user, user_key))
    return _unlocked(request, user_key, redirect("recovery_key"))


def _unlocked(request, user_key: bytes, response):
    unlocked.open_session(request, response, user_key)
    return response
