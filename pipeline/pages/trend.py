"""Figures by day: what a chart draws and what its table says. Days are those of UTC, as rollups have them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext

from accounts.models import MailAccount
from pipeline.models import Granularity, Phase, Rollup
from pipeline.rollups import start_of, tallies_by_day
from pipeline.tally import Performance, Tally, performance, total

DAYS_OF_A_CARD = 30
DAYS_OF_A_TREND = 7
WIDTH, HEIGHT, GAP = 620, 160, 28


@dataclass(frozen=True)
class Day:
    """What syncs came to on one day; `seconds` is what a run took on average, None without one."""

    day: date
    attempts: int
    successes: int
    mails: int
    seconds: float | None

    @property
    def mark(self) -> str:
        if not self.attempts:
            return "none"
        if self.successes == self.attempts:
            return "good"
        return "some" if self.successes else "bad"

    @property
    def words(self) -> str:
        told = gettext("{good} of {count} syncs succeeded").format(good=self.successes, count=self.attempts)
        return f"{date_format(self.day)}: {told if self.attempts else gettext('no sync')}"


@dataclass(frozen=True)
class Column:
    """A day as a bar of mails and a point of seconds, in the units of the chart."""

    day: Day
    x: int
    top: int
    height: int
    middle: int
    point: int | None


@dataclass(frozen=True)
class Trend:
    days: list[Day]
    columns: list[Column]
    performance: Performance
    seconds: float | None

    @property
    def line(self) -> str:
        return " ".join(f"{one.middle},{one.point}" for one in self.columns if one.point is not None)


Tallies = dict[tuple[UUID, date], Tally]


def tallies_of_days(accounts: Iterable[MailAccount], count: int) -> Tallies:
    """In one query."""
    since = start_of(Granularity.DAY, timezone.now() - timedelta(days=count - 1))
    rows = Rollup.objects.filter(account__in=accounts, granularity=Granularity.DAY, start__gte=since)
    return tallies_by_day(rows)


def days(tallies: Tallies, count: int, account_id: UUID | None = None) -> list[Day]:
    """The last so many days, today last; of one account or of all."""
    today = start_of(Granularity.DAY, timezone.now()).date()
    return [_day(today - timedelta(days=ago), tallies, account_id) for ago in reversed(range(count))]


def _day(day: date, tallies: Tallies, account_id: UUID | None) -> Day:
    found = _of_day(day, tallies, account_id)
    return Day(day, found.attempts, found.successes, found.mails, _mean_seconds(found))


def _of_day(day: date, tallies: Tallies, account_id: UUID | None) -> Tally:
    if account_id:
        return tallies.get((account_id, day), Tally())
    return total(tally for (_, when), tally in tallies.items() if when == day)


def _mean_seconds(tally: Tally) -> float | None:
    """Of a run, however it ended."""
    runs = sum(tally.phases.get(Phase.CONNECT, {}).values())
    return sum(tally.seconds.values()) / runs if runs else None


def trend(tallies: Tallies) -> Trend:
    """The last seven days of all accounts."""
    shown = days(tallies, DAYS_OF_A_TREND)
    week = {day.day for day in shown}
    found = total(tally for (_, when), tally in tallies.items() if when in week)
    return Trend(shown, columns(shown), performance(found), _mean_seconds(found))


def in_words(shown: list[Day]) -> str:
    """What a row of marks shows, for who cannot see it."""
    bad = sum(day.mark in ("some", "bad") for day in shown)
    return gettext("Days with failures among the last {count}: {bad}").format(bad=bad, count=len(shown))


def columns(shown: list[Day]) -> list[Column]:
    """Pure: the tallest bar and the highest point reach the top."""
    most = max((day.mails for day in shown), default=0) or 1
    longest = max((day.seconds or 0 for day in shown), default=0) or 1
    width = WIDTH // max(1, len(shown))
    return [_column(day, number * width, width, most, longest) for number, day in enumerate(shown)]


def _column(day: Day, x: int, width: int, most: int, longest: float) -> Column:
    height = round(HEIGHT * day.mails / most)
    point = None if day.seconds is None else HEIGHT - round(HEIGHT * day.seconds / longest)
    return Column(day, x + GAP // 2, HEIGHT - height, height, x + width // 2, point)
