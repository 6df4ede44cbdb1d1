"""Every transition of a job, each guarded in the database; docs/states.md draws them.

Locks are taken in one order everywhere: run, mail server, account, job, rollup.
"""

from collections import Counter
from collections.abc import Iterable
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.errors import ErrorType
from accounts.models import MailAccount, User
from diagnostics.alerting import alerts, events
from diagnostics.models import AlertKind
from pipeline.models import (
    JOB_OPEN,
    RUN_ACTIVE,
    AccountRun,
    JobEvent,
    JobStatus,
    JobType,
    PipelineJob,
    RunStatus,
    Trigger,
)
from pipeline.states import JOB_ARROWS

_NO_FAILURE = (ErrorType.PAUSED, ErrorType.BUDGET)


def create(user: User, accounts: Iterable[MailAccount], **asked) -> PipelineJob:
    job = PipelineJob.objects.create(user=user, **asked)
    job.accounts.set(accounts)
    JobEvent.objects.create(job=job, arrow="created", after=job.status)
    return job


def start(job_id: UUID) -> None:
    """A run that the job waits for is being executed."""
    if not _take("started", job_id, JobStatus.RUNNING, started_at=timezone.now()):
        _take("resumed", job_id, JobStatus.RUNNING)


def wait(job_id: UUID) -> None:
    """A run waits for its retry: the job is retrying unless another of its runs is being executed."""
    if not AccountRun.objects.filter(jobs=job_id, status=RunStatus.RUNNING).exists():
        _take("waited", job_id, JobStatus.RETRYING)


def close(job_id: UUID) -> None:
    """End the job when all its runs have ended; which end it is follows from theirs."""
    with transaction.atomic():
        job = PipelineJob.objects.select_for_update().get(pk=job_id)
        runs = list(job.runs.all())
        if job.status not in JOB_OPEN or any(run.status in RUN_ACTIVE for run in runs):
            return
        status = job_end([(run.status, run.error_type) for run in runs])
        if _end("ended", job, status, runs):
            _tell(job, status, runs)


def cancel(job_id: UUID) -> bool:
    """End the job whatever its runs do. Returns whether it was open."""
    with transaction.atomic():
        job = PipelineJob.objects.select_for_update().get(pk=job_id)
        if job.status not in JOB_OPEN:
            return False
        _end("cancelled", job, JobStatus.CANCELLED, list(job.runs.all()))
        return True


def job_end(ends: list[tuple[str, str]]) -> JobStatus:
    """Pure: the end of a job whose runs ended with these (status, error_type). Without runs it has failed."""
    counted = [status for status, error_type in ends if not _is_pause(status, error_type)]
    good = sum(status == RunStatus.SUCCESS for status in counted)
    if good == len(counted) and ends:
        return JobStatus.SUCCESS
    return JobStatus.PARTIAL_FAILURE if good else JobStatus.FAILED


def _is_pause(status: str, error_type: str) -> bool:
    return status == RunStatus.SKIPPED and error_type in _NO_FAILURE


def _end(arrow: str, job: PipelineJob, status: JobStatus, runs: list[AccountRun]) -> bool:
    error_types = Counter(run.error_type for run in runs if run.error_type)
    facts = {
        "ended_at": timezone.now(),
        "emails_fetched": sum(run.emails_fetched for run in runs),
        "emails_linked": sum(run.emails_linked for run in runs),
        "emails_processed": sum(run.emails_processed for run in runs),
        "error_types": error_types if runs else {ErrorType.NO_ACCOUNTS: 1},
    }
    if not _take(arrow, job.pk, status, metrics=_summed_phases(runs), **facts):
        return False
    _note(job, status, runs, facts)
    return True


def _note(job: PipelineJob, status: JobStatus, runs: list[AccountRun], facts: dict) -> None:
    """For programs; no account is named, as below."""
    told = {
        "job_id": str(job.pk),
        "type": job.type,
        "trigger": job.trigger,
        "status": status,
        "emails_fetched": facts["emails_fetched"],
        "emails_linked": facts["emails_linked"],
        "accounts": len(runs),
        "failed": sum(map(_has_failed, runs)),
        "error_types": facts["error_types"],
        "created_at": job.created_at.isoformat(),
        "ended_at": facts["ended_at"].isoformat(),
    }
    events.note(job.user, AlertKind.JOB_ENDED, job.pk, told)


def _tell(job: PipelineJob, status: JobStatus, runs: list[AccountRun]) -> None:
    """What a person asked for has failed. No account is named: its row may be about to be deleted."""
    asked_for = job.type == JobType.FETCH and job.trigger != Trigger.SCHEDULE
    if not asked_for or not runs or status not in (JobStatus.FAILED, JobStatus.PARTIAL_FAILURE):
        return
    failed = Counter(run.error_type for run in runs if not _is_good(run))
    [(reason, _)] = failed.most_common(1)
    facts = {"accounts": len(runs), "failed": failed.total()}
    alerts.decide(job.user, AlertKind.JOB_FAILED, f"job:{job.pk}", reason=reason, facts=facts)


def _is_good(run: AccountRun) -> bool:
    return run.status == RunStatus.SUCCESS or _is_pause(run.status, run.error_type)


def _has_failed(run: AccountRun) -> bool:
    return run.status in (RunStatus.FAILED, RunStatus.SKIPPED) and not _is_good(run)


def _summed_phases(runs: list[AccountRun]) -> dict[str, float]:
    sums: Counter = Counter()
    for run in runs:
        sums.update(run.phase_seconds)
    return dict(sums)


def _take(arrow: str, job_id: UUID, after: JobStatus, **fields) -> bool:
    """Move a job along an arrow. False when it does not stand where the arrow starts."""
    starts, ends = JOB_ARROWS[arrow]
    if after not in ends:
        raise ValueError(f"{arrow} does not lead to {after}")
    with transaction.atomic():
        job = PipelineJob.objects.select_for_update().filter(pk=job_id, status__in=starts)
        if (before := job.values_list("status", flat=True).first()) is None:
            return False
        job.update(status=after, **fields)
        JobEvent.objects.create(job_id=job_id, arrow=arrow, before=before, after=after)
        return True
