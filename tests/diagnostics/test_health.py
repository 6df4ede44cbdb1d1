"""An account's health as a table: facts, a time, a word."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from diagnostics.health import Attempt, Background, Facts, assess

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
QUARTER = 15 * MINUTE

WELL = Facts(
    status="healthy",
    since=NOW - DAY,
    enabled=True,
    background=Background.ON,
    interval=QUARTER,
    watched_from=NOW - DAY,
    granted_at=NOW - DAY,
    last_success_at=NOW - MINUTE,
    tested=True,
    attempts=(Attempt(NOW - MINUTE),),
)


def after(outcomes: str, **changes) -> Facts:
    """Attempts a quarter of an hour apart, the last one now: S for a success, F for a failure."""
    last = len(outcomes) - 1
    attempts = tuple(
        Attempt(NOW - (last - place) * QUARTER, "timeout" if outcome == "F" else "")
        for place, outcome in enumerate(outcomes)
    )
    good = [attempt.at for attempt in attempts if not attempt.error_type]
    success = max(good, default=WELL.last_success_at)
    return replace(WELL, attempts=attempts, last_success_at=success, **changes)


def bad(status: str, since: timedelta) -> dict:
    return {"status": status, "since": NOW - since}


def refused(**changes) -> Facts:
    return after("SF", refused_since=NOW, last_error_type="invalid_credentials", **changes)


TABLE = [
    ("all is well", WELL, "healthy", ""),
    (
        "never synced",
        replace(WELL, tested=False, attempts=(), last_success_at=None, watched_from=NOW),
        "new",
        "",
    ),
    ("the very first sync failed", after("F", tested=False), "degraded", "timeout"),
    ("one of five failed", after("SSSSF"), "healthy", ""),
    ("two of five failed", after("SFSSF"), "degraded", "timeout"),
    ("two failed in a row", after("SSSFF"), "degraded", "timeout"),
    ("one success after two failures", after("SSFFS"), "degraded", "recovering"),
    ("two successes in a row after two failures", after("SFFSS"), "healthy", ""),
    ("a third failure after two successes", after("FFSSF"), "degraded", "timeout"),
    ("degraded, one success since", after("SSSS", **bad("degraded", MINUTE)), "degraded", "recovering"),
    ("degraded, two successes since", after("SSSS", **bad("degraded", QUARTER)), "healthy", ""),
    ("broken, none since", after("SSSS", **bad("broken", -MINUTE)), "degraded", "recovering"),
    ("broken, two successes since", after("SS", **bad("broken", QUARTER)), "healthy", ""),
    ("refused once", refused(), "degraded", "invalid_credentials"),
    ("refused and confirmed", refused(breaker_opened_at=NOW), "broken", "invalid_credentials"),
    (
        "the breaker is open",
        after("FFFFF", breaker_opened_at=NOW, last_error_type="connection_refused"),
        "broken",
        "connection_refused",
    ),
    ("the server rests", replace(WELL, server_rests=True), "degraded", "server_rests"),
    ("today's budget is used up", replace(WELL, budget_resumes_at=NOW + HOUR), "degraded", "budget"),
    ("a run is due", replace(WELL, due_since=NOW - 14 * MINUTE), "healthy", ""),
    ("a run is overdue", replace(WELL, due_since=NOW - 16 * MINUTE), "degraded", "overdue"),
    ("a backlog of a day", replace(WELL, backlog_since=NOW - 23 * HOUR), "healthy", ""),
    ("a backlog that does not shrink", replace(WELL, backlog_since=NOW - 25 * HOUR), "degraded", "pending"),
    (
        "quarantined mails for more than a day",
        replace(WELL, backlog_since=NOW - 25 * HOUR, quarantined=1),
        "degraded",
        "quarantined",
    ),
    ("a certificate for 8 days", replace(WELL, certificate_expires_at=NOW + 8 * DAY), "healthy", ""),
    (
        "a certificate for 6 days",
        replace(WELL, certificate_expires_at=NOW + 6 * DAY),
        "degraded",
        "certificate_expiring",
    ),
    # the dead-man rule
    ("46 minutes without a success", replace(WELL, last_success_at=NOW - 46 * MINUTE), "healthy", ""),
    (
        "47 minutes without a success",
        replace(WELL, last_success_at=NOW - 47 * MINUTE),
        "broken",
        "no_success",
    ),
    (
        "… but a first import that goes on",
        replace(WELL, last_success_at=NOW - DAY, works=True),
        "healthy",
        "",
    ),
    (
        "… but all folders except one",
        replace(WELL, last_success_at=NOW - DAY, last_partial_at=NOW - MINUTE),
        "healthy",
        "",
    ),
    (
        "… but the budget pauses it",
        replace(WELL, last_success_at=NOW - DAY, budget_resumes_at=NOW + HOUR, paused_until=NOW + HOUR),
        "degraded",
        "budget",
    ),
    (
        "… but the budget paused it until just now",
        replace(WELL, last_success_at=NOW - DAY, paused_until=NOW - MINUTE),
        "healthy",
        "",
    ),
    (
        "a first import that the budget pauses",
        replace(WELL, tested=False, attempts=(), budget_resumes_at=NOW + HOUR, paused_until=NOW + HOUR),
        "degraded",
        "budget",
    ),
    (
        "… but the scheduler has just come back",
        replace(WELL, last_success_at=NOW - DAY, watched_from=NOW - MINUTE),
        "healthy",
        "",
    ),
    (
        "overdue, but one goes on",
        replace(WELL, due_since=NOW - HOUR, works=True),
        "healthy",
        "",
    ),
    # nobody promised that it runs by itself
    (
        "background sync is off",
        replace(WELL, background=Background.OFF, last_success_at=NOW - 9 * DAY),
        "manual",
        "no_background",
    ),
    ("off, and it fails", after("SFF", background=Background.OFF), "degraded", "timeout"),
    ("off, and it works again", after("FFS", background=Background.OFF), "degraded", "recovering"),
    (
        "off since it was broken",
        after("SS", background=Background.OFF, **bad("broken", -MINUTE)),
        "manual",
        "no_background",
    ),
    ("paused", after("FFFFF", enabled=False, breaker_opened_at=NOW), "manual", "paused"),
    ("the grant has lapsed", replace(WELL, background=Background.LAPSED), "broken", "no_key"),
    (
        "off, and what was seen long ago",
        replace(
            WELL,
            background=Background.OFF,
            backlog_since=NOW - 25 * HOUR,
            certificate_expires_at=NOW - DAY,
        ),
        "manual",
        "no_background",
    ),
    (
        "the workers' key did not open the grant before",
        replace(WELL, attempts=(Attempt(NOW - 2 * DAY, "no_key"),)),
        "healthy",
        "",
    ),
    (
        "the workers' key does not open it",
        replace(WELL, attempts=(Attempt(NOW), Attempt(NOW, "no_key"))),
        "broken",
        "no_key",
    ),
]


@pytest.mark.parametrize(("facts", "status", "reason"), [row[1:] for row in TABLE], ids=[r[0] for r in TABLE])
def test_facts_and_a_time_give_a_word(facts, status, reason):
    found = assess(facts, NOW)
    assert (found.status, found.reason) == (status, reason)


def test_an_account_that_never_worked_is_broken_after_three_intervals():
    never = replace(WELL, tested=False, attempts=(), last_success_at=None, watched_from=NOW)
    assert assess(never, NOW + 46 * MINUTE).status == "new"
    assert assess(never, NOW + 47 * MINUTE).reason == "no_success"
