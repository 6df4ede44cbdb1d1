"""Whether a run that failed is tried again, and when. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from accounts.errors import REFUSALS
from accounts.errors import ErrorType as E

MAX_RETRIES = 3
LONGEST_WAIT_IN_A_RUN = timedelta(minutes=10)
LONGEST_HINT = timedelta(hours=24)  # nothing a server says is taken on trust
CONFIRM_REFUSAL_AFTER = timedelta(minutes=10)

# Seconds before the first retry; each further one waits twice as long.
_FIRST_WAIT = {
    E.TIMEOUT: 1,
    E.CONNECTION_RESET: 1,
    E.CONNECTION_REFUSED: 1,
    E.DNS_FAILED: 1,
    E.TEMPORARILY_UNAVAILABLE: 1,
    E.PROTOCOL_ERROR: 1,
    E.UNKNOWN: 1,
    E.THROTTLED: 30,
    E.TOO_MANY_CONNECTIONS: 30,
}
_ONCE = frozenset({E.UNKNOWN})


@dataclass(frozen=True)
class Again:
    """Try again at this time: in the same run, or in a new one that the tick makes under a grant."""

    at: datetime
    new_run: bool = False


def decide(
    error_type: str,
    retries: int,
    now: datetime,
    *,
    jitter: float = 0.5,
    hint: timedelta | None = None,
    refused_since: datetime | None = None,
    ends_at: datetime | None = None,
) -> Again | None:
    """None is: give up, until the next schedule.

    `retries` were made since the run last stored a batch. `jitter` is from 0 to 1 and moves a wait by up to a
    quarter. `hint` is how long the server asks us to stay away. `refused_since` is when the present row of
    refused logins began. `ends_at` is the end of the run's time.
    """
    if error_type in REFUSALS:
        return _confirmation(now, refused_since)
    hint = min(hint, LONGEST_HINT) if hint else timedelta(0)
    wait = max(_wait(error_type, retries, jitter), hint)
    fits = wait <= LONGEST_WAIT_IN_A_RUN and (ends_at is None or now + wait < ends_at)
    if fits and retries < _allowed(error_type):
        return Again(now + wait)
    return Again(now + hint, new_run=True) if hint and not fits else None


def _allowed(error_type: str) -> int:
    if error_type not in _FIRST_WAIT:
        return 0
    return 1 if error_type in _ONCE else MAX_RETRIES


def _wait(error_type: str, retries: int, jitter: float) -> timedelta:
    return timedelta(seconds=_FIRST_WAIT.get(error_type, 0) * 2**retries * (0.75 + 0.5 * jitter))


def _confirmation(now: datetime, refused_since: datetime | None) -> Again | None:
    """A login refused for the first time is asked once more, later: servers err, too."""
    confirm_at = (refused_since or now) + CONFIRM_REFUSAL_AFTER
    return Again(confirm_at, new_run=True) if now < confirm_at else None
