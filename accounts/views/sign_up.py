"""Signing up, by invitation or where all may, and the one time that a recovery key is shown."""

from django.conf import settings
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import get_language, gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from accounts import actions, invitations, shown_once
from accounts.errors import UsageError, VaultError
from accounts.pages import refused, with_user_key
from accounts.views.sessions import enter, typed_twice

_INVITATION = "invitation"


@never_cache
@require_safe
def invitation(request, token):
    """Takes the token out of the address, whatever it is: the path of a page that is refused is logged."""
    request.session.pop(_INVITATION, None)
    if found := invitations.find(token):
        request.session[_INVITATION] = str(found.pk)
    return redirect("sign_up")


@sensitive_post_parameters("password", "again")
@never_cache
@require_http_methods(["GET", "POST"])
def sign_up(request):
    if request.user.is_authenticated:
        return redirect(settings.LOGIN_REDIRECT_URL)
    invited = invitations.usable().filter(pk=request.session.get(_INVITATION)).first()
    if invited is None and not settings.MAILHELPER_OPEN_SIGN_UP:
        return render(request, "accounts/by_invitation.html", status=403)
    if request.method == "GET":
        return _form(request)
    try:
        new = invitations.sign_up(invited, password=typed_twice(request.POST), **_profile(request.POST))
    except (UsageError, VaultError) as error:
        return refused(_form(request, error=error, typed=request.POST), error)
    request.session.pop(_INVITATION, None)
    response = enter(request, new.user, new.user_key, reverse("recovery_key"))
    shown_once.keep(request, new.user_key, new.recovery_key)
    return response


def _form(request, *, error=None, typed=None):
    facts = {"languages": settings.LANGUAGES, "zones": actions.time_zones(), "error": error}
    chosen = _profile(typed) if typed else {"language": get_language(), "time_zone": "UTC"}
    return render(request, "accounts/sign_up.html", facts | chosen)


def _profile(posted) -> dict:
    return {name: posted.get(name, "") for name in ("email", "language", "time_zone")}


@never_cache
@with_user_key
@require_http_methods(["GET", "POST"])
def recovery_key(request, user_key):
    """Until its owner says that it is kept."""
    shown = shown_once.kept(request, user_key)
    if request.method == "POST" and "kept" in request.POST:
        shown_once.forget(request)
        return redirect(_next_step(request.user))
    if shown is None:
        return redirect("settings")
    if request.method == "GET":
        return _key_page(request, shown)
    error = UsageError(gettext("Please confirm that you have kept the key."))
    return refused(_key_page(request, shown, error=error), error)


def _key_page(request, shown: str, **more):
    return render(request, "accounts/recovery_key.html", {"recovery_key": shown} | more)


def _next_step(user) -> str:
    return "settings" if user.mail_accounts.exists() else "add_account"
