"""The people of this mailhelper and who is invited: for its operators."""

from functools import partial

from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from accounts import invitations, people
from accounts.models import User
from accounts.pages import for_operators, form_part


@never_cache
@for_operators
@require_GET
def people_page(request):
    return _page(request, deleted="deleted" in request.GET)


def _page(request, *, link="", deleted=False, error=None, typed=None):
    facts = {"people": people.everybody(), "invitations": invitations.open_ones()}
    return render(request, "accounts/people.html", facts | {"link": link, "deleted": deleted, "error": error})


def _changes(view):
    done = partial(redirect, "people")
    change = form_part("people", page="people", show=_page, done=done, lasting=True)
    return for_operators(change(view))


@_changes
def invite(request):
    token = invitations.invite(request.user, makes_operator="operator" in request.POST)
    return _page(request, link=invitations.link(token, request.build_absolute_uri("/")))


@_changes
def withdraw(request, invitation_id):
    get_object_or_404(invitations.open_ones(), pk=invitation_id).delete()


@_changes
def deactivate(request, user_id):
    people.deactivate(get_object_or_404(User, pk=user_id), by=request.user)


@_changes
def activate(request, user_id):
    people.activate(get_object_or_404(User, pk=user_id))
