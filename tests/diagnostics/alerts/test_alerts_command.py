"""The door on the shell."""

import io
import json
from email.utils import parseaddr

import pytest
from django.core.management import CommandError, call_command

from diagnostics.alerting import alerts, preferences
from diagnostics.models import AlertChannel

pytestmark = pytest.mark.django_db
URL = "MAILHELPER_CHANNEL_URL"


def run(*arguments) -> str:
    out, err = io.StringIO(), io.StringIO()
    call_command("alerts", "anna@example.org", *arguments, stdout=out, stderr=err, no_color=True)
    return out.getvalue() + err.getvalue()


def test_it_shows_rules_channels_quiet_hours_and_the_last_alerts(anna, email):
    preferences.set_quiet_hours(anna.user, *preferences.quiet_hours_of("22:00-07:00"))
    alerts.decide(anna.user, "channel_disabled", "one", facts={"channel": "Old"})
    shown = run()
    assert "rule degraded: on, from 0 minutes" in shown
    assert "rule job_failed: off" in shown
    assert "quiet hours: 22:00-07:00" in shown
    assert "channel Mail (E-mail): in use" in shown
    assert "Alerts no longer go through Old" in shown


def test_where_a_channel_leads_is_never_shown(anna, email, monkeypatch, receiver):
    monkeypatch.setenv(URL, f"{receiver.url}/canary")
    run("--add-webhook", "--label", "Hook")
    assert "canary" not in run() + run("--json")
    assert "anna@example.org" not in run().replace("manage.py alerts anna@example.org", "")


def test_a_web_hook_is_added_from_the_environment_and_its_key_shown_once(anna, monkeypatch, receiver):
    monkeypatch.setenv(URL, receiver.url)
    assert "Signing key of Hook, shown only now: " in run("--add-webhook", "--label", "Hook")
    assert "Signing key" not in run()


def test_a_web_hook_is_given_events_and_loses_them(anna, monkeypatch, receiver):
    monkeypatch.setenv(URL, receiver.url)
    shown = run("--add-webhook", "--label", "Hook", "--events", "Hook=on")
    assert "Events on: Hook." in shown and "channel Hook (Web hook): in use, with events" in shown
    assert json.loads(run("--events", "Hook=off", "--json"))["channels"][0]["events"] is False


def test_json_holds_the_signing_key_of_what_was_added_and_nothing_stands_beside_it(
    anna, monkeypatch, receiver
):
    monkeypatch.setenv(URL, receiver.url)
    told = json.loads(run("--add-webhook", "--test", "--json"))
    assert told["channels"][0]["label"] == "webhook"
    assert told["tests"] == {"webhook": ""}
    assert (told["added"]["label"], told["added"]["kind"]) == ("webhook", "webhook")
    assert len(bytes.fromhex(told["added"]["signing_key"])) == 32
    assert "added" not in json.loads(run("--json"))


def test_what_was_added_is_said_and_with_it_only_the_new_one_is_tested(anna, email, smtp):
    shown = run("--add-email", "other@example.org", "--label", "Other", "--test")
    assert "Added: Other (E-mail)." in shown
    assert [parseaddr(letter["To"])[1] for letter in smtp.letters] == ["other@example.org"]


@pytest.mark.parametrize(
    ("change", "done"),
    [
        ("--quiet=22:00-07:00", "Quiet hours: 22:00-07:00."),
        ("--quiet=off", "Quiet hours: none."),
        ("--rule=degraded=30", "Set: rule degraded: on, from 30 minutes."),
        ("--rule=recovered=off", "Set: rule recovered: off."),
        ("--snooze=GMX=8", "Silenced until 2026-03-01 20:00 UTC: GMX."),
        ("--snooze=GMX=off", "Not silenced any more: GMX."),
        ("--language=de", "Language: de."),
        ("--read", "Marked as read: 1."),
        ("--enable=Mail", "Used again: Mail."),
        ("--remove=Mail", "Removed: Mail."),
    ],
)
def test_each_change_is_said_before_what_holds_now(anna, gmx, email, clock, change, done):
    alerts.decide(anna.user, "broken", "one", reason="timeout")
    assert run(change).startswith(f"{done}\nrule broken: on\n")


def test_a_test_of_all_counts_each_channel_and_is_refused_before_any_is_sent(anna, email, smtp, clock):
    run("--add-email", "other@example.org", "--label", "Other")
    run("--test"), run("--test")
    with pytest.raises(CommandError, match="from March 1, 2026, 1 p") as failed:
        run("--test")
    assert failed.value.returncode == 2
    assert len(smtp.letters) == 4
    run("--test", "Mail")
    clock.shift(60 * 60)
    run("--test")


def test_a_url_is_not_taken_without_terminal_or_environment(anna, monkeypatch):
    monkeypatch.delenv(URL, raising=False)
    with pytest.raises(CommandError, match=URL):
        run("--add-apprise")


def test_a_test_is_sent_at_once_and_says_that_it_was_handed_over(anna, smtp):
    assert "Mail: The test was handed over." in run(
        "--add-email", "anna@example.org", "--label", "Mail", "--test"
    )
    assert smtp.letters[0]["Subject"] == "mailhelper: A test from mailhelper"


def test_a_test_that_fails_says_why_and_ends_with_1(anna, email, smtp):
    smtp.answer = "550 canary"
    err = io.StringIO()
    with pytest.raises(CommandError) as failed:
        call_command("alerts", "anna@example.org", "--test", "Mail", stdout=io.StringIO(), stderr=err)
    assert failed.value.returncode == 1
    assert "The receiver does not take this message." in err.getvalue()
    assert "canary" not in err.getvalue()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--rule", "broken"),
        ("--rule", "weather=on"),
        ("--rule", "broken=3"),
        ("--rule", "degraded=-3"),
        ("--quiet", "22-7"),
        ("--snooze", "GMX"),
        ("--snooze", "Nobody=8"),
        ("--snooze", "GMX=99999"),
        ("--label", "Mail"),
        ("--remove", "Nothing"),
        ("--enable", "Nothing"),
        ("--events", "Nothing=on"),
        ("--events", "on"),
        ("--test",),
        ("--test", "Nothing"),
        ("--add-email", "anna"),
    ],
)
def test_wrong_usage_ends_with_2(anna, arguments):
    with pytest.raises(CommandError) as failed:
        run(*arguments)
    assert failed.value.returncode == 2


def test_rules_quiet_hours_language_and_snooze_are_set(anna, gmx):
    run("--rule", "degraded=30", "--rule", "recovered=off", "--quiet", "22:00-07:00", "--language", "de")
    shown = json.loads(run("--snooze", "GMX=8", "--json"))
    assert shown["rules"]["degraded"] == {"on": True, "minutes": 30}
    assert shown["rules"]["recovered"] == {"on": False}
    assert (shown["quiet_hours"], shown["language"]) == ("22:00-07:00", "de")
    assert list(shown["snoozed"]) == ["GMX"]
    shown = json.loads(run("--snooze", "GMX=off", "--quiet", "off", "--json"))
    assert (shown["snoozed"], shown["quiet_hours"]) == ({}, None)


def test_a_disabled_channel_is_enabled_removed_and_notifications_read(anna, email, clock):
    AlertChannel.objects.update(disabled_at=email.created_at, disabled_reason="timeout", failures=3)
    assert "channel Mail (E-mail): disabled (timeout)" in run()
    alerts.decide(anna.user, "broken", "one", reason="timeout")
    assert "channel Mail (E-mail): in use" in run("--enable", "mail")
    assert json.loads(run("--read", "--json"))["unread"] == 0
    assert "No channel yet" in run("--remove", "Mail")
