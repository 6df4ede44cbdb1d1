"""Whoever runs mailhelper hears that its scheduler is dead, and that it is back."""

import time
from datetime import datetime, timedelta

import structlog
from django.db import DatabaseError
from django.utils import timezone

from accounts import traces
from accounts.events import Event
from diagnostics.alerting import alerts, delivery
from diagnostics.models import Alert, AlertKind
from pipeline import heartbeats
from pipeline.models import Heartbeat

BACK = "back"
LOOKS_APART = timedelta(minutes=3)  # at most, for two looks to confirm each other

log = structlog.stdlib.get_logger("mailhelper.watchdog")


class Watchdog:
    """Looks each minute from a process that is not a worker.

    A machine that wakes from its sleep finds an old tick, too: only the second look in a row believes it.
    """

    def __init__(self):
        self._doubt: tuple[datetime, datetime] | None = None  # the tick, and when it was seen to be old

    def look(self) -> bool:
        """Whether the tick is dead. If so, tell it from here."""
        try:
            return self._look(timezone.now())
        except DatabaseError as error:
            log.warning(Event.WATCHDOG_FAILED, **traces.named(error))
            return False

    def _look(self, now: datetime) -> bool:
        tick_at = Heartbeat.objects.filter(name=Heartbeat.TICK).values_list("at", flat=True).first()
        old = tick_at is not None and now - tick_at > heartbeats.LONG_PAUSE
        before, self._doubt = self._doubt, (tick_at, now) if old else None
        if not old or before is None or before[0] != tick_at or now - before[1] > LOOKS_APART:
            return False
        _tell(_key(tick_at), tick_at)
        delivery.deliver_due()
        return True


def note_return(silent_since: datetime) -> None:
    """The tick beats again. Told if the silence was, or if the machine was awake all the time."""
    was_told = Alert.objects.filter(key__startswith=_key(silent_since)).exists()
    if was_told or not _machine_rested(timezone.now() - silent_since):
        _tell(f"scheduler_back:{silent_since.isoformat()}", silent_since, reason=BACK)


def _machine_rested(silence: timedelta) -> bool:
    """Whether the machine was off, or slept, for as long as the tick was silent (Linux counts both)."""
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return False
    since_boot = time.clock_gettime(time.CLOCK_BOOTTIME)
    slept = since_boot - time.clock_gettime(time.CLOCK_MONOTONIC)
    awake = min(silence.total_seconds(), since_boot) - slept
    return awake < heartbeats.LONG_PAUSE.total_seconds()


def _key(silent_since: datetime) -> str:
    return f"scheduler:{silent_since.isoformat()}"


def _tell(key: str, silent_since: datetime, reason: str = "") -> None:
    facts = {"since": silent_since.isoformat()}
    alerts.decide_for_operators(AlertKind.SCHEDULER_DEAD, key, reason=reason, facts=facts)
