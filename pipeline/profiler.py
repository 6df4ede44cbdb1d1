"""One account's sync under a profiler, in a process that does nothing else."""

import cProfile
import pstats
import re
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from uuid import UUID

from accounts.models import MailAccount
from pipeline import foreground
from pipeline.broker import PipelineBroker
from pipeline.figures import OPERATIONS, judge, operations_of
from pipeline.hotspots import hotspots, seconds_by_group
from pipeline.models import AccountRun, Phase, RunStatus
from pipeline.queries import RunReport, run_report
from pipeline.tally import speeds

CALIBRATION_CALLS = 100_000


class PerformanceProfiler:
    """Profiles the threads that execute runs, one after the other, and the CPU time of each phase."""

    def __init__(self):
        self.cpu_seconds = dict.fromkeys(Phase.values, 0.0)
        self._stats: pstats.Stats | None = None

    @property
    def profile(self) -> dict:
        """As pipeline/hotspots.py reads it; empty while nothing was executed."""
        return self._stats.stats if self._stats else {}

    def execute(
        self, run_id: UUID, account_key: bytes | None = None, stopping: Callable[[], bool] = lambda: False
    ) -> bool:
        """Claim and execute a run in this thread, as the broker does. False: nothing to claim."""
        profile = cProfile.Profile()
        profile.enable()
        try:
            claimed = PipelineBroker().execute_fetch_job(run_id, account_key, stopping, self.watch)
        finally:
            profile.disable()
        if claimed:
            self._add(profile)
        return claimed

    @contextmanager
    def watch(self, phase: Phase) -> Iterator[None]:
        start = time.thread_time()
        try:
            yield
        finally:
            self.cpu_seconds[phase] += time.thread_time() - start

    def _add(self, profile: cProfile.Profile) -> None:
        if self._stats is None:
            self._stats = pstats.Stats(profile)
        else:
            self._stats.add(profile)


def profile_sync(
    account: MailAccount, account_key: bytes | None, max_mails: int | None, watch: foreground.Watch
) -> dict:
    """Sync this account and say where the time went, as JSON takes it; seconds and bytes."""
    profiler, before = PerformanceProfiler(), peak_bytes()
    keys = {account.pk: account_key} if account_key else {}
    work = foreground.Foreground(1, keys, profiler.execute)
    try:
        job = PipelineBroker().create_fetch_job_here(account.user, [account], max_mails)
        work.execute([job], watch)
    except KeyboardInterrupt:
        work.stop()
        raise
    run = AccountRun.objects.select_related("account").get(pk=job.run_ids[0])
    return described(run, profiler) | {"peak_bytes": peak_bytes(), "peak_bytes_before": before}


def described(run: AccountRun, profiler: PerformanceProfiler) -> dict:
    return _what_happened(run_report(run)) | {
        "phases": _phases(run, profiler.cpu_seconds),
        "operations": _operations(run),
        **speeds(run.emails_fetched, run.bytes_done, run.phase_seconds),
        **_where_it_went(profiler.profile),
    }


def _what_happened(run: RunReport) -> dict:
    return {
        "name": run.name,
        "status": run.status,
        "error_type": run.error_type or None,
        "error": f"{run.error} {run.next_step}".strip() or None,
        "emails_fetched": run.emails_fetched,
        "emails_linked": run.emails_linked,
        "bytes": run.bytes_done,
        "duration": run.duration,
    }


def _phases(run: AccountRun, cpu_seconds: dict[str, float]) -> dict[str, dict]:
    """`waiting` is for the server, the disk, the database server, and for a processor."""
    spent = {phase: run.phase_seconds.get(phase, 0.0) for phase in Phase.values}
    return {
        phase: {
            "seconds": seconds,
            "cpu": round(cpu_seconds[phase], 4),
            "waiting": round(max(0.0, seconds - cpu_seconds[phase]), 4),
        }
        for phase, seconds in spent.items()
    }


def _operations(run: AccountRun) -> dict[str, dict]:
    """Judged is what happened in a run that succeeded."""
    if run.status != RunStatus.SUCCESS:
        return {}
    done = operations_of(run.phase_seconds, run.emails_fetched, run.attempt)
    return {
        operation.value: {
            "seconds": round(seconds, 4),
            "grade": judge(operation, seconds).value,
            **asdict(OPERATIONS[operation]),
        }
        for operation, seconds in done.items()
    }


def _where_it_went(profile: dict) -> dict:
    found = hotspots(profile)
    return {
        "profiled": bool(profile),
        "profiler_seconds": round(sum(spot.calls for spot in found) * seconds_per_call(), 4),
        "groups": {name: round(seconds, 4) for name, seconds in seconds_by_group(profile).items()},
        "functions": [asdict(spot) for spot in found],
    }


def seconds_per_call() -> float:
    """What being profiled adds to a call, on this machine and now."""

    def nothing():
        pass

    def calls():
        for _ in range(CALIBRATION_CALLS):
            nothing()

    took = []
    for run in (calls, lambda: cProfile.Profile().runcall(calls)):
        start = time.thread_time()
        run()
        took.append(time.thread_time() - start)
    return max(0.0, took[1] - took[0]) / CALIBRATION_CALLS


def peak_bytes() -> int:
    """The largest this process has been.

    Linux counts what the parent was when it forked in ru_maxrss (206 MB of 10 were seen), but not in VmHWM.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
