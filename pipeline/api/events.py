"""A job as a stream of server-sent events (WHATWG HTML, section 9.2)."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from uuid import UUID

from django.utils import translation
from ninja.responses import NinjaJSONEncoder

from accounts import vault
from accounts.api.problems import Problem
from pipeline.api.shapes import Job
from pipeline.broker import PipelineBroker
from pipeline.models import PipelineJob

SECONDS = 300
LOOKS_EVERY = 1.0
SILENCE = 15  # seconds: a proxy that hears nothing for long hangs up
AT_ONCE, AT_ONCE_OF_ONE = 3, 2  # of this process, whose eight threads also serve the pages; of one person


class Seats:
    """Who listens just now."""

    def __init__(self):
        self._lock, self._taken = threading.Lock(), Counter()

    def take(self, user_id: int) -> None:
        """Raises Problem."""
        with self._lock:
            if self._taken.total() >= AT_ONCE or self._taken[user_id] >= AT_ONCE_OF_ONE:
                raise Problem("too_many_streams", Retry_After="5")
            self._taken[user_id] += 1

    def leave(self, user_id: int) -> None:
        with self._lock:
            self._taken[user_id] -= 1


_seats = Seats()


class Stream:
    """The events as they come. Whoever stops reading gives the seat back by close()."""

    def __init__(self, user_id: int, events: Iterator[str]):
        _seats.take(user_id)
        self._user_id, self._events, self._seated = user_id, events, True
        self._language = translation.get_language()  # the request's own has ended when the events come

    def __iter__(self):
        return self

    def __next__(self) -> str:
        with translation.override(self._language):
            return next(self._events)

    def close(self) -> None:
        if self._seated:
            self._seated = False
            _seats.leave(self._user_id)


def follow(job: PipelineJob, seen: str = "") -> Stream:
    """What happens to the job after the event with that id. Raises Problem where too many listen."""
    return Stream(job.user_id, changes(job.pk, seen))


def is_over(job_id: UUID, seen: str) -> bool:
    """Whether that was the last event of a job that has ended."""
    told, ended = _look(job_id)
    return ended and _id_of(told) == seen


def changes(
    job_id: UUID,
    seen: str = "",
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], object] = time.sleep,
) -> Iterator[str]:
    until = clock() + SECONDS
    spoken = clock()
    while clock() < until:
        try:
            told, ended = _look(job_id)
        except PipelineJob.DoesNotExist:
            return
        if (event_id := _id_of(told)) != seen:
            seen, spoken = event_id, clock()
            yield f"event: job\nid: {event_id}\ndata: {told}\n\n"
        elif clock() - spoken >= SILENCE:
            spoken = clock()
            yield ": nothing new\n\n"
        if ended:
            return
        wait(LOOKS_EVERY)


def _look(job_id: UUID) -> tuple[str, bool]:
    report = PipelineBroker().get_job_status(job_id)
    return json.dumps(Job.from_orm(report), cls=NinjaJSONEncoder), report.ended


def _id_of(told: str) -> str:
    return vault.digest(told.encode())[:16]
