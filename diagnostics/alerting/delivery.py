"""Alerts on their way: decided once, sent at least once.

    waiting ── claim (lease, message id) ── send ── sent
       ↑                                      │
       └── due again (backoff) ── transient ──┴── permanent, or tries used up ── failed

A process that dies between the receiver's yes and our commit leaves a lease that lapses; the same group then
goes again under the same message id, by which a receiver knows it.
"""

import random
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts import traces
from accounts.errors import ErrorType, SyncError
from accounts.events import Event
from diagnostics.alerting import alerts, channels, events, messages, preferences, turns
from diagnostics.models import EVENTS, AlertChannel, AlertDelivery, AlertKind, DeliveryStatus

LEASE = timedelta(seconds=60)
BACKOFF = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 30, 120, 360))
MOST_EVENTS = 100  # in one message
AT_ONCE, WITHIN = 5, timedelta(hours=1)  # messages; what is over waits and goes as one
FAILURES_THAT_DISABLE = 3

log = structlog.stdlib.get_logger("mailhelper.alerts")


@dataclass(frozen=True)
class Claim:
    """One message of one channel that is ours to send until `lease`; `attempt` counts from 1."""

    channel: AlertChannel
    message_id: uuid.UUID
    lease: datetime
    attempt: int
    deliveries: tuple[AlertDelivery, ...]

    @property
    def in_log(self) -> dict:
        return {
            "user_id": self.channel.user_id,
            "channel_id": self.channel.pk,
            "message_id": self.message_id,
            "attempt": self.attempt,
        }


def deliver_due(now: datetime | None = None) -> int:
    """Send what is due, channel by channel. Returns how many messages arrived."""
    return sum(send_through(channel_id, now) for channel_id in turns.due_channels(now))


def send_through(channel_id: uuid.UUID, now: datetime | None = None) -> int:
    """Send what is due through one channel. Returns how many messages arrived."""
    arrived = 0
    while claim := _claim(channel_id, now or timezone.now()):
        arrived += _send(claim, now)
    events.forget_what_is_over()
    return arrived


def _claim(channel_id: uuid.UUID, now: datetime) -> Claim | None:
    """The channel's row is locked for the choice alone, so that of two workers one finds nothing left."""
    with transaction.atomic():
        rows = channels.locked(channel_id).select_related("user__alert_preferences", "secret")
        channel = rows.filter(disabled_at=None).first()
        group = _next_group(channel, now) if channel else []
        if not group:
            return None
        message_id, lease = group[0].message or uuid.uuid4(), now + LEASE
        ids = [one.pk for one in group]
        AlertDelivery.objects.filter(pk__in=ids).update(
            message=message_id, lease_until=lease, attempts=F("attempts") + 1
        )
        return Claim(channel, message_id, lease, group[0].attempts + 1, tuple(group))


def _next_group(channel: AlertChannel, now: datetime) -> list[AlertDelivery]:
    """A message that was begun goes again as it was; else all that waits becomes one. A flood is put off.

    Events go by themselves, and are no flood: a program reads them.
    """
    due = turns.due(channel.deliveries, now).order_by("alert__decided_at", "pk")
    due = due.select_related("alert__account")
    if begun := due.exclude(message=None).first():
        return list(_of_message(AlertDelivery.objects, begun.message).select_related("alert__account"))
    told = due.exclude(alert__kind__in=EVENTS)
    if free_at := flood_end(_sent_lately(channel, now)):
        told.update(due_at=preferences.may_go_at(preferences.of(channel.user), free_at))
    return list(told) or list(due.filter(alert__kind__in=EVENTS)[:MOST_EVENTS])


def _of_message(deliveries, message_id: uuid.UUID):
    waiting = deliveries.filter(message=message_id, status=DeliveryStatus.WAITING)
    return waiting.order_by("alert__decided_at", "pk")


def flood_end(sent: list[datetime]) -> datetime | None:
    """Pure: when the next message may go after those of the last hour; None is at once."""
    return sorted(sent)[-AT_ONCE] + WITHIN if len(sent) >= AT_ONCE else None


def _sent_lately(channel: AlertChannel, now: datetime) -> list[datetime]:
    sent = channel.deliveries.filter(status=DeliveryStatus.SENT, sent_at__gt=now - WITHIN)
    sent = sent.exclude(alert__kind__in=EVENTS)
    return [sent_at for _, sent_at in sent.order_by().values_list("message", "sent_at").distinct()]


def _send(claim: Claim, now: datetime | None) -> bool:
    try:
        channels.send(claim.channel, _message(claim))
    except SyncError as error:
        log.warning(Event.DELIVERY_FAILED, **claim.in_log, error_type=error.error_type)
        _note_failure(claim, error, now or timezone.now())
        return False
    except Exception as error:  # one message must not keep the others from going
        log.error(Event.DELIVERY_FAILED, **claim.in_log, error_type=ErrorType.BUG, **traces.named(error))
        _note_failure(claim, SyncError(ErrorType.BUG), now or timezone.now())
        return False
    return _note_arrival(claim, now or timezone.now())


def _message(claim: Claim) -> messages.Message:
    return messages.compose(claim.message_id, claim.channel.user, [one.alert for one in claim.deliveries])


def _held(claim: Claim):
    """The rows of this attempt, unless its lease has lapsed and another has taken them."""
    return AlertDelivery.objects.filter(
        message=claim.message_id, lease_until=claim.lease, status=DeliveryStatus.WAITING
    )


def _note_arrival(claim: Claim, at: datetime) -> bool:
    with transaction.atomic():
        channels.locked(claim.channel.pk).first()
        if not _held(claim).update(status=DeliveryStatus.SENT, sent_at=at, lease_until=None, error_type=""):
            return False
        _forget_earlier_errors(claim)
        AlertChannel.objects.filter(pk=claim.channel.pk).update(failures=0)
        return True


def _note_failure(claim: Claim, error: SyncError, at: datetime) -> None:
    wait = next_wait(claim.attempt, error, random.random())
    with transaction.atomic():
        channels.locked(claim.channel.pk).first()
        if wait is not None:
            due_at = at + wait if _is_of_events(claim) else _not_in_quiet_hours(claim, at + wait)
            if _held(claim).update(due_at=due_at, lease_until=None, error_type=error.error_type):
                _forget_earlier_errors(claim)
        elif _held(claim).update(status=DeliveryStatus.FAILED, lease_until=None, error_type=error.error_type):
            _count_failure(claim.channel, error, at)


def _forget_earlier_errors(claim: Claim) -> None:
    """This attempt tells how the channel is now."""
    waiting = claim.channel.deliveries.filter(status=DeliveryStatus.WAITING)
    waiting.exclude(message=claim.message_id).exclude(error_type="").update(error_type="")


def _is_of_events(claim: Claim) -> bool:
    return claim.deliveries[0].alert.kind in EVENTS


def _not_in_quiet_hours(claim: Claim, at: datetime) -> datetime:
    return preferences.may_go_at(preferences.of(claim.channel.user), at)


def next_wait(attempt: int, error: SyncError, jitter: float) -> timedelta | None:
    """Pure: how long after the failure of this attempt to try again; None is give up.

    `jitter` is from 0 to 1 and moves a wait by up to a quarter.
    """
    if error.facts.get("permanent") or attempt > len(BACKOFF):
        return None
    hint = timedelta(seconds=error.facts.get("retry_after", 0))
    return max(BACKOFF[attempt - 1] * (0.75 + 0.5 * jitter), hint)


def _count_failure(channel: AlertChannel, error: SyncError, at: datetime) -> None:
    """A way that no longer leads to the person is closed, and they are told in the app."""
    usable = AlertChannel.objects.filter(pk=channel.pk, disabled_at=None)
    usable.update(failures=F("failures") + 1)
    if not error.facts.get("hopeless"):
        usable = usable.filter(failures__gte=FAILURES_THAT_DISABLE)
    if not usable.update(disabled_at=at, disabled_reason=error.error_type):
        return
    channel.deliveries.filter(status=DeliveryStatus.WAITING).update(
        status=DeliveryStatus.FAILED, lease_until=None, error_type=error.error_type
    )
    alerts.decide(
        channel.user,
        AlertKind.CHANNEL_DISABLED,
        f"channel:{channel.pk}:{at.isoformat()}",
        reason=error.error_type,
        facts={"channel": channel.label, "through": channel.kind},
        at=at,
    )


def last_errors(shown: Iterable[AlertChannel]) -> dict[uuid.UUID, str]:
    """What the newest attempt met, by channel, while its message waits for another."""
    waiting = AlertDelivery.objects.filter(channel__in=shown, status=DeliveryStatus.WAITING)
    return dict(waiting.exclude(error_type="").values_list("channel", "error_type").distinct())
