"""Events for programs: noted with what happened, sent through the web hooks that ask for them, forgotten."""

import hashlib
import hmac
import json
import uuid
from datetime import time

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.errors import UsageError
from diagnostics.alerting import alerts, channels, delivery, events, preferences, rules
from diagnostics.models import Alert, AlertChannel, AlertDelivery, AlertKind
from tests.diagnostics.alerts.conftest import HOUR, MINUTE, kinds
from tests.servers.http_receiver import HttpReceiver

pytestmark = pytest.mark.django_db
JOB = {"status": "success", "emails_fetched": 3}


@pytest.fixture
def hook(anna, receiver):
    """Anna's web hook with events."""
    return channels.add_channel(anna.user, "webhook", "Hook", f"{receiver.url}/hook", events=True)


def ended(person, **options):
    events.note(person.user, AlertKind.JOB_ENDED, uuid.uuid4(), JOB, **options)


def send() -> int:
    rules.decide_due()
    return delivery.deliver_due()


def bodies(receiver) -> list[dict]:
    return [json.loads(request.body) for request in receiver.requests]


def test_a_program_gets_events_by_their_kind_and_can_prove_who_sent_them(anna, hook, receiver, clock):
    ended(anna)
    assert send() == 1
    [request], [body] = receiver.requests, bodies(receiver)
    [event] = body["events"]
    assert event == {"id": event["id"], "kind": "job_ended"} | JOB
    assert (body["version"], body["alerts"]) == (1, [])
    moment, _, mac = request.headers["X-Mailhelper-Signature"].removeprefix("t=").partition(",v1=")
    signed = hmac.new(bytes.fromhex(hook.signing_key), f"{moment}.".encode() + request.body, hashlib.sha256)
    assert hmac.compare_digest(mac, signed.hexdigest())
    assert request.headers["Idempotency-Key"] == body["id"]


def test_what_arrived_is_forgotten_and_never_was_a_notification(anna, hook, receiver, clock):
    ended(anna)
    assert (list(alerts.told(anna.user)), alerts.unread_count(anna.user)) == ([], 0)
    send()
    assert not Alert.objects.exists() and not AlertDelivery.objects.exists()


def test_what_is_given_up_is_forgotten_too(anna, hook, receiver, clock):
    receiver.status = 403
    ended(anna)
    send()
    assert not Alert.objects.exists()


def test_an_event_that_is_tried_again_keeps_its_key_and_its_place(anna, hook, receiver, clock):
    receiver.status = 503
    ended(anna)
    send()
    assert Alert.objects.count() == 1
    receiver.status = 200
    clock.shift(2 * MINUTE)
    send()
    first, second = receiver.requests
    assert first.body == second.body
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]


def test_nothing_is_noted_where_nobody_listens(anna, bert, email, hook, clock):
    channels.add_channel(anna.user, "webhook", "Alerts only", "https://example.org/")
    ended(bert)
    AlertChannel.objects.filter(events=True).update(disabled_at=timezone.now())
    ended(anna)
    assert not Alert.objects.exists()


def test_events_go_to_none_but_the_web_hooks_that_ask_for_them(
    anna, bert, hook, email, smtp, receiver, clock
):
    with HttpReceiver() as others:
        channels.add_channel(anna.user, "webhook", "Alerts only", others.url)
        channels.add_channel(bert.user, "webhook", "Hook", others.url, events=True)
        ended(anna)
        send()
        assert (len(receiver.requests), others.requests, smtp.letters) == (1, [], [])


def test_two_web_hooks_get_the_same_event_each_in_its_time(anna, hook, receiver, clock):
    with HttpReceiver() as other:
        channels.add_channel(anna.user, "webhook", "Other", other.url, events=True)
        other.status = 503
        ended(anna)
        send()
        assert Alert.objects.count() == 1
        other.status = 200
        clock.shift(2 * MINUTE)
        send()
        assert bodies(receiver)[0]["events"] == bodies(other)[1]["events"]
    assert len(receiver.requests) == 1
    assert not Alert.objects.exists()


def test_events_heed_neither_quiet_hours_nor_a_snooze(anna, gmx, hook, receiver, clock):
    preferences.set_quiet_hours(anna.user, time(11), time(17))
    preferences.snooze(gmx, timezone.now() + HOUR)
    receiver.status = 503
    events.note(anna.user, AlertKind.HEALTH_CHANGED, uuid.uuid4(), {"after": "broken"}, gmx)
    rules.decide_due()
    preferences.snooze(gmx, timezone.now() + HOUR)
    delivery.deliver_due()
    receiver.status = 200
    clock.shift(2 * MINUTE)
    assert send() == 1
    [event] = bodies(receiver)[1]["events"]
    assert (event["account"], event["after"]) == ("GMX", "broken")


def test_events_are_no_flood_and_hold_up_no_alert(anna, hook, receiver, clock):
    for _ in range(7):
        ended(anna)
        assert send() == 1
    alerts.decide(anna.user, "broken", "one", reason="timeout")
    ended(anna)
    assert send() == 2
    assert [alert["kind"] for alert in bodies(receiver)[7]["alerts"]] == ["broken"]


def test_nor_do_those_that_wait_for_another_web_hook(anna, hook, receiver, clock):
    with HttpReceiver() as other:
        other.status = 503
        channels.add_channel(anna.user, "webhook", "Other", other.url, events=True)
        for _ in range(6):
            ended(anna)
            send()
        alerts.decide(anna.user, "broken", "one", reason="timeout")
        send()
    assert len(bodies(receiver)[6]["alerts"]) == 1


def test_events_that_wait_while_alerts_are_a_flood_still_go(anna, hook, receiver, clock):
    for number in range(6):
        alerts.decide(anna.user, "broken", str(number), reason="timeout")
        delivery.deliver_due()
    ended(anna)
    assert send() == 1
    assert [len(body["alerts"]) for body in bodies(receiver)] == [1, 1, 1, 1, 1, 0]


def test_a_message_holds_at_most_a_hundred_events_oldest_first(anna, hook, receiver, clock, monkeypatch):
    monkeypatch.setattr(delivery, "MOST_EVENTS", 2)
    for _ in range(3):
        ended(anna)
        clock.shift(MINUTE)
    noted = [str(pk) for pk in Alert.objects.order_by("decided_at").values_list("pk", flat=True)]
    assert send() == 2
    sent = [[event["id"] for event in body["events"]] for body in bodies(receiver)]
    assert sent == [noted[:2], noted[2:]]


def test_what_nobody_asks_for_any_more_is_forgotten(anna, hook, receiver, clock):
    ended(anna)
    channels.set_events(hook.channel, False)
    assert send() == 0
    assert not Alert.objects.exists()


def test_a_channel_that_goes_takes_its_events_along(anna, hook, receiver, clock):
    ended(anna)
    rules.decide_due()
    channels.remove(hook.channel)
    assert send() == 0
    assert not Alert.objects.exists()


def test_a_dead_hook_is_closed_by_events_too_and_that_is_told(anna, hook, receiver, clock):
    receiver.status = 410
    ended(anna)
    send()
    assert kinds(anna.user) == ["channel_disabled"]


def test_only_web_hooks_take_events(anna, email, smtp):
    for refused in (
        lambda: channels.add_channel(anna.user, "email", "Other", "anna@example.org", events=True),
        lambda: channels.set_events(email, True),
    ):
        with pytest.raises(UsageError, match="only a web hook"):
            refused()
    with pytest.raises(IntegrityError), transaction.atomic():
        AlertChannel.objects.update(events=True)
