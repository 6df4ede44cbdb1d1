"""What of the ledger may go: no stored mail, and nothing that says where a mail was."""

from datetime import datetime

from django.conf import settings
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from accounts.retention import days_before
from mail.models import EntryState, Finding, LedgerEntry


def expired(now: datetime) -> dict[str, QuerySet]:
    before = days_before(now, settings.MAILHELPER_KEEP_RUNS_DAYS)
    return {"tombstones": _tombstones(), "findings": Finding.objects.filter(ended_at__lt=before)}


def _tombstones() -> QuerySet[LedgerEntry]:
    """Of mails that were never stored, or that the server has elsewhere now; should one come back, it is new.

    Of a mail that is stored only here, they tell in which folder it was, and how it was marked.
    """
    current = LedgerEntry.objects.filter(
        uidvalidity=F("folder__uidvalidity"), folder__excluded=False, folder__gone_at=None
    )
    elsewhere = current.exclude(state=EntryState.GONE).filter(message=OuterRef("message"))
    return LedgerEntry.objects.filter(Q(message=None) | Exists(elsewhere), state=EntryState.GONE)
