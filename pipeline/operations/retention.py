"""Pruning: what is over for long goes, in batches so small that nobody waits for one."""

from collections.abc import Iterator
from datetime import datetime

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from accounts import retention as of_accounts
from accounts.models import MailAccount
from diagnostics import retention as of_diagnostics
from mail import retention as of_mail
from mail.guard import delete_in_batches
from pipeline.models import JOB_OPEN, RUN_ACTIVE, AccountRun, JobRun, JobType, PipelineJob, RunStatus

# An account's pace, its slowness and its newest state are read from so many of its last runs of a kind.
RUNS_KEPT = 50


def prune(dry_run: bool = False) -> Iterator[tuple[str, int]]:
    """What went of each kind, or would go, as it is done."""
    now = timezone.now()
    for expired in (_expired, of_diagnostics.expired, of_mail.expired, of_accounts.expired):
        for name, rows in expired(now).items():
            yield name, rows.count() if dry_run else delete_in_batches(rows)


def _expired(now: datetime) -> dict[str, QuerySet]:
    """Jobs and runs, with their events. A job stays as long as one of its runs."""
    before = of_accounts.days_before(now, settings.MAILHELPER_KEEP_RUNS_DAYS)
    runs = _runs(before)
    staying = JobRun.objects.filter(job=OuterRef("pk")).exclude(run__in=runs)
    ended = PipelineJob.objects.exclude(status__in=JOB_OPEN).filter(ended_at__lt=before)
    return {"runs": runs, "jobs": ended.filter(~Exists(staying))}


def _runs(before: datetime) -> QuerySet[AccountRun]:
    same = AccountRun.objects.filter(account=OuterRef("account"), kind=OuterRef("kind"))
    last_kept = same.order_by("-created_at").values("created_at")[RUNS_KEPT - 1 : RUNS_KEPT]
    ended = AccountRun.objects.exclude(status__in=RUN_ACTIVE).filter(ended_at__lt=before)
    return ended.filter(created_at__lt=Subquery(last_kept)).exclude(pk__in=_last_whole_successes())


def _last_whole_successes() -> list:
    """By which an account's first import is behind it."""
    whole = AccountRun.objects.filter(
        account=OuterRef("pk"), kind=JobType.FETCH, status=RunStatus.SUCCESS, folder=None
    )
    whole = whole.filter(Q(max_mails=None) | Q(max_mails__gt=0)).order_by("-created_at")
    newest = MailAccount.objects.annotate(last_run=Subquery(whole.values("pk")[:1])).exclude(last_run=None)
    return list(newest.values_list("last_run", flat=True))
