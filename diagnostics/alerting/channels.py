"""The ways to a person: e-mail, web hooks, what the apprise library reaches. Where they lead is sealed."""

import json
import secrets
from dataclasses import dataclass
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils.translation import gettext

from accounts import worker_key, worker_secrets
from accounts.errors import ErrorType, SyncError, UsageError
from accounts.models import User
from diagnostics.alerting import by_apprise, by_email, by_webhook, outbound
from diagnostics.alerting.messages import Message
from diagnostics.models import AlertChannel, ChannelKind

MOST_CHANNELS = 20
LONGEST_TARGET = 2_000

_WAYS = {ChannelKind.EMAIL: by_email, ChannelKind.WEBHOOK: by_webhook, ChannelKind.APPRISE: by_apprise}


@dataclass(frozen=True)
class NewChannel:
    """`signing_key` is a web hook's, in hex: shown once, never again."""

    channel: AlertChannel
    signing_key: str = ""

    def __repr__(self):
        return "NewChannel(…)"


def add_channel(user: User, kind: str, label: str, target: str, events: bool = False) -> NewChannel:
    """`target` is an e-mail address, an https URL or an apprise URL. Raises UsageError."""
    if kind not in _WAYS:
        raise UsageError(gettext("A channel is one of: {kinds}.").format(kinds=", ".join(ChannelKind.values)))
    label, target = _clean_label(label), _clean_target(target)
    _check_events(kind, events)
    _WAYS[ChannelKind(kind)].check(target)
    signing_key = secrets.token_hex(32) if kind == ChannelKind.WEBHOOK else ""
    sealed = json.dumps({"target": target, "signing_key": signing_key}).encode()
    try:
        with transaction.atomic():
            _check_count(user)
            secret = worker_secrets.keep(sealed)
            described = {"kind": kind, "label": label, "events": events}
            channel = AlertChannel.objects.create(user=user, secret=secret, **described)
    except IntegrityError as error:
        told = gettext("There is already a channel named {label}.")
        raise UsageError(told.format(label=label)) from error
    return NewChannel(channel, signing_key)


def _clean_label(label: str) -> str:
    label = " ".join(label.split())
    if not label or len(label) > 100 or not label.isprintable():
        raise UsageError(
            gettext("A channel needs a name of 1 to 100 characters, none of them a control character.")
        )
    return label


def _clean_target(target: str) -> str:
    target = target.strip()
    if not target or len(target) > LONGEST_TARGET or not target.isprintable():
        told = gettext("Where the channel leads has 1 to {most} characters in one line.")
        raise UsageError(told.format(most=LONGEST_TARGET))
    return target


def _check_events(kind: str, events: bool) -> None:
    if events and kind != ChannelKind.WEBHOOK:
        raise UsageError(gettext("Events are for programs: only a web hook takes them."))


def _check_count(user: User) -> None:
    if user.channels.count() >= MOST_CHANNELS:
        raise UsageError(gettext("A person has at most {most} channels.").format(most=MOST_CHANNELS))


def channel_named(user: User, label: str) -> AlertChannel:
    """Raises UsageError."""
    channel = user.channels.filter(label__iexact=label.strip()).first()
    if channel is None:
        raise UsageError(f"{user.email} has no channel named {label}.")
    return channel


def locked(channel_id: UUID):
    """The channel's row, locked before its deliveries; an alert decided meanwhile need not wait for it."""
    return AlertChannel.objects.select_for_update(of=("self",), no_key=True).filter(pk=channel_id)


def remove(channel: AlertChannel) -> None:
    """The channel with its secret and all that waits for it."""
    with transaction.atomic():
        locked(channel.pk).first()
        channel.secret.delete()


def enable(channel: AlertChannel) -> None:
    """Use it again, as if it had never failed."""
    AlertChannel.objects.filter(pk=channel.pk).update(disabled_at=None, disabled_reason="", failures=0)
    channel.refresh_from_db()


def set_events(channel: AlertChannel, on: bool) -> None:
    """Whether each job's end and each change of health goes there, too. Raises UsageError."""
    _check_events(channel.kind, on)
    channel.events = on
    channel.save(update_fields=["events"])


def send(channel: AlertChannel, message: Message, seconds: float | None = None) -> None:
    """Raises SyncError, with the facts of outbound.translated; timeout after `seconds` (LONGEST_SEND)."""
    where = _opened(channel)
    with outbound.translated():
        outbound.within(
            seconds or outbound.LONGEST_SEND,
            lambda: _WAYS[ChannelKind(channel.kind)].send(where["target"], message, where["signing_key"]),
        )


def _opened(channel: AlertChannel) -> dict[str, str]:
    try:
        return json.loads(worker_secrets.open_secret(channel.secret))
    except SyncError as error:
        lost = worker_key.is_on_this_machine()  # else another machine may have the key
        raise SyncError(ErrorType.NO_KEY, permanent=lost, hopeless=lost) from error
