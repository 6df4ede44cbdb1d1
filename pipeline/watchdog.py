"""Whoever runs mailhelper hears that its scheduler is dead, and that it is back."""

import logging
from datetime import datetime

from django.db import DatabaseError
from django.utils import timezone

from diagnostics.alerting import alerts, delivery
from diagnostics.models import AlertKind
from pipeline import heartbeats
from pipeline.models import Heartbeat

BACK = "back"

logger = logging.getLogger("mailhelper.watchdog")


def look() -> bool:
    """For a process that is not a worker: whether the tick is dead. If so, tell it from here."""
    try:
        tick_at = Heartbeat.objects.filter(name=Heartbeat.TICK).values_list("at", flat=True).first()
        dead = tick_at is not None and timezone.now() - tick_at > heartbeats.LONG_PAUSE
        if dead:
            _tell("scheduler", tick_at)
            delivery.deliver_due()
        return dead
    except DatabaseError as error:
        logger.warning("the scheduler could not be looked at: %s", type(error).__name__)
        return False


def note_return(silent_since: datetime) -> None:
    _tell("scheduler_back", silent_since, reason=BACK)


def _tell(key: str, silent_since: datetime, reason: str = "") -> None:
    since = silent_since.isoformat()
    alerts.decide_for_operators(
        AlertKind.SCHEDULER_DEAD, f"{key}:{since}", reason=reason, facts={"since": since}
    )
