"""The pages of notifications and of what a person is told."""

import pytest
from django.test import Client
from django.urls import reverse

from accounts import unlocked
from diagnostics import views
from diagnostics.alerting import alerts, channels, delivery, preferences
from diagnostics.models import AccountHealth, AlertChannel
from tests.diagnostics.alerts.conftest import made_account
from tests.pipeline.test_pages import signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def page(anna) -> Client:
    """Anna's browser, signed in and unlocked."""
    return signed_in(Client(), anna)


def told(person, number, **options):
    return alerts.decide(person.user, "broken", f"{person.user.pk}:{number}", reason="timeout", **options)


def test_notifications_are_shown_newest_first_with_cause_and_next_step(page, anna, gmx, clock):
    told(anna, 1, account=gmx)
    clock.shift(60)
    alerts.decide(anna.user, "recovered", "2", account=gmx)
    shown = page.get(reverse("notifications")).text
    assert shown.index("GMX works again") < shown.index("GMX is not synced any more")
    assert "The server took too long to answer." in shown


def test_the_bell_counts_what_is_unread_until_it_is_marked_as_read(page, anna):
    told(anna, 1), told(anna, 2)
    shown = page.get(reverse("overview")).text
    assert '<span class="count">2<' in shown
    assert page.get(reverse("notifications")).text.count('class="unread"') == 2
    page.post(reverse("read_all"))
    assert 'class="count"' not in page.get(reverse("overview")).text
    assert 'class="unread"' not in page.get(reverse("notifications")).text


def test_a_notification_leads_to_its_account(page, anna, gmx):
    told(anna, 1, account=gmx), told(anna, 2)
    shown = page.get(reverse("notifications")).text
    assert shown.count(f'<a href="{reverse("account", args=[gmx.pk])}">GMX</a>') == 1


def test_a_channel_shows_what_its_newest_attempt_met_and_nothing_once_a_message_arrived(
    page, anna, webhook, receiver, clock
):
    def attempt(number, status=200, drops=False):
        receiver.status, receiver.drops = status, drops
        clock.shift(1)
        told(anna, number)
        delivery.deliver_due()
        return page.get(reverse("alerts")).text

    broke_off = "The connection to the receiver broke off."
    assert broke_off in attempt(1, drops=True)
    shown = attempt(2, status=429)
    assert broke_off not in shown and "slow" in shown
    assert broke_off in attempt(3, drops=True)
    assert broke_off not in attempt(4)
    assert delivery.last_errors([webhook]) == {}


def test_fifty_notifications_to_a_page(page, anna):
    for number in range(51):
        told(anna, number)
    first = page.get(reverse("notifications"))
    assert (first.text.count("<li "), "?page=2" in first.text) == (50, True)
    assert page.get(reverse("notifications") + "?page=2").text.count("<li ") == 1
    assert page.get(reverse("notifications") + "?page=nonsense").status_code == 200


def test_a_page_of_many_notifications_takes_few_queries(page, anna, gmx, django_assert_max_num_queries):
    for number in range(20):
        told(anna, number, account=gmx)
    with django_assert_max_num_queries(6):
        page.get(reverse("notifications"))


def test_nobody_sees_or_reads_anothers_notifications(page, anna, bert):
    told(bert, 1, account=made_account(bert, "Berts own"))
    assert "Berts own" not in page.get(reverse("notifications")).text
    page.post(reverse("read_all"))
    assert alerts.unread_count(bert.user) == 1


def test_without_notifications_the_page_says_so(page):
    assert "Nothing to tell" in page.get(reverse("notifications")).text


DOORS = ["notifications", "alerts", "read_all", "add_channel", "set_rules", "set_quiet_hours"]


@pytest.mark.parametrize("name", DOORS)
def test_who_is_not_signed_in_is_sent_to_sign_in(client, db, name):
    response = client.get(reverse(name)) if name in DOORS[:2] else client.post(reverse(name))
    assert (response.status_code, response["Location"].split("?")[0]) == (302, reverse("sign_in"))


@pytest.mark.parametrize("name", DOORS[2:])
def test_what_changes_something_is_not_a_get_and_needs_its_token(anna, name):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(anna.user, backend="django.contrib.auth.backends.ModelBackend")
    assert strict.post(reverse(name)).status_code == 403


@pytest.mark.parametrize("name", DOORS[2:])
def test_who_comes_to_it_without_a_form_is_shown_the_page_and_changes_nothing(page, anna, name):
    told(anna, 1)
    shown = page.get(reverse(name))
    assert shown["Location"] == reverse("notifications" if name == "read_all" else "alerts")
    assert alerts.unread_count(anna.user) == 1


def test_without_a_form_no_channel_and_no_account_changes(page, anna, gmx, email, smtp):
    for name, subject in [("remove_channel", email), ("test_channel", email), ("snooze", gmx)]:
        assert page.get(reverse(name, args=[subject.pk]))["Location"] == reverse("alerts")
    assert anna.user.channels.count() == 1
    assert smtp.letters == []


@pytest.mark.parametrize("door", ["remove_channel", "enable_channel", "test_channel", "set_events"])
def test_anothers_channel_is_not_there(page, bert, smtp, door):
    channel = channels.add_channel(bert.user, "email", "Mail", "bert@example.org").channel
    assert page.post(reverse(door, args=[channel.pk])).status_code == 404
    assert AlertChannel.objects.filter(pk=channel.pk).exists()
    assert smtp.letters == []


def test_anothers_account_is_not_there_to_be_silenced(page, bert):
    account = made_account(bert)
    assert page.post(reverse("snooze", args=[account.pk]), {"hours": "8"}).status_code == 404
    assert not AccountHealth.objects.filter(account=account).exists()


def test_a_channel_is_added_tested_and_removed(page, anna, smtp):
    page.post(reverse("add_channel"), {"kind": "email", "label": "Mail", "target": "anna@example.org"})
    channel = AlertChannel.objects.get()
    assert "Mail" in page.get(reverse("alerts")).text
    assert "The test was handed over." in page.post(reverse("test_channel", args=[channel.pk])).text
    assert len(smtp.letters) == 1
    page.post(reverse("remove_channel", args=[channel.pk]))
    assert "None yet." in page.get(reverse("alerts")).text


def test_a_web_hook_takes_events_from_the_start_or_later(page, anna, receiver):
    hook = {"kind": "webhook", "label": "Hook", "target": receiver.url, "events": "on"}
    assert ", with events" in page.post(reverse("add_channel"), hook).text
    door = reverse("set_events", args=[AlertChannel.objects.get().pk])
    page.post(door, {"events": "off"})
    assert ", with events" not in page.get(reverse("alerts")).text
    page.post(door, {"events": "on"})
    assert AlertChannel.objects.get().events


def test_what_takes_no_events_has_no_button_for_them_and_says_so(page, anna, email):
    assert reverse("set_events", args=[email.pk]) not in page.get(reverse("alerts")).text
    typed = {"kind": "email", "label": "Other", "target": "anna@example.org", "events": "on"}
    refused = page.post(reverse("add_channel"), typed)
    assert (refused.status_code, AlertChannel.objects.count()) == (422, 1)
    assert "only a web hook takes them" in refused.text and 'name="events" checked' in refused.text


def test_a_locked_session_sends_what_is_told_nowhere_new(page):
    del page.cookies[unlocked.COOKIE]
    channel = {"kind": "email", "label": "Mail", "target": "thief@example.org"}
    answer = page.post(reverse("add_channel"), channel)
    assert answer["Location"] == f"{reverse('unlock')}?next={reverse('alerts')}"
    assert not AlertChannel.objects.exists()


def test_the_signing_key_is_shown_once(page, anna, receiver):
    hook = {"kind": "webhook", "label": "Hook", "target": receiver.url}
    response = page.post(reverse("add_channel"), hook)
    assert "The signing key of Hook" in response.text
    assert "no-store" in response["Cache-Control"]
    assert "signing key" not in page.get(reverse("alerts")).text


def test_what_cannot_be_added_is_said_beside_what_was_typed(page, anna):
    typed = {"kind": "webhook", "label": "My hook", "target": "http://example.org/typed"}
    response = page.post(reverse("add_channel"), typed)
    assert response.status_code == 422
    assert "Without TLS alerts would travel readable." in response.text
    assert 'value="My hook"' in response.text
    assert 'value="http://example.org/typed"' in response.text
    assert 'value="webhook" selected' in response.text


def test_a_test_that_fails_says_why_in_our_words(page, anna, email, smtp):
    smtp.answer = "550 canary"
    shown = page.post(reverse("test_channel", args=[email.pk])).text
    assert "The receiver does not take this message." in shown
    assert "canary" not in shown


def test_somebody_waits_for_a_test_so_it_ends_soon(page, anna, webhook, receiver, monkeypatch):
    assert views.SECONDS_OF_A_TEST <= 8
    monkeypatch.setattr(views, "SECONDS_OF_A_TEST", 0.3)
    receiver.hangs = True
    shown = page.post(reverse("test_channel", args=[webhook.pk])).text
    assert "The receiver took too long to answer." in shown


def test_what_apprise_could_not_send_says_that_it_may_be_refused(page, anna, receiver):
    url = f"gotify://{receiver.url.removeprefix('http://')}/token"
    channel = channels.add_channel(anna.user, "apprise", "App", url).channel
    receiver.status = 404
    shown = page.post(reverse("test_channel", args=[channel.pk])).text
    assert "The service did not accept it, or cannot now." in shown
    AlertChannel.objects.update(disabled_at=channel.created_at, disabled_reason="temporarily_unavailable")
    assert "The service did not accept it, or cannot now." in page.get(reverse("alerts")).text


def test_a_sixth_test_within_the_hour_is_not_sent_and_says_when(page, anna, email, smtp, clock):
    tests = [page.post(reverse("test_channel", args=[email.pk])) for _ in range(6)]
    assert [answer.status_code for answer in tests] == [200] * 5 + [422]
    assert "can be sent from March 1, 2026, 1 p.m. (UTC) on" in tests[-1].text
    assert len(smtp.letters) == 5


def test_tests_are_no_notifications(page, anna, email):
    page.post(reverse("test_channel", args=[email.pk]))
    assert "Nothing to tell" in page.get(reverse("notifications")).text
    assert 'class="count"' not in page.get(reverse("overview")).text


def test_a_disabled_channel_says_why_and_is_switched_on_again(page, anna, email):
    AlertChannel.objects.update(disabled_at=email.created_at, disabled_reason="dns_failed")
    shown = page.get(reverse("alerts")).text
    assert "Switched off" in shown
    assert "name was not found" in shown
    page.post(reverse("enable_channel", args=[email.pk]))
    assert "Switched off" not in page.get(reverse("alerts")).text


def all_on(**changes) -> dict:
    form = {f"{kind}-on": "on" for kind in preferences.DEFAULTS}
    return form | {"degraded-number": "0", "quarantine-number": "1"} | changes


def test_rules_are_set_as_ticked(page, anna):
    form = all_on(**{"degraded-number": "45"})
    del form["recovered-on"]
    assert page.post(reverse("set_rules"), form).status_code == 302
    anna.user.refresh_from_db()
    theirs = preferences.of(anna.user)
    assert not preferences.rule_of(theirs, "recovered").on
    assert preferences.rule_of(theirs, "job_failed").on
    assert preferences.rule_of(theirs, "degraded").threshold == 45


@pytest.mark.parametrize("number", ["-1", "many", "", "999999"])
def test_a_threshold_that_makes_no_sense_changes_nothing_and_stays_as_typed(page, anna, number):
    form = all_on(**{"degraded-number": number})
    del form["recovered-on"]
    response = page.post(reverse("set_rules"), form)
    assert response.status_code == 422
    assert f'name="degraded-number" value="{number}"' in response.text
    assert 'name="recovered-on">' in response.text
    anna.user.refresh_from_db()
    assert preferences.of(anna.user).rules == {}


def test_quiet_hours_are_set_and_ended(page, anna):
    page.post(reverse("set_quiet_hours"), {"from": "22:00", "until": "07:00"})
    assert 'value="22:00"' in page.get(reverse("alerts")).text
    page.post(reverse("set_quiet_hours"), {"from": "", "until": ""})
    assert 'value="22:00"' not in page.get(reverse("alerts")).text


def test_half_of_quiet_hours_is_refused_beside_what_was_typed(page, anna):
    response = page.post(reverse("set_quiet_hours"), {"from": "22:00", "until": ""})
    assert response.status_code == 422
    assert 'value="22:00"' in response.text


CHANGES = {
    "set_rules": ("rules", "Saved."),
    "set_quiet_hours": ("quiet", "Saved."),
    "snooze": ("snooze", "Saved."),
    "add_channel": ("channels", "The channel was added."),
    "enable_channel": ("channels", "The channel is used again."),
    "remove_channel": ("channels", "The channel was removed."),
}


@pytest.mark.parametrize("door", CHANGES)
def test_a_change_is_confirmed_in_its_part_of_the_page(page, anna, gmx, email, door):
    subjects = {"snooze": [gmx.pk], "enable_channel": [email.pk], "remove_channel": [email.pk]}
    form = all_on(hours="8")
    form |= {"from": "22:00", "until": "07:00", "kind": "email", "label": "Other", "target": "a@example.org"}
    answer = page.post(reverse(door, args=subjects.get(door)), form, follow=True)
    part, words = CHANGES[door]
    assert answer.redirect_chain[0][0].endswith(f"#{part}")
    shown = answer.text[answer.text.index(f'<h2 id="{part}"') :].partition("</section>")[0]
    assert f'<p class="good" role="status">{words}' in shown
    assert answer.text.count('class="good"') == 1


def test_a_page_confirms_nothing_that_is_no_word_of_ours(page):
    assert 'class="good"' not in page.get(reverse("alerts"), {"saved": "canary"}).text


@pytest.mark.parametrize("hours", ["soon", "", "-1", "99999", "999999999"])
def test_a_snooze_that_makes_no_sense_says_what_a_snooze_is(page, gmx, hours):
    answer = page.post(reverse("snooze", args=[gmx.pk]), {"hours": hours})
    assert answer.status_code == 422
    assert "A snooze " in answer.text and "threshold" not in answer.text


def test_each_kind_of_channel_has_an_example(page):
    shown = page.get(reverse("alerts")).text
    for example in ("anna@example.org", "https://example.org/hook", "ntfys://ntfy.sh/topic"):
        assert f"<code>{example}</code>" in shown


def test_the_page_names_the_time_zone_and_leads_to_where_it_is_set(page):
    shown = page.get(reverse("alerts")).text
    assert "(time zone: UTC)" in shown and f'href="{reverse("settings")}"' in shown


def test_an_account_is_silenced_and_speaks_again(page, anna, gmx):
    page.post(reverse("snooze", args=[gmx.pk]), {"hours": "8"})
    assert "silent until" in page.get(reverse("alerts")).text
    page.post(reverse("snooze", args=[gmx.pk]), {"hours": "0"})
    assert "silent until" not in page.get(reverse("alerts")).text


def test_the_page_says_whose_machine_can_use_the_channels(page):
    assert "the machine that runs mailhelper can use them" in page.get(reverse("alerts")).text


def test_no_page_holds_script_or_style_of_its_own(page, anna, gmx, email):
    told(anna, 1, account=gmx)
    for name in ("alerts", "notifications"):
        shown = page.get(reverse(name)).text
        assert "<script>" not in shown
        assert "style=" not in shown
        assert "onclick" not in shown
