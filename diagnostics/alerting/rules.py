"""Which alerts follow from the rows. Each has a key made of rows, so deciding it again changes nothing."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.utils import timezone

from accounts import grants, traces
from accounts.errors import ErrorType
from accounts.events import Event
from accounts.models import GrantPurpose, KeyGrant, MailAccount, RemoteHost
from diagnostics.alerting import alerts, events, preferences
from diagnostics.models import AccountHealth, Alert, AlertKind, Status
from mail.guard import chunks

NO_SUCCESS, RECOVERING = "no_success", "recovering"
GRANT_WARNINGS = (timedelta(days=1), timedelta(days=7))

log = structlog.stdlib.get_logger("mailhelper.alerts")

_BAD = (AlertKind.BROKEN, AlertKind.DEAD_MAN, AlertKind.DEGRADED)


@dataclass(frozen=True)
class Decision:
    account: MailAccount
    kind: str
    key: str
    reason: str = ""
    facts: dict = field(default_factory=dict)


def decide_due(now: datetime | None = None) -> int:
    """Decide what the rows of all accounts give rise to. Returns how many alerts are new."""
    now = now or timezone.now()
    events.address(now)
    heard = AccountHealth.objects.filter(account__enabled=True, account__user__is_active=True)
    rows = list(_health_with_what_was_told(heard))
    wanted = [*_of_health(rows, now), *_of_quarantine(rows), *_of_grants(now)]
    _lower_what_was_told(rows)
    return sum(_decide(one, now) for one in _undecided(wanted))


def _decide(one: Decision, now: datetime) -> bool:
    described = {"account": one.account, "reason": one.reason, "facts": one.facts, "at": now}
    try:
        return alerts.decide(one.account.user, one.kind, one.key, **described) is not None
    except Exception as error:  # one account must not keep the others from being heard
        log.error(Event.ALERT_NOT_DECIDED, **one.account.in_log, kind=one.kind, **traces.named(error))
        return False


def _health_with_what_was_told(rows: QuerySet[AccountHealth]) -> QuerySet[AccountHealth]:
    """told_* is the newest alert about health, quarantine_* about that."""
    newest = Alert.objects.filter(account=OuterRef("account")).order_by("-decided_at")
    told = newest.filter(kind__in=[*_BAD, AlertKind.RECOVERED])
    quarantine = newest.filter(kind=AlertKind.QUARANTINE)
    background = grants.valid_grants().filter(purpose=GrantPurpose.BACKGROUND)
    resting = RemoteHost.objects.filter(breaker_opened_at__isnull=False)
    return rows.select_related("account__user__alert_preferences").annotate(
        told_kind=Subquery(told.values("kind")[:1]),
        told_id=Subquery(told.values("pk")[:1]),
        told_at=Subquery(told.values("decided_at")[:1]),
        by_itself=Exists(background.filter(account=OuterRef("account"))),
        server_rests=Exists(resting.filter(host_key=OuterRef("account__host_key"))),
        quarantine_id=Subquery(quarantine.values("pk")[:1]),
        quarantine_facts=Subquery(quarantine.values("facts")[:1]),
    )


def standing_alerts() -> set[UUID]:
    """By which is decided what is news: the newest of each account about its health and its quarantine."""
    rows = _health_with_what_was_told(AccountHealth.objects.all())
    ids = rows.values_list("told_id", "quarantine_id")
    return {one for both in ids for one in both if one}


def _undecided(wanted: list[Decision]) -> Iterator[Decision]:
    for some in chunks(wanted):
        known = set(Alert.objects.filter(key__in=[one.key for one in some]).values_list("key", flat=True))
        yield from (one for one in some if one.key not in known)


def _of_health(rows: Iterable[AccountHealth], now: datetime) -> Iterator[Decision]:
    for row in rows:
        rule = preferences.rule_of(_preferences(row), AlertKind.DEGRADED)
        worked_since = bool(row.told_at and row.last_success_at and row.last_success_at > row.told_at)
        if kind := health_alert(
            row.status, row.reason, row.told_kind, now - row.since, rule.threshold, worked_since
        ):
            yield Decision(row.account, kind, _health_key(kind, row), row.reason, _health_facts(row, now))


def health_alert(
    status: str,
    reason: str,
    told: str | None,
    lasting: timedelta,
    degraded_minutes: int = 0,
    worked_since: bool = False,
) -> str | None:
    """Pure: the kind of alert that an account's status calls for after what was `told` last.

    `worked_since`: a sync has succeeded after that. Then broken is news again, and manual is a recovery.
    """
    if status == Status.BROKEN and (told not in (AlertKind.BROKEN, AlertKind.DEAD_MAN) or worked_since):
        return AlertKind.DEAD_MAN if reason == NO_SUCCESS else AlertKind.BROKEN
    lasts = lasting >= timedelta(minutes=degraded_minutes)
    if status == Status.DEGRADED and told not in _BAD and lasts and reason != RECOVERING:
        return AlertKind.DEGRADED
    if told in _BAD and (status == Status.HEALTHY or (status == Status.MANUAL and worked_since)):
        return AlertKind.RECOVERED
    return None


def _health_key(kind: str, row: AccountHealth) -> str:
    if kind == AlertKind.RECOVERED:
        return f"recovered:{row.told_id}"
    return f"{row.status}:{row.account_id}:{row.since.isoformat()}"


def _health_facts(row: AccountHealth, now: datetime) -> dict:
    return {
        "status": row.status,
        "since": row.since.isoformat(),
        "last_success": _iso(row.last_success_at),
        "next_attempt": _iso(_next_attempt(row, now)) if row.by_itself else None,
        "last_error": row.last_error_type or ("server_rests" if row.server_rests else ""),
        "error_facts": row.last_error_facts,
        "by_itself": row.by_itself,
        "trouble": str(row.told_id),
    }


def _next_attempt(row: AccountHealth, now: datetime) -> datetime | None:
    """None where nothing runs by itself, or the time is not known yet."""
    if row.status == Status.MANUAL or row.reason == ErrorType.NO_KEY:
        return None
    planned = row.probe_at or row.account.next_due
    return planned if planned and planned > now else None


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _preferences(row: AccountHealth):
    return preferences.of(row.account.user)


def _of_quarantine(rows: Iterable[AccountHealth]) -> Iterator[Decision]:
    """Each alert is followed by at most one, so that its id makes the key of the next."""
    for row in rows:
        rule = preferences.rule_of(_preferences(row), AlertKind.QUARANTINE)
        grown = row.quarantined - _told_quarantined(row)
        if grown >= rule.threshold:
            key = f"quarantine:{row.account_id}:{row.quarantine_id or 'first'}"
            facts = {"count": row.quarantined, "grown": grown, "told": row.quarantined}
            yield Decision(row.account, AlertKind.QUARANTINE, key, facts=facts)


def _told_quarantined(row: AccountHealth) -> int:
    return (row.quarantine_facts or {}).get("told", 0)


def _lower_what_was_told(rows: Iterable[AccountHealth]) -> None:
    """When mails leave the quarantine, growth counts from there."""
    for row in rows:
        if row.quarantined < _told_quarantined(row):
            facts = row.quarantine_facts | {"told": row.quarantined}
            Alert.objects.filter(pk=row.quarantine_id).update(facts=facts)


def _of_grants(now: datetime) -> Iterator[Decision]:
    running = grants.valid_grants().filter(purpose=GrantPurpose.BACKGROUND)
    soon = running.filter(
        expires_at__gt=now,
        expires_at__lte=now + max(GRANT_WARNINGS),
        account__enabled=True,
        account__user__is_active=True,
    )
    for row in soon.select_related("account__user__alert_preferences"):
        facts = {"expires_at": row.expires_at.isoformat()}
        yield Decision(row.account, AlertKind.GRANT_EXPIRING, _grant_key(row, now), facts=facts)


def _grant_key(grant: KeyGrant, now: datetime) -> str:
    """One at each warning; a grant that was extended is announced anew."""
    left = next(warning for warning in GRANT_WARNINGS if grant.expires_at - now <= warning)
    return f"grant:{grant.pk}:{grant.expires_at.isoformat()}:{left.days}"
