"""What is known of an account's health, and what that amounts to."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from accounts.errors import REFUSALS
from accounts.models import MailAccount
from diagnostics.models import AccountHealth

FAILING = "failing"


class Status(StrEnum):
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    BROKEN = "broken"


@dataclass(frozen=True)
class Assessment:
    """`reason` is an error_type or `failing`; empty when healthy."""

    status: Status
    reason: str = ""


def facts_of(account: MailAccount) -> AccountHealth:
    """The account's row, new if there is none yet. Failures of an earlier connection are forgotten."""
    row = AccountHealth.objects.filter(account=account).first() or AccountHealth(account=account)
    if row.last_failure_at and row.last_failure_at < account.connection_changed_at:
        row.failures, row.failed_probes, row.last_error_type = [], 0, ""
        row.breaker_opened_at = row.probe_at = row.refused_since = None
    return row


def note_success(row: AccountHealth, at: datetime) -> None:
    row.last_success_at, row.last_error_type, row.refused_since = at, "", None
    row.save()


def note_failure(row: AccountHealth, at: datetime, error_type: str) -> None:
    row.last_failure_at, row.last_error_type = at, error_type
    row.save()


def note_refusal(row: AccountHealth, at: datetime, error_type: str) -> None:
    """Since when the login is refused; any other failure shows that it was not."""
    row.refused_since = (row.refused_since or at) if error_type in REFUSALS else None


def assess(row: AccountHealth) -> Assessment:
    """Pure: an open breaker is broken; one refused login, or two failed runs in a row, are a warning."""
    if row.breaker_opened_at:
        return Assessment(Status.BROKEN, row.last_error_type)
    if row.refused_since:
        return Assessment(Status.DEGRADED, row.last_error_type)
    if len(row.failures) >= 2:
        return Assessment(Status.DEGRADED, FAILING)
    return Assessment(Status.HEALTHY)
