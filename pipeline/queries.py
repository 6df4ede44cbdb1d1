"""Read-only selections of jobs and runs, always of the same shape."""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from itertools import groupby
from operator import or_
from uuid import UUID

from django.db.models import OuterRef, Prefetch, Q, Subquery, prefetch_related_objects
from django.utils import timezone

from accounts import advice
from accounts.models import MailAccount, User
from diagnostics.health import Background, Facts, assess
from diagnostics.vitals import vitals_of
from pipeline import checkup
from pipeline.models import (
    RUN_ACTIVE,
    AccountRun,
    Granularity,
    JobType,
    Phase,
    PipelineJob,
    Rollup,
    RunStatus,
)
from pipeline.rollups import start_of, tallies_of
from pipeline.tally import Performance, Tally, performance, total

WINDOWS = {
    "24h": (Granularity.HOUR, timedelta(hours=24)),
    "7d": (Granularity.DAY, timedelta(days=7)),
    "30d": (Granularity.DAY, timedelta(days=30)),
}


@dataclass(frozen=True)
class RunReport:
    """One account's run as every door shows it. Times in seconds; `error` and `next_step` for people.

    `retry_at` is when the next run by itself may try, after one that ended badly.
    """

    run_id: UUID
    account_id: UUID
    name: str
    status: str
    phase: str
    mails_done: int
    mails_total: int | None
    bytes_done: int
    bytes_total: int | None
    emails_fetched: int
    emails_linked: int
    emails_processed: int
    error_type: str
    error: str
    next_step: str
    retries: int
    kept: bool
    run_after: datetime
    retry_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    duration: float | None
    seconds_left: float | None
    phases: dict[str, float]

    @property
    def active(self) -> bool:
        return self.status in RUN_ACTIVE

    @property
    def is_due(self) -> bool:
        return self.status == RunStatus.PENDING and self.run_after <= timezone.now()

    @property
    def retrying(self) -> bool:
        return self.status == RunStatus.PENDING and self.retries > 0

    @property
    def seconds_to_go(self) -> int:
        """Until it may be claimed."""
        return max(0, math.ceil((self.run_after - timezone.now()).total_seconds()))


@dataclass(frozen=True)
class JobReport:
    job_id: UUID
    user: str
    type: str
    trigger: str
    status: str
    max_mails: int | None
    timeout_seconds: int | None
    emails_fetched: int
    emails_linked: int
    emails_processed: int
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    runs: tuple[RunReport, ...]

    @property
    def ended(self) -> bool:
        return self.ended_at is not None


@dataclass(frozen=True)
class HealthReport:
    """How an account is, since when, and what its person can do; `failures` are of the last `attempts`."""

    account_id: UUID
    name: str
    status: str
    reason: str
    since: datetime
    sentence: str
    next_step: str
    failures: int
    attempts: int
    last_success_at: datetime | None
    last_error_type: str
    next_attempt: datetime | None
    certificate_expires_at: datetime | None
    background: str
    background_until: datetime | None
    last_run: RunReport | None


@dataclass(frozen=True)
class AccountPerformance(Performance):
    account_id: UUID
    name: str
    provider: str


@dataclass(frozen=True)
class PerformanceReport(Performance):
    """Of all accounts since `since`, of each of them that did something, and by provider."""

    since: datetime
    accounts: tuple[AccountPerformance, ...]
    providers: dict[str, Performance]


def run_report(run: AccountRun) -> RunReport:
    probe = run.error_facts.get("probe", "")
    told = advice.probe_advice(probe, run.error_type, run.error_facts, run.phase)
    duration = (run.ended_at - run.started_at).total_seconds() if run.ended_at and run.started_at else None
    return RunReport(
        run_id=run.pk,
        account_id=run.account_id,
        name=run.account.label,
        status=run.status,
        phase=run.phase,
        mails_done=run.mails_done,
        mails_total=run.mails_total,
        bytes_done=run.bytes_done,
        bytes_total=run.bytes_total,
        emails_fetched=run.emails_fetched,
        emails_linked=run.emails_linked,
        emails_processed=run.emails_processed,
        error_type=run.error_type,
        error=told.sentence if told else "",
        next_step=told.next_step if told else "",
        retries=run.retries,
        kept=bool(run.owner),
        run_after=run.run_after,
        retry_at=run.retry_at,
        created_at=run.created_at,
        started_at=run.started_at,
        ended_at=run.ended_at,
        duration=duration,
        seconds_left=run.seconds_left if run.status == RunStatus.RUNNING else None,
        phases={phase: run.phase_seconds.get(phase, 0.0) for phase in Phase.values},
    )


def job_report(job: PipelineJob) -> JobReport:
    return job_reports([job])[0]


def job_reports(jobs: list[PipelineJob]) -> list[JobReport]:
    """Of jobs that come with their users, in one query more."""
    runs = AccountRun.objects.select_related("account").order_by("account__label", "created_at")
    prefetch_related_objects(jobs, Prefetch("runs", runs, to_attr="runs_in_order"))
    return [_job_report(job, tuple(map(run_report, job.runs_in_order))) for job in jobs]


def _job_report(job: PipelineJob, runs: tuple[RunReport, ...]) -> JobReport:
    return JobReport(
        job_id=job.pk,
        user=job.user.email,
        type=job.type,
        trigger=job.trigger,
        status=job.status,
        max_mails=job.max_mails,
        timeout_seconds=job.timeout_seconds,
        emails_fetched=sum(run.emails_fetched for run in runs),
        emails_linked=sum(run.emails_linked for run in runs),
        emails_processed=sum(run.emails_processed for run in runs),
        created_at=job.created_at,
        started_at=job.started_at,
        ended_at=job.ended_at,
        runs=runs,
    )


def retryable(job: PipelineJob) -> list[MailAccount]:
    """The accounts of which the job got nothing."""
    failed = job.runs.filter(status__in=(RunStatus.FAILED, RunStatus.SKIPPED)).select_related("account")
    return list({run.account_id: run.account for run in failed}.values())


def own_job(user: User, job_id: UUID) -> PipelineJob | None:
    return PipelineJob.objects.filter(user=user, pk=job_id).select_related("user").first()


def health_reports(accounts: Iterable[MailAccount], known: checkup.Known | None = None) -> list[HealthReport]:
    """Of accounts that come with their users, in their order; as many queries for one as for many."""
    accounts, now = list(accounts), timezone.now()
    facts = checkup.facts_of(accounts, now, known=known)
    last = known.runs if known else newest_runs(accounts)
    return [_health_report(account, facts[account.pk], last.get(account.pk), now) for account in accounts]


def health_report(account: MailAccount) -> HealthReport:
    return health_reports([account])[0]


def newest_by_kind(account: MailAccount) -> dict[str, AccountRun]:
    newest = account.runs.order_by("-created_at").values("pk")
    ids = [Q(pk=Subquery(newest.filter(kind=kind)[:1])) for kind in JobType]
    runs = AccountRun.objects.filter(reduce(or_, ids)).select_related("account")
    return {run.kind: run for run in runs}


def newest_runs(accounts: Iterable[MailAccount]) -> dict[UUID, AccountRun]:
    """The newest fetch run of each; one that is active is always the newest."""
    newest = AccountRun.objects.filter(account=OuterRef("pk"), kind=JobType.FETCH).order_by("-created_at")
    rows = MailAccount.objects.filter(pk__in=[account.pk for account in accounts])
    ids = rows.annotate(newest=Subquery(newest.values("pk")[:1])).values("newest")
    return {run.account_id: run for run in AccountRun.objects.filter(pk__in=ids).select_related("account")}


def _health_report(
    account: MailAccount, facts: Facts, last: AccountRun | None, now: datetime
) -> HealthReport:
    found = assess(facts, now)
    since = facts.since if found.status == facts.status else now
    run = run_report(last) if last else None
    told = _health_advice(found.reason, facts, run)
    return HealthReport(
        account_id=account.pk,
        name=account.label,
        status=found.status,
        reason=found.reason,
        since=since,
        sentence=told.sentence if told else "",
        next_step=told.next_step if told else "",
        failures=facts.failures,
        attempts=len(facts.attempts),
        last_success_at=facts.last_success_at,
        last_error_type=facts.last_error_type,
        next_attempt=facts.next_attempt,
        certificate_expires_at=facts.certificate_expires_at,
        background=facts.background,
        background_until=facts.background_until,
        last_run=run,
    )


def _health_advice(reason: str, facts: Facts, run: RunReport | None) -> advice.Advice | None:
    """The last run's own words where it is what the reason speaks of: they know more."""
    if run and reason and run.error_type == reason and facts.background != Background.LAPSED:
        return advice.Advice(run.error, run.next_step)
    if reason == "no_success" and facts.server_rests and not facts.last_error_type:
        return advice.health("server_rests")
    return advice.health(reason)


def is_new(account: MailAccount) -> bool:
    """Whether no sync of this account has succeeded yet."""
    return vitals_of(account).last_success_at is None


def awaits_first_import(account: MailAccount) -> bool:
    """Whether no sync of all its folders has succeeded yet; one that took stock alone does not count."""
    synced = account.runs.filter(kind=JobType.FETCH, status=RunStatus.SUCCESS, folder=None)
    synced = synced.exclude(max_mails=0)
    return not synced.exists()


def performance_report(user: User, window: str, account: MailAccount | None) -> PerformanceReport:
    """One query, whatever there was."""
    granularity, span = WINDOWS[window]
    since = start_of(granularity, timezone.now() - span)
    rows = Rollup.objects.filter(account__user=user, granularity=granularity, start__gte=since)
    if account:
        rows = rows.filter(account=account)
    rows = rows.order_by("account__label", "account_id")
    by_account, by_provider = {}, defaultdict(list)
    for whose, found in groupby(tallies_of(rows), lambda row: row[:3]):
        by_account[whose] = total(tally for *_, tally in found)
        by_provider[whose[2]].append(by_account[whose])
    return PerformanceReport(
        **vars(performance(total(by_account.values()))),
        since=since,
        accounts=tuple(_of_account(*whose, tally) for whose, tally in by_account.items()),
        providers={name: performance(total(some)) for name, some in sorted(by_provider.items())},
    )


def _of_account(account_id: UUID, name: str, provider: str, tally: Tally) -> AccountPerformance:
    return AccountPerformance(**vars(performance(tally)), account_id=account_id, name=name, provider=provider)
