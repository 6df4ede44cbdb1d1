"""Moments after which waiting ends, whatever a server does."""

import queue
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from accounts.errors import ErrorType, SyncError

LONGEST_STEP = 3_600  # seconds; bounds are computed from what servers say


class Deadline:
    """The end of a run, and of a phase in it, in monotonic seconds; the run's may be moved while it goes on.

    `elapsed` is how long the run has lasted before.
    """

    def __init__(self, seconds: float | None, elapsed: float = 0):
        self._start = time.monotonic() - elapsed
        self._phase_end = float("inf")
        self.allow(seconds)

    def allow(self, seconds: float | None) -> None:
        """Let the run last this long from its start; None is without bound."""
        self._end = float("inf") if seconds is None else self._start + seconds

    @contextmanager
    def phase(self, seconds: float) -> Iterator[None]:
        """Within the block no step lasts beyond so many seconds from now."""
        self._phase_end = time.monotonic() + seconds
        try:
            yield
        finally:
            self._phase_end = float("inf")

    def remaining(self) -> float:
        return min(self._end, self._phase_end) - time.monotonic()

    def passed(self) -> bool:
        """Whether the run's time is over."""
        return self._end <= time.monotonic()


class SocketGuard:
    """Shuts a socket at a moment: its own timeout counts from the last byte, so a trickle outlives it."""

    def __init__(self, deadline: Deadline):
        self._deadline = deadline
        self._twin = None
        self.fired = False

    def watch(self, sock: socket.socket) -> None:
        self.release()
        self._twin = sock.dup()  # stays valid when TLS wraps the original
        if self.fired:
            self._shut()

    def release(self) -> None:
        if self._twin is not None:
            self._twin.close()
            self._twin = None

    def at_most(self, seconds: float) -> float:
        """So many seconds, or what is left of the run. Raises SyncError when nothing is."""
        limit = min(seconds, self._deadline.remaining(), LONGEST_STEP)
        if limit <= 0 or self.fired:
            raise SyncError(ErrorType.TIMEOUT)
        return limit

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        timer = threading.Timer(self.at_most(seconds), self._shut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _shut(self) -> None:
        self.fired = True
        try:
            if self._twin is not None:
                self._twin.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the other side was faster


def resolve(host: str, port: int, seconds: float) -> list[tuple]:
    """getaddrinfo with a bound, which it does not have of its own."""
    answer: queue.SimpleQueue = queue.SimpleQueue()

    def ask():
        try:
            answer.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answer.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        result = answer.get(timeout=seconds)
    except queue.Empty:
        raise SyncError(ErrorType.TIMEOUT, step="dns") from None
    if isinstance(result, Exception):
        raise SyncError(ErrorType.DNS_FAILED, str(result)) from result
    return result
