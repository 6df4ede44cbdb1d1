"""What is known of an account's health."""

from datetime import datetime
from uuid import UUID

from diagnostics.models import AccountHealth


def record(account_id: UUID, at: datetime, error_type: str) -> None:
    """Note how a run ended; an empty `error_type` is a success."""
    if error_type:
        facts = {"last_failure_at": at, "last_error_type": error_type}
    else:
        facts = {"last_success_at": at, "last_error_type": ""}
    AccountHealth.objects.update_or_create(account_id=account_id, defaults=facts)
