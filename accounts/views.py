"""Signing in, unlocking and signing out."""

from django.conf import settings
from django.contrib.auth import login, logout
from django.contrib.auth.decorators import login_required
from django.http import HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from accounts import actions, grants, unlocked
from accounts.errors import VaultError

BACKEND = "django.contrib.auth.backends.ModelBackend"


@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "POST"])
def sign_in(request):
    if request.method == "GET" and request.user.is_authenticated and unlocked.user_key(request):
        return redirect(settings.LOGIN_REDIRECT_URL)
    if request.method == "GET":
        return render(request, "accounts/sign_in.html", {"next": request.GET.get("next", "")})
    try:
        user, user_key = actions.unlock_by_address(
            request.POST.get("email", ""), request.POST.get("password", "")
        )
    except VaultError as error:
        return _again(request, "accounts/sign_in.html", error)
    login(request, user, backend=BACKEND)
    return _into(request, user_key)


@sensitive_post_parameters("password")
@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def unlock(request):
    """Give the session back the key that its cookie has lost."""
    if request.method == "GET":
        return render(request, "accounts/unlock.html", {"next": request.GET.get("next", "")})
    try:
        user_key = actions.unlock(request.user, request.POST.get("password", ""))
    except VaultError as error:
        return _again(request, "accounts/unlock.html", error)
    return _into(request, user_key)


@require_POST
def sign_out(request):
    response = redirect("sign_in")
    unlocked.lock(request, response)
    logout(request)
    return response


def _again(request, template: str, error: VaultError):
    context = {"next": request.POST.get("next", ""), "error": error, "email": request.POST.get("email", "")}
    return render(request, template, context, status=422)


def _into(request, user_key: bytes):
    grants.extend_background(request.user)
    response = HttpResponseRedirect(_safe(request, request.POST.get("next", "")))
    unlocked.open_session(request, response, user_key)
    return response


def _safe(request, target: str) -> str:
    """Only ever a path of this site."""
    here = url_has_allowed_host_and_scheme(target, {request.get_host()}, request.is_secure())
    return target if target.startswith("/") and here else reverse(settings.LOGIN_REDIRECT_URL)
