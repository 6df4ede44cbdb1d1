"""Huey's doors. The rows are the truth and huey is the doorbell: any ring may come twice, late or never."""

import logging
import threading
from uuid import UUID

from django.db import close_old_connections
from huey import crontab
from huey.contrib.djhuey import db_periodic_task, db_task, enqueue, on_startup

from accounts import grants
from pipeline import runner, runs

logger = logging.getLogger("mailhelper.tasks")
_start = threading.Lock()
_started = False


@db_task(name="mailhelper.run")
def run(run_id: str) -> None:
    runner.execute(UUID(run_id))


@db_periodic_task(crontab(), name="mailhelper.tick")
def tick() -> None:
    wake()


@on_startup(name="mailhelper.wake")
def wake_once() -> None:
    """huey calls this in every worker thread."""
    global _started
    with _start:
        if not _started:
            _started = True
            wake()
            close_old_connections()
            logger.info("the worker is ready")


def ring(run_id: UUID, priority: int = 0) -> None:
    """Ask the workers to look at this run. A queue that is down costs time: the tick rings again."""
    try:
        enqueue(run.s(str(run_id), priority=priority))
    except Exception as error:  # whatever the queue's storage raises
        logger.warning("the queue did not take the ring for run %s: %s", run_id, type(error).__name__)


def wake() -> None:
    """Free the runs of workers that are gone, ring for all that wait, and end grants whose time is over."""
    for run_id in [*runs.free_lapsed(), *runs.unclaimed()]:
        ring(run_id)
    grants.end_expired()
