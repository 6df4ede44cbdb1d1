"""An account that has become slow: its owner is told, once a month for each operation."""

from django.utils import timezone

from accounts.models import MailAccount
from diagnostics.alerting import alerts
from diagnostics.models import AlertKind
from pipeline.figures import OPERATIONS, Operation, operations_of, slow_operations
from pipeline.models import AccountRun, JobType, RunStatus

RECENT_RUNS = 50  # back to where five that fetched some mails are looked for


def look(run: AccountRun) -> None:
    """When a run has succeeded, in the transaction of its end."""
    if run.kind == JobType.FETCH:
        for operation, seconds in slow_operations(recent_operations(run.account)).items():
            _tell(run.account, operation, seconds)


def recent_operations(account: MailAccount) -> list[dict[Operation, float]]:
    """Of the last runs that succeeded, the newest first."""
    rows = AccountRun.objects.filter(account=account, kind=JobType.FETCH, status=RunStatus.SUCCESS)
    rows = rows.order_by("-created_at").values_list("phase_seconds", "emails_fetched", "attempt")
    return [operations_of(*row) for row in rows[:RECENT_RUNS]]


def _tell(account: MailAccount, operation: Operation, seconds: float) -> None:
    facts = {
        "operation": operation.value,
        "seconds": round(seconds, 1),
        "critical": OPERATIONS[operation].critical,
    }
    key = f"slow:{account.pk}:{operation}:{timezone.now():%Y-%m}"
    alerts.decide(account.user, AlertKind.SLOW, key, account=account, reason=operation.value, facts=facts)
