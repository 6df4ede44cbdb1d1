"""What a person wants to hear of, and when a message may go to them."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from accounts import advice
from accounts.errors import UsageError
from accounts.models import MailAccount, User
from diagnostics.models import (
    EVENTS,
    AccountHealth,
    AlertDelivery,
    AlertKind,
    AlertPreferences,
    DeliveryStatus,
)

LONGEST_SNOOZE = timedelta(days=90)


@dataclass(frozen=True)
class Rule:
    """Whether a kind goes out, and from how much on; `unit` is empty where there is nothing to measure."""

    on: bool = True
    threshold: int = 0
    unit: str = ""
    least: int = 0
    most: int = 0


DEFAULTS = {
    AlertKind.BROKEN: Rule(),
    AlertKind.DEAD_MAN: Rule(),
    AlertKind.DEGRADED: Rule(unit="minutes", most=7 * 24 * 60),
    AlertKind.RECOVERED: Rule(),
    AlertKind.QUARANTINE: Rule(threshold=1, unit="mails", least=1, most=1_000_000),
    AlertKind.GRANT_EXPIRING: Rule(),
    AlertKind.SLOW: Rule(),
    AlertKind.JOB_FAILED: Rule(on=False),
    AlertKind.SCHEDULER_DEAD: Rule(),
}


def of(user: User) -> AlertPreferences:
    """The person's row, or an unsaved one with the defaults."""
    return getattr(user, "alert_preferences", None) or AlertPreferences(user=user)


def rule_of(preferences: AlertPreferences | None, kind: str) -> Rule:
    """What is not in DEFAULTS, such as that a channel was disabled, cannot be switched off."""
    default = DEFAULTS.get(kind, Rule())
    changed = preferences.rules.get(kind, {}) if preferences else {}
    return Rule(
        on=changed.get("on", default.on),
        threshold=changed.get(default.unit, default.threshold),
        unit=default.unit,
        least=default.least,
        most=default.most,
    )


def may_go_at(preferences: AlertPreferences, at: datetime, snoozed_until: datetime | None = None) -> datetime:
    """When a message that could go at `at` goes: after the snooze, and not in quiet hours."""
    at = max(at, snoozed_until or at)
    zone = preferences.user.zone
    return quiet_end(at, preferences.quiet_from, preferences.quiet_until, zone) or at


def quiet_end(at: datetime, start: time | None, end: time | None, zone: ZoneInfo) -> datetime | None:
    """Pure: the end of the quiet hours that `at` falls in; None outside of them."""
    if start is None or end is None or not _is_between(start, at.astimezone(zone).time(), end):
        return None
    day = at.astimezone(zone).date()
    ends = [moment for days in (0, 1) for moment in _moments(day + timedelta(days=days), end, zone)]
    return min(moment for moment in ends if moment > at)


def _moments(day: date, clock_time: time, zone: ZoneInfo) -> list[datetime]:
    """When clocks show this: twice where they are put back, once (later) where they skip it."""
    wall = datetime.combine(day, clock_time, zone)
    first, second = (wall.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    return [first, second] if second > first else [first]


def _is_between(start: time, moment: time, end: time) -> bool:
    if start <= end:
        return start <= moment < end
    return moment >= start or moment < end


def set_rule(user: User, kind: str, on: bool | None = None, threshold: int | None = None) -> None:
    """What is None stays as it is. Raises UsageError."""
    if kind not in DEFAULTS:
        raise UsageError(f"There is no rule {kind!r}. There are: {', '.join(DEFAULTS)}.")
    check_threshold(kind, threshold)
    with transaction.atomic():
        row, _ = AlertPreferences.objects.select_for_update().get_or_create(user=user)
        rule = rule_of(row, kind)
        changed = {"on": rule.on if on is None else on}
        if rule.unit:
            changed[rule.unit] = rule.threshold if threshold is None else threshold
        row.rules = row.rules | {str(kind): changed}
        row.save(update_fields=["rules"])
    user.alert_preferences = row


def check_threshold(kind: str, threshold: int | None) -> None:
    """Raises UsageError."""
    rule = DEFAULTS[kind]
    if threshold is not None and not rule.unit:
        raise UsageError(gettext("“{rule}” is on or off; it has no number.").format(rule=advice.rule(kind)))
    if threshold is not None and not rule.least <= threshold <= rule.most:
        raise UsageError(
            gettext("The number for “{rule}” is from {least} to {most}.").format(
                rule=advice.rule(kind), least=rule.least, most=rule.most
            )
        )


def set_quiet_hours(user: User, start: time | None, end: time | None) -> None:
    """Two times of day in the person's time zone; None and None is never. Raises UsageError."""
    if (start is None) != (end is None) or (start is not None and start == end):
        raise UsageError(gettext("Quiet hours have a beginning and another end, such as 22:00 to 07:00."))
    row, _ = AlertPreferences.objects.update_or_create(
        user=user, defaults={"quiet_from": start, "quiet_until": end}
    )
    user.alert_preferences = row


def quiet_hours_of(text: str) -> tuple[time | None, time | None]:
    """("22:00-07:00") gives two times, "off" none. Raises UsageError."""
    if text.strip().lower() == "off":
        return None, None
    start, _, end = text.partition("-")
    return time_of_day(start), time_of_day(end)


def time_of_day(text: str) -> time:
    """Raises UsageError."""
    try:
        return datetime.strptime(text.strip(), "%H:%M").time()
    except ValueError as error:
        told = gettext("{text!r} is not a time of day, such as 22:00.")
        raise UsageError(told.format(text=text)) from error


def hours_of(text: str) -> timedelta:
    """How long a snooze lasts; zero ends it. Raises UsageError."""
    if not (text.strip().isascii() and text.strip().isdigit() and len(text) < 6):
        raise UsageError(gettext("A snooze lasts a whole number of hours, such as 8; 0 ends it."))
    return timedelta(hours=int(text))


def snooze(account: MailAccount, until: datetime | None) -> None:
    """Messages about this account wait until then; None lets them go. Raises UsageError."""
    now = timezone.now()
    if until is not None and not now < until <= now + LONGEST_SNOOZE:
        told = gettext("A snooze ends within {days} days from now.")
        raise UsageError(told.format(days=LONGEST_SNOOZE.days))
    due_at = may_go_at(of(account.user), now, until)
    waiting = AlertDelivery.objects.filter(
        alert__account=account, status=DeliveryStatus.WAITING, message=None
    ).exclude(alert__kind__in=EVENTS)
    with transaction.atomic():
        waiting.update(due_at=due_at)  # first, as an account's removal locks them
        AccountHealth.objects.update_or_create(account=account, defaults={"snoozed_until": until})
