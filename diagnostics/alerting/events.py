"""What programs want to hear of, through the web hooks that ask for it: jobs' ends, changes of health.

    noted, with what happened ── addressed to the web hooks ── delivered or given up ── forgotten

A note locks nothing, so that it can stand in the transaction of what it tells of. It is a row of Alert that
is read already; its facts are what is sent.
"""

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.models import MailAccount, User
from diagnostics.models import (
    EVENTS,
    Alert,
    AlertChannel,
    AlertDelivery,
    AlertKind,
    DeliveryStatus,
    HealthFlip,
)


def note(user: User, kind: AlertKind, of: UUID, facts: dict, account: MailAccount | None = None) -> None:
    """Call it in the transaction that makes it true. `of` is the row that tells it, once."""
    if not _hooks(user).exists():
        return
    now = timezone.now()
    described = {"account": account, "facts": facts, "decided_at": now, "read_at": now}
    Alert.objects.create(user=user, key=f"{kind}:{of}", kind=kind, **described)


def note_change_of_health(account: MailAccount, flip: HealthFlip) -> None:
    facts = {
        "account_id": str(account.pk),
        "before": flip.before,
        "after": flip.after,
        "reason": flip.reason,
        "since": flip.at.isoformat(),
    }
    note(account.user, AlertKind.HEALTH_CHANGED, flip.pk, facts, account)


def _hooks(user: User):
    return user.channels.filter(events=True, disabled_at=None)


def unaddressed():
    return Alert.objects.filter(kind__in=EVENTS, deliveries=None)


def address(now: datetime | None = None) -> None:
    """Put what was noted on its way."""
    now = now or timezone.now()
    for user in User.objects.filter(pk__in=unaddressed().order_by().values("user")):
        _address_those_of(user, now)
    forget_what_is_over()


def forget_what_is_over() -> None:
    """What has arrived everywhere, or was given up."""
    waiting = AlertDelivery.objects.filter(status=DeliveryStatus.WAITING).values("alert")
    Alert.objects.filter(kind__in=EVENTS, deliveries__isnull=False).exclude(pk__in=waiting).delete()


def _address_those_of(user: User, now: datetime) -> None:
    with transaction.atomic():
        # Locked as in alerts.py, and before the notes are read: another worker may just have addressed them.
        hooks: list[AlertChannel] = list(_hooks(user).select_for_update(no_key=True).order_by("pk"))
        notes = unaddressed().filter(user=user)
        if not hooks:
            notes.delete()
        AlertDelivery.objects.bulk_create(
            AlertDelivery(alert=one, channel=hook, due_at=now) for one in notes for hook in hooks
        )
