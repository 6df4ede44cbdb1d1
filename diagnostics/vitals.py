"""The rows of an account's health: what happened is noted here, and each change of its status."""

from datetime import datetime

from django.db import transaction

from accounts.errors import REFUSALS
from accounts.models import MailAccount
from diagnostics.alerting import events
from diagnostics.health import ATTEMPTS, Assessment, Attempt
from diagnostics.models import AccountHealth, HealthFlip, Status


def vitals_of(account: MailAccount) -> AccountHealth:
    """The account's row, new if there is none yet. What an earlier connection met is forgotten."""
    row = AccountHealth.objects.filter(account=account).first() or AccountHealth(account=account)
    return of_this_connection(row, account)


def locked(account: MailAccount) -> AccountHealth:
    """The same, locked until the transaction's end."""
    AccountHealth.objects.get_or_create(account=account)
    row = AccountHealth.objects.select_for_update().get(account=account)
    return of_this_connection(row, account)


def of_this_connection(row: AccountHealth, account: MailAccount) -> AccountHealth:
    changed_at = account.connection_changed_at
    if row.last_failure_at and row.last_failure_at < changed_at:
        row.failures, row.failed_probes, row.last_error_type = [], 0, ""
        row.last_error_facts = {}
        row.breaker_opened_at = row.probe_at = row.refused_since = None
    row.attempts = [list(one) for one in row.attempts if datetime.fromisoformat(one[0]) >= changed_at]
    return row


def attempts_of(row: AccountHealth) -> tuple[Attempt, ...]:
    return tuple(Attempt(datetime.fromisoformat(at), error_type) for at, error_type in row.attempts)


def note_attempt(row: AccountHealth, at: datetime, error_type: str = "") -> None:
    row.attempts = [*row.attempts, [at.isoformat(), error_type]][-ATTEMPTS:]


def note_success(row: AccountHealth, at: datetime) -> None:
    note_attempt(row, at)
    row.last_success_at, row.refused_since = at, None
    row.last_error_type, row.last_error_facts = "", {}


def note_failure(row: AccountHealth, at: datetime, error_type: str, facts: dict) -> None:
    """With the numbers and codes that came with the error."""
    row.last_failure_at, row.last_error_type, row.last_error_facts = at, error_type, facts


def note_refusal(row: AccountHealth, at: datetime, error_type: str) -> None:
    """Since when the login is refused; any other failure shows that it was not."""
    row.refused_since = (row.refused_since or at) if error_type in REFUSALS else None


def note_backlog(row: AccountHealth, at: datetime, pending: int, quarantined: int) -> None:
    """Since when what is pending or quarantined has not become less."""
    before, now = row.pending + row.quarantined, pending + quarantined
    if not now:
        row.backlog_since = None
    elif now < before or row.backlog_since is None:
        row.backlog_since = at
    row.pending, row.quarantined = pending, quarantined


def note_certificate(account: MailAccount, expires_at: datetime | None) -> None:
    rows = AccountHealth.objects.filter(account=account)
    rows.exclude(certificate_expires_at=expires_at).update(certificate_expires_at=expires_at)


def begin_anew(row: AccountHealth, account: MailAccount) -> None:
    """With new settings an account is new; what it was like before is history."""
    if row.since >= account.connection_changed_at:
        return
    flip = put_down(row, Assessment(Status.NEW, "settings_changed"), account.connection_changed_at, {})
    if flip is None:
        AccountHealth.objects.filter(pk=row.pk).update(since=account.connection_changed_at)
    row.refresh_from_db(fields=["status", "reason", "since"])


def put_down(
    row: AccountHealth, found: Assessment, at: datetime, facts: dict, run_id=None
) -> HealthFlip | None:
    """Note how the account is now. One row per change, however many see it at once."""
    as_seen = AccountHealth.objects.filter(pk=row.pk, status=row.status)
    if found.status == row.status:
        if found.reason != row.reason:
            as_seen.update(reason=found.reason)
        return None
    with transaction.atomic():
        if not as_seen.update(status=found.status, reason=found.reason, since=at):
            return None
        flip = HealthFlip.objects.create(
            account_id=row.account_id,
            at=at,
            before=row.status,
            after=found.status,
            reason=found.reason,
            facts=facts,
            run_id=run_id,
        )
        events.note_change_of_health(row.account, flip)
        return flip
