"""The people of this mailhelper, as its operators see them."""

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext

from accounts import grants, throttle
from accounts.errors import UsageError
from accounts.models import KeyGrant, User
from accounts.operators import forget_log_of


def everybody() -> QuerySet[User]:
    return User.objects.order_by("date_joined", "pk")


def operators() -> QuerySet[User]:
    """Who runs this mailhelper."""
    return User.objects.filter(is_staff=True, is_active=True)


def deactivate(user: User, by: User) -> None:
    """Nothing is deleted, but they can no longer sign in and no worker syncs for them. Raises UsageError."""
    if user == by:
        raise UsageError(gettext("You cannot deactivate yourself."))
    with transaction.atomic():
        _set_active(user, False)
        grants.revoke(KeyGrant.objects.filter(account__user=user))
        user.api_tokens.all().delete()


def require_can_go(user: User) -> None:
    """Raises UsageError for the last operator while others are here."""
    _require_can_go(user, operators())


def _require_can_go(user: User, running_it: QuerySet[User]) -> None:
    if list(running_it) == [user] and User.objects.exclude(pk=user.pk).exists():
        raise UsageError(
            gettext(
                "Nobody else runs this mailhelper: invite another person to run it, or delete the others "
                "first."
            )
        )


def shut_out(user: User) -> None:
    """Ahead of their deletion. Raises UsageError for the last operator while others are here."""
    with transaction.atomic():
        _require_can_go(user, operators().select_for_update())
        _set_active(user, False)
        grants.revoke(KeyGrant.objects.filter(account__user=user))


def delete(user: User) -> None:
    """With their sessions, and with what was counted and logged of them."""
    with transaction.atomic():
        throttle.forget(user.email)
        theirs = [session.pk for session in Session.objects.all() if _is_of(session, user)]
        Session.objects.filter(pk__in=theirs).delete()
        forget_log_of(User.objects.filter(pk=user.pk))
        user.delete()


def _is_of(session: Session, user: User) -> bool:
    return session.get_decoded().get(SESSION_KEY) == str(user.pk)


def activate(user: User) -> None:
    _set_active(user, True)


def _set_active(user: User, active: bool) -> None:
    user.is_active = active
    user.save(update_fields=["is_active"])
