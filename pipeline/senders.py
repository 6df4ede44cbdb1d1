"""Which threads of a worker send alerts: slow receivers hold a third of them at most, and one per person."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID


class Senders:
    def __init__(self):
        self._lock = threading.Lock()
        self._people: set[UUID] = set()

    @contextmanager
    def taken(self, person: UUID, threads: int) -> Iterator[bool]:
        """Whether a message to this person may have one of the worker's `threads` now."""
        with self._lock:
            free = person not in self._people and len(self._people) < max(1, threads // 3)
            if free:
                self._people.add(person)
        try:
            yield free
        finally:
            if free:
                with self._lock:
                    self._people.discard(person)
