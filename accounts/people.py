"""The people of this mailhelper, as its operators see them."""

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext

from accounts import grants
from accounts.errors import UsageError
from accounts.models import KeyGrant, User


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


def activate(user: User) -> None:
    _set_active(user, True)


def _set_active(user: User, active: bool) -> None:
    user.is_active = active
    user.save(update_fields=["is_active"])
