"""What an overview is made of and what changes of it, in three queries: cheap enough for each second."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2s
from uuid import UUID

from django.db.models import F, QuerySet, Subquery
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext

from accounts.advice import advise
from accounts.models import MailAccount, User
from diagnostics.models import AccountHealth
from pipeline.checkup import Known
from pipeline.console import PATIENCE
from pipeline.heartbeats import TICK_PATIENCE
from pipeline.models import JOB_OPEN, RUN_ACTIVE, AccountRun, Heartbeat, PipelineJob, RunStatus, Trigger
from pipeline.pages.words import job_word, mails_text, seconds_text
from pipeline.queries import newest_runs

JOBS_SHOWN = 10
NAMED = 2
RELATIVE_FOR = 300  # seconds that “4 minutes ago” may be shown


@dataclass(frozen=True)
class JobLine:
    """A job in one line. `mails_total` is None until a run knows its own."""

    job_id: UUID
    type: str
    trigger: str
    status: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    accounts: tuple[str, ...]
    mails_done: int
    mails_total: int | None
    error_types: dict[str, str]

    @property
    def number(self) -> str:
        """As people read it out."""
        return str(self.job_id)[:8]

    @property
    def seconds(self) -> float | None:
        return (
            (self.ended_at - self.started_at).total_seconds() if self.started_at and self.ended_at else None
        )

    @property
    def scheduled(self) -> bool:
        return self.trigger == Trigger.SCHEDULE

    @property
    def open(self) -> bool:
        return self.status in JOB_OPEN

    @property
    def word(self) -> str:
        return job_word(self.status)

    @property
    def took(self) -> str:
        return "" if self.seconds is None else seconds_text(self.seconds)

    @property
    def mails(self) -> str:
        return mails_text(self.mails_done, self.mails_total)

    @property
    def whose(self) -> str:
        """The accounts, as far as they fit into a line."""
        if len(self.accounts) > NAMED:
            return gettext("{count} accounts").format(count=len(self.accounts))
        return ", ".join(self.accounts) or gettext("No account")

    @property
    def errors(self) -> list[tuple[str, str]]:
        """The first accounts that failed, each with its cause."""
        failed = list(self.error_types.items())[:NAMED]
        return [(label, told.sentence) for label, error in failed if (told := advise(error))]


@dataclass(frozen=True)
class Pulse:
    """A person's accounts with their newest fetch runs, and the newest jobs."""

    accounts: list[MailAccount]
    runs: dict[UUID, AccountRun]
    jobs: list[JobLine]
    at: datetime

    @cached_property
    def known(self) -> Known:
        return known_of(self.accounts, self.runs)

    @property
    def ticks(self) -> bool:
        tick = self.known.tick
        return tick is not None and tick.at > self.at - TICK_PATIENCE

    @property
    def active(self) -> list[AccountRun]:
        return [run for run in self.runs.values() if run.status in RUN_ACTIVE]

    @property
    def stuck(self) -> set[UUID]:
        """Accounts whose run no worker has taken up, or whose worker is gone."""
        return {run.account_id for run in self.active if self._is_stuck(run)}

    def _is_stuck(self, run: AccountRun) -> bool:
        if run.status == RunStatus.RUNNING:
            return run.lease_until < self.at - PATIENCE
        return not self.ticks and not run.owner and run.run_after < self.at - PATIENCE

    @property
    def beat(self) -> str:
        """Another one when anything but the progress of runs has changed."""
        runs = [(run.pk, run.status, run.retries, run.error_type) for run in self.runs.values()]
        jobs = [(job.job_id, job.status) for job in self.jobs]
        facts = [_told(account) for account in self.accounts]
        return digest(facts, runs, jobs, sorted(self.stuck), self.ticks, self.at.timestamp() // RELATIVE_FOR)

    @property
    def progress(self) -> str:
        """Another one when a run went on."""
        fields = ("phase", "mails_done", "mails_total", "bytes_done", "bytes_total", "seconds_left")
        return digest([[getattr(run, field) for field in fields] for run in self.active])

    @property
    def seen(self) -> str:
        return f"{self.beat}.{self.progress}"


def pulse_of(user: User) -> Pulse:
    accounts = list(watched(user.mail_accounts.all()))
    return Pulse(accounts, newest_runs(accounts), newest_jobs(user), timezone.now())


def watched(accounts: QuerySet[MailAccount]) -> QuerySet[MailAccount]:
    """With their owner and health, and when the tick was heard of last."""
    tick = Heartbeat.objects.filter(name=Heartbeat.TICK)
    beats = {"tick_at": Subquery(tick.values("at")), "tick_since": Subquery(tick.values("since"))}
    return accounts.select_related("user", "health").annotate(**beats)


def known_of(accounts: list[MailAccount], runs: dict[UUID, AccountRun]) -> Known:
    """Of watched accounts."""
    health = {account.pk: account.health for account in accounts if hasattr(account, "health")}
    beats = next(((one.tick_at, one.tick_since) for one in accounts if one.tick_at), None)
    return Known(runs, health, Heartbeat(name=Heartbeat.TICK, at=beats[0], since=beats[1]) if beats else None)


def newest_jobs(user: User) -> list[JobLine]:
    """The last ten, in one query: a row for each run, and one for a job without any."""
    newest = user.jobs.order_by("-created_at").values("pk")[:JOBS_SHOWN]
    runs = {
        name: F(f"runs__{field}")
        for name, field in (
            ("done", "mails_done"),
            ("total", "mails_total"),
            ("run_error", "error_type"),
            ("label", "account__label"),
        )
    }
    fields = ("pk", "type", "trigger", "status", "created_at", "started_at", "ended_at")
    order = ("-created_at", "pk", "runs__account__label")
    jobs = PipelineJob.objects.filter(pk__in=Subquery(newest)).order_by(*order)
    by_job: dict[UUID, list[dict]] = {}
    for row in jobs.values(*fields, **runs):
        by_job.setdefault(row["pk"], []).append(row)
    return [_line(rows) for rows in by_job.values()]


def _line(rows: list[dict]) -> JobLine:
    job, runs = rows[0], [row for row in rows if row["label"] is not None]
    totals = [row["total"] for row in runs if row["total"] is not None]
    return JobLine(
        job_id=job["pk"],
        accounts=tuple(row["label"] for row in runs),
        mails_done=sum(row["done"] for row in runs),
        mails_total=sum(totals) if totals else None,
        error_types={row["label"]: row["run_error"] for row in runs if row["run_error"]},
        **{name: job[name] for name in ("type", "trigger", "status", "created_at", "started_at", "ended_at")},
    )


def _told(account: MailAccount) -> list:
    health: AccountHealth | None = getattr(account, "health", None)
    names = ("status", "reason", "since", "last_success_at", "last_failure_at", "pending", "quarantined")
    own = ("pk", "label", "enabled", "next_due", "connection_changed_at")
    return [getattr(account, name) for name in own] + [getattr(health, name, None) for name in names]


def digest(*facts: Iterable) -> str:
    return blake2s(repr(facts).encode(), digest_size=8).hexdigest()
