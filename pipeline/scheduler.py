"""The runs that nobody presses a button for: what the tick starts."""

import logging

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from accounts import grants
from accounts.models import GrantPurpose, MailAccount, RemoteHost
from diagnostics import health
from pipeline import gate, jobs, runs
from pipeline.breaker import State
from pipeline.budget import Budget
from pipeline.models import RUN_ACTIVE, AccountRun, JobType, Trigger
from pipeline.schedule import next_due_of

logger = logging.getLogger("mailhelper.scheduler")


def start_due() -> list[AccountRun]:
    """One run per account that is due and may be opened without its owner. Ticks may do this at once."""
    probed: set[bytes] = set()
    started = []
    for account in _candidates():
        try:
            started.append(_start_if_due(account, probed))
        except Exception as error:  # one account must not keep the others from their turn
            logger.error("account %s was not scheduled: %s", account.pk, type(error).__name__)
    return [run for run in started if run]


def _candidates() -> list[MailAccount]:
    # Read to the end before the first write: a SELECT that is open lets SQLite refuse it.
    now = timezone.now()
    granted = grants.valid_grants().filter(purpose=GrantPurpose.BACKGROUND, account=OuterRef("pk"))
    active = AccountRun.objects.filter(account=OuterRef("pk"), kind=JobType.FETCH, status__in=RUN_ACTIVE)
    due = Q(next_due=None) | Q(next_due__lte=now) | Q(health__probe_at__lte=now)
    accounts = MailAccount.objects.filter(due, Exists(granted), ~Exists(active), enabled=True)
    return list(accounts.select_related("user").order_by("next_due"))


def _start_if_due(account: MailAccount, probed: set[bytes]) -> AccountRun | None:
    now = timezone.now()
    probe_at = health.facts_of(account).probe_at
    if account.next_due is None and probe_at is None:
        _put_into_line(account, now)
        return None
    if (probe_at and now < probe_at) or Budget.of(account).is_used_up or not _host_lets(account, probed):
        return None
    return _start(account, now)


def _put_into_line(account: MailAccount, now) -> None:
    MailAccount.objects.filter(pk=account.pk, next_due=None).update(next_due=next_due_of(account, now))


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
