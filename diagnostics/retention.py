"""What of alerts, changes of health and examinations may go: nothing that a decision rests on."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet

from accounts.models import MailAccount
from accounts.retention import days_before
from diagnostics.alerting import rules
from diagnostics.models import Alert, AlertDelivery, DeliveryStatus, DiagnosticReport, HealthFlip

FLIPS_SHOWN = timedelta(days=92)  # the account's page shows 90 days


def expired(now: datetime) -> dict[str, QuerySet]:
    alerts_before = days_before(now, settings.MAILHELPER_KEEP_ALERTS_DAYS)
    runs_before = days_before(now, settings.MAILHELPER_KEEP_RUNS_DAYS)
    return {
        "alerts": _alerts(alerts_before),
        "health_changes": HealthFlip.objects.filter(at__lt=min(alerts_before, now - FLIPS_SHOWN)),
        "reports": _reports(runs_before),
    }


def _alerts(before: datetime) -> QuerySet[Alert]:
    waiting = AlertDelivery.objects.filter(alert=OuterRef("pk"), status=DeliveryStatus.WAITING)
    old = Alert.objects.filter(~Exists(waiting), decided_at__lt=before)
    return old.exclude(pk__in=rules.standing_alerts())


def _reports(before: datetime) -> QuerySet[DiagnosticReport]:
    """The last of each account stays, and the last that passed, with which the next is compared."""
    old, kept = DiagnosticReport.objects.filter(at__lt=before), set()
    for account in MailAccount.objects.filter(reports__in=old).distinct():
        reports = account.reports.order_by("-at", "-pk").values_list("pk", flat=True)
        kept |= {*reports[:1], *reports.filter(passed=True)[:1]}
    return old.exclude(pk__in=kept)
