"""The pipeline broker: what every door calls to ask for work and to hear how it goes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from accounts.models import MailAccount, User
from pipeline import queries, runner, runs, tasks
from pipeline.models import AccountRun, PipelineJob, RunStatus, Trigger
from pipeline.work import Work

DEFAULT_MAX_MAILS = 100
DEFAULT_TIMEOUT_SECONDS = 120
MAX_LIMIT = 2**31 - 1
INTERACTIVE = 10

Keys = Mapping[UUID, bytes]


@dataclass(frozen=True)
class ClaimedJob:
    """A job whose runs this process executes itself, as far as nobody else was running them already."""

    job_id: UUID
    claims: dict[UUID, runs.Claim]


class PipelineBroker:
    def enqueue_fetch_job(
        self,
        user: User,
        account: MailAccount | None = None,
        max_mails: int | None = DEFAULT_MAX_MAILS,
        timeout_seconds: int | None = DEFAULT_TIMEOUT_SECONDS,
        keys: Keys | None = None,
        *,
        trigger: Trigger = Trigger.PAGE,
    ) -> UUID:
        """Ask the workers to fetch one account, or all of a person's. Returns the job's id.

        `keys` holds the account keys that the door could open; they become job grants. None for a limit
        means unbounded. Raises ValueError for a limit below 1 or an account of somebody else.
        """
        tasks.wake()
        with transaction.atomic():
            job, account_runs = self._create(
                user, _chosen(user, account), max_mails, timeout_seconds, trigger
            )
            for run in account_runs:
                if keys and run.account_id in keys:
                    runs.give_grant(run, keys[run.account_id])
                if run.status == RunStatus.PENDING:
                    self._ring_after_commit(run)
        return job.pk

    def claim_fetch_job(
        self,
        user: User,
        accounts: Iterable[MailAccount],
        max_mails: int | None = None,
        timeout_seconds: int | None = None,
        *,
        trigger: Trigger = Trigger.COMMAND,
    ) -> ClaimedJob:
        """The same for a process that does the work itself: its runs are born claimed."""
        tasks.wake()
        with transaction.atomic():
            job, account_runs = self._create(user, accounts, max_mails, timeout_seconds, trigger)
            claims = {run.pk: runs.claim(run.pk) for run in account_runs}
        return ClaimedJob(job.pk, {run_id: claim for run_id, claim in claims.items() if claim})

    def execute_fetch_job(
        self, run_id: UUID, claim: runs.Claim | None = None, account_key: bytes | None = None
    ) -> None:
        runner.execute(run_id, claim, account_key)

    def handle_job_error(self, work: Work, error: Exception) -> None:
        runner.fail(work, error)

    def remove_account(self, account: MailAccount) -> None:
        """Delete an account with its mail; jobs that waited for its runs end without them."""
        with transaction.atomic():
            waiting = list(PipelineJob.objects.filter(runs__account=account).distinct())
            account.delete()
            for job in waiting:
                runs.close_job(job.pk)

    def get_job_status(self, job_id: UUID) -> queries.JobReport:
        """Raises PipelineJob.DoesNotExist."""
        return queries.job_report(PipelineJob.objects.select_related("user").get(pk=job_id))

    def get_account_health(self, user: User) -> list[queries.HealthReport]:
        return [queries.health_report(account) for account in user.mail_accounts.select_related("health")]

    def get_performance_metrics(self, user: User) -> queries.PerformanceReport:
        return queries.performance_report(user)

    def _create(
        self, user: User, accounts: Iterable[MailAccount], max_mails, timeout_seconds, trigger
    ) -> tuple[PipelineJob, list[AccountRun]]:
        for limit in (max_mails, timeout_seconds):
            if limit is not None and not 1 <= limit <= MAX_LIMIT:
                raise ValueError(f"a limit is from 1 to {MAX_LIMIT}, or None for unbounded")
        job = PipelineJob.objects.create(
            user=user, trigger=trigger, max_mails=max_mails, timeout_seconds=timeout_seconds
        )
        runs.note_job_created(job)
        accounts = list(accounts)
        job.accounts.set(accounts)
        joined = [
            runs.join_or_create(job, account, max_mails, timeout_seconds, INTERACTIVE) for account in accounts
        ]
        if not joined:
            runs.close_job(job.pk)
        return job, joined

    def _ring_after_commit(self, run: AccountRun) -> None:
        transaction.on_commit(lambda: tasks.ring(run.pk, run.priority))


def _chosen(user: User, account: MailAccount | None) -> list[MailAccount]:
    if account is None:
        return list(user.mail_accounts.filter(enabled=True))
    if account.user_id != user.pk:
        raise ValueError("this account belongs to somebody else")
    return [account]
