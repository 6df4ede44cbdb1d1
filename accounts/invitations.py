"""Who may sign up: links that make one person each, and nobody else unless sign-up is open."""

import secrets
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext

from accounts import actions, people, vault
from accounts.errors import UsageError
from accounts.models import Invitation, User

LIFETIME = timedelta(days=7)
MOST_UNINVITED, WITHIN = 20, timedelta(hours=1)
TOKEN_BYTES = 32


def invite(by: User | None, *, makes_operator: bool = False) -> str:
    """The token of a new invitation: it is nowhere else, so it can be shown only now."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    Invitation.objects.create(
        token_digest=_digest(token),
        makes_operator=makes_operator,
        invited_by=by,
        expires_at=timezone.now() + LIFETIME,
    )
    return token


def invite_first_operator() -> str | None:
    """A token while nobody runs this mailhelper; the one before ends."""
    with transaction.atomic():
        Invitation.objects.filter(invited_by=None, used_at=None).delete()
        return None if people.operators().exists() else invite(None, makes_operator=True)


def link(token: str, base: str) -> str:
    """Under the address that the operator gave, or else under `base`."""
    return (settings.MAILHELPER_URL or base).rstrip("/") + reverse("invitation", args=[token])


def usable() -> QuerySet[Invitation]:
    found = Invitation.objects.filter(used_at=None, expires_at__gt=timezone.now())
    found = found.exclude(invited_by__is_active=False)
    return found.exclude(invited_by=None) if people.operators().exists() else found


def find(token: str) -> Invitation | None:
    return usable().filter(token_digest=_digest(token)).first()


def accept(invitation: Invitation, email: str, password: str, **profile) -> actions.NewPerson:
    """Makes the one person that the invitation is for. Raises UsageError, and then it stays as it was."""
    with transaction.atomic():
        if not _claim(invitation):
            raise UsageError(gettext("This invitation was used, withdrawn, or its time is over."))
        new = actions.add_person(email, password, operator=invitation.makes_operator, **profile)
        invitation.used_by = new.user
        invitation.save(update_fields=["used_by"])
    return new


def _claim(invitation: Invitation) -> bool:
    # The UPDATE asks for columns of its row alone: having waited for it, PostgreSQL looks at no other again.
    unused = Invitation.objects.filter(pk=invitation.pk, used_at=None)
    return usable().filter(pk=invitation.pk).exists() and bool(unused.update(used_at=timezone.now()))


def sign_up(invitation: Invitation | None, email: str, password: str, **profile) -> actions.NewPerson:
    """Raises UsageError. Where all may sign up, the operator still comes by the link alone: whoever else
    finds the page first would run this mailhelper."""
    if invitation is not None:
        return accept(invitation, email, password, **profile)
    if not settings.MAILHELPER_OPEN_SIGN_UP:
        raise UsageError(gettext("Here people sign up by invitation."))
    _check_crowd()
    return actions.add_person(email, password, **profile)


def _check_crowd() -> None:
    """Each costs 64 MiB for a moment and rows for good. Raises UsageError."""
    new = User.objects.filter(date_joined__gt=timezone.now() - WITHIN, invitation=None)
    if new.count() >= MOST_UNINVITED:
        raise UsageError(gettext("Very many people have just signed up. Please try again in an hour."))


def open_ones() -> QuerySet[Invitation]:
    return usable().exclude(invited_by=None).select_related("invited_by").order_by("created_at")


def _digest(token: str) -> str:
    return vault.digest(token.encode())
