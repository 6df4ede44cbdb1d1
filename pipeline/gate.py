"""Who may start now: caps and circuit breakers of accounts and mail servers, and what an end does to them.

Called inside the transitions of pipeline/runs.py, with the run's row locked before the server's.
"""

from datetime import datetime, timedelta
from enum import Enum

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.errors import REFUSALS, ErrorType
from accounts.models import MailAccount, RemoteHost
from diagnostics import health
from pipeline import breaker, schedule
from pipeline.breaker import Breaker, Failure, State
from pipeline.models import AccountRun, JobType, Phase, RunStatus

RAISE_CAP_AFTER = timedelta(minutes=10)

# These say nothing about the account or its server; a mailbox with one odd folder was synced all the same.
_NOT_COUNTED = frozenset({ErrorType.NO_KEY, ErrorType.DISK_FULL, ErrorType.MAILBOX_GONE})
_OF_THE_SERVER = frozenset({ErrorType.THROTTLED, ErrorType.TOO_MANY_CONNECTIONS})
_OUR_OWN = frozenset({ErrorType.BUG, ErrorType.WORKER_LOST})


class Verdict(Enum):
    GO = "go"
    WAIT = "wait"
    BREAKER_OPEN = ErrorType.BREAKER_OPEN
    PAUSED = ErrorType.PAUSED


def admit(run: AccountRun) -> Verdict:
    """Whether a pending run may be claimed now. One that goes while a breaker is half-open is its probe."""
    account, now = run.account, timezone.now()
    if run.kind != JobType.FETCH:
        return Verdict.GO
    if not run.try_now and not account.enabled:
        return Verdict.PAUSED
    host = locked_host(account)
    of_host = breaker_of(host)
    if not run.try_now and (of_account(account).state(now) == State.OPEN or of_host.state(now) == State.OPEN):
        return Verdict.BREAKER_OPEN
    if connections_in_use(host) >= cap_of(host):
        return Verdict.WAIT
    if of_host.state(now) == State.HALF_OPEN:
        _store(host, of_host.probing(now))
    return Verdict.GO


def open_until(account: MailAccount) -> datetime | None:
    """When the open breaker of an account or of its server lets the next run through; None if closed."""
    now = timezone.now()
    host = RemoteHost.objects.filter(host_key=account.host_key).first()
    both = [of_account(account), breaker_of(host) if host else breaker.CLOSED]
    return max((one.probe_at for one in both if one.state(now) == State.OPEN), default=None)


def note_success(run: AccountRun, now: datetime) -> None:
    host = locked_host(run.account)
    if host.failures or host.breaker_opened_at:
        _store(host, breaker.CLOSED)
    if host.connection_cap is not None and now - host.cap_lowered_at >= RAISE_CAP_AFTER:
        host.connection_cap = raised(host.connection_cap, settings.MAILHELPER_CONNECTIONS_PER_HOST)
        host.cap_lowered_at = now if host.connection_cap else None
        host.save()
    row = health.facts_of(run.account)
    _put(row, breaker.CLOSED)
    health.note_success(row, now)


def note_error(run: AccountRun, error_type: str) -> None:
    """What an error means for its server, whether or not the run goes on."""
    if error_type == ErrorType.TOO_MANY_CONNECTIONS:
        host = locked_host(run.account)
        host.connection_cap = lowered(cap_of(host), connections_in_use(host))
        host.cap_lowered_at = timezone.now()
        host.save()


def note_failure(
    run: AccountRun, now: datetime, error_type: str, retry_at: datetime | None
) -> datetime | None:
    """Count a failed run. Returns when the next run by itself may try, if not by the schedule."""
    row = health.facts_of(run.account)
    if error_type == ErrorType.BUDGET:
        row.probe_at = retry_at
        row.save()
        return retry_at
    was_open = row.breaker_opened_at is not None
    health.note_failure(row, now, error_type)
    if error_type in _NOT_COUNTED:
        return retry_at
    health.note_refusal(row, now, error_type)
    failure = Failure(now, str(run.account_id))
    window = breaker.window(schedule.interval_of(run.account))
    if _counts_for_host(run, error_type):
        _note_host_failure(run, failure, window)
    after = _of_row(row)
    if not (was_open and run.try_now):  # a person's impatience does not slow the probes down
        after = after.failed(failure, window)
    if error_type in REFUSALS and retry_at is None and not after.opened_at:
        after = after.open(now)  # refused, and confirmed
    _put(row, after)
    if not after.opened_at:
        row.probe_at = retry_at
    row.save()
    return row.probe_at


def _counts_for_host(run: AccountRun, error_type: str) -> bool:
    before_login = run.phase in ("", Phase.CONNECT) and error_type not in REFUSALS | _OUR_OWN
    return before_login or error_type in _OF_THE_SERVER


def _note_host_failure(run: AccountRun, failure: Failure, window: timedelta) -> None:
    host = locked_host(run.account)
    before = breaker_of(host)
    if before.opened_at and run.try_now:
        return
    neighbours = MailAccount.objects.filter(host_key=host.host_key)[:2].count()
    _store(host, before.failed(failure, window, accounts=min(neighbours, 2)))


def locked_host(account: MailAccount) -> RemoteHost:
    rows = RemoteHost.objects.select_for_update().filter(host_key=account.host_key)
    if (host := rows.first()) is None:
        try:
            with transaction.atomic():
                RemoteHost.objects.create(host_key=account.host_key)
        except IntegrityError:
            pass  # another was faster
        host = rows.get()
    return host


def connections_in_use(host: RemoteHost) -> int:
    live = AccountRun.objects.filter(status=RunStatus.RUNNING, lease_until__gt=timezone.now())
    return live.filter(account__host_key=host.host_key).count()


def cap_of(host: RemoteHost) -> int:
    configured = settings.MAILHELPER_CONNECTIONS_PER_HOST
    return configured if host.connection_cap is None else min(host.connection_cap, configured)


def lowered(cap: int, in_use: int) -> int:
    """The cap after the server refused a connection while `in_use` were counted, that one included."""
    return max(1, min(cap, in_use) - 1)


def raised(cap: int, configured: int) -> int | None:
    """One step up; None when that is as configured."""
    return cap + 1 if cap + 1 < configured else None


def of_account(account: MailAccount) -> Breaker:
    return _of_row(health.facts_of(account))


def _of_row(row: health.AccountHealth) -> Breaker:
    failures = tuple(Failure(datetime.fromisoformat(at), str(row.account_id)) for at in row.failures)
    return Breaker(failures, row.breaker_opened_at, row.probe_at, row.failed_probes)


def _put(row: health.AccountHealth, state: Breaker) -> None:
    row.failures = [failure.at.isoformat() for failure in state.failures]
    row.breaker_opened_at, row.probe_at = state.opened_at, state.probe_at
    row.failed_probes = state.failed_probes


def breaker_of(host: RemoteHost) -> Breaker:
    failures = tuple(Failure(datetime.fromisoformat(at), account) for at, account in host.failures)
    return Breaker(failures, host.breaker_opened_at, host.probe_at, host.failed_probes)


def _store(host: RemoteHost, state: Breaker) -> None:
    host.failures = [[failure.at.isoformat(), failure.account] for failure in state.failures]
    host.breaker_opened_at, host.probe_at = state.opened_at, state.probe_at
    host.failed_probes = state.failed_probes
    host.save()
