"""Doors by which a person goes: by themselves, or by who runs this mailhelper."""

from django.contrib.auth import logout
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods

from accounts import people, unlocked
from accounts.actions import address_of
from accounts.errors import UsageError, VaultError
from accounts.models import User
from accounts.pages import for_operators, refused, signed_in, with_user_key
from accounts.views.sessions import unlock_again
from pipeline.operations.removal import belongings_of, remove_person

GET_OR_POST = ["GET", "HEAD", "POST"]


@sensitive_post_parameters("password")
@never_cache
@signed_in
@require_http_methods(GET_OR_POST)
def delete_me(request):
    try:
        people.require_can_go(request.user)
    except UsageError as error:
        page = render(request, "pipeline/cannot_go.html", {"error": error})
        return refused(page, error) if request.method == "POST" else page
    if request.method != "POST":
        return _asked(request, "delete_me", request.user)
    try:
        _require_address(request, request.user)
        unlock_again(request, request.POST.get("password", ""))
        remove_person(request.user)
    except (UsageError, VaultError) as error:
        return refused(_asked(request, "delete_me", request.user, error), error)
    response = redirect("deleted")
    unlocked.lock(request, response)
    logout(request)
    return response


@require_GET
def deleted(request):
    return render(request, "pipeline/deleted.html")


@sensitive_post_parameters("password")
@never_cache
@for_operators
@with_user_key
@require_http_methods(GET_OR_POST)
def delete_person(request, user_key, user_id):
    person = get_object_or_404(User, pk=user_id)
    if person == request.user:
        return redirect("delete_me")
    if request.method != "POST":
        return _asked(request, "delete_person", person)
    try:
        _require_address(request, person)
        unlock_again(request, request.POST.get("password", ""))
        remove_person(person)
    except (UsageError, VaultError) as error:
        return refused(_asked(request, "delete_person", person, error), error)
    return redirect(f"{reverse('people')}?deleted=1#people")


def _require_address(request, person: User) -> None:
    if address_of(request.POST.get("address", "")) != person.email:
        raise UsageError(gettext("That is not the address. Nothing was deleted."))


def _asked(request, page: str, person: User, error=None):
    shown = {
        "person": person,
        "goes": belongings_of(person),
        "error": error,
        "typed": request.POST.get("address", ""),
    }
    return render(request, f"pipeline/{page}.html", shown)
