"""Every transition of a run, each guarded in the database; docs/states.md draws them.

A run is claimed by one conditional UPDATE that raises its fence. Whoever writes for a run shows the fence
it claimed with; zero rows mean that the run belongs to another by now.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from accounts import grants
from accounts.errors import ErrorType, MailhelperError
from accounts.models import GrantEnd, GrantPurpose, KeyGrant, MailAccount
from pipeline import gate, jobs, rollups, slowness
from pipeline.identity import has_died, this_process
from pipeline.models import (
    JOB_OPEN,
    RUN_ACTIVE,
    AccountRun,
    JobEvent,
    JobRun,
    JobType,
    PipelineJob,
    RunStatus,
)
from pipeline.states import RUN_ARROWS

LAPSES_THAT_LOSE = 3
_LET_GO = {"owner": "", "lease_until": None}


class LeaseLost(MailhelperError):
    """The run is another's now: whoever sees this stops writing."""


@dataclass(frozen=True)
class Claim:
    """`kept`: by a process that holds the account's key; the run stays with it between its attempts."""

    run_id: UUID
    fence: int
    account_id: UUID
    kept: bool = False


@dataclass(frozen=True)
class Asked:
    """What is asked of a run. None for a limit means unbounded, for the folder all of them."""

    max_mails: int | None = None
    timeout_seconds: int | None = None
    priority: int = 0
    try_now: bool = False
    folder_id: UUID | None = None


def join_or_create(job: PipelineJob, account: MailAccount, asked: Asked) -> AccountRun:
    """The account's active run, widened to what is asked, or a new one."""
    while True:
        run = _create(account, job.type, asked)
        if run is None:
            run = account.runs.filter(kind=job.type, status__in=RUN_ACTIVE).select_for_update().first()
            if run is None:
                continue  # it ended between our look and our try
            _widen(run, asked)
        JobRun.objects.get_or_create(job=job, run=run)
        if run.status == RunStatus.RUNNING:
            jobs.start(job.pk)
        return run


def _create(account: MailAccount, kind: str, asked: Asked) -> AccountRun | None:
    try:
        with transaction.atomic():
            run = AccountRun.objects.create(account=account, kind=kind, **vars(asked))
    except IntegrityError:
        return None
    JobEvent.objects.create(run=run, arrow="created", after=run.status)
    return run


def _widen(run: AccountRun, asked: Asked) -> None:
    """The larger of both limits; a wish of now takes no account of a retry's waiting time."""
    run.max_mails = _larger(run.max_mails, asked.max_mails)
    run.timeout_seconds = _larger(run.timeout_seconds, _from_now(run, asked.timeout_seconds))
    run.priority = max(run.priority, asked.priority)
    run.try_now = run.try_now or asked.try_now
    run.folder_id = run.folder_id if run.folder_id == asked.folder_id else None
    run.cancel_asked = False
    if asked.try_now:
        run.run_after = min(run.run_after, timezone.now())
    run.save(
        update_fields=[
            "max_mails",
            "timeout_seconds",
            "priority",
            "try_now",
            "folder",
            "cancel_asked",
            "run_after",
        ]
    )


def _from_now(run: AccountRun, seconds: int | None) -> int | None:
    """As a run's time counts from its start: so many seconds from now."""
    if seconds is None or run.started_at is None:
        return seconds
    return seconds + math.ceil((timezone.now() - run.started_at).total_seconds())


def _larger(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else max(one, other)


def ask_for_another_look(account: MailAccount) -> None:
    """A run that is being executed may have passed what was just asked for: it goes on after its end.

    Call it first in the wish's transaction: it locks the run, also one that is claimed meanwhile.
    """
    account.runs.filter(kind=JobType.FETCH, status__in=RUN_ACTIVE).update(look_again=True)


def give_grant(run: AccountRun, account_key: bytes) -> None:
    """A job grant for this run, unless it has one already."""
    if run.grant_id is None or not grants.valid_grants().filter(pk=run.grant_id).exists():
        run.grant = grants.grant(run.account, account_key, GrantPurpose.JOB)
        run.save(update_fields=["grant"])


def keep(run_ids: Iterable[UUID]) -> None:
    """Keep pending runs for this process, which holds their keys; it has to say so again within the lease."""
    free = Q(owner="") | Q(owner=this_process())
    pending = AccountRun.objects.filter(free, pk__in=list(run_ids), status=RunStatus.PENDING)
    pending.update(owner=this_process(), lease_until=_lease_end())


def _claimable() -> Q:
    now = timezone.now()
    free = Q(owner="") | Q(owner=this_process()) | Q(lease_until__lt=now)
    return free & Q(status=RunStatus.PENDING, run_after__lte=now)


def claim(run_id: UUID, kept: bool = False) -> Claim | None:
    """Take a due, pending run. None when there is nothing to take now, or when it may not run at all."""
    with transaction.atomic():
        rows = AccountRun.objects.select_for_update(of=("self",)).select_related("account__user")
        run = rows.filter(_claimable(), pk=run_id).first()
        if run is None or (verdict := gate.admit(run)) == gate.Verdict.WAIT:
            return None
        if verdict != gate.Verdict.GO:
            _refuse(run, verdict.value)
            return None
        fields = {"owner": this_process(), "fence": run.fence + 1, "lease_until": _lease_end()}
        _take("claimed", AccountRun.objects.filter(pk=run_id), attempt=F("attempt") + 1, **fields)
        for job_id in _jobs_of(run_id):
            jobs.start(job_id)
    return Claim(run_id, run.fence + 1, run.account_id, kept)


def _refuse(run: AccountRun, error_type: ErrorType) -> None:
    why = gate.why_it_rests(run.account) if error_type == ErrorType.BREAKER_OPEN else {}
    _end("refused", AccountRun.objects.filter(pk=run.pk), error_type=error_type, **why)


def begin(claim: Claim) -> AccountRun:
    """The claimed run as it is executed: its time runs from the first attempt. Raises LeaseLost."""
    hold(claim, started_at=Coalesce("started_at", timezone.now()), look_again=False)
    return AccountRun.objects.select_related("account__user__vault").get(pk=claim.run_id)


def _lease_end() -> datetime:
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


def succeed(claim: Claim, seen: tuple[int | None, int | None, UUID | None], **facts) -> None:
    """End the run well, or go on when somebody asked meanwhile for more than it has seen.

    `seen` is max_mails, timeout_seconds and folder. Raises LeaseLost.
    """
    with transaction.atomic():
        run = _locked(claim)
        if run.look_again or (run.max_mails, run.timeout_seconds, run.folder_id) != seen:
            return _pause("widened", claim, timezone.now(), **facts)
        gate.note_success(run, timezone.now())
        _end("succeeded", _held(claim), error_type="", **facts)
        slowness.look(run)


def fail(claim: Claim, error_type: ErrorType, retry_at: datetime | None, **facts) -> None:
    """`retry_at` is when a new run should confirm it. Raises LeaseLost."""
    _end_badly("failed", claim, error_type, retry_at, facts)


def skip(claim: Claim, error_type: ErrorType, retry_at: datetime | None = None, **facts) -> None:
    """The run could not even begin (no_key), or has to pause (budget). Raises LeaseLost."""
    _end_badly("skipped", claim, error_type, retry_at, facts)


def _end_badly(arrow: str, claim: Claim, error_type, retry_at, facts) -> None:
    with transaction.atomic():
        run = _locked(claim)
        run.phase = facts.get("phase", run.phase)
        gate.note_error(run, error_type)
        retry_at = gate.note_failure(run, timezone.now(), error_type, retry_at, facts.get("error_facts"))
        _end(arrow, _held(claim), error_type=error_type, retry_at=retry_at, **facts)


def stop(claim: Claim, **facts) -> None:
    """Nobody waits for this run any more, or somebody does again by now. Raises LeaseLost."""
    with transaction.atomic():
        if not _locked(claim).cancel_asked:
            return _pause("widened", claim, timezone.now(), **facts)
        _end("stopped", _held(claim), **facts)


def retry(claim: Claim, at: datetime, error_type: ErrorType, **facts) -> None:
    """Try again within the same run. Raises LeaseLost."""
    with transaction.atomic():
        run = _locked(claim)
        gate.note_error(run, error_type)
        more = {"error_type": error_type, "retries": F("retries") + 1}
        _pause("retried", claim, at, reason=error_type, **more, **facts)
        for job_id in _jobs_of(claim.run_id):
            jobs.wait(job_id)
        rollups.count(claim.run_id, "retried")


def give_turn(claim: Claim, **facts) -> None:
    """Let others have their turn; from now on the run is one of many. Raises LeaseLost."""
    with transaction.atomic():
        _locked(claim)
        _pause("yielded", claim, timezone.now(), priority=0, **facts)


def _pause(arrow: str, claim: Claim, until: datetime, **fields) -> None:
    if not claim.kept:
        fields |= _LET_GO
    _take(arrow, _held(claim), run_after=until, **fields)


def release(claim: Claim, **facts) -> bool:
    """Give the run back, so that the next one need not wait for the lease. False when it was lost."""
    return _take("released", _held(claim), **_LET_GO, **facts)


def release_own(run_id: UUID) -> None:
    """Release a run that a thread of this process executes, which then finds its lease lost."""
    _take("released", AccountRun.objects.filter(pk=run_id, owner=this_process()), **_LET_GO)


def ask_to_stop(run_id: UUID) -> None:
    """Withdraw a run for which no job waits any more; one that is being executed stops within a batch."""
    with transaction.atomic():
        run = AccountRun.objects.select_for_update().filter(pk=run_id, status__in=RUN_ACTIVE).first()
        if run is None or run.jobs.filter(status__in=JOB_OPEN).exists():
            return
        rows = AccountRun.objects.filter(pk=run_id)
        if run.status == RunStatus.PENDING:
            _end("withdrawn", rows)
        else:
            rows.update(cancel_asked=True)


def free_lapsed() -> list[UUID]:
    """Let go of every run, and of pending ones that were kept, whose lease lapsed or whose process died.

    Returns those that may be claimed now.
    """
    now, freed = timezone.now(), []
    owned = AccountRun.objects.exclude(owner="").filter(status__in=RUN_ACTIVE)
    for run_id, owner, lease_until in owned.values_list("pk", "owner", "lease_until"):
        if (lease_until < now or has_died(owner)) and _free(run_id, owner, lease_until):
            freed.append(run_id)
    return freed


def _free(run_id: UUID, owner: str, lease_until: datetime) -> bool:
    with transaction.atomic():
        rows = AccountRun.objects.filter(pk=run_id, owner=owner, lease_until=lease_until)
        run = rows.select_for_update(of=("self",)).select_related("account__user").first()
        if run is None:
            return False
        if run.status == RunStatus.PENDING:
            return rows.update(**_LET_GO) > 0
        if run.lapses + 1 < LAPSES_THAT_LOSE:
            lapsed = _take("lapsed", rows, lapses=F("lapses") + 1, **_LET_GO)
            rollups.count(run_id, "lapsed")
            return lapsed
        retry_at = gate.note_failure(run, timezone.now(), ErrorType.WORKER_LOST, None)
        _end("lost", rows, error_type=ErrorType.WORKER_LOST, retry_at=retry_at)
        return False


def waiting(limit: int, unanswered_for: timedelta = timedelta(0)) -> list[tuple[UUID, int]]:
    """Runs whose turn it is, with their priority: due, pending, nobody's, their server not at its cap."""
    due = AccountRun.objects.filter(_claimable(), owner="", run_after__lte=timezone.now() - unanswered_for)
    due = due.exclude(account__host_key__in=gate.full_hosts())
    return list(due.order_by("-priority", "run_after").values_list("pk", "priority")[:limit])


def _locked(claim: Claim) -> AccountRun:
    rows = _held(claim).select_for_update(of=("self",)).select_related("account__user")
    if (run := rows.first()) is None:
        raise LeaseLost
    return run


def _jobs_of(run_id: UUID) -> list[UUID]:
    return list(PipelineJob.objects.filter(runs=run_id).order_by("pk").values_list("pk", flat=True))


def _end(arrow: str, rows, **facts) -> None:
    """Along an arrow that ends a run: its job grant ends, and its jobs if they waited for nothing else."""
    run_id, grant_id = rows.values_list("pk", "grant_id").get()
    _take(arrow, rows, ended_at=timezone.now(), reason=facts.get("error_type", ""), **_LET_GO, **facts)
    grants.revoke(KeyGrant.objects.filter(pk=grant_id, purpose=GrantPurpose.JOB), GrantEnd.USED)
    for job_id in _jobs_of(run_id):
        jobs.close(job_id)
    rollups.count(run_id, arrow)


def _take(arrow: str, rows, *, reason: str = "", **fields) -> bool:
    """Move a run along an arrow. False when it does not stand where the arrow starts."""
    before, after = RUN_ARROWS[arrow]
    with transaction.atomic():
        run_id = rows.filter(status=before).values_list("pk", flat=True).first()
        if run_id is None or not rows.filter(status=before).update(status=after, **fields):
            return False
        JobEvent.objects.create(run_id=run_id, arrow=arrow, before=before, after=after, reason=reason)
        return True
