"""The words of alerts, in a person's language and time zone: no host, no login, no folder, no mail."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.urls import reverse
from django.utils import formats, timezone, translation
from django.utils.translation import gettext

from accounts import advice
from accounts.models import User
from diagnostics.models import EVENTS, Alert, AlertKind

VERSION = 1
MOST_IN_TEXT = 30
_TIMES = ("since", "last_success", "next_attempt", "expires_at")


@dataclass(frozen=True)
class Message:
    """`id` stays the same in every attempt. `payload` is what a webhook gets, times in ISO 8601:

    {"version": 1, "id", "subject", "alerts": [{"id", "kind", "status", "account", "account_id", "reason",
    "headline", "sentence", "next_step", "decided_at", "since", "next_attempt", "link"}], "events": [
    {"id", "kind": "job_ended", "job_id", "type", "trigger", "status", "emails_fetched", "emails_linked",
    "accounts", "failed", "error_types", "created_at", "ended_at"} or
    {"id", "kind": "health_changed", "account_id", "account", "before", "after", "reason", "since"}]}
    """

    id: uuid.UUID
    subject: str
    text: str
    payload: dict


def compose(message_id: uuid.UUID, user: User, alerts: Sequence[Alert]) -> Message:
    """One alert under its own headline; several as a digest, oldest first. Events go without words."""
    events = [_event(one) for one in alerts if one.kind in EVENTS]
    alerts = [alert for alert in alerts if alert.kind not in EVENTS]
    with translation.override(user.language):
        words = [words_of(alert, user) for alert in alerts]
        return Message(
            message_id,
            _subject(words),
            _text(alerts, words, user),
            {
                "version": VERSION,
                "id": str(message_id),
                "subject": _subject(words),
                "alerts": [_payload(alert, found) for alert, found in zip(alerts, words, strict=True)],
                "events": events,
            },
        )


def test_message(user: User) -> Message:
    return compose(uuid.uuid4(), user, [Alert(user=user, kind=AlertKind.TEST, decided_at=timezone.now())])


def words_of(alert: Alert, user: User) -> advice.AlertWords:
    """In the language that is active."""
    label = alert.account.label if alert.account else ""
    return advice.alert(alert.kind, alert.reason, _readable(alert.facts, user), label)


def _readable(facts: dict, user: User) -> dict:
    return facts | {name: local_time(facts[name], user) for name in _TIMES if facts.get(name)}


def local_time(moment: datetime | str, user: User) -> str:
    """As "March 1, 2026, 1 p.m. (Europe/Berlin)"."""
    moment = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    local = moment.astimezone(user.zone)
    return f"{formats.date_format(local, 'DATETIME_FORMAT')} ({user.time_zone})"


def link() -> str:
    """Where the notifications are read; empty unless the operator said under which address."""
    base = settings.MAILHELPER_URL.rstrip("/")
    return base + reverse("notifications") if base else ""


def _subject(words: Sequence[advice.AlertWords]) -> str:
    if not words:
        return "mailhelper"
    if len(words) == 1:
        return f"mailhelper: {words[0].headline}"
    return "mailhelper: " + gettext("{count} messages").format(count=len(words))


def _text(alerts: Sequence[Alert], words: Sequence[advice.AlertWords], user: User) -> str:
    shown = list(zip(alerts, words, strict=True))[:MOST_IN_TEXT]
    parts = [_paragraph(alert, found, user, len(words) > 1) for alert, found in shown]
    if len(words) > len(shown):
        parts.append(gettext("And {count} more.").format(count=len(words) - len(shown)))
    return "\n\n".join([*parts, *filter(None, [link()])]) + "\n"


def _paragraph(alert: Alert, words: advice.AlertWords, user: User, with_headline: bool) -> str:
    lines = [f"{local_time(alert.decided_at, user)}: {words.headline}"] if with_headline else []
    lines += [words.sentence, words.next_step]
    if (at := alert.facts.get("next_attempt")) and datetime.fromisoformat(at) > timezone.now():
        lines.append(gettext("Next attempt: {time}").format(time=local_time(at, user)))
    return "\n".join(lines)


def _event(one: Alert) -> dict:
    named = {"account": one.account.label} if one.account else {}
    return {"id": str(one.pk), "kind": one.kind} | one.facts | named


def _payload(alert: Alert, words: advice.AlertWords) -> dict:
    return {
        "id": str(alert.pk),
        "kind": alert.kind,
        "status": alert.facts.get("status", ""),
        "account": alert.account.label if alert.account else None,
        "account_id": str(alert.account_id) if alert.account_id else None,
        "reason": alert.reason,
        "headline": words.headline,
        "sentence": words.sentence,
        "next_step": words.next_step,
        "decided_at": alert.decided_at.isoformat(),
        "since": alert.facts.get("since"),
        "next_attempt": alert.facts.get("next_attempt"),
        "link": link() or None,
    }
