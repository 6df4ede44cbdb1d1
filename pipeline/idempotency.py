"""A wish that comes twice under one Idempotency-Key makes one job."""

from collections.abc import Callable
from uuid import UUID

from django.db import transaction

from accounts import vault
from accounts.errors import MailhelperError
from accounts.models import User
from pipeline.models import IdempotencyKey


class KeyReused(MailhelperError):
    """The key came with another wish."""


def once(user: User, key: str | None, wish: object, ask: Callable[[], UUID]) -> UUID:
    """The id of the job that `ask` makes now or made at first. Raises KeyReused, and what `ask` raises.

    A second request that comes meanwhile waits for the row of the first; one that failed leaves none.
    """
    if key is None:
        return ask()
    digest = vault.digest(repr(wish).encode())
    with transaction.atomic():
        row, is_new = IdempotencyKey.objects.get_or_create(user=user, key=key, defaults={"wish": digest})
        if is_new:
            row.job_id = ask()
            row.save(update_fields=["job"])
    if row.wish != digest:
        raise KeyReused
    return row.job_id
