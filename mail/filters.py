"""Which mails an account's filters leave out, by size, date and flags; decided in the database.

So a changed filter also reaches folders in which nothing changed.
"""

from datetime import UTC, datetime, time

from django.conf import settings
from django.db.models import Q, QuerySet

from accounts.actions import Filters
from accounts.errors import ErrorType
from mail.models import EntryState, SystemFlag

SINCE, UNREAD_ONLY = "since", "unread_only"
FILTER_REASONS = (ErrorType.OVER_LIMIT, SINCE, UNREAD_ONLY)


def apply(filters: Filters, rows: QuerySet) -> None:
    """Exclude what the filters leave out of these ledger rows, and admit what earlier ones left out."""
    why = _why_excluded(filters)
    for reason in FILTER_REASONS:
        left_out = rows.filter(state=EntryState.EXCLUDED, reason=reason)
        admitted = left_out.exclude(why[reason]) if reason in why else left_out
        admitted.update(state=EntryState.PENDING, reason="")
    unknown = Q(message=None) | Q(message__header_only=True)  # what was stored once is not left out
    for reason, condition in why.items():
        pending = rows.filter(condition, unknown, state=EntryState.PENDING)
        pending.update(state=EntryState.EXCLUDED, reason=reason)


def _why_excluded(filters: Filters) -> dict[str, Q]:
    most = settings.MAILHELPER_MAX_MAIL_BYTES
    limit = min(most, filters.max_mail_bytes or most)
    why: dict[str, Q] = {}
    if filters.since:
        start = datetime.combine(filters.since, time.min, UTC)
        why[SINCE] = Q(internal_date__isnull=False, internal_date__lt=start)
    if filters.unread_before:
        read = Q(flags__in=[flags for flags in range(2 ** len(SystemFlag)) if flags & SystemFlag.SEEN])
        earlier = Q(internal_date__isnull=False, internal_date__lt=filters.unread_before)
        why[UNREAD_ONLY] = read & earlier
    why[ErrorType.OVER_LIMIT] = Q(size__isnull=False, size__gt=limit)
    return why
