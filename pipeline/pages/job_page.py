"""What a job's page shows: its runs beside each other, what happened in which order, and what to do."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q
from django.utils import timezone

from accounts import actions
from accounts.errors import SealBroken
from accounts.models import MailAccount
from pipeline.models import JOB_OPEN, RUN_ACTIVE, AccountRun, JobEvent, PipelineJob, RunStatus
from pipeline.pages import words
from pipeline.pages.cures import Cure, cures_of
from pipeline.pages.evidence import evidence_of
from pipeline.pages.progress import Progress
from pipeline.pages.pulse import digest
from pipeline.queries import RunReport, run_report

EVENTS_SHOWN = 200
WIDTH = 1000  # of a timeline, in the units of its drawing


@dataclass(frozen=True)
class Segment:
    """The time that a run spent in one phase, as a part of its bar; phases take turns in a run."""

    phase: str
    x: int
    width: int
    seconds: float


@dataclass(frozen=True)
class RunLine:
    """A run on the job's page. `evidence` is the server's own words, in an unlocked session."""

    run: RunReport
    account: MailAccount
    attempts: int
    segments: list[Segment]
    cures: list[Cure]
    evidence: str

    @property
    def active(self) -> bool:
        return self.run.status in RUN_ACTIVE

    @property
    def progress(self) -> Progress:
        return Progress(self.run)

    @property
    def took(self) -> str:
        return "" if self.run.duration is None else words.seconds_text(self.run.duration)

    @property
    def mails(self) -> str:
        return words.mails_text(self.run.mails_done, self.run.mails_total)


def page_of(job: PipelineJob, user_key: bytes | None) -> dict:
    """In three queries."""
    runs = list(job.runs.select_related("account").order_by("account__label", "created_at"))
    scale = _scale(job, runs)
    lines = [_line(run, job, scale, user_key) for run in runs]
    return {
        "job": job,
        "number": str(job.pk)[:8],
        "word": words.job_word(job.status),
        "kind": words.type_word(job.type),
        "asked_by": words.trigger_word(job.trigger),
        "open": job.status in JOB_OPEN,
        "lines": lines,
        "phases": list(words.PHASES),
        "mails": words.mails_text(sum(run.mails_done for run in runs), _total(runs)),
        "took": _took(job),
        "events": _events(job, runs),
        "failed": [line for line in lines if line.run.status in (RunStatus.FAILED, RunStatus.SKIPPED)],
        "seen": seen_of(job, runs),
    }


def seen_of(job: PipelineJob, runs: list[AccountRun]) -> str:
    """Another one when anything on the page has changed."""
    fields = ("pk", "status", "attempt", "retries", "phase", "mails_done", "mails_total", "bytes_done")
    return digest(job.status, [[getattr(run, field) for field in fields] for run in runs])


def _total(runs: list[AccountRun]) -> int | None:
    known = [run.mails_total for run in runs if run.mails_total is not None]
    return sum(known) if known else None


def _took(job: PipelineJob) -> str:
    known = job.started_at and job.ended_at
    return words.seconds_text((job.ended_at - job.started_at).total_seconds()) if known else ""


def _scale(job: PipelineJob, runs: list[AccountRun]) -> tuple[datetime, float]:
    """When the timeline begins, and how many units a second is."""
    begins = [run.started_at for run in runs if run.started_at]
    start = min(begins, default=job.created_at)
    end = max([run.ended_at or timezone.now() for run in runs], default=start)
    return start, WIDTH / max((end - start).total_seconds(), 0.001)


def _line(run: AccountRun, job: PipelineJob, scale, user_key: bytes | None) -> RunLine:
    report = run_report(run)
    bad = run.status in (RunStatus.FAILED, RunStatus.SKIPPED)
    return RunLine(
        run=report,
        account=run.account,
        attempts=run.attempt,
        segments=segments(run, *scale),
        cures=cures_of(run.account, run.status, run.error_type) if bad else [],
        evidence=_evidence(run, user_key) if run.sealed_evidence else "",
    )


def segments(run: AccountRun, start: datetime, units: float) -> list[Segment]:
    """Pure: its phases one after another, from when the run began."""
    if run.started_at is None:
        return []
    x = (run.started_at - start).total_seconds() * units
    found = []
    for phase in words.PHASES:
        if spent := run.phase_seconds.get(phase, 0):
            found.append(Segment(phase, round(x), max(1, round(spent * units)), spent))
            x += spent * units
    return found


def _evidence(run: AccountRun, user_key: bytes | None) -> str:
    if user_key is None:
        return ""
    try:
        return evidence_of(run, actions.account_key(run.account, user_key))
    except SealBroken:
        return ""


def _events(job: PipelineJob, runs: list[AccountRun]) -> list[JobEvent]:
    rows = JobEvent.objects.filter(Q(job=job) | Q(run__in=[run.pk for run in runs]))
    return list(rows.select_related("run__account").order_by("at", "pk")[:EVENTS_SHOWN])
