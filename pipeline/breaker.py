"""The circuit breaker of an account or of a mail server, as a value. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

FAILURES_THAT_OPEN = 5
SHORTEST_WINDOW = timedelta(seconds=3_600)
WINDOW_INTERVALS = 6
FIRST_PROBE_AFTER = timedelta(minutes=15)
LONGEST_WAIT = timedelta(hours=6)


class State(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True)
class Failure:
    at: datetime
    account: str


@dataclass(frozen=True)
class Breaker:
    """`failures` are those since the last success. While it is open, `probe_at` is when one run may try."""

    failures: tuple[Failure, ...] = ()
    opened_at: datetime | None = None
    probe_at: datetime | None = None
    failed_probes: int = 0

    def state(self, now: datetime) -> State:
        if self.opened_at is None:
            return State.CLOSED
        return State.OPEN if self.probe_at and now < self.probe_at else State.HALF_OPEN

    def failed(self, failure: Failure, window: timedelta, accounts: int = 1) -> "Breaker":
        """After one more failed run. It opens when enough failures come from at least `accounts` accounts."""
        recent = [past for past in self.failures if failure.at - past.at < window]
        failures = _shortened([*recent, failure])
        if self.opened_at:
            return replace(self, failures=failures)._wait(failure.at, self.failed_probes + 1)
        enough = len(recent) + 1 >= FAILURES_THAT_OPEN
        if enough and len({past.account for past in failures}) >= accounts:
            return replace(self, failures=failures).open(failure.at)
        return replace(self, failures=failures)

    def open(self, now: datetime) -> "Breaker":
        return replace(self, opened_at=now)._wait(now, 0)

    def probing(self, now: datetime) -> "Breaker":
        """One run tries: nobody else does before its end is known, or the wait has passed once more."""
        return self._wait(now, self.failed_probes)

    def _wait(self, now: datetime, failed_probes: int) -> "Breaker":
        wait = min(FIRST_PROBE_AFTER * 2 ** min(failed_probes, 10), LONGEST_WAIT)
        return replace(self, probe_at=now + wait, failed_probes=failed_probes)


CLOSED = Breaker()


def window(interval: timedelta) -> timedelta:
    """How long a failure counts."""
    return max(SHORTEST_WINDOW, WINDOW_INTERVALS * interval)


def _shortened(failures: list[Failure]) -> tuple[Failure, ...]:
    """The newest ones; a row of failures of one account does not push out the last one of another."""
    newest = failures[-FAILURES_THAT_OPEN:]
    other = next((past for past in reversed(failures) if past.account != newest[-1].account), None)
    return tuple(newest if other is None or other in newest else [other, *newest[1:]])
