"""Signing in, unlocking, locking, signing out, and coming back by the recovery key."""

from django.conf import settings
from django.contrib.auth import login, logout
from django.contrib.auth.decorators import login_required
from django.http import HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from accounts import actions, grants, throttle, unlocked
from accounts.errors import UsageError, VaultError
from accounts.pages import refused, signed_in

BACKEND = "django.contrib.auth.backends.ModelBackend"


@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "POST"])
def sign_in(request):
    if request.method == "GET" and request.user.is_authenticated and unlocked.user_key(request):
        return redirect(settings.LOGIN_REDIRECT_URL)
    if request.method == "GET":
        return render(request, "accounts/sign_in.html", _facts(request.GET.get("next", "")))
    email = request.POST.get("email", "")
    try:
        with throttle.guessing(request, email):
            user, user_key = actions.unlock_by_address(email, request.POST.get("password", ""))
    except (UsageError, VaultError) as error:
        return _again(request, "accounts/sign_in.html", error)
    return enter(request, user, user_key, request.POST.get("next", ""))


@sensitive_post_parameters("password")
@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def unlock(request):
    """Give the session back the key that its cookie has lost."""
    if request.method == "GET":
        return render(request, "accounts/unlock.html", _facts(request.GET.get("next", "")))
    try:
        user_key = unlock_again(request, request.POST.get("password", ""))
    except (UsageError, VaultError) as error:
        return _again(request, "accounts/unlock.html", error)
    return _into(request, user_key, request.POST.get("next", ""))


@sensitive_post_parameters("recovery_key", "password", "again")
@never_cache
@require_http_methods(["GET", "POST"])
def recover(request):
    """A new password for whoever has the recovery key."""
    if request.method == "GET":
        return render(request, "accounts/recover.html")
    email = request.POST.get("email", "")
    try:
        new_password = typed_twice(request.POST)
        with throttle.guessing(request, email):
            user, user_key = actions.unlock_by_address_and_recovery_key(
                email, request.POST.get("recovery_key", "")
            )
        actions.change_password(user, user_key, new_password)
    except (UsageError, VaultError) as error:
        return _again(request, "accounts/recover.html", error)
    return enter(request, user, user_key, reverse("settings") + "?saved=password")


@require_POST
@signed_in
def lock(request):
    response = redirect(settings.LOGIN_REDIRECT_URL)
    unlocked.lock(request, response)
    return response


@require_POST
def sign_out(request):
    response = redirect("sign_in")
    unlocked.lock(request, response)
    logout(request)
    return response


def enter(request, user, user_key: bytes, target: str):
    """Signed in and unlocked."""
    request.session.clear_expired()  # nothing else ever deletes the rows of sessions that are over
    login(request, user, backend=BACKEND)
    return _into(request, user_key, target)


def unlock_again(request, password: str) -> bytes:
    """The user key of who is signed in. Raises WrongPassword, TooManyAttempts."""
    with throttle.guessing(request, request.user.email):
        return actions.unlock(request.user, password)


def typed_twice(posted) -> str:
    """The new password. Raises UsageError."""
    if posted.get("password", "") != posted.get("again", ""):
        raise UsageError(gettext("The two passwords are not the same."))
    return posted.get("password", "")


def _facts(target: str) -> dict:
    return {"next": target, "open_sign_up": settings.MAILHELPER_OPEN_SIGN_UP}


def _again(request, template: str, error):
    context = _facts(request.POST.get("next", ""))
    context |= {"error": error, "email": request.POST.get("email", "")}
    return refused(render(request, template, context), error)


def _into(request, user_key: bytes, target: str):
    grants.extend_background(request.user)
    response = HttpResponseRedirect(_safe(request, target))
    unlocked.open_session(request, response, user_key)
    return response


def _safe(request, target: str) -> str:
    """Only ever a path of this site."""
    here = url_has_allowed_host_and_scheme(target, {request.get_host()}, request.is_secure())
    return target if target.startswith("/") and here else reverse(settings.LOGIN_REDIRECT_URL)
