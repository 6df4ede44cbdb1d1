"""huey's queues, which tell their tasks when the worker is asked to stop."""

import sqlite3
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from huey import PriorityRedisHuey, SqliteHuey


class _KnowsItsWorker:
    worker = None

    def create_consumer(self, **options):
        self.worker = super().create_consumer(**options)
        return self.worker

    @property
    def stopping(self) -> bool:
        """Whether this process is a worker that got SIGTERM or Ctrl-C."""
        return self.worker is not None and self.worker.stop_flag.is_set()


class EmbeddedQueue(_KnowsItsWorker, SqliteHuey):
    """In a file, for one machine."""

    def __init__(self, *args, filename: str, **options):
        try:
            super().__init__(*args, filename=filename, **options)
        except sqlite3.OperationalError as error:
            raise ImproperlyConfigured(
                f"The queue in {Path(filename).parent} cannot be opened ({error}): let this user write to "
                "that folder, or set MAILHELPER_VAR to another."
            ) from error


class RedisQueue(_KnowsItsWorker, PriorityRedisHuey):
    """For any number of machines. Plain RedisHuey refuses priorities."""
