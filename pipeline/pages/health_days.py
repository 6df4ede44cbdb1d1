"""How an account was on each of the last 90 days: the worst that stood on each, from its changes. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.utils.formats import date_format

from accounts.advice import status_word
from diagnostics.models import Status

DAYS = 90
WORST_FIRST = (Status.BROKEN, Status.DEGRADED, Status.HEALTHY, Status.MANUAL, Status.NEW)
_MARKS = {Status.BROKEN: "bad", Status.DEGRADED: "some", Status.HEALTHY: "good", Status.MANUAL: "good"}


@dataclass(frozen=True)
class HealthDay:
    """`status` is None on a day before the account was."""

    day: date
    status: str | None

    @property
    def mark(self) -> str:
        return _MARKS.get(self.status, "none")

    @property
    def words(self) -> str:
        return f"{date_format(self.day)}: {status_word(self.status) if self.status else '–'}"


def health_days(
    changes: Iterable[tuple[datetime, str, str]], created_at: datetime, status: str, now: datetime
) -> list[HealthDay]:
    """From changes as (at, before, after), oldest first, in one time zone; `status` is that of now."""
    stretches = _stretches(list(changes), created_at, status, now)
    days = (now.date() - timedelta(days=ago) for ago in reversed(range(DAYS)))
    return [HealthDay(day, _worst(day, stretches)) for day in days]


def _stretches(changes, created_at, status, now) -> list[tuple[date, date, str]]:
    """From day to day, both included, what the account was."""
    begins = [created_at, *(at for at, _, _ in changes)]
    ends = [*(at for at, _, _ in changes), now]
    first = changes[0][1] if changes else status
    statuses = [first, *(after for _, _, after in changes)]
    return [(a.date(), b.date(), s) for a, b, s in zip(begins, ends, statuses, strict=True)]


def _worst(day: date, stretches: list[tuple[date, date, str]]) -> str | None:
    stood = {status for begin, end, status in stretches if begin <= day <= end}
    return next((status for status in WORST_FIRST if status in stood), None)
