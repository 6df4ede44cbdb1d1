"""Alerts on their way: real receivers, a clock that moves by hand."""

import hashlib
import hmac
import json
import logging
import re
import socket
from email.utils import parseaddr

import pytest
from django.utils import timezone

from accounts.errors import ErrorType, SyncError
from accounts.models import WorkerSecret
from diagnostics.alerting import alerts, channels, delivery, messages, outbound, preferences
from diagnostics.models import AlertChannel, AlertDelivery
from tests.diagnostics.alerts.conftest import (
    BROKEN,
    DAY,
    HOST,
    HOUR,
    LOGIN,
    MINUTE,
    PASSWORD,
    kinds,
    put_down,
)
from tests.installation import BASE

pytestmark = pytest.mark.django_db


def decided(person, key="one", kind="broken", **options):
    return alerts.decide(person.user, kind, key, reason=options.pop("reason", "timeout"), **options)


def statuses() -> list[str]:
    return list(AlertDelivery.objects.order_by("alert__decided_at").values_list("status", flat=True))


def try_after(clock, wait) -> int:
    clock.shift(wait)
    return delivery.deliver_due()


# Words


def test_one_alert_goes_under_its_own_headline(anna, gmx, email, smtp, clock):
    decided(anna, account=gmx)
    assert delivery.deliver_due() == 1
    [letter] = smtp.letters
    assert letter["Subject"] == "mailhelper: GMX is not synced any more"
    assert parseaddr(letter["To"])[1] == "anna@example.org"
    assert letter["From"] == "mailhelper@example.org"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert "The server took too long to answer." in letter.get_content()
    assert statuses() == ["sent"]


def test_alerts_that_wait_together_go_as_one_digest(anna, gmx, webhook, email, smtp, receiver, clock):
    for number in range(3):
        decided(anna, str(number), account=gmx)
        clock.shift(MINUTE)
    assert delivery.deliver_due() == 2
    assert len(smtp.letters) == len(receiver.requests) == 1
    assert smtp.letters[0]["Subject"] == "mailhelper: 3 messages"
    assert len(json.loads(receiver.requests[0].body)["alerts"]) == 3
    assert delivery.deliver_due() == 0


def test_a_web_hook_gets_fields_that_stay(anna, gmx, webhook, receiver, clock, settings):
    settings.MAILHELPER_URL = "https://mail.example.org/"
    since = timezone.now()
    alert = decided(anna, account=gmx, facts={"status": "broken", "since": since.isoformat()})
    delivery.deliver_due()
    body = json.loads(receiver.requests[0].body)
    [told] = body["alerts"]
    assert body["version"] == 1
    assert told["id"] == str(alert.pk)
    assert (told["kind"], told["status"], told["reason"]) == ("broken", "broken", "timeout")
    assert (told["account"], told["account_id"]) == ("GMX", str(gmx.pk))
    assert (told["since"], told["next_attempt"]) == (since.isoformat(), None)
    assert told["link"] == "https://mail.example.org/notifications/"
    assert set(told) == {
        *("id", "kind", "status", "account", "account_id", "reason", "headline", "sentence", "next_step"),
        *("decided_at", "since", "next_attempt", "link"),
    }


def test_a_web_hook_can_prove_who_sent_it(anna, receiver, clock):
    new = channels.add_channel(anna.user, "webhook", "Hook", f"{receiver.url}/hook")
    decided(anna)
    delivery.deliver_due()
    [request] = receiver.requests
    stamp, _, mac = request.headers["X-Mailhelper-Signature"].partition(",v1=")
    moment = stamp.removeprefix("t=")
    assert int(moment) == int(timezone.now().timestamp())
    signed = hmac.new(bytes.fromhex(new.signing_key), f"{moment}.".encode() + request.body, hashlib.sha256)
    assert hmac.compare_digest(mac, signed.hexdigest())


def test_the_documents_code_proves_it_too(anna, receiver, clock):
    text = (BASE / "docs" / "health.md").read_text()
    [code] = re.findall(r"```python\n(.*?)```", text, re.S)
    exec(code, names := {})
    new = channels.add_channel(anna.user, "webhook", "Hook", f"{receiver.url}/hook")
    decided(anna)
    delivery.deliver_due()
    [request] = receiver.requests
    header = request.headers["X-Mailhelper-Signature"]
    assert names["is_genuine"](request.body, header, new.signing_key)
    assert not names["is_genuine"](request.body + b" ", header, new.signing_key)
    assert not names["is_genuine"](request.body, header, "00" * 32)
    clock.shift(5 * MINUTE)
    assert not names["is_genuine"](request.body, header, new.signing_key)


def test_times_are_in_the_persons_own_zone(anna, gmx, email, smtp, clock):
    anna.user.time_zone = "Asia/Tokyo"
    anna.user.save(update_fields=["time_zone"])
    decided(anna, account=gmx, facts={"next_attempt": (timezone.now() + HOUR).isoformat()})
    delivery.deliver_due()
    assert "Next attempt: March 1, 2026, 10 p.m. (Asia/Tokyo)" in smtp.letters[0].get_content()


def test_an_attempt_that_is_past_when_a_message_goes_is_not_called_the_next(anna, gmx, email, smtp, clock):
    decided(anna, account=gmx, facts={"next_attempt": (timezone.now() + HOUR).isoformat()})
    try_after(clock, 2 * HOUR)
    assert "Next attempt" not in smtp.letters[0].get_content()


@pytest.mark.parametrize("kind", [*preferences.DEFAULTS, "channel_disabled", "test"])
@pytest.mark.parametrize("reason", ["", "timeout", "no_success", "a code that nobody knows"])
def test_every_alert_has_words(anna, gmx, kind, reason):
    alert = decided(anna, kind, kind, reason=reason, account=gmx)
    with_words = messages.words_of(alert, anna.user)
    assert with_words.headline and with_words.sentence and with_words.next_step
    assert "{" not in str(with_words)


def test_a_lapsed_grant_is_not_said_to_heal_by_itself(anna, gmx):
    words = messages.words_of(decided(anna, reason="no_key", account=gmx), anna.user)
    assert "manage.py grants" in words.next_step
    assert "keeps trying" not in words.next_step


# Failures


def test_what_passes_is_tried_again_with_the_same_id_until_it_arrives(
    anna, webhook, email, smtp, receiver, clock
):
    smtp.answer, receiver.status = "451 try later", 503
    decided(anna)
    assert delivery.deliver_due() == 0
    assert delivery.deliver_due() == 0
    smtp.answer, receiver.status = "", 200
    assert try_after(clock, 2 * MINUTE) == 2
    assert len({request.headers["Idempotency-Key"] for request in receiver.requests}) == 1
    assert len(receiver.requests) == 2
    assert statuses() == ["sent", "sent"]


def test_a_letter_that_may_have_arrived_is_sent_again_under_the_same_message_id(anna, email, smtp, clock):
    smtp.drops = True
    decided(anna)
    delivery.deliver_due()
    smtp.drops = False
    try_after(clock, 2 * MINUTE)
    first, second = smtp.letters
    assert first["Message-ID"] == second["Message-ID"]
    assert AlertDelivery.objects.get().error_type == ""


def test_a_message_that_is_sent_again_holds_the_same_alerts(anna, webhook, receiver, clock):
    receiver.status = 503
    decided(anna, "first")
    delivery.deliver_due()
    receiver.status = 200
    clock.shift(2 * MINUTE)
    decided(anna, "second")
    delivery.deliver_due()
    assert [len(json.loads(request.body)["alerts"]) for request in receiver.requests] == [1, 1, 1]


def test_the_waits_grow_and_end_in_failure(anna, webhook, receiver, clock):
    receiver.status = 500
    decided(anna)
    delivery.deliver_due()
    for wait in delivery.BACKOFF:
        assert statuses() == ["waiting"]
        assert try_after(clock, wait * 0.7) == 0
        try_after(clock, wait * 0.6)
    assert statuses() == ["failed"]
    assert len(receiver.requests) == 1 + len(delivery.BACKOFF)


@pytest.mark.parametrize(
    ("answer", "after", "again"),
    [("120", 90, 1), ("120", 130, 2), ("999999999", 21_000, 1), ("999999999", 21_601, 2), ("soon", 80, 2)],
)
def test_a_receiver_that_asks_for_patience_gets_it_up_to_six_hours(
    anna, webhook, receiver, clock, answer, after, again
):
    receiver.status, receiver.headers = 429, {"Retry-After": answer}
    decided(anna)
    delivery.deliver_due()
    assert AlertDelivery.objects.get().error_type == "throttled"
    clock.shift(after)
    delivery.deliver_due()
    assert len(receiver.requests) == again


@pytest.mark.parametrize("status", [400, 403, 422, 301])
def test_a_refusal_is_final_for_the_message_and_the_third_in_a_row_for_the_channel(
    anna, webhook, receiver, clock, status
):
    receiver.status = status
    for number in range(3):
        assert AlertChannel.objects.get().disabled_at is None
        decided(anna, str(number))
        try_after(clock, MINUTE)
    assert statuses() == ["failed"] * 3
    channel = AlertChannel.objects.get()
    assert channel.disabled_at == timezone.now()
    assert kinds(anna.user)[-1] == "channel_disabled"


def test_a_message_that_arrives_ends_the_row_of_failures(anna, webhook, receiver, clock):
    for number, status in enumerate((400, 400, 200, 400, 400)):
        receiver.status = status
        decided(anna, str(number))
        try_after(clock, MINUTE)
    assert AlertChannel.objects.get().disabled_at is None


@pytest.mark.parametrize("status", [401, 404, 410])
def test_a_hook_that_is_gone_is_disabled_at_once_and_the_other_channels_say_so(
    anna, webhook, email, smtp, receiver, clock, status
):
    receiver.status = status
    decided(anna)
    while delivery.deliver_due():
        pass
    assert AlertChannel.objects.get(label="Hook").disabled_at
    assert [alert.kind for alert in anna.user.alerts.all()].count("channel_disabled") == 1
    assert any("Messages through Hook" in letter.get_content() for letter in smtp.letters)


def test_a_redirect_is_not_followed(anna, webhook, receiver, clock):
    receiver.status, receiver.headers = 302, {"Location": f"{receiver.url}/elsewhere"}
    decided(anna)
    delivery.deliver_due()
    assert [request.path for request in receiver.requests] == ["/hook"]


def test_what_waits_for_a_disabled_channel_fails_and_nothing_more_is_sent_to_it(
    anna, webhook, receiver, clock
):
    receiver.status = 404
    preferences.set_quiet_hours(anna.user, *preferences.quiet_hours_of("12:30-13:00"))
    decided(anna, "now")
    decided(anna, "later", at=timezone.now() + 35 * MINUTE)
    delivery.deliver_due()
    assert statuses() == ["failed", "failed"]
    decided(anna, "afterwards")
    assert not AlertDelivery.objects.filter(alert__key="afterwards").exists()


def test_an_enabled_channel_is_used_again(anna, webhook, receiver, clock):
    receiver.status = 404
    decided(anna, "lost")
    delivery.deliver_due()
    receiver.status = 200
    channels.enable(AlertChannel.objects.get())
    decided(anna, "found")
    assert delivery.deliver_due() == 1


def test_a_recipient_that_does_not_exist_is_final(anna, email, smtp, clock):
    smtp.answer = "550 no such person"
    decided(anna)
    delivery.deliver_due()
    assert statuses() == ["failed"]
    assert AlertDelivery.objects.get().error_type == "delivery_refused"


def test_a_mail_server_that_is_down_is_tried_again(anna, email, settings, clock):
    with socket.create_server(("127.0.0.1", 0)) as unused:
        settings.EMAIL_PORT = unused.getsockname()[1]
    decided(anna)
    delivery.deliver_due()
    row = AlertDelivery.objects.get()
    assert (row.status, row.error_type) == ("waiting", "connection_refused")


def test_a_receiver_that_says_nothing_is_left_after_a_while(anna, webhook, receiver, clock, monkeypatch):
    monkeypatch.setattr(outbound, "LONGEST_SEND", 0.2)
    receiver.hangs = True
    decided(anna)
    delivery.deliver_due()
    row = AlertDelivery.objects.get()
    assert (row.status, row.error_type) == ("waiting", "timeout")


def test_a_receiver_that_hangs_up_is_tried_again(anna, webhook, receiver, clock):
    receiver.drops = True
    decided(anna)
    delivery.deliver_due()
    assert AlertDelivery.objects.get().error_type == "connection_reset"


def test_a_secret_that_does_not_open_disables_the_channel(anna, webhook, receiver, clock):
    WorkerSecret.objects.update(sealed_value=b"\x01" * 2_000)
    decided(anna)
    delivery.deliver_due()
    assert AlertChannel.objects.get().disabled_reason == "no_key"
    assert receiver.requests == []


def test_a_machine_with_another_worker_key_leaves_the_message_to_others(
    anna, webhook, receiver, clock, settings, tmp_path
):
    settings.MAILHELPER_WORKER_KEY_FILE = tmp_path / "none"
    decided(anna)
    delivery.deliver_due()
    row = AlertDelivery.objects.get()
    assert (row.status, row.error_type) == ("waiting", "no_key")
    assert row.channel.disabled_at is None


def test_one_message_that_cannot_be_written_does_not_keep_the_others(
    anna, bert, webhook, receiver, clock, monkeypatch
):
    channels.add_channel(bert.user, "webhook", "Hook", f"{receiver.url}/bert")
    decided(anna)
    decided(bert, "two")
    compose = messages.compose

    def stumbling(message_id, user, some):
        if user == anna.user:
            raise KeyError("a bug")
        return compose(message_id, user, some)

    monkeypatch.setattr(messages, "compose", stumbling)
    delivery.deliver_due()
    assert [request.path for request in receiver.requests] == ["/bert"]


# Floods, leases


def test_of_a_flood_five_messages_go_within_an_hour_and_the_rest_as_one(anna, webhook, receiver, clock):
    for number in range(9):
        decided(anna, str(number))
        try_after(clock, MINUTE)
    assert len(receiver.requests) == 5
    assert try_after(clock, HOUR - 9 * MINUTE) == 0
    assert try_after(clock, MINUTE + MINUTE) == 1
    assert len(json.loads(receiver.requests[-1].body)["alerts"]) == 4


def test_a_message_in_another_workers_hands_is_left_to_it_until_its_lease_ends(
    anna, webhook, receiver, clock
):
    decided(anna)
    claim = delivery._claim(webhook.pk, timezone.now())
    assert try_after(clock, 59) == 0
    assert try_after(clock, 1) == 1
    assert receiver.requests[0].headers["Idempotency-Key"] == str(claim.message_id)


def test_a_worker_whose_lease_has_lapsed_writes_nothing(anna, webhook, receiver, clock):
    decided(anna)
    claim = delivery._claim(webhook.pk, timezone.now())
    clock.shift(60)
    second = delivery._claim(webhook.pk, timezone.now())
    assert second.message_id == claim.message_id
    assert not delivery._note_arrival(claim, timezone.now())
    delivery._note_failure(claim, SyncError(ErrorType.DELIVERY_REFUSED, permanent=True), timezone.now())
    assert statuses() == ["waiting"]
    assert delivery._note_arrival(second, timezone.now())


def test_nothing_is_sent_before_it_is_due(anna, webhook, receiver, clock):
    preferences.set_quiet_hours(anna.user, *preferences.quiet_hours_of("11:00-14:00"))
    decided(anna)
    assert try_after(clock, 2 * HOUR - MINUTE) == 0
    assert try_after(clock, MINUTE) == 1


def test_another_try_waits_for_the_end_of_quiet_hours_too(anna, webhook, receiver, clock):
    receiver.status = 503
    decided(anna)
    preferences.set_quiet_hours(anna.user, *preferences.quiet_hours_of("12:00-14:00"))
    delivery.deliver_due()
    receiver.status = 200
    assert try_after(clock, 2 * HOUR - MINUTE) == 0
    assert try_after(clock, MINUTE) == 1


# What must not be seen


def test_no_message_row_or_log_holds_what_the_account_seals_or_where_a_channel_leads(
    anna, gmx, smtp, receiver, clock, caplog, settings
):
    caplog.set_level(logging.DEBUG)
    settings.DEBUG = False
    secret_path = "canary-path"
    channels.add_channel(anna.user, "webhook", "Hook", f"{receiver.url}/{secret_path}?token=canary-token")
    channels.add_channel(anna.user, "email", "Mail", "canary-address@example.net")
    apprise_url = f"gotify://127.0.0.1:{receiver.url.rpartition(':')[2]}/canary-apprise/token"
    channels.add_channel(anna.user, "apprise", "App", apprise_url)
    smtp.answer, receiver.status, receiver.headers = "451 canary-word", 503, {"X-Said": "canary-word"}
    put_down(gmx, BROKEN, "timeout")
    decided(anna, account=gmx)
    delivery.deliver_due()
    smtp.answer, receiver.status = "", 200
    assert try_after(clock, 2 * MINUTE) == 3
    sent = [str(letter.get_content()) + letter["Subject"] for letter in smtp.letters]
    sent += [request.body.decode() for request in receiver.requests]
    for canary in (HOST, LOGIN, PASSWORD):
        assert not any(canary in one for one in sent)
    rows = [
        str(row) for model in (AlertChannel, AlertDelivery, WorkerSecret) for row in model.objects.values()
    ]
    theirs = ("mail.log", "django.db.backends", "tests")  # the mail server of this test, and all queries
    logs = [record.getMessage() for record in caplog.records if not record.name.startswith(theirs)]
    assert "canary" not in " ".join(rows)
    assert "canary" not in " ".join(logs)


# The wish to hear of a lapsed grant


def test_the_warning_about_a_lapsed_grant_goes_out_without_any_grant(anna, gmx, webhook, receiver, clock):
    assert not gmx.grants.exists()
    decided(anna, reason="no_key", account=gmx)
    clock.shift(100 * DAY)
    assert delivery.deliver_due() == 1
