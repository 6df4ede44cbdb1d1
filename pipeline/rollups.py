"""Sums of what syncs came to, by hour and by day: written as attempts end, so that figures need no run."""

from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from accounts.errors import ErrorType
from pipeline.figures import histogram, operations_of
from pipeline.models import RUN_ACTIVE, AccountRun, Granularity, JobType, Rollup, RunStatus
from pipeline.tally import Tally, total

KEPT = {Granularity.HOUR: timedelta(hours=48), Granularity.DAY: timedelta(days=400)}

ROWS_AT_ONCE = 500  # parsed; ten thousand at once took a sixth longer

_FAILS = {"retried", "lapsed", "failed", "lost", "skipped"}
_PAUSES = {ErrorType.BUDGET, ErrorType.PAUSED}
_FIELDS = tuple(field.name for field in fields(Tally))


def count(run_id: UUID, arrow: str) -> None:
    """Add what the arrow, which was just taken, brought. Last in its transaction: rollups are locked last."""
    run = AccountRun.objects.get(pk=run_id)
    tally = total([attempt_of(arrow, run.error_type), run_of(run)])
    if run.kind == JobType.FETCH and tally != Tally():
        for granularity in Granularity:
            _add(run.account_id, granularity, timezone.now(), tally)


def attempt_of(arrow: str, error_type: str) -> Tally:
    """Pure: whether an attempt succeeded or failed by this arrow. A pause or a cancellation is neither."""
    if arrow == "succeeded":
        return Tally(attempts=1, successes=1)
    if arrow not in _FAILS or (arrow == "skipped" and error_type in _PAUSES):
        return Tally()
    error_type = ErrorType.WORKER_LOST if arrow == "lapsed" else error_type
    return Tally(attempts=1, errors={str(error_type): 1})


def run_of(run: AccountRun) -> Tally:
    """Pure: a run with all its attempts, once it has ended."""
    if run.status in RUN_ACTIVE:
        return Tally()
    seconds = {phase: spent for phase, spent in run.phase_seconds.items() if spent}
    done = run.status == RunStatus.SUCCESS
    operations = operations_of(seconds, run.emails_fetched, run.attempt) if done else {}
    return Tally(
        mails=run.emails_fetched,
        linked=run.emails_linked,
        bytes=run.bytes_done,
        seconds=seconds,
        phases={phase: histogram([spent]) for phase, spent in seconds.items()},
        operations={str(operation): histogram([spent]) for operation, spent in operations.items()},
    )


def start_of(granularity: Granularity, at: datetime) -> datetime:
    at = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return at.replace(hour=0) if granularity == Granularity.DAY else at


def _add(account_id: UUID, granularity: Granularity, at: datetime, tally: Tally) -> None:
    rows = Rollup.objects.select_for_update()
    row, _ = rows.get_or_create(
        account_id=account_id, granularity=granularity, start=start_of(granularity, at)
    )
    before = Tally(**{name: getattr(row, name) for name in _FIELDS})
    for name, value in vars(total([before, tally])).items():
        setattr(row, name, value)
    row.save(update_fields=_FIELDS)


def tallies_of(rows: QuerySet[Rollup]) -> Iterator[tuple[UUID, str, str, Tally]]:
    """Id, name and provider of the account, and what it came to; an account may come several times."""
    names = "account_id", "account__label", "account__provider", *_FIELDS
    for row in rows.values_list(*names).iterator(ROWS_AT_ONCE):
        yield *row[:3], Tally(*row[3:])


def tallies_by_day(rows: QuerySet[Rollup]) -> dict[tuple[UUID, date], Tally]:
    found = rows.values_list("account_id", "start", *_FIELDS).iterator(ROWS_AT_ONCE)
    return {(whose, start.astimezone(UTC).date()): Tally(*fields) for whose, start, *fields in found}


def prune() -> None:
    for granularity, kept in KEPT.items():
        oldest = start_of(granularity, timezone.now() - kept)
        Rollup.objects.filter(granularity=granularity, start__lt=oldest).delete()
