"""Jobs executed in this process, accounts side by side; runs that others execute are followed."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from uuid import UUID

from django.db import connections

from pipeline import runs
from pipeline.broker import JobHere, Keys, PipelineBroker
from pipeline.queries import JobReport, RunReport

LOOK_SECONDS = 0.25
TEND_SECONDS = 2

Watch = Callable[[list[JobReport]], None]
Execute = Callable[[UUID, bytes | None, Callable[[], bool]], bool]


def follow(job_ids: list[UUID], watch: Watch) -> list[JobReport]:
    """Report on jobs until all have ended."""
    broker, pause = PipelineBroker(), threading.Event()
    while True:
        reports = [broker.get_job_status(job_id) for job_id in job_ids]
        watch(reports)
        if all(report.ended for report in reports):
            return reports
        pause.wait(LOOK_SECONDS)


class Foreground:
    """Executes the runs of jobs on up to `threads` threads, each by `execute`."""

    def __init__(self, threads: int, keys: Keys, execute: Execute | None = None):
        self._execute_run = execute or PipelineBroker().execute_fetch_job
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="sync")
        self._threads, self._keys = threads, keys
        self._jobs: list[JobHere] = []
        self._busy: dict[UUID, Future] = {}
        self._tried: dict[UUID, float] = {}
        self._stopping = threading.Event()
        self._tended = time.monotonic()

    def execute(self, jobs: list[JobHere], watch: Watch) -> list[JobReport]:
        self._jobs = jobs

        def look(reports: list[JobReport]) -> None:
            watch(reports)
            self._tend()
            self._start_pending([run for report in reports for run in report.runs])

        reports = follow([job.job_id for job in jobs], look)
        self._pool.shutdown()
        self._require_no_error()
        return reports

    def stop(self) -> None:
        """Cancel the jobs. Runs in execution are free at once; their threads find the lease lost."""
        self._stopping.set()
        # On a connection of its own: the interrupt may have left ours in the middle of a transaction.
        thread = threading.Thread(target=self._let_go)
        thread.start()
        thread.join()

    def _let_go(self) -> None:
        for run_id in self._busy:
            runs.release_own(run_id)
        for job in self._jobs:
            PipelineBroker().cancel_job(job.job_id)
        connections.close_all()

    def _start_pending(self, reports: list[RunReport]) -> None:
        """Also runs whose worker is gone, and those whose retry is due."""
        self._require_no_error()
        self._busy = {run_id: future for run_id, future in self._busy.items() if not future.done()}
        due = [report for report in reports if report.is_due and report.run_id not in self._busy]
        # Those that wait for a connection must not keep the others from trying.
        due.sort(key=lambda report: self._tried.get(report.run_id, 0))
        for report in due[: self._threads - len(self._busy)]:
            self._tried[report.run_id] = time.monotonic()
            self._busy[report.run_id] = self._pool.submit(self._run, report.run_id, report.account_id)

    def _run(self, run_id: UUID, account_id: UUID) -> None:
        try:
            self._execute_run(run_id, self._keys.get(account_id), self._stopping.is_set)
        finally:
            connections.close_all()

    def _require_no_error(self) -> None:
        """Raises what kept a run from being ended, such as a lost database."""
        for future in self._busy.values():
            if future.done():
                future.result()

    def _tend(self) -> None:
        """Keep what waits here, and free the runs of workers that are gone."""
        if time.monotonic() - self._tended > TEND_SECONDS:
            self._tended = time.monotonic()
            runs.keep(run_id for job in self._jobs for run_id in job.run_ids)
            runs.free_lapsed()
