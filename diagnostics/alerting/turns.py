"""Which channels have something to send now, and whose turn it is."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Count, Min, Q
from django.utils import timezone

from diagnostics.models import AlertDelivery, DeliveryStatus

LATELY = timedelta(hours=1)


def due(deliveries, now: datetime):
    """Of these deliveries those that may be sent now, and that nobody is sending."""
    unleased = Q(lease_until=None) | Q(lease_until__lte=now)
    return deliveries.filter(unleased, status=DeliveryStatus.WAITING, due_at__lte=now)


def due_channels(now: datetime | None = None) -> list[UUID]:
    return [channel_id for channel_id, _ in _with_person(now or timezone.now())]


def waits_for(channel_id: UUID) -> UUID | None:
    """The person to whom something is to be sent through this channel now."""
    return _usable(timezone.now()).filter(channel=channel_id).values_list("channel__user", flat=True).first()


def next_channels(limit: int, now: datetime | None = None) -> list[UUID]:
    """One each of at most `limit` people; for whom the fewest messages were begun lately comes first."""
    now = now or timezone.now()
    first: dict[UUID, UUID] = {}
    for channel_id, person in _with_person(now):
        first.setdefault(person, channel_id)
    begun = _begun_lately(first, now)
    people = sorted(first, key=lambda person: begun.get(person, 0))
    return [first[person] for person in people[:limit]]


def _with_person(now: datetime) -> list[tuple[UUID, UUID]]:
    """Channel and person, what has been due longest first."""
    rows = _usable(now).order_by().values_list("channel", "channel__user").annotate(since=Min("due_at"))
    return [(channel_id, person) for channel_id, person, _ in rows.order_by("since", "channel")]


def _usable(now: datetime):
    return due(AlertDelivery.objects.filter(channel__disabled_at=None), now)


def _begun_lately(people: Iterable[UUID], now: datetime) -> dict[UUID, int]:
    """What waits for another try counts as long as it waits."""
    lately = Q(status=DeliveryStatus.WAITING) | Q(sent_at__gt=now - LATELY)
    begun = AlertDelivery.objects.filter(lately, channel__user__in=people).exclude(message=None)
    return dict(begun.order_by().values_list("channel__user").annotate(Count("message", distinct=True)))
