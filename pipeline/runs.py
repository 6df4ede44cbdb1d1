"""Every transition of a run and of a job, each guarded in the database; docs/states.md draws them.

A run is claimed by one conditional UPDATE that raises its fence. Whoever writes for a run shows the fence
it claimed with; zero rows mean that the run belongs to another by now.
"""

import os
import socket
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from accounts import grants
from accounts.errors import ErrorType, MailhelperError
from accounts.models import GrantPurpose, KeyGrant, MailAccount
from diagnostics import health
from pipeline.models import (
    JOB_OPEN,
    RUN_ACTIVE,
    AccountRun,
    JobEvent,
    JobRun,
    JobStatus,
    PipelineJob,
    RunStatus,
)

UNANSWERED_RING = timedelta(seconds=5)


class LeaseLost(MailhelperError):
    """The run is another's now: whoever sees this stops writing."""


@dataclass(frozen=True)
class Claim:
    run_id: UUID
    fence: int
    account_id: UUID


def this_process() -> str:
    """host, PID namespace and PID, by which another process of this machine sees whether we still live."""
    return f"{_machine()}:{os.getpid()}"


def _machine() -> str:
    namespace = os.readlink("/proc/self/ns/pid") if os.path.exists("/proc/self/ns/pid") else ""
    return f"{socket.gethostname()}:{namespace}"


def _has_died(owner: str) -> bool:
    """Only what is certain: same machine, same PID namespace, and no such process."""
    machine, _, pid = owner.rpartition(":")
    if machine != _machine() or "[" not in machine:
        return False
    try:
        os.kill(int(pid), 0)  # sends nothing, and unlike /proc sees the processes of others
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it lives, and is another user's
    return False


def note_job_created(job: PipelineJob) -> None:
    _event("created", job=job, after=job.status)


def join_or_create(
    job: PipelineJob, account: MailAccount, max_mails: int | None, timeout_seconds: int | None, priority: int
) -> AccountRun:
    """The account's active run, widened to what this job asks for, or a new one."""
    while True:
        run = _create(account, job.type, max_mails, timeout_seconds, priority)
        if run is None:
            run = account.runs.filter(kind=job.type, status__in=RUN_ACTIVE).select_for_update().first()
            if run is None:
                continue  # it ended between our look and our try
            _widen(run, max_mails, timeout_seconds, priority)
        JobRun.objects.get_or_create(job=job, run=run)
        if run.status == RunStatus.RUNNING:
            _start_job(job)
        return run


def _create(account, kind, max_mails, timeout_seconds, priority) -> AccountRun | None:
    try:
        with transaction.atomic():
            run = AccountRun.objects.create(
                account=account,
                kind=kind,
                max_mails=max_mails,
                timeout_seconds=timeout_seconds,
                priority=priority,
            )
    except IntegrityError:
        return None
    _event("created", run=run, after=RunStatus.PENDING)
    return run


def _widen(run: AccountRun, max_mails: int | None, timeout_seconds: int | None, priority: int) -> None:
    run.max_mails = _larger(run.max_mails, max_mails)
    run.timeout_seconds = _larger(run.timeout_seconds, timeout_seconds)
    run.priority = max(run.priority, priority)
    run.run_after = min(run.run_after, timezone.now())
    run.save(update_fields=["max_mails", "timeout_seconds", "priority", "run_after"])


def _larger(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else max(one, other)


def give_grant(run: AccountRun, account_key: bytes) -> None:
    """A job grant for this run, unless it has one already."""
    if run.grant_id is None or not grants.valid_grants().filter(pk=run.grant_id).exists():
        run.grant = grants.grant(run.account, account_key, GrantPurpose.JOB)
        run.save(update_fields=["grant"])


def claim(run_id: UUID) -> Claim | None:
    """Take a due, pending run; None when there is nothing to take."""
    now = timezone.now()
    with transaction.atomic():
        taken = AccountRun.objects.filter(pk=run_id, status=RunStatus.PENDING, run_after__lte=now).update(
            status=RunStatus.RUNNING,
            owner=this_process(),
            fence=F("fence") + 1,
            attempt=F("attempt") + 1,
            lease_until=_lease_end(),
        )
        if not taken:
            return None
        AccountRun.objects.filter(pk=run_id, started_at=None).update(started_at=now)
        run = AccountRun.objects.get(pk=run_id)
        _event("claimed", run=run, before=RunStatus.PENDING, after=RunStatus.RUNNING)
        for job in run.jobs.filter(status=JobStatus.PENDING):
            _start_job(job)
    return Claim(run_id, run.fence, run.account_id)


def _start_job(job: PipelineJob) -> None:
    waiting = PipelineJob.objects.filter(pk=job.pk, status=JobStatus.PENDING)
    if waiting.update(status=JobStatus.RUNNING, started_at=timezone.now()):
        _event("started", job=job, before=JobStatus.PENDING, after=JobStatus.RUNNING)


def _lease_end():
    return timezone.now() + timedelta(seconds=settings.MAILHELPER_LEASE_SECONDS)


def hold(claim: Claim, **fields) -> None:
    """The guard: extend the lease in the caller's transaction. Raises LeaseLost."""
    if not _held(claim).update(lease_until=_lease_end(), **fields):
        raise LeaseLost


def note_progress(claim: Claim, **fields) -> None:
    """Show how far the run is. It does not extend the lease. Raises LeaseLost."""
    if not _held(claim).update(**fields):
        raise LeaseLost


def _held(claim: Claim):
    return AccountRun.objects.filter(pk=claim.run_id, fence=claim.fence, status=RunStatus.RUNNING)


def finish(claim: Claim, status: RunStatus, error_type: str = "", **facts) -> None:
    """running → success, failed or skipped. The jobs that waited are closed with it. Raises LeaseLost."""
    now = timezone.now()
    with transaction.atomic():
        ended = _held(claim).update(
            status=status, error_type=error_type, ended_at=now, lease_until=None, owner="", **facts
        )
        if not ended:
            raise LeaseLost
        run = AccountRun.objects.get(pk=claim.run_id)
        _event(status, run=run, before=RunStatus.RUNNING, after=status, reason=error_type)
        grants.revoke(KeyGrant.objects.filter(pk=run.grant_id, purpose=GrantPurpose.JOB))
        health.record(run.account_id, now, error_type)
        for job_id in run.jobs.values_list("pk", flat=True):
            close_job(job_id)


def release(claim: Claim) -> None:
    """running → pending: give the run back, so that the next one need not wait for the lease."""
    with transaction.atomic():
        if _held(claim).update(status=RunStatus.PENDING, owner="", lease_until=None):
            _event("released", run_id=claim.run_id, before=RunStatus.RUNNING, after=RunStatus.PENDING)


def free_lapsed() -> list[UUID]:
    """running → pending for every run whose lease has lapsed or whose process has died. Returns their ids."""
    now, freed = timezone.now(), []
    running = AccountRun.objects.filter(status=RunStatus.RUNNING)
    for run_id, fence, owner, lease_until in running.values_list("pk", "fence", "owner", "lease_until"):
        if lease_until >= now and not _has_died(owner):
            continue
        with transaction.atomic():
            still = running.filter(pk=run_id, fence=fence, lease_until=lease_until)
            if still.update(status=RunStatus.PENDING, owner="", lease_until=None):
                _event("lapsed", run_id=run_id, before=RunStatus.RUNNING, after=RunStatus.PENDING)
                freed.append(run_id)
    return freed


def unclaimed() -> list[UUID]:
    """Runs that are due and whose ring nobody answered."""
    due = AccountRun.objects.filter(status=RunStatus.PENDING, run_after__lte=timezone.now() - UNANSWERED_RING)
    return list(due.order_by("-priority", "run_after").values_list("pk", flat=True))


def close_job(job_id: UUID) -> None:
    """End the job when all its runs have ended; which end it is follows from theirs."""
    with transaction.atomic():
        job = PipelineJob.objects.select_for_update().get(pk=job_id)
        runs = list(job.runs.all())
        if job.status not in JOB_OPEN or any(run.status in RUN_ACTIVE for run in runs):
            return
        before = job.status
        job.status = job_end([run.status for run in runs])
        job.ended_at = timezone.now()
        job.emails_fetched = sum(run.emails_fetched for run in runs)
        job.emails_processed = sum(run.emails_processed for run in runs)
        job.error_types = Counter(run.error_type for run in runs if run.error_type)
        if not runs:
            job.error_types = {ErrorType.NO_ACCOUNTS: 1}
        job.metrics = _summed_phases(runs)
        job.save()
        _event("ended", job=job, before=before, after=job.status)


def job_end(run_statuses: list[str]) -> JobStatus:
    """Pure: the end of a job whose runs ended so. A job without runs has failed."""
    good = sum(status == RunStatus.SUCCESS for status in run_statuses)
    if good == 0:
        return JobStatus.FAILED
    return JobStatus.SUCCESS if good == len(run_statuses) else JobStatus.PARTIAL_FAILURE


def _summed_phases(runs: list[AccountRun]) -> dict[str, float]:
    sums: Counter = Counter()
    for run in runs:
        sums.update(run.phase_seconds)
    return dict(sums)


def _event(arrow: str, *, after: str, before: str = "", reason: str = "", **subject) -> None:
    JobEvent.objects.create(arrow=arrow, before=before, after=after, reason=reason, **subject)
