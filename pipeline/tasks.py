"""Huey's doors. The rows are the truth and huey is the doorbell: any ring may come twice, late or never."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db import DatabaseError, close_old_connections, transaction
from django.utils import timezone
from huey import crontab
from huey.api import Task
from huey.contrib.djhuey import HUEY, db_periodic_task, db_task, enqueue, on_startup

from accounts import grants, traces
from accounts.errors import SyncError, disk_is_full
from accounts.events import Event
from diagnostics.alerting import by_ping, delivery, events, rules, turns
from diagnostics.models import HealthFlip
from pipeline import checkup, connection_trials, heartbeats, rollups, runner, runs, scheduler, watchdog
from pipeline.identity import this_process
from pipeline.models import AccountRun, Heartbeat, RunStatus
from pipeline.operations import retention
from pipeline.senders import Senders

UNANSWERED = timedelta(seconds=5)
RINGS_AT_ONCE = 100
PRIORITY_OF_ALERTS = 20

log = structlog.stdlib.get_logger("mailhelper.tasks")
_start = threading.Lock()
_started = False


@db_task(name="mailhelper.run")
def run(run_id: str) -> None:
    with seats.taken(_threads_kept_from(run_id)) as seated:
        claim = runs.claim(UUID(run_id)) if seated else None
        if claim:
            runner.execute(claim, stopping=lambda: HUEY.stopping)
    _ring_for_next_attempt(UUID(run_id))
    if claim:
        _ring_for_others()
        if _something_to_tell(UUID(run_id)):
            ring_for_alerts()


class Seats:
    """A worker's threads: long runs leave one to the tick and to short runs that a person waits for.

    Runs that nobody waits for leave a second one to the long ones that a person waits for.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._taken_by_long_ones = 0

    @contextmanager
    def taken(self, kept: int) -> Iterator[bool]:
        """Whether a run from which so many threads are kept may have one."""
        if not kept:
            yield True
            return
        with self._lock:
            free = self._taken_by_long_ones < max(1, _threads() - kept)
            self._taken_by_long_ones += free
        try:
            yield free
        finally:
            with self._lock:
                self._taken_by_long_ones -= free


seats = Seats()


def _threads() -> int:
    return len(HUEY.worker.worker_threads) if HUEY.worker else 1


def _threads_kept_from(run_id: str) -> int:
    row = AccountRun.objects.filter(pk=run_id).values_list("priority", "timeout_seconds").first()
    if row is None or row[0] <= 0:
        return 2
    return 1 if row[1] is None else 0


def _ring_for_next_attempt(run_id: UUID) -> None:
    waits = AccountRun.objects.filter(pk=run_id, status=RunStatus.PENDING, run_after__gt=timezone.now())
    for priority, run_after in waits.values_list("priority", "run_after"):
        ring(run_id, priority, at=run_after)


def _ring_for_others() -> None:
    """A thread and a connection are free again: ring for those who may have missed them."""
    for run_id, priority in runs.waiting(limit=_threads()):
        ring(run_id, priority)


def _something_to_tell(run_id: UUID) -> bool:
    flips = HealthFlip.objects.filter(account__runs=run_id, run_id=run_id)
    return flips.exists() or events.unaddressed().exists() or bool(turns.due_channels())


@db_task(name="mailhelper.deliver")
def deliver() -> None:
    """Decide what is to be told, and ring for what waits."""
    rules.decide_due()
    _ring_for_channels()


def _ring_for_channels() -> None:
    for channel_id in turns.next_channels(limit=_threads()):
        _ring(deliver_channel.s(str(channel_id), priority=PRIORITY_OF_ALERTS), channel_id=channel_id)


senders = Senders()


@db_task(name="mailhelper.deliver_channel")
def deliver_channel(channel_id: str) -> None:
    """Send what waits for this channel, if a thread may; each that may rings for the others after it."""
    person = turns.waits_for(UUID(channel_id))
    if person is None:
        return
    with senders.taken(person, _threads()) as free:
        if free:
            delivery.send_through(UUID(channel_id))
    if free:  # others would ring for ever
        _ring_for_channels()


@db_task(name="mailhelper.ping")
def ping() -> None:
    """Let a watcher elsewhere know that the scheduler lives, while it does."""
    if settings.MAILHELPER_PING_URL and heartbeats.ticks():
        try:
            by_ping.send(settings.MAILHELPER_PING_URL)
        except SyncError as error:
            log.warning(Event.PING_FAILED, error_type=error.error_type)


@db_task(name="mailhelper.prune")
def prune() -> None:
    for name, count in retention.prune():
        if count:
            log.info(Event.ROWS_PRUNED, kind=name, count=count)


def ring_for_alerts() -> None:
    """After commit, have the workers decide and send."""
    transaction.on_commit(lambda: _ring(deliver.s(priority=PRIORITY_OF_ALERTS)))


@db_periodic_task(crontab(), name="mailhelper.tick")
def tick() -> None:
    try:
        beat()
    except DatabaseError as error:
        if not disk_is_full(error):
            raise
        log.error(Event.DISK_FULL)


def beat() -> None:
    """The net under every ring: doubled, late or missing beats do no harm."""
    if silent_since := heartbeats.beat(Heartbeat.TICK):
        watchdog.note_return(silent_since)
    wake(unanswered_for=timedelta(0))
    for started in scheduler.start_due():
        ring(started.pk, started.priority)
    checkup.look_at_all(timezone.now())
    heartbeats.forget_the_dead()
    ring_for_alerts()
    if settings.MAILHELPER_PING_URL:
        _ring(ping.s(priority=PRIORITY_OF_ALERTS))
    if heartbeats.take_turn(Heartbeat.PRUNING, every=timedelta(days=1)):
        _ring(prune.s())
    rollups.prune()
    connection_trials.forget_old()


@on_startup(name="mailhelper.wake")
def wake_once() -> None:
    """huey calls this in every worker thread."""
    global _started
    with _start:
        if not _started:
            _started = True
            beat()
            heartbeats.keep_beating(f"{Heartbeat.WORKER}{this_process()}")
            close_old_connections()
            log.info(Event.WORKER_READY)


def ring(run_id: UUID, priority: int = 0, at: datetime | None = None) -> None:
    """Ask the workers to look at this run. A queue that is down costs time: the tick rings again."""
    _ring(run.s(str(run_id), priority=priority, eta=at), run_id=run_id)


def _ring(task: Task, **about: object) -> None:
    try:
        enqueue(task)
    except Exception as error:  # whatever the queue's storage raises
        log.warning(Event.QUEUE_UNREACHABLE, task=task.name, **about, **traces.named(error))


def ring_after_commit(run: AccountRun) -> None:
    transaction.on_commit(lambda: ring(run.pk, run.priority))


def wake(unanswered_for: timedelta = UNANSWERED) -> None:
    """Free the runs of workers that are gone, ring for all that wait, and end grants whose time is over."""
    freed = dict.fromkeys(runs.free_lapsed(), 0)
    for run_id, priority in (freed | dict(runs.waiting(RINGS_AT_ONCE, unanswered_for))).items():
        ring(run_id, priority)
    grants.end_expired()
