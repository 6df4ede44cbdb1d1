"""The runs that nobody presses a button for: what the tick starts."""

from dataclasses import dataclass, field

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from accounts import grants, traces
from accounts.events import Event
from accounts.models import GrantPurpose, MailAccount, RemoteHost
from diagnostics.vitals import vitals_of
from pipeline import gate, jobs, runs
from pipeline.breaker import State
from pipeline.budget import Budget
from pipeline.models import RUN_ACTIVE, AccountRun, JobType, Trigger
from pipeline.queries import is_new
from pipeline.schedule import next_due_of

NEW_ONES_AT_ONCE = 10

log = structlog.stdlib.get_logger("mailhelper.scheduler")


def start_due() -> list[AccountRun]:
    """One run per account that is due and may be opened without its owner. Ticks may do this at once."""
    this_round = Round()
    started = []
    for account in _candidates():
        try:
            started.append(_start_if_due(account, this_round))
        except Exception as error:  # one account must not keep the others from their turn
            log.error(Event.ACCOUNT_NOT_SCHEDULED, **account.in_log, **traces.named(error))
    return [run for run in started if run]


@dataclass
class Round:
    """What one tick may start only so many of."""

    probed: set[bytes] = field(default_factory=set)
    new_ones: int = 0


def _candidates() -> list[MailAccount]:
    # Read to the end before the first write: a SELECT that is open lets SQLite refuse it.
    now = timezone.now()
    granted = grants.valid_grants().filter(purpose=GrantPurpose.BACKGROUND, account=OuterRef("pk"))
    active = AccountRun.objects.filter(account=OuterRef("pk"), kind=JobType.FETCH, status__in=RUN_ACTIVE)
    due = Q(next_due=None) | Q(next_due__lte=now) | Q(health__probe_at__lte=now)
    accounts = MailAccount.objects.filter(due, Exists(granted), ~Exists(active), enabled=True)
    return list(accounts.select_related("user").order_by("next_due"))


def _start_if_due(account: MailAccount, this_round: Round) -> AccountRun | None:
    now = timezone.now()
    probe_at = vitals_of(account).probe_at
    if account.next_due is None and probe_at is None and not _is_among_the_first_new(account, this_round):
        MailAccount.objects.filter(pk=account.pk, next_due=None).update(next_due=next_due_of(account, now))
        return None
    not_yet = probe_at is not None and now < probe_at
    if not_yet or Budget.of(account).is_used_up or not _host_lets(account, this_round.probed):
        return None
    return _start(account, now)


def _is_among_the_first_new(account: MailAccount, this_round: Round) -> bool:
    """A new account shows at once whether it works; of many new ones, most get their place in line."""
    if not is_new(account) or this_round.new_ones >= NEW_ONES_AT_ONCE:
        return False
    this_round.new_ones += 1
    return True


def _host_lets(account: MailAccount, probed: set[bytes]) -> bool:
    """An outage of a server costs one probe, not one per account."""
    host = RemoteHost.objects.filter(host_key=account.host_key, breaker_opened_at__isnull=False).first()
    if host is None:
        return True
    if gate.breaker_of(host).state(timezone.now()) == State.OPEN or host.host_key in probed:
        return False
    probed.add(host.host_key)
    return True


def _start(account: MailAccount, now) -> AccountRun | None:
    """The job, its run and the next due time in one transaction; of two ticks the second finds it moved."""
    with transaction.atomic():
        job = jobs.create(account.user, [account], trigger=Trigger.SCHEDULE)
        run = runs.join_or_create(job, account, runs.Asked())
        as_seen = MailAccount.objects.filter(pk=account.pk, next_due=account.next_due)
        if not as_seen.update(next_due=next_due_of(account, now)):
            transaction.set_rollback(True)
            return None
        return run
