"""What a person is told, decided once. The row is the notification in the app, deliveries carry it out."""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from accounts import people
from accounts.models import MailAccount, User
from diagnostics.alerting import preferences
from diagnostics.models import EVENTS, AccountHealth, Alert, AlertDelivery, AlertKind


def decide(
    user: User,
    kind: str,
    key: str,
    *,
    account: MailAccount | None = None,
    reason: str = "",
    facts: dict | None = None,
    at: datetime | None = None,
) -> Alert | None:
    """The new alert, or None when its key was decided before. `facts`: numbers, codes, labels, ISO times."""
    at = at or timezone.now()
    described = {"user": user, "account": account, "kind": kind, "reason": reason, "facts": facts or {}}
    with transaction.atomic():
        alert, is_new = Alert.objects.get_or_create(key=key, defaults=described | {"decided_at": at})
        if is_new:
            _address(alert)
    return alert if is_new else None


def _address(alert: Alert) -> None:
    """A delivery for each way to the person, if they want to hear of this."""
    theirs = preferences.of(alert.user)
    if not preferences.rule_of(theirs, alert.kind).on:
        return
    if alert.kind == AlertKind.RECOVERED and not _trouble_was_sent(alert):
        return
    due_at = preferences.may_go_at(theirs, alert.decided_at, _snoozed_until(alert))
    # Locked, so that none is removed before what goes through it is committed.
    channels = alert.user.channels.select_for_update(no_key=True).filter(disabled_at=None)
    AlertDelivery.objects.bulk_create(
        AlertDelivery(alert=alert, channel=channel, due_at=due_at) for channel in channels
    )


def _trouble_was_sent(recovered: Alert) -> bool:
    """Whoever was not told of the trouble is not told that it is over."""
    return AlertDelivery.objects.filter(alert=recovered.facts.get("trouble")).exists()


def _snoozed_until(alert: Alert) -> datetime | None:
    health = AccountHealth.objects.filter(account=alert.account_id)
    return health.values_list("snoozed_until", flat=True).first()


def operators() -> list[User]:
    """Whom to tell of the installation itself; where nobody runs it, whoever was here first."""
    return list(people.operators()) or list(people.everybody().filter(is_active=True)[:1])


def decide_for_operators(kind: str, key: str, **options) -> list[Alert]:
    """One alert for each operator; takes the options of decide."""
    decided = [decide(user, kind, f"{key}:{user.pk}", **options) for user in operators()]
    return [alert for alert in decided if alert]


def told(user: User):
    """What the person was told, newest first: no tests, and nothing that is for programs."""
    return user.alerts.exclude(kind__in=[AlertKind.TEST, *EVENTS]).select_related("account")


def unread_count(user: User) -> int:
    return user.alerts.filter(read_at=None).count()


def mark_all_read(user: User) -> int:
    return user.alerts.filter(read_at=None).update(read_at=timezone.now())
