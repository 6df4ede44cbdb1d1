"""How well an account is: a pure function of facts and of one `now`."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from accounts.errors import ErrorType
from diagnostics.models import Status

ATTEMPTS = 5  # are remembered
FAILURES_THAT_DEGRADE = 2
SUCCESSES_THAT_HEAL = 2
MISSED_INTERVALS = 3  # without a success: the dead-man rule
ONE_TICK = timedelta(seconds=90)
SHORTEST_OVERDUE = timedelta(minutes=5)
BACKLOG_PATIENCE = timedelta(hours=24)
CERTIFICATE_WARNING = timedelta(days=7)
BAD = (Status.DEGRADED, Status.BROKEN)


class Background(StrEnum):
    """Whether the workers may sync an account by themselves; LAPSED: they may no more, and nobody said so."""

    ON = "on"
    OFF = "off"
    LAPSED = "lapsed"


@dataclass(frozen=True)
class Attempt:
    """A run that ended; `error_type` is empty after a success."""

    at: datetime
    error_type: str = ""


@dataclass(frozen=True)
class Facts:
    """What an account's health follows from.

    `status` and `since` are what was put down last. `watched_from` is since when a success could have been
    expected: settings, schedule, grant and the scheduler are what they are now. `due_since` is since when a
    run should have begun; `works` says that one was let in and goes on, or stored mails and waits.
    `paused_until` is when a budget or a server's request to stay away ends, or ended last.
    """

    status: str
    since: datetime
    enabled: bool
    background: Background
    interval: timedelta
    watched_from: datetime
    granted_at: datetime | None = None
    last_success_at: datetime | None = None
    last_partial_at: datetime | None = None
    tested: bool = False
    attempts: tuple[Attempt, ...] = ()
    last_error_type: str = ""
    refused_since: datetime | None = None
    breaker_opened_at: datetime | None = None
    server_rests: bool = False
    due_since: datetime | None = None
    works: bool = False
    paused_until: datetime | None = None
    budget_resumes_at: datetime | None = None
    quarantined: int = 0
    backlog_since: datetime | None = None
    certificate_expires_at: datetime | None = None
    next_attempt: datetime | None = None
    background_until: datetime | None = None

    @property
    def failures(self) -> int:
        """Of the last five runs."""
        return sum(bool(attempt.error_type) for attempt in self.attempts)


@dataclass(frozen=True)
class Assessment:
    """`reason` is an error_type or a code of accounts/advice.py; empty where there is nothing to say."""

    status: Status
    reason: str = ""


def assess(facts: Facts, now: datetime) -> Assessment:
    """Pure."""
    if not facts.enabled:
        return Assessment(Status.MANUAL, "paused")
    if reason := _breaks(facts, now):
        return Assessment(Status.BROKEN, reason)
    if not (facts.tested or facts.attempts or facts.budget_resumes_at):
        return Assessment(Status.NEW)
    if reason := _degrades(facts, now):
        return Assessment(Status.DEGRADED, reason)
    if not facts.tested:
        return Assessment(Status.NEW)
    if facts.background == Background.OFF:
        return Assessment(Status.MANUAL, "no_background")
    return Assessment(Status.HEALTHY)


def _breaks(facts: Facts, now: datetime) -> str:
    if facts.background == Background.LAPSED or (facts.background == Background.ON and _has_no_key(facts)):
        return ErrorType.NO_KEY
    if facts.breaker_opened_at:
        return facts.last_error_type
    return "no_success" if _is_dead(facts, now) else ""


def _has_no_key(facts: Facts) -> bool:
    """The workers could not open the grant that is there now."""
    last = facts.attempts[-1] if facts.attempts else None
    return last is not None and last.error_type == ErrorType.NO_KEY and last.at >= facts.granted_at


def _is_dead(facts: Facts, now: datetime) -> bool:
    """No success for three intervals, though there could have been one."""
    if facts.background != Background.ON or facts.works or (facts.paused_until and facts.paused_until > now):
        return False
    known = (facts.watched_from, facts.last_success_at, facts.last_partial_at, facts.paused_until)
    last = max(moment for moment in known if moment)
    return now - last > MISSED_INTERVALS * facts.interval + ONE_TICK


def _degrades(facts: Facts, now: datetime) -> str:
    watched = facts.background == Background.ON  # else what is known is as old as the person's last fetch
    checks = (
        (bool(facts.refused_since), facts.last_error_type),
        (bool(facts.budget_resumes_at), ErrorType.BUDGET),
        (_fails(facts), _last_error(facts)),
        (facts.server_rests, "server_rests"),
        (_is_overdue(facts, now), "overdue"),
        (watched and _is_older(facts.backlog_since, BACKLOG_PATIENCE, now), _backlog(facts)),
        (watched and _expires(facts.certificate_expires_at, now), "certificate_expiring"),
        (_recovers(facts), "recovering"),
    )
    return next((reason for holds, reason in checks if holds), "")


def _fails(facts: Facts) -> bool:
    """Two of the last five, or the only ones there are; two successes in a row end it."""
    enough = facts.failures >= FAILURES_THAT_DEGRADE or (facts.failures and not facts.tested)
    return bool(enough) and bool(facts.attempts[-1].error_type)


def _last_error(facts: Facts) -> str:
    return facts.attempts[-1].error_type if facts.attempts else ""


def _recovers(facts: Facts) -> bool:
    """Two successes in a row show that it is well again; where nothing runs by itself, none is waited for."""
    went_bad = facts.status in BAD or facts.failures >= FAILURES_THAT_DEGRADE
    least = 0 if facts.background == Background.ON else 1
    return went_bad and least <= _successes_in_a_row(facts) < SUCCESSES_THAT_HEAL


def _successes_in_a_row(facts: Facts) -> int:
    """The latest ones; of those before the account went bad none counts."""
    count = 0
    for attempt in reversed(facts.attempts):
        if attempt.error_type or (facts.status in BAD and attempt.at < facts.since):
            break
        count += 1
    return count


def _is_overdue(facts: Facts, now: datetime) -> bool:
    watched = facts.background == Background.ON and not facts.works
    return watched and _is_older(facts.due_since, max(SHORTEST_OVERDUE, facts.interval), now)


def _is_older(moment: datetime | None, patience: timedelta, now: datetime) -> bool:
    return moment is not None and now - moment > patience


def _backlog(facts: Facts) -> str:
    return "quarantined" if facts.quarantined else "pending"


def _expires(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment - now < CERTIFICATE_WARNING
