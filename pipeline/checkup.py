"""How well accounts are: their facts out of the rows, in a handful of queries, and each change put down."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from django.db import transaction

from accounts import grants, traces
from accounts.events import Event
from accounts.models import GrantEnd, KeyGrant, MailAccount, RemoteHost
from diagnostics import vitals
from diagnostics.health import Background, Facts, assess
from diagnostics.models import AccountHealth, HealthFlip, Status
from pipeline.budget import Budget
from pipeline.heartbeats import LONG_PAUSE
from pipeline.models import RUN_ACTIVE, AccountRun, Heartbeat, JobType, Phase, RunStatus
from pipeline.schedule import interval_of, next_due_of

log = structlog.stdlib.get_logger("mailhelper.checkup")


def look(account: MailAccount, now: datetime, run_id: UUID | None = None) -> HealthFlip | None:
    """Put down how the account is after what just happened; call it with its health row locked.

    `run_id` is the run that ends in this transaction.
    """
    row = AccountHealth.objects.get(account=account)
    vitals.begin_anew(row, account)
    facts = facts_of([account], now, ending=run_id)[account.pk]
    return vitals.put_down(row, assess(facts, now), now, _figures(facts), run_id)


def look_at_all(now: datetime) -> list[HealthFlip]:
    """What time alone has changed: overdue, without success for too long, about to expire."""
    accounts = {account.pk: account for account in MailAccount.objects.select_related("user")}
    found = facts_of(accounts.values(), now)
    changed = [pk for pk, facts in found.items() if assess(facts, now).status != facts.status]
    return [flip for pk in changed if (flip := _look_again(accounts[pk], now))]


def _look_again(account: MailAccount, now: datetime) -> HealthFlip | None:
    try:
        with transaction.atomic():
            vitals.locked(account)
            return look(account, now)
    except Exception as error:  # such as of an account that is just removed; the others have their turn
        log.error(Event.HEALTH_NOT_NOTED, **account.in_log, **traces.named(error))
        return None


def _figures(facts: Facts) -> dict:
    last, following = facts.last_success_at, facts.next_attempt
    return {
        "failures": facts.failures,
        "attempts": len(facts.attempts),
        "last_error_type": facts.last_error_type,
        "last_success_at": last and last.isoformat(),
        "next_attempt": following and following.isoformat(),
    }


@dataclass(frozen=True)
class Known:
    """What a page has read already: each account's newest fetch run and health, and the tick."""

    runs: Mapping[UUID, AccountRun]
    health: Mapping[UUID, AccountHealth]
    tick: Heartbeat | None


def read(accounts: list[MailAccount], ending: UUID | None = None) -> Known:
    active = AccountRun.objects.filter(account__in=accounts, kind=JobType.FETCH, status__in=RUN_ACTIVE)
    return Known(
        runs={run.account_id: run for run in active.exclude(pk=ending)},
        health={row.account_id: row for row in AccountHealth.objects.filter(account__in=accounts)},
        tick=Heartbeat.objects.filter(name=Heartbeat.TICK).first(),
    )


def facts_of(
    accounts: Iterable[MailAccount],
    now: datetime,
    ending: UUID | None = None,
    known: Known | None = None,
) -> dict[UUID, Facts]:
    """The facts of these accounts, which come with their users."""
    accounts = list(accounts)
    known = known or read(accounts, ending)
    given = grants.last_background_grants(accounts)
    keys = {account.host_key for account in accounts}
    resting = RemoteHost.objects.filter(host_key__in=keys, breaker_opened_at__isnull=False)
    resting_keys = {bytes(key) for key in resting.values_list("host_key", flat=True)}
    runs = {account_id: run for account_id, run in known.runs.items() if run.status in RUN_ACTIVE}
    ticks_since = known.tick.since if known.tick and now - known.tick.at <= LONG_PAUSE else now
    return {
        account.pk: _facts(
            account,
            vitals.of_this_connection(
                known.health.get(account.pk) or AccountHealth(account_id=account.pk, since=now), account
            ),
            given.get(account.pk),
            bytes(account.host_key) in resting_keys,
            runs.get(account.pk),
            ticks_since,
            now,
        )
        for account in accounts
    }


def _facts(
    account: MailAccount,
    row: AccountHealth,
    given: KeyGrant | None,
    server_rests: bool,
    run: AccountRun | None,
    ticks_since: datetime,
    now: datetime,
) -> Facts:
    background = _background(given, now)
    budget = Budget.of(account)
    resumes_at = budget.resumes_at if budget.is_used_up else None
    watched = [account.connection_changed_at, account.schedule_changed_at, ticks_since]
    synced = [moment for moment in (row.last_success_at, row.last_partial_at) if moment]
    rests = server_rests or budget.is_used_up or (row.probe_at is not None and row.probe_at > now)
    runs_by_itself = background == Background.ON and account.enabled
    return Facts(
        status=row.status if row.since >= account.connection_changed_at else Status.NEW,
        since=max(row.since, account.connection_changed_at),
        enabled=account.enabled,
        background=background,
        interval=interval_of(account),
        watched_from=max([*watched, given.created_at] if given else watched),
        granted_at=given.created_at if given else None,
        last_success_at=row.last_success_at,
        last_partial_at=row.last_partial_at,
        tested=any(moment >= account.connection_changed_at for moment in synced),
        attempts=vitals.attempts_of(row),
        last_error_type=row.last_error_type,
        refused_since=row.refused_since,
        breaker_opened_at=row.breaker_opened_at,
        server_rests=server_rests,
        due_since=None if rests else _due_since(account, run, now),
        works=run is not None and _works(run, now),
        paused_until=max(filter(None, [row.paused_until, resumes_at]), default=None),
        budget_resumes_at=resumes_at,
        quarantined=row.quarantined,
        backlog_since=row.backlog_since,
        certificate_expires_at=row.certificate_expires_at,
        next_attempt=_next_attempt(account, row, budget, now) if runs_by_itself else None,
        background_until=given.expires_at if background == Background.ON else None,
    )


def _background(given: KeyGrant | None, now: datetime) -> Background:
    if given is None or given.end_reason == GrantEnd.REVOKED:
        return Background.OFF
    runs_on = given.revoked_at is None and given.expires_at > now and given.worker_key.retired_at is None
    return Background.ON if runs_on else Background.LAPSED


def _works(run: AccountRun, now: datetime) -> bool:
    """Whether it was let in and goes on, or has something to show and will go on soon."""
    if run.status == RunStatus.RUNNING:
        return run.phase not in ("", Phase.CONNECT) and run.lease_until > now
    has_some = run.emails_fetched or run.emails_linked
    return bool(has_some) and now - run.run_after < LONG_PAUSE


def _due_since(account: MailAccount, run: AccountRun | None, now: datetime) -> datetime | None:
    """Since when a run should have begun: none was made, or nobody takes it up."""
    if run is None:
        return account.next_due if account.next_due and account.next_due < now else None
    waits = run.status == RunStatus.PENDING and not run.attempt
    return run.run_after if waits else None


def _next_attempt(account: MailAccount, row: AccountHealth, budget: Budget, now: datetime) -> datetime:
    """When the tick will sync this account by itself."""
    if budget.is_used_up:
        return budget.resumes_at
    at_first_tick = now if row.last_success_at is None else next_due_of(account, now)
    return row.probe_at or account.next_due or at_first_tick
