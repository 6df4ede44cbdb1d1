"""Surprises of a mailbox, each a row that a person is shown until it is over."""

from collections.abc import Iterable
from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from accounts.models import MailAccount
from mail.models import Finding, FindingKind, Folder

TOLD_FOR = timedelta(days=7)


def note(folder: Folder, kind: FindingKind, **facts) -> None:
    """Open it, once; call this in a guarded transaction."""
    Finding.objects.get_or_create(
        folder=folder, kind=kind, ended_at=None, defaults={"account_id": folder.account_id, "facts": facts}
    )


def note_event(folder: Folder, kind: FindingKind, **facts) -> None:
    """Something that was dealt with at once; what comes again within a day is one row."""
    now = timezone.now()
    lately = folder.findings.filter(kind=kind, ended_at__gt=now - timedelta(days=1))
    if not lately.update(facts=facts, ended_at=now):
        Finding.objects.create(
            folder=folder, account_id=folder.account_id, kind=kind, facts=facts, ended_at=now
        )


def end(folder: Folder, *kinds: FindingKind) -> None:
    folder.findings.filter(kind__in=kinds, ended_at=None).update(ended_at=timezone.now())


def doubts(accounts: Iterable[MailAccount]):
    """What waits for a second look."""
    kinds = (FindingKind.FOLDER_MISSING, FindingKind.FOLDER_EMPTIED)
    return Finding.objects.filter(account__in=accounts, kind__in=kinds, ended_at=None).order_by("found_at")


def told(account: MailAccount):
    """What is open, and what was over within the last week; the newest first."""
    lately = Q(ended_at=None) | Q(ended_at__gt=timezone.now() - TOLD_FOR)
    return account.findings.filter(lately).select_related("folder").order_by("-found_at")
