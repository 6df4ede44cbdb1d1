"""huey's queues, which tell their tasks when the worker is asked to stop."""

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


class RedisQueue(_KnowsItsWorker, PriorityRedisHuey):
    """For any number of machines. Plain RedisHuey refuses priorities."""
