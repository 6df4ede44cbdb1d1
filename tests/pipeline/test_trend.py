"""Figures by day, and how an account was on each day."""

from datetime import UTC, date, datetime, timedelta

import pytest

from pipeline.pages.health_days import DAYS, health_days
from pipeline.pages.trend import HEIGHT, Day, columns

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def day(mails=0, seconds=None, attempts=1, successes=1):
    return Day(date(2026, 3, 1), attempts, successes, mails, seconds)


def test_the_tallest_bar_and_the_highest_point_reach_the_top():
    first, second = columns([day(mails=100, seconds=1.0), day(mails=50, seconds=4.0)])
    assert (first.height, first.top, second.height) == (HEIGHT, 0, HEIGHT // 2)
    assert (first.point, second.point) == (HEIGHT - HEIGHT // 4, 0)


def test_a_week_without_mail_or_sync_draws_flat_bars_and_no_line():
    assert [(one.height, one.point) for one in columns([day(), day()])] == [(0, None)] * 2


@pytest.mark.parametrize(
    ("attempts", "successes", "mark"), [(0, 0, "none"), (3, 3, "good"), (3, 1, "some"), (3, 0, "bad")]
)
def test_a_day_is_marked_by_its_syncs(attempts, successes, mark):
    assert day(attempts=attempts, successes=successes).mark == mark


def test_a_day_shows_the_worst_that_stood_on_it():
    changes = [
        (NOON - timedelta(days=3), "healthy", "broken"),
        (NOON - timedelta(days=1), "broken", "healthy"),
    ]
    days = health_days(changes, NOON - timedelta(days=5), "healthy", NOON)
    assert [one.status for one in days[-7:]] == [None, *["healthy"] * 2, *["broken"] * 3, "healthy"]


def test_an_account_without_changes_was_always_as_it_is():
    days = health_days([], NOON - timedelta(days=200), "degraded", NOON)
    assert len(days) == DAYS and {one.status for one in days} == {"degraded"}


def test_changes_of_one_day_leave_the_worst():
    changes = [(NOON - timedelta(hours=hours), "degraded", "healthy") for hours in (3, 2, 1)]
    assert health_days(changes, NOON - timedelta(days=1), "healthy", NOON)[-1].status == "degraded"
