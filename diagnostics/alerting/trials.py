"""Tests of channels. Nobody confirms an address, so a person has few an hour, and one at a time.

Each is a row that is read already. Its key is the person's while it goes, which holds the next one off.
"""

import uuid
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext

from accounts.errors import SyncError, UsageError
from accounts.models import User
from diagnostics.alerting import channels, messages
from diagnostics.models import Alert, AlertChannel, AlertKind

MOST, WITHIN = 5, timedelta(hours=1)
LONGEST = timedelta(seconds=60)  # above outbound.LONGEST_SEND; then its process has died


def send(channel: AlertChannel, seconds: float | None = None) -> str:
    """The type of error, empty where the test was handed over. Raises UsageError."""
    row = _begin(channel.user, timezone.now())
    try:
        channels.send(channel, messages.test_message(channel.user), seconds)
    except SyncError as error:
        return str(error.error_type)
    finally:
        Alert.objects.filter(pk=row.pk).update(key=_key(row.pk))
    return ""


def _begin(user: User, now: datetime) -> Alert:
    _of(user).filter(decided_at__lte=now - WITHIN).delete()
    Alert.objects.filter(key=_key(user.pk), decided_at__lte=now - LONGEST).update(key=_key(uuid.uuid4()))
    described = {"kind": AlertKind.TEST, "decided_at": now, "read_at": now}
    try:
        with transaction.atomic():
            row = Alert.objects.create(user=user, key=_key(user.pk), **described)
            check_left(user, 0)  # with its own row
    except IntegrityError as error:
        raise UsageError(gettext("A test is on its way. Wait until it has ended.")) from error
    return row


def check_left(user: User, count: int) -> None:
    """Raises UsageError where so many more tests (MOST at most) are not to be had now."""
    begun = _of(user).filter(decided_at__gt=timezone.now() - WITHIN).order_by("decided_at")
    times = list(begun.values_list("decided_at", flat=True))
    over = len(times) + count - MOST
    if over > 0:
        again = messages.local_time(times[over - 1] + WITHIN, user)
        told = gettext("At most {most} tests an hour. The next one can be sent from {time} on.")
        raise UsageError(told.format(most=MOST, time=again))


def _of(user: User):
    return user.alerts.filter(kind=AlertKind.TEST)


def _key(owner: uuid.UUID) -> str:
    return f"test:{owner}"
