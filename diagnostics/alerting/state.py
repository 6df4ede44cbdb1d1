"""What a person is told and how, as data, and as lines for the shell."""

from collections.abc import Iterator

from django.utils import timezone

from accounts import advice
from accounts.models import User
from diagnostics.alerting import alerts, messages, preferences
from diagnostics.models import AccountHealth

SHOWN = 10


def state(user: User) -> dict:
    theirs = preferences.of(user)
    rules = {kind: preferences.rule_of(theirs, kind) for kind in preferences.DEFAULTS}
    snoozed = AccountHealth.objects.filter(account__user=user, snoozed_until__gt=timezone.now())
    return {
        "user": user.email,
        "language": user.language,
        "rules": {str(kind): rule_state(rule) for kind, rule in rules.items()},
        "quiet_hours": quiet_hours(theirs),
        "snoozed": {row.account.label: row.snoozed_until.isoformat() for row in snoozed},
        "channels": [_channel_state(channel) for channel in user.channels.all()],
        "unread": alerts.unread_count(user),
        "alerts": [_alert_state(alert, user) for alert in alerts.told(user)[:SHOWN]],
    }


def rule_state(rule) -> dict:
    return {"on": rule.on} | ({rule.unit: rule.threshold} if rule.unit else {})


def rule_line(kind: str, rule: dict) -> str:
    number = next((f", from {value} {unit}" for unit, value in rule.items() if unit != "on"), "")
    return f"rule {kind}: {'on' if rule['on'] else 'off'}{number if rule['on'] else ''}"


def quiet_hours(theirs) -> str | None:
    if theirs.quiet_from is None:
        return None
    return f"{theirs.quiet_from:%H:%M}-{theirs.quiet_until:%H:%M}"


def _channel_state(channel) -> dict:
    return {
        "label": channel.label,
        "kind": channel.kind,
        "events": channel.events,
        "disabled_at": channel.disabled_at.isoformat() if channel.disabled_at else None,
        "disabled_reason": channel.disabled_reason,
        "failures": channel.failures,
    }


def _alert_state(alert, user) -> dict:
    words = messages.words_of(alert, user)
    return {
        "id": str(alert.pk),
        "at": alert.decided_at.isoformat(),
        "kind": alert.kind,
        "account": alert.account.label if alert.account else None,
        "headline": words.headline,
        "sentence": words.sentence,
        "next_step": words.next_step,
        "read": alert.read_at is not None,
    }


def lines(shown: dict) -> Iterator[str]:
    for kind, rule in shown["rules"].items():
        yield rule_line(kind, rule)
    yield f"quiet hours: {shown['quiet_hours'] or 'none'}; language: {shown['language']}"
    for name, until in shown["snoozed"].items():
        yield f"snoozed: {name} until {until[:16].replace('T', ' ')} UTC"
    for channel in shown["channels"]:
        usable = f"disabled ({channel['disabled_reason']})" if channel["disabled_at"] else "in use"
        with_events = ", with events" if channel["events"] else ""
        yield f"channel {channel['label']} ({advice.channel_kind(channel['kind'])}): {usable}{with_events}"
    if shown["channels"]:
        yield "The machine that runs mailhelper can use what these channels hold."
    else:
        yield "No channel yet, so alerts are only seen in the app. Add one: --add-email ADDRESS"
    for alert in shown["alerts"]:
        mark = " " if alert["read"] else "*"
        yield f"{mark} {alert['at'][:16].replace('T', ' ')} UTC  {alert['headline']}"
