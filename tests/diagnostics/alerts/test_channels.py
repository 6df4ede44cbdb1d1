"""Adding, removing and testing the ways to a person."""

import logging

import pytest

from accounts import rotation
from accounts.errors import SyncError, UsageError
from accounts.models import WorkerSecret
from diagnostics.alerting import alerts, by_apprise, by_ping, channels, messages
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
        ("webhook", "Hook", "http://127.0.0.1\\@example.org/"),
        ("webhook", "Hook", "http://example.org\\@127.0.0.1/"),
        ("webhook", "Hook", "https://exa mple.org/"),
        ("webhook", "Hook", "https://exa%20mple.org/"),
        ("webhook", "Hook", "https://exa%00mple.org/"),
        ("webhook", "Hook", "https://exa\N{ZERO WIDTH SPACE}mple.org/"),
        ("webhook", "Hook", "http://127.0.0.1\N{FULLWIDTH SOLIDUS}@example.org/"),
        ("webhook", "Hook", "http://1\N{IDEOGRAPHIC FULL STOP}example.org/"),
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


@pytest.mark.parametrize(
    "url",
    [
        "gotify://127.0.0.1:1/token?redirect=yes",
        "gotify://127.0.0.1:1/token?Redirect=yes",
        "apprise://127.0.0.1:1/token?method=json",
        "gotify://127.0.0.1:1/token?+Authorization=x",
        "gotify://127.0.0.1:1/token?%2BAuthorization=x",
        "gotify://127.0.0.1:1/token?-name=x",
        "gotify://127.0.0.1:1/token?:name=x",
    ],
)
def test_apprise_options_that_shape_the_request_are_refused(anna, url):
    with pytest.raises(UsageError, match="Leave out"):
        channels.add_channel(anna.user, "apprise", "App", url)


@pytest.mark.parametrize("schema", ["json", "jsons", "xml", "xmls", "form", "forms"])
def test_what_posts_to_any_url_is_a_web_hook_and_not_apprise(anna, schema):
    with pytest.raises(UsageError, match="Add a web hook"):
        channels.add_channel(anna.user, "apprise", "App", f"{schema}://example.org/")


def test_an_apprise_url_has_at_most_five_receivers(anna):
    with pytest.raises(UsageError, match="at most 5"):
        channels.add_channel(anna.user, "apprise", "App", "ntfys://ntfy.sh/a/b/c/d/e/f")
    assert channels.add_channel(anna.user, "apprise", "App", "ntfys://ntfy.sh/a/b/c/d/e")


@pytest.mark.parametrize(
    "url", ["json://{}/", "gotify://{}/token?redirect=yes", "ntfy://{}/a/b/c/d/e/f"], ids=str
)
def test_what_was_added_before_it_was_refused_is_not_sent(anna, receiver, url):
    with pytest.raises(SyncError) as failed:
        by_apprise.send(
            url.format(receiver.url.removeprefix("http://")), messages.test_message(anna.user), ""
        )
    assert failed.value.facts["hopeless"]
    assert receiver.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/hook?a=b#c",
        "https://b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.example/",
        "https://under_score.example.org/",
        "https://[2001:db8::1]:8443/",
        "http://localhost:8080/",
        "http://[::1]:8080/",
        "https://user:password@example.org/",
    ],
)
def test_web_hooks_of_every_usual_spelling_are_taken(anna, url):
    assert channels.add_channel(anna.user, "webhook", "Hook", url)


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


def gotify(person, receiver, path="") -> AlertChannel:
    """A channel through apprise to the receiver, which it takes for a Gotify server."""
    url = f"gotify://{receiver.url.removeprefix('http://')}{path}/token"
    return channels.add_channel(person.user, "apprise", "App", url).channel


def test_apprise_delivers(anna, receiver):
    channels.send(gotify(anna, receiver), messages.test_message(anna.user))
    [request] = receiver.requests
    assert (request.method, request.path) == ("POST", "/message")
    assert b"This is a test" in request.body


def test_what_apprise_cannot_deliver_is_tried_again_and_its_log_stays_silent(anna, receiver, caplog):
    caplog.set_level(logging.DEBUG)
    receiver.status = 500
    with pytest.raises(SyncError) as failed:
        channels.send(gotify(anna, receiver, "/canary"), messages.test_message(anna.user))
    assert failed.value.error_type == "temporarily_unavailable"
    assert not failed.value.facts.get("permanent")
    assert "canary" not in caplog.text


def test_apprise_follows_no_redirect(anna, receiver):
    with HttpReceiver() as elsewhere:
        receiver.status, receiver.headers = 307, {"Location": elsewhere.url}
        with pytest.raises(SyncError):
            channels.send(gotify(anna, receiver), messages.test_message(anna.user))
        assert elsewhere.requests == []


@pytest.fixture
def netrc(tmp_path, monkeypatch):
    """The operator's, with a password for the receiver."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login operator password canary\n")
    monkeypatch.setenv("HOME", str(tmp_path))


def test_apprise_and_the_ping_send_no_password_of_this_machine(anna, receiver, netrc):
    channels.send(gotify(anna, receiver), messages.test_message(anna.user))
    by_ping.send(receiver.url)
    assert len(receiver.requests) == 2
    assert not any("Authorization" in request.headers for request in receiver.requests)


def test_a_web_hook_sends_no_password_of_this_machine(anna, webhook, receiver, netrc):
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
