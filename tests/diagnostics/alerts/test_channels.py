"""Adding, removing and testing the ways to a person."""

import logging

import pytest

from accounts import rotation
from accounts.errors import SyncError, UsageError
from accounts.models import WorkerSecret
from diagnostics.alerting import alerts, by_apprise, channels, messages
from diagnostics.models import AlertChannel, AlertDelivery
from tests.servers.http_receiver import HttpReceiver

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("kind", "label", "target"),
    [
        ("pigeon", "Home", "somewhere"),
        ("email", "", "anna@example.org"),
        ("email", "a\x07b", "anna@example.org"),
        ("email", "x" * 101, "anna@example.org"),
        ("email", "Mail", "anna"),
        ("email", "Mail", "anna@example.org\nBcc: bert@example.org"),
        ("webhook", "Hook", ""),
        ("webhook", "Hook", "http://example.org/hook"),
        ("webhook", "Hook", "ftp://example.org/hook"),
        ("webhook", "Hook", "https:///hook"),
        ("webhook", "Hook", "https://[::1/hook"),
        ("webhook", "Hook", "https://example.org:99999/hook"),
        ("webhook", "Hook", "https://example.org/" + "x" * 2_000),
        ("apprise", "App", "no such thing"),
        ("apprise", "App", "nosuchschema://example.org"),
    ],
)
def test_what_cannot_be_a_channel_is_refused_and_leaves_nothing(anna, kind, label, target):
    with pytest.raises(UsageError):
        channels.add_channel(anna.user, kind, label, target)
    assert not AlertChannel.objects.exists()
    assert not WorkerSecret.objects.exists()


@pytest.mark.parametrize(
    "url",
    [
        *(f"{schema}://x" for schema in sorted(by_apprise.ON_THIS_MACHINE | by_apprise.READ_FILES)),
        "DBUS://",
        " syslog://",
        "tgram://123456789:abcdefg_hijklmnop/1234567?template=/etc/passwd",
        "tgram://123456789:abcdefg_hijklmnop/1234567?Template=/etc/passwd",
        "tgram://123456789:abcdefg_hijklmnop/1234567?a=b&%74emplate=/etc/passwd",
        "mailto://anna:secret@example.org?pgpkey=/etc/passwd",
        "https://discord.com/api/webhooks/1234567890/abcdefghijklmnopqrst?template=/etc/passwd",
    ],
)
def test_apprise_urls_that_run_programs_or_read_files_here_are_refused(anna, url):
    with pytest.raises(UsageError):
        channels.add_channel(anna.user, "apprise", "App", url)


def test_a_plain_web_hook_is_taken_where_the_network_is_said_to_be_the_operators(anna, settings):
    settings.MAILHELPER_ALLOW_PLAINTEXT = True
    assert channels.add_channel(anna.user, "webhook", "Hook", "http://example.org/hook")


def test_two_channels_of_a_person_differ_in_name_and_the_second_leaves_no_secret(anna, bert, email):
    with pytest.raises(UsageError, match="already"):
        channels.add_channel(anna.user, "email", "Mail", "other@example.org")
    assert WorkerSecret.objects.count() == 1
    assert channels.add_channel(bert.user, "email", "Mail", "bert@example.org")


def test_a_channel_goes_with_its_secret_and_what_waits_for_it(anna, email):
    alerts.decide(anna.user, "broken", "one")
    channels.remove(email)
    assert not AlertChannel.objects.exists()
    assert not WorkerSecret.objects.exists()
    assert not AlertDelivery.objects.exists()
    assert anna.user.alerts.count() == 1


def test_the_number_of_channels_is_bounded(anna, monkeypatch, email):
    monkeypatch.setattr(channels, "MOST_CHANNELS", 1)
    with pytest.raises(UsageError, match="at most"):
        channels.add_channel(anna.user, "email", "Second", "anna@example.org")


def test_a_signing_key_is_new_for_each_hook_and_not_shown_by_accident(anna, receiver):
    one, other = (channels.add_channel(anna.user, "webhook", name, receiver.url) for name in "ab")
    assert len(bytes.fromhex(one.signing_key)) == 32
    assert one.signing_key != other.signing_key
    assert one.signing_key not in f"{one!r} {vars(one.channel)}"


def test_a_channel_outlives_a_new_worker_key(anna, webhook, receiver):
    rotation.rotate_worker_key()
    webhook.refresh_from_db()
    channels.send(webhook, messages.test_message(anna.user))
    assert len(receiver.requests) == 1


def test_apprise_delivers(anna, receiver):
    url = f"json://{receiver.url.removeprefix('http://')}/apprise"
    channel = channels.add_channel(anna.user, "apprise", "App", url).channel
    channels.send(channel, messages.test_message(anna.user))
    [request] = receiver.requests
    assert request.path == "/apprise"
    assert b"This is a test" in request.body


def test_what_apprise_cannot_deliver_is_tried_again_and_its_log_stays_silent(anna, receiver, caplog):
    caplog.set_level(logging.DEBUG)
    url = f"json://{receiver.url.removeprefix('http://')}/canary"
    channel = channels.add_channel(anna.user, "apprise", "App", url).channel
    receiver.status = 500
    with pytest.raises(SyncError) as failed:
        channels.send(channel, messages.test_message(anna.user))
    assert failed.value.error_type == "temporarily_unavailable"
    assert not failed.value.facts.get("permanent")
    assert "canary" not in caplog.text


def test_apprise_follows_no_redirect(anna, receiver):
    with HttpReceiver() as elsewhere:
        receiver.status, receiver.headers = 307, {"Location": elsewhere.url}
        url = f"json://{receiver.url.removeprefix('http://')}"
        channel = channels.add_channel(anna.user, "apprise", "App", url).channel
        with pytest.raises(SyncError):
            channels.send(channel, messages.test_message(anna.user))
        assert elsewhere.requests == []


def test_a_web_hook_sends_no_password_of_this_machine(anna, webhook, receiver, tmp_path, monkeypatch):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login operator password canary\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    channels.send(webhook, messages.test_message(anna.user))
    assert "Authorization" not in receiver.requests[0].headers


def test_a_web_hook_whose_certificate_nobody_signed_gets_nothing(anna, dovecot):
    channel = channels.add_channel(anna.user, "webhook", "Hook", f"https://localhost:{dovecot.imaps_port}/")
    with pytest.raises(SyncError) as failed:
        channels.send(channel.channel, messages.test_message(anna.user))
    assert failed.value.error_type == "tls_failed"


def test_a_name_that_does_not_exist_is_said_to_be_one(anna):
    channel = channels.add_channel(anna.user, "webhook", "Hook", "https://no-such-host.invalid/")
    with pytest.raises(SyncError) as failed:
        channels.send(channel.channel, messages.test_message(anna.user))
    assert failed.value.error_type == "dns_failed"
