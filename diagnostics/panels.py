"""What the page of alerts shows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as N_

from accounts import advice
from accounts.models import User
from diagnostics.alerting import delivery, preferences
from diagnostics.models import AccountHealth, AlertChannel, ChannelKind

SNOOZES = (1, 8, 24, 168)  # hours
_KINDS = {
    ChannelKind.EMAIL: N_("E-mail"),
    ChannelKind.WEBHOOK: N_("Web hook"),
    ChannelKind.APPRISE: "Apprise",
}


@dataclass(frozen=True)
class ChannelRow:
    """`problem` is why it is disabled, or what its last message met."""

    channel: AlertChannel
    kind: str
    problem: advice.Advice | None


@dataclass(frozen=True)
class RuleRow:
    """`on` and `number` are as stored, or as typed where that was refused."""

    kind: str
    words: str
    rule: preferences.Rule
    on: bool
    number: int | str


def of(user: User, typed_rules: Mapping[str, str] | None = None) -> dict:
    theirs = preferences.of(user)
    return {
        "channels": _channels(user),
        "rules": list(_rules(theirs, typed_rules)),
        "preferences": theirs,
        "languages": settings.LANGUAGES,
        "accounts": _accounts(user),
        "snoozes": SNOOZES,
    }


def _channels(user: User) -> list[ChannelRow]:
    shown = list(user.channels.all())
    errors = delivery.last_errors(shown)
    rows = [(channel, channel.disabled_reason or errors.get(channel.pk)) for channel in shown]
    return [
        ChannelRow(
            channel, gettext(_KINDS[channel.kind]), advice.delivery(error_type) if error_type else None
        )
        for channel, error_type in rows
    ]


def _rules(theirs, typed: Mapping[str, str] | None) -> Iterator[RuleRow]:
    for kind in preferences.DEFAULTS:
        rule = preferences.rule_of(theirs, kind)
        on, number = rule.on, rule.threshold
        if typed is not None:
            on, number = f"{kind}-on" in typed, typed.get(f"{kind}-number", "")
        yield RuleRow(str(kind), advice.rule(kind), rule, on, number)


def _accounts(user: User) -> list[dict]:
    """With the time until which each is silent."""
    rows = AccountHealth.objects.filter(account__user=user, snoozed_until__gt=timezone.now())
    snoozed = dict(rows.values_list("account", "snoozed_until"))
    return [{"account": one, "until": snoozed.get(one.pk)} for one in user.mail_accounts.all()]
