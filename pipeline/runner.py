"""The story of one account's run.

claim → key → connect → take stock (survey, reconcile) → [ fetch → parse → seal and store ]… → disconnect
                        pipeline/stock.py                  pipeline/intake.py: a checkpoint per batch
"""

import errno
import random
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta

import structlog
from django.db import DatabaseError
from django.utils import timezone
from structlog.contextvars import bound_contextvars

from accounts import grants, traces
from accounts.errors import ErrorType, SealBroken, SyncError
from accounts.events import Event
from diagnostics import vitals
from mail.fetch import Fetcher
from pipeline import retry, runs
from pipeline.examination import examine
from pipeline.intake import fetch_pending
from pipeline.models import AccountRun, JobType, Phase, PipelineJob
from pipeline.stock import take_stock
from pipeline.work import Leave, Watch, Work

log = structlog.stdlib.get_logger("mailhelper.runner")


def execute(
    claim: runs.Claim,
    account_key: bytes | None = None,
    stopping: Callable[[], bool] = lambda: False,
    watch: Watch = nullcontext,
) -> None:
    """The one way a claimed run is executed; how it ends or pauses stands in its row.

    `account_key` is given by a process that holds it. `stopping` says that this process wants to end.
    Each phase is executed within `watch(phase)`.
    """
    with bound_contextvars(run_id=claim.run_id, account_id=claim.account_id, **_who_waits(claim)):
        try:
            work = Work(runs.begin(claim), claim, stopping, watch)
            end(work, _attempt(work, account_key))
        except (runs.LeaseLost, AccountRun.DoesNotExist):  # of an account that is deleted there is none
            log.warning(Event.LEASE_LOST)  # another goes on from its checkpoint


def _who_waits(claim: runs.Claim) -> dict:
    jobs = list(PipelineJob.objects.filter(runs=claim.run_id).values_list("pk", "user_id"))
    return {"job_ids": [str(job_id) for job_id, _ in jobs], "user_id": jobs[0][1]} if jobs else {}


def _attempt(work: Work, account_key: bytes | None) -> Exception | None:
    """What went wrong, as a value: an exception chained to it would carry the server's words into a log."""
    try:
        work.open(account_key or grants.open_account_key(work.account, work.run.grant_id))
        story = sync if work.run.kind == JobType.FETCH else examine
        story(work)
    except Exception as error:  # whatever it is, the run ends with its name
        return error
    return None


def end(work: Work, error: Exception | None) -> None:
    """Put down how this attempt went: the run ends, or pauses until its next one. Raises LeaseLost."""
    work.spend()
    match error:
        case None:
            runs.succeed(work.claim, work.asked, **work.facts())
            log.info(Event.RUN_SUCCEEDED, kind=work.run.kind, mails=work.mails, linked=work.linked)
        case Leave(arrow="stopped"):
            runs.stop(work.claim, **work.facts())
        case Leave(arrow="yielded"):
            runs.give_turn(work.claim, **work.facts())
        case Leave():
            runs.release(work.claim, **work.facts())
        case runs.LeaseLost():
            raise error
        case _:
            fail(work, error)


def fail(work: Work, error: Exception) -> None:
    """Retry or end the run by the error's type; the words that came with it are sealed. Raises LeaseLost."""
    error_type, facts = _named(work, error)
    again = _next_try(work, error_type, facts)
    log.warning(Event.RUN_FAILED, kind=work.run.kind, error_type=error_type, facts=facts)
    known = {"error_facts": facts, "sealed_evidence": work.sealed_evidence(error), **work.facts()}
    if error_type == ErrorType.BUDGET:
        runs.skip(work.claim, error_type, work.budget.resumes_at, **known)
    elif error_type == ErrorType.NO_KEY:
        runs.skip(work.claim, error_type, **known)
    elif again and not again.new_run:
        runs.retry(work.claim, again.at, error_type, **known)
    else:
        runs.fail(work.claim, error_type, again.at if again else None, **known)


def _named(work: Work, error: Exception) -> tuple[ErrorType, dict]:
    """The error's type and facts; of a retry that only ran out of time, those of what it retried."""
    error_type, facts = classify(error)
    if error_type == ErrorType.TIMEOUT and work.deadline.passed() and work.run.retries:
        return ErrorType(work.run.error_type), work.run.error_facts
    return error_type, facts


def _next_try(work: Work, error_type: ErrorType, facts: dict) -> retry.Again | None:
    """None also for a diagnostics run: whoever asked asks again."""
    if work.run.kind != JobType.FETCH:
        return None
    row = AccountRun.objects.values("retries", "timeout_seconds", "started_at").get(pk=work.run.pk)
    limit, hint = row["timeout_seconds"], facts.get("backoff_seconds")
    return retry.decide(
        error_type,
        row["retries"],
        timezone.now(),
        jitter=random.random(),
        hint=timedelta(seconds=hint) if hint else None,
        refused_since=vitals.vitals_of(work.account).refused_since,
        ends_at=row["started_at"] + timedelta(seconds=limit) if limit else None,
    )


def classify(error: Exception) -> tuple[ErrorType, dict]:
    """The error's type and the facts that may stand in clear; never a word of a server or a mail."""
    match error:
        case SyncError():
            return error.error_type, error.facts
        case SealBroken():
            return ErrorType.NO_KEY, {"reason": "seal_broken"}
        case DatabaseError() | OSError() if _disk_is_full(error):
            return ErrorType.DISK_FULL, {}
        case DatabaseError() | OSError():
            return ErrorType.UNKNOWN, {"exception": type(error).__name__}
    return ErrorType.BUG, traces.named(error)


def _disk_is_full(error: Exception) -> bool:
    return getattr(error, "errno", None) == errno.ENOSPC or "disk is full" in str(error)


def sync(work: Work) -> None:
    """Bring one account's ledger and store up to date, within the run's limits.

    Raises what went wrong; whatever was stored before that stays.
    """
    try:
        if work.deadline.passed():
            raise SyncError(ErrorType.TIMEOUT)
        _sync(work)
    except SyncError as error:
        if error.error_type != ErrorType.TIMEOUT or not work.deadline.passed():
            raise
        if not (work.mails or work.linked):
            raise SyncError(ErrorType.TIMEOUT, error.evidence, own_limit=True) from error
        # the run's time is over and it has something to show: that is a success, the rest stays pending


def _sync(work: Work) -> None:
    with work.phase(Phase.CONNECT):
        session = work.connect()
        vitals.note_certificate(work.account, session.certificate_expires_at)
    fetcher = Fetcher(session, work.connect, work.deadline)
    try:
        with work.phase(Phase.FOLDER_LIST):
            folders = take_stock(work, fetcher)
        fetch_pending(work, fetcher, folders)
    finally:
        with work.timed(Phase.DISCONNECT):  # the phase shown stays the one in which a run failed
            fetcher.session.close()
    if work.bug:
        raise work.bug
    if work.refused:
        raise _of_a_folder(work.refused) if folders else work.refused


def _of_a_folder(error: SyncError) -> SyncError:
    """The same, marked: the other folders were synced."""
    return SyncError(error.error_type, error.evidence, **error.facts, partial=True)
