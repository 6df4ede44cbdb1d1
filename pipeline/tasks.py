"""Huey's doors. The rows are the truth and huey is the doorbell: any ring may come twice, late or never."""

import threading
from uuid import UUID

from django.db import close_old_connections
from huey import crontab
from huey.contrib.djhuey import db_periodic_task, db_task, enqueue, on_startup

from pipeline import runner, runs

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


def ring(run_id: UUID, priority: int = 0) -> None:
    enqueue(run.s(str(run_id), priority=priority))


def wake() -> None:
    """Free the runs of workers that are gone and ring for all that wait."""
    for run_id in {*runs.free_lapsed(), *runs.unclaimed()}:
        ring(run_id)
