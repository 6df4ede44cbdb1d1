"""Signs of life of the tick and of each worker, and how the machinery is by them."""

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import DatabaseError, connections, transaction
from django.utils import timezone

from accounts import traces
from accounts.events import Event
from pipeline.identity import has_died
from pipeline.models import AccountRun, Heartbeat, RunStatus

TICK_PATIENCE = timedelta(seconds=90)
LONG_PAUSE = timedelta(minutes=5)
WORKER_BEATS_EVERY = 30
WORKER_PATIENCE = timedelta(seconds=3 * WORKER_BEATS_EVERY)
FORGOTTEN_AFTER = timedelta(days=1)

log = structlog.stdlib.get_logger("mailhelper.heartbeats")


@dataclass(frozen=True)
class Machinery:
    """How scheduler, workers and queue are. `oldest_due` is since when a due run has waited for a worker."""

    tick_at: datetime | None
    ticks: bool
    workers: int
    oldest_due: datetime | None
    backup_at: datetime | None


def beat(name: str) -> datetime | None:
    """Note a sign of life. Returns since when there was none, if that is long."""
    now = timezone.now()
    with transaction.atomic():
        row, new = Heartbeat.objects.select_for_update().get_or_create(name=name, defaults={"at": now})
        last_at = row.at
        if new:
            return None
        silent = now - last_at > LONG_PAUSE
        row.since = now if silent else row.since
        row.at = now
        row.save()
    return last_at if silent else None


def keep_beating(name: str) -> threading.Event:
    """Beat from a thread of its own until the event is set or the process ends."""
    ended = threading.Event()
    threading.Thread(target=_beat_until, args=(name, ended), name="heartbeat", daemon=True).start()
    return ended


def _beat_until(name: str, ended: threading.Event) -> None:
    while True:
        try:
            beat(name)
        except DatabaseError as error:
            log.warning(Event.HEARTBEAT_NOT_WRITTEN, **traces.named(error))
        finally:
            connections.close_all()
        if ended.wait(WORKER_BEATS_EVERY):
            return


def last(name: str) -> datetime | None:
    return Heartbeat.objects.filter(name=name).values_list("at", flat=True).first()


def note(name: str, at: datetime) -> None:
    """What is done now and then was done at that time."""
    Heartbeat.objects.update_or_create(name=name, defaults={"at": at})


def take_turn(name: str, every: timedelta) -> bool:
    """Whether it is to be done again. Of two that ask at once, one hears so."""
    now = timezone.now()
    _, new = Heartbeat.objects.get_or_create(name=name, defaults={"at": now})
    return new or Heartbeat.objects.filter(name=name, at__lte=now - every).update(at=now) > 0


def beating_workers() -> list[str]:
    """The processes that were heard of lately."""
    return _living(dict(Heartbeat.objects.values_list("name", "at")), timezone.now())


def _living(beats: dict[str, datetime], now: datetime) -> list[str]:
    """One that has ended on this machine is known to have; of another machine's the last beat counts."""
    lately = [name for name, at in beats.items() if now - at < WORKER_PATIENCE]
    workers = [name.removeprefix(Heartbeat.WORKER) for name in lately if name.startswith(Heartbeat.WORKER)]
    return [process for process in workers if not has_died(process)]


def forget_the_dead() -> None:
    Heartbeat.objects.filter(
        name__startswith=Heartbeat.WORKER, at__lt=timezone.now() - FORGOTTEN_AFTER
    ).delete()


def ticks() -> bool:
    """Whether a worker's tick was heard of lately; each comes once a minute."""
    return Heartbeat.objects.filter(name=Heartbeat.TICK, at__gt=timezone.now() - TICK_PATIENCE).exists()


def machinery() -> Machinery:
    """In two queries."""
    now = timezone.now()
    beats = dict(Heartbeat.objects.values_list("name", "at"))
    tick_at = beats.pop(Heartbeat.TICK, None)
    due = AccountRun.objects.filter(status=RunStatus.PENDING, owner="", run_after__lte=now)
    oldest = due.order_by("run_after").values_list("run_after", flat=True).first()
    return Machinery(
        tick_at=tick_at,
        ticks=tick_at is not None and now - tick_at < TICK_PATIENCE,
        workers=len(_living(beats, now)),
        oldest_due=oldest,
        backup_at=beats.get(Heartbeat.BACKUP),
    )
