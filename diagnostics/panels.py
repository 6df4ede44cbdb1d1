"""What the page of alerts shows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as N_

from accounts import advice
from accounts.models import User
from diagnostics.alerting import delivery, preferences
from diagnostics.models import AccountHealth, AlertChannel, ChannelKind

SNOOZES = (1, 8, 24, 168)  # hours
_EXAMPLES = {
    ChannelKind.EMAIL: ("anna@example.org", ""),
    ChannelKind.WEBHOOK: ("https://example.org/hook", N_("gets signed JSON")),
    ChannelKind.APPRISE: ("ntfys://ntfy.sh/topic", N_("Telegram, Matrix, ntfy and many more")),
}
# What was changed, with the part of the page that says so.
_SAVED = {
    "added": ("channels", N_("The channel was added. Send a test to see that it leads to you.")),
    "removed": ("channels", N_("The channel was removed.")),
    "enabled": ("channels", N_("The channel is used again.")),
    "events": ("channels", N_("Saved.")),
    "rules": ("rules", N_("Saved.")),
    "quiet": ("quiet", N_("Saved.")),
    "snooze": ("snooze", N_("Saved.")),
}


@dataclass(frozen=True)
class ChannelRow:
    """`problem` is why it is disabled, or what its last message met."""

    channel: AlertChannel
    kind: str
    problem: advice.Advice | None

    @property
    def takes_events(self) -> bool:
        return self.channel.kind == ChannelKind.WEBHOOK


@dataclass(frozen=True)
class KindRow:
    """A kind of channel that can be added; `hint` may be empty."""

    kind: str
    name: str
    example: str
    hint: str


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
        "accounts": _accounts(user),
        "snoozes": SNOOZES,
        "kinds": list(_kinds()),
    }


def _channels(user: User) -> list[ChannelRow]:
    shown = list(user.channels.all())
    errors = delivery.last_errors(shown)
    rows = [(channel, channel.disabled_reason or errors.get(channel.pk)) for channel in shown]
    return [
        ChannelRow(
            channel,
            advice.channel_kind(channel.kind),
            advice.delivery(error_type, channel.kind) if error_type else None,
        )
        for channel, error_type in rows
    ]


def _kinds() -> Iterator[KindRow]:
    for kind, (example, hint) in _EXAMPLES.items():
        yield KindRow(str(kind), advice.channel_kind(kind), example, gettext(hint) if hint else "")


def part_of(saved: str) -> str:
    return _SAVED[saved][0]


def confirmation(saved: str | None) -> dict | None:
    """What the page says after a change; None for what is no word of ours."""
    if saved not in _SAVED:
        return None
    part, words = _SAVED[saved]
    return {"part": part, "words": gettext(words)}


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
