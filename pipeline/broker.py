"""The pipeline broker: what every door calls to ask for work and to hear how it goes."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from uuid import UUID

from django.db import IntegrityError, OperationalError, transaction
from django.db.models import QuerySet

from accounts import grants, operators
from accounts.errors import UsageError
from accounts.models import MailAccount, User
from diagnostics.probing.ladder import TOTAL_SECONDS
from mail import folders, ledger
from mail.guard import delete_in_batches
from mail.models import Folder
from mail.removal import remove_mail
from pipeline import jobs, queries, runner, runs, tasks
from pipeline.models import RUN_ACTIVE, AccountRun, JobType, PipelineJob, RunStatus, Trigger
from pipeline.work import Watch, Work

DEFAULT_MAX_MAILS = 100
DEFAULT_TIMEOUT_SECONDS = 120
MAX_LIMIT = 2**31 - 1
INTERACTIVE = 10

Keys = Mapping[UUID, bytes]


@dataclass(frozen=True)
class JobHere:
    """A job whose runs are kept for this process, as far as nobody else was executing them already."""

    job_id: UUID
    run_ids: tuple[UUID, ...]


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
        first_import_whole: bool = False,
        folder: Folder | None = None,
    ) -> UUID:
        """Ask the workers to fetch one account, or all of a person's. Returns the job's id.

        One account is a wish for that account, which an open circuit breaker does not refuse; with a
        `folder`, that one alone is synced. `keys` holds the account keys that the door could open; they
        become job grants. None for a limit means unbounded, 0 mails to take stock and fetch nothing;
        `first_import_whole` lifts both for accounts that were never synced. Raises ValueError for a limit
        out of range or an account of somebody else, UsageError for a folder that is not synced.
        """
        tasks.wake()
        asked = _asked(max_mails, timeout_seconds, account is not None, _synced(account, folder))
        with transaction.atomic():
            if folder:
                runs.ask_for_another_look(account)
            job, account_runs = _create(user, _chosen(user, account), asked, trigger, first_import_whole)
            _hand_over(account_runs, keys)
        return job.pk

    def retry_accounts(
        self, user: User, accounts: Iterable[MailAccount], keys: Keys | None = None, *, trigger=Trigger.PAGE
    ) -> UUID:
        """Ask for each of these accounts, as enqueue_fetch_job does for one. Returns the job's id."""
        tasks.wake()
        asked = _asked(None, DEFAULT_TIMEOUT_SECONDS, try_now=True)
        with transaction.atomic():
            job, account_runs = _create(user, accounts, asked, trigger, first_whole=True)
            _hand_over(account_runs, keys)
        return job.pk

    def enqueue_diagnostics_job(
        self,
        user: User,
        account: MailAccount,
        keys: Keys | None = None,
        *,
        trigger: Trigger = Trigger.PAGE,
    ) -> UUID:
        """Ask the workers to examine one account; the report is kept with the run's id. Returns the job's id.

        `keys` as in enqueue_fetch_job. Raises ValueError for an account of somebody else.
        """
        tasks.wake()
        asked = _asked(None, TOTAL_SECONDS, try_now=True)
        with transaction.atomic():
            job, examining = _create(user, _chosen(user, account), asked, trigger, kind=JobType.DIAGNOSTICS)
            _hand_over(examining, keys)
        return job.pk

    def create_fetch_job_here(
        self,
        user: User,
        accounts: Iterable[MailAccount],
        max_mails: int | None = None,
        timeout_seconds: int | None = None,
        *,
        trigger: Trigger = Trigger.COMMAND,
        try_now: bool = True,
        folder: Folder | None = None,
    ) -> JobHere:
        """The same for a process that does the work itself: its runs are kept for it."""
        tasks.wake()
        accounts = list(accounts)
        folder_id = _synced(accounts[0], folder) if folder else None
        asked = _asked(max_mails, timeout_seconds, try_now, folder_id)
        with transaction.atomic():
            if folder:
                runs.ask_for_another_look(folder.account)
            job, account_runs = _create(user, accounts, asked, trigger)
            runs.keep(run.pk for run in account_runs)
        return JobHere(job.pk, tuple(run.pk for run in account_runs))

    def reset_folder(self, account: MailAccount, folder: Folder, keys: Keys | None = None, **asked) -> UUID:
        """Look up every mail of a folder anew: what is stored is linked again, the rest fetched.

        Nothing is deleted. It starts anew when it is interrupted, so it has no limits unless some are given.
        Takes the options of enqueue_fetch_job and raises as it does.
        """
        asked = {"max_mails": None, "timeout_seconds": None} | asked
        with transaction.atomic():
            self.mark_for_reset(account, folder)
            return self.enqueue_fetch_job(account.user, account, keys=keys, folder=folder, **asked)

    def mark_for_reset(self, account: MailAccount, folder: Folder) -> None:
        """The part of reset_folder that the account's next sync carries out."""
        folder_id = _synced(account, folder)
        with transaction.atomic():
            runs.ask_for_another_look(account)
            folders.ask_for_reset(account.folders.get(pk=folder_id))

    def retry_quarantined(
        self, account: MailAccount, folder: Folder | None = None, keys: Keys | None = None, **asked
    ) -> UUID:
        """Have mails fetched again that were given up, or that a bug of ours misread.

        Takes the options of enqueue_fetch_job and raises as it does.
        """
        with transaction.atomic():
            self.release_quarantined(account, folder)
            return self.enqueue_fetch_job(account.user, account, keys=keys, folder=folder, **asked)

    def release_quarantined(self, account: MailAccount, folder: Folder | None = None) -> int:
        """The part of retry_quarantined that the account's next sync carries out. Returns how many."""
        folder_id = _synced(account, folder)
        with transaction.atomic():
            runs.ask_for_another_look(account)
            return ledger.release_quarantined(account, folder_id)

    def execute_fetch_job(
        self,
        run_id: UUID,
        account_key: bytes | None = None,
        stopping: Callable[[], bool] = lambda: False,
        watch: Watch = nullcontext,
    ) -> bool:
        """Claim and execute a run in this thread, by its grant or the key given. False: nothing to claim."""
        claim = runs.claim(run_id, kept=account_key is not None)
        if claim:
            runner.execute(claim, account_key, stopping, watch)
        return claim is not None

    def handle_job_error(self, work: Work, error: Exception) -> None:
        """Retry or end a run by what went wrong."""
        runner.fail(work, error)

    def cancel_job(self, job_id: UUID) -> bool:
        """End a job; runs that no other job waits for stop within one batch. False if it had ended.

        Raises PipelineJob.DoesNotExist.
        """
        if not jobs.cancel(job_id):
            return False
        for run_id in AccountRun.objects.filter(jobs=job_id).values_list("pk", flat=True):
            runs.ask_to_stop(run_id)
        return True

    def remove_account(self, account: MailAccount) -> None:
        """Delete an account with its mail; jobs that waited for its runs end without them.

        Killed midway, it leaves a paused account with less mail, to be removed once more.
        """
        _undisturbed(_stop_for_good, account)
        delete_in_batches(account.runs.exclude(status__in=RUN_ACTIVE))
        remove_mail(account)
        _undisturbed(_remove, account)

    def get_job_status(self, job_id: UUID) -> queries.JobReport:
        """Raises PipelineJob.DoesNotExist."""
        return queries.job_report(PipelineJob.objects.select_related("user").get(pk=job_id))

    def get_account_health(self, user: User) -> list[queries.HealthReport]:
        return queries.health_reports(user.mail_accounts.select_related("user"))

    def get_performance_metrics(
        self, user: User, window: str = "24h", account: MailAccount | None = None
    ) -> queries.PerformanceReport:
        """The last 24h, 7d or 30d, from the beginning of that hour or (UTC) day on; of one account or of all.

        Raises ValueError for another window or an account of somebody else.
        """
        if window not in queries.WINDOWS:
            raise ValueError(f"a window is one of {', '.join(queries.WINDOWS)}")
        if account is not None:
            _chosen(user, account)
        return queries.performance_report(user, window, account)


def _undisturbed(step: Callable[[MailAccount], None], account: MailAccount) -> None:
    for tries_left in (2, 1, 0):
        try:
            return step(account)
        except (IntegrityError, OperationalError):  # something was noted of it meanwhile, or a deadlock
            if not tries_left:
                raise


def _stop_for_good(account: MailAccount) -> None:
    """Whoever executes a run of it finds the lease lost; no other begins by itself."""
    active = account.runs.filter(status__in=RUN_ACTIVE)
    with transaction.atomic(), _closing_what_waits_for(active):
        active.delete()
        MailAccount.objects.filter(pk=account.pk).update(enabled=False)
        grants.revoke(account.grants.all())


def _remove(account: MailAccount) -> None:
    row = MailAccount.objects.filter(pk=account.pk)
    with transaction.atomic(), _closing_what_waits_for(account.runs.all()):
        operators.forget_log_of(row)
        row.delete()


@contextmanager
def _closing_what_waits_for(runs: QuerySet[AccountRun]) -> Iterator[None]:
    """Around the deletion of these runs: they are locked, and jobs that have no other end after it."""
    ids = list(runs.select_for_update().order_by("pk").values_list("pk", flat=True))  # as runs lock rows
    waiting = list(PipelineJob.objects.filter(runs__in=ids).distinct().order_by("pk"))
    yield
    for job in waiting:
        jobs.close(job.pk)


def _asked(
    max_mails: int | None, timeout_seconds: int | None, try_now: bool, folder_id: UUID | None = None
) -> runs.Asked:
    for limit, least in ((max_mails, 0), (timeout_seconds, 1)):
        if limit is not None and not least <= limit <= MAX_LIMIT:
            raise ValueError(f"a limit is from {least} to {MAX_LIMIT}, or None for unbounded")
    return runs.Asked(max_mails, timeout_seconds, INTERACTIVE, try_now, folder_id)


def _synced(account: MailAccount | None, folder: Folder | None) -> UUID | None:
    """The folder's id. Raises UsageError when it is not one of this account that is synced."""
    if folder is None:
        return None
    if account is None or folder.account_id != account.pk:
        raise ValueError("this folder belongs to another account")
    if folder.excluded or folder.gone_at:
        raise UsageError("This folder is not synced: it is left out, or it is not on the server any more.")
    return folder.pk


def _create(
    user: User,
    accounts: Iterable[MailAccount],
    asked: runs.Asked,
    trigger: Trigger,
    first_whole: bool = False,
    kind: JobType = JobType.FETCH,
) -> tuple[PipelineJob, list[AccountRun]]:
    accounts = sorted(accounts, key=lambda account: account.pk)  # the order in which rows are locked
    limits = {"max_mails": asked.max_mails, "timeout_seconds": asked.timeout_seconds}
    job = jobs.create(user, accounts, type=kind, trigger=trigger, **limits)
    whole = runs.Asked(priority=asked.priority, try_now=asked.try_now)
    account_runs = []
    for account in accounts:
        lifts_limits = first_whole and queries.awaits_first_import(account)
        account_runs.append(runs.join_or_create(job, account, whole if lifts_limits else asked))
    if not account_runs:
        jobs.close(job.pk)
    return job, account_runs


def _hand_over(account_runs: Iterable[AccountRun], keys: Keys | None) -> None:
    """Give the workers what keys there are, and ring for what waits."""
    for run in account_runs:
        if keys and run.account_id in keys:
            runs.give_grant(run, keys[run.account_id])
        if run.status == RunStatus.PENDING:
            tasks.ring_after_commit(run)


def _chosen(user: User, account: MailAccount | None) -> list[MailAccount]:
    if account is None:
        return list(user.mail_accounts.filter(enabled=True))
    if account.user_id != user.pk:
        raise ValueError("this account belongs to somebody else")
    return [account]
