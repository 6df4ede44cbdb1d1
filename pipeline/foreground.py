"""Jobs executed in this process, accounts side by side; runs that others execute are followed."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from uuid import UUID

from django.db import connections

from pipeline import runs
from pipeline.broker import ClaimedJob, Keys, PipelineBroker
from pipeline.models import RunStatus
from pipeline.queries import JobReport

LOOK_SECONDS = 0.25
TEND_SECONDS = 2

Watch = Callable[[list[JobReport]], None]


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
    """Executes claimed jobs on up to `threads` threads."""

    def __init__(self, threads: int, keys: Keys):
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="sync")
        self._keys = keys
        self._claims: dict[UUID, runs.Claim] = {}
        self._futures: dict[UUID, Future] = {}
        self._tended = time.monotonic()

    def execute(self, jobs: list[ClaimedJob], watch: Watch) -> list[JobReport]:
        for job in jobs:
            for run_id, claim in job.claims.items():
                self._start(run_id, claim)

        def look(reports: list[JobReport]) -> None:
            watch(reports)
            if time.monotonic() - self._tended > TEND_SECONDS:
                self._tended = time.monotonic()
                self._tend(reports)

        reports = follow([job.job_id for job in jobs], look)
        self._pool.shutdown()
        return reports

    def give_back(self) -> None:
        """Let go of every run at once; their threads find the lease lost and stop."""
        for claim in self._claims.values():
            runs.release(claim)

    def _start(self, run_id: UUID, claim: runs.Claim) -> None:
        self._claims[run_id] = claim
        self._futures[run_id] = self._pool.submit(self._run, run_id, claim)

    def _run(self, run_id: UUID, claim: runs.Claim) -> None:
        try:
            PipelineBroker().execute_fetch_job(run_id, claim, self._keys.get(claim.account_id))
        finally:
            connections.close_all()

    def _tend(self, reports: list[JobReport]) -> None:
        """Keep the claims that wait for a thread, and take over runs whose worker is gone."""
        for run_id, future in self._futures.items():
            if future.done():
                future.result()  # raises what kept a run from being ended, such as a lost database
            elif not future.running():
                with suppress(runs.LeaseLost):  # its thread will see it, and stop
                    runs.hold(self._claims[run_id])
        runs.free_lapsed()
        for report in (run for job in reports for run in job.runs):
            idle = report.run_id not in self._futures or self._futures[report.run_id].done()
            if report.status == RunStatus.PENDING and idle and (claim := runs.claim(report.run_id)):
                self._start(report.run_id, claim)
