"""Who may start now: caps and circuit breakers of accounts and mail servers, and what an end does to them.

Called inside the transitions of pipeline/runs.py, with the run's row locked before the server's.
"""

from collections import Counter
from datetime import datetime, timedelta
from enum import Enum

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.errors import REFUSALS, ErrorType
from accounts.models import MailAccount, RemoteHost
from diagnostics import vitals
from diagnostics.models import AccountHealth
from mail.queries import backlog
from pipeline import breaker, checkup, schedule
from pipeline.breaker import Breaker, Failure, State
from pipeline.models import AccountRun, JobType, Phase, RunStatus

RAISE_CAP_AFTER = timedelta(minutes=10)

LOWER_CAP_EVERY = timedelta(minutes=1)

_OF_THE_SERVER = frozenset({ErrorType.THROTTLED, ErrorType.TOO_MANY_CONNECTIONS})
_NOT_THE_ACCOUNTS = frozenset({ErrorType.NO_KEY, ErrorType.DISK_FULL, ErrorType.BUDGET})
_NOT_THE_SERVERS = (
    REFUSALS
    | _NOT_THE_ACCOUNTS
    | {ErrorType.PRIVATE_HOST, ErrorType.BUG, ErrorType.UNKNOWN, ErrorType.WORKER_LOST}
)


class Verdict(Enum):
    GO = "go"
    WAIT = "wait"
    BREAKER_OPEN = ErrorType.BREAKER_OPEN
    PAUSED = ErrorType.PAUSED


def admit(run: AccountRun) -> Verdict:
    """Whether a pending run may be claimed now. One that goes while a breaker is half-open is its probe.

    Breakers refuse a run only before its first attempt: a probe may retry, yield and be taken over.
    """
    account, now = run.account, timezone.now()
    if run.kind != JobType.FETCH:
        return Verdict.GO
    if not run.try_now and not account.enabled:
        return Verdict.PAUSED
    host = locked_host(account)
    row = vitals.locked(account)
    states = {_of_row(row).state(now), breaker_of(host).state(now)}
    if not run.attempt and not run.try_now and State.OPEN in states:
        return Verdict.BREAKER_OPEN
    if connections_in_use(host) >= cap_of(host):
        return Verdict.WAIT
    _use_up_probes(row, host, now)
    return Verdict.GO


def _use_up_probes(row: AccountHealth, host: RemoteHost, now: datetime) -> None:
    """This run is what was waited for: no other one starts for the same reason."""
    of_account, of_host = _of_row(row), breaker_of(host)
    if of_host.state(now) == State.HALF_OPEN:
        _store(host, of_host.probing(now))
    if of_account.state(now) == State.HALF_OPEN:
        _put(row, of_account.probing(now))
        row.save()
    elif row.probe_at and row.probe_at <= now:
        row.probe_at = None
        row.save()


def why_it_rests(account: MailAccount) -> dict:
    """Of an open breaker: the account's last error, and when the next run is let through."""
    now, row = timezone.now(), vitals.vitals_of(account)
    both = [_of_row(row), breaker_of(locked_host(account))]
    probe_at = max(one.probe_at for one in both if one.state(now) == State.OPEN)
    return {"error_facts": {"cause": row.last_error_type}, "retry_at": probe_at}


def note_success(run: AccountRun, now: datetime) -> None:
    if run.kind != JobType.FETCH:
        return
    host = locked_host(run.account)
    _close(host)
    if host.connection_cap is not None and now - host.cap_lowered_at >= RAISE_CAP_AFTER:
        host.connection_cap = raised(host.connection_cap, settings.MAILHELPER_CONNECTIONS_PER_HOST)
        host.cap_lowered_at = now if host.connection_cap else None
        host.save()
    row = vitals.locked(run.account)
    _put(row, breaker.CLOSED)
    vitals.note_success(row, now)
    vitals.note_backlog(row, now, *backlog(run.account))
    row.save()
    checkup.look(run.account, now, run.pk)


def note_error(run: AccountRun, error_type: str) -> None:
    """What an error means for its server, whether or not the run goes on."""
    if run.kind != JobType.FETCH or error_type != ErrorType.TOO_MANY_CONNECTIONS:
        return
    host, now = locked_host(run.account), timezone.now()
    lately = host.cap_lowered_at and now - host.cap_lowered_at < LOWER_CAP_EVERY
    in_use = connections_in_use(host)
    if in_use > 1 and not lately:  # alone, it was the mailbox's other programs that were too many
        host.connection_cap, host.cap_lowered_at = lowered(cap_of(host), in_use), now
        host.save()


def note_failure(
    run: AccountRun, now: datetime, error_type: str, retry_at: datetime | None, facts: dict | None = None
) -> datetime | None:
    """Put a failed run down. Returns when the next run by itself may try, if not by the schedule.

    Failures by settings that were replaced meanwhile are nobody's. Diagnostics count for nothing.
    """
    if run.kind != JobType.FETCH:
        return None
    if run.started_at and run.started_at < run.account.connection_changed_at:
        return None
    host, facts = locked_host(run.account), facts or {}
    row = vitals.locked(run.account)
    partial = error_type == ErrorType.MAILBOX_GONE or bool(facts.get("partial"))
    if _was_let_in(run, error_type):
        _close(host)
    if partial:  # the other folders were synced
        _put(row, breaker.CLOSED)
        row.refused_since, row.last_partial_at = None, now
    if retry_at:
        row.paused_until = retry_at
    if _says_something(error_type, facts):
        vitals.note_failure(row, now, error_type, facts)
        vitals.note_attempt(row, now, error_type)
    if error_type not in _NOT_THE_ACCOUNTS and not partial and not facts.get("own_limit"):
        retry_at = _count(run, row, host, Failure(now, str(run.account_id)), error_type, retry_at)
    row.save()
    checkup.look(run.account, now, run.pk)
    return retry_at


def _says_something(error_type: str, facts: dict) -> bool:
    """Of the account: not a run that used up its time or its budget, or was never given a key."""
    return not (facts.get("own_limit") or facts.get("reason") == "no_grant" or error_type == ErrorType.BUDGET)


def _was_let_in(run: AccountRun, error_type: str) -> bool:
    return run.phase not in ("", Phase.CONNECT) and error_type not in _OF_THE_SERVER


def _count(
    run: AccountRun,
    row: AccountHealth,
    host: RemoteHost,
    failure: Failure,
    error_type: str,
    retry_at: datetime | None,
) -> datetime | None:
    window = breaker.window(schedule.interval_of(run.account))
    if error_type in _OF_THE_SERVER or not (_was_let_in(run, error_type) or error_type in _NOT_THE_SERVERS):
        _note_host_failure(run, host, failure, window)
    vitals.note_refusal(row, failure.at, error_type)
    after = _of_row(row)
    if not (after.opened_at and run.try_now):  # a person's impatience does not slow the probes down
        after = after.failed(failure, window)
    if error_type in REFUSALS and retry_at is None and not after.opened_at:
        after = after.open(failure.at)  # refused, and confirmed
    _put(row, after)
    row.probe_at = max(filter(None, (after.probe_at if after.opened_at else None, retry_at)), default=None)
    return row.probe_at


def _note_host_failure(run: AccountRun, host: RemoteHost, failure: Failure, window: timedelta) -> None:
    before = breaker_of(host)
    if before.opened_at and run.try_now:
        return
    neighbours = MailAccount.objects.filter(host_key=host.host_key)[:2].count()
    _store(host, before.failed(failure, window, accounts=min(neighbours, 2)))


def _close(host: RemoteHost) -> None:
    if host.failures or host.breaker_opened_at:
        _store(host, breaker.CLOSED)


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


def full_hosts() -> list[bytes]:
    """The keys of mail servers at their cap."""
    live = AccountRun.objects.filter(status=RunStatus.RUNNING, lease_until__gt=timezone.now())
    in_use = Counter(bytes(key) for key in live.values_list("account__host_key", flat=True))
    hosts = RemoteHost.objects.filter(host_key__in=in_use)
    return [bytes(host.host_key) for host in hosts if in_use[bytes(host.host_key)] >= cap_of(host)]


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
    return _of_row(vitals.vitals_of(account))


def _of_row(row: AccountHealth) -> Breaker:
    failures = tuple(Failure(datetime.fromisoformat(at), str(row.account_id)) for at in row.failures)
    return Breaker(failures, row.breaker_opened_at, row.probe_at, row.failed_probes)


def _put(row: AccountHealth, state: Breaker) -> None:
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
