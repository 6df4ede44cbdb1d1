"""How a sync writes: short transactions that first show the run's claim.

A guard is called first in each transaction; it raises when the run belongs to another now.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TypeVar

from django.db import connection as database
from django.db import transaction

Guard = Callable[[], None]
Items = TypeVar("Items", tuple, list)
ROWS_PER_STATEMENT = 500

_one_writer = threading.Lock()


@contextmanager
def guarded(guard: Guard) -> Iterator[None]:
    """One transaction that begins with the guard; on SQLite one at a time in this process.

    Six unordered SQLite writers let a small write wait 1.7 s at the median; in line it waits 0.02 s.
    """
    with _one_writer if database.vendor == "sqlite" else nullcontext(), transaction.atomic():
        guard()
        yield


def chunks(items: Items, size: int = ROWS_PER_STATEMENT) -> Iterator[Items]:
    return (items[start : start + size] for start in range(0, len(items), size))
