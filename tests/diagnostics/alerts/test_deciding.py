"""Which alerts follow from the rows, each once."""

import pytest
from django.utils import timezone

from accounts import actions, grants
from accounts.models import GrantPurpose, KeyGrant, RemoteHost
from diagnostics.alerting import alerts, preferences, rules
from diagnostics.alerting.messages import words_of
from diagnostics.models import Alert, AlertDelivery
from tests.diagnostics.alerts.conftest import (
    BROKEN,
    DAY,
    DEGRADED,
    HEALTHY,
    HOUR,
    MANUAL,
    MINUTE,
    kinds,
    made_account,
    put_down,
)

pytestmark = pytest.mark.django_db


def later(clock, passed=MINUTE) -> int:
    clock.shift(passed)
    return rules.decide_due()


@pytest.mark.parametrize(
    ("status", "reason", "told", "alert"),
    [
        ("broken", "timeout", None, "broken"),
        ("broken", "no_success", None, "dead_man"),
        ("broken", "timeout", "degraded", "broken"),
        ("broken", "timeout", "recovered", "broken"),
        ("broken", "no_success", "broken", None),
        ("broken", "timeout", "dead_man", None),
        ("degraded", "timeout", None, "degraded"),
        ("degraded", "timeout", "recovered", "degraded"),
        ("degraded", "recovering", "broken", None),
        ("degraded", "recovering", "dead_man", None),
        ("degraded", "timeout", "degraded", None),
        ("degraded", "recovering", None, None),
        ("healthy", "", "broken", "recovered"),
        ("healthy", "", "dead_man", "recovered"),
        ("healthy", "", "degraded", "recovered"),
        ("manual", "no_background", "broken", None),
        ("healthy", "", None, None),
        ("healthy", "", "recovered", None),
        ("new", "", "broken", None),
    ],
)
def test_the_alert_that_a_status_calls_for_after_what_was_told(status, reason, told, alert):
    assert rules.health_alert(status, reason, told, MINUTE) == alert


@pytest.mark.parametrize(
    ("status", "told", "alert"),
    [
        ("broken", "broken", "broken"),
        ("broken", "dead_man", "broken"),
        ("manual", "broken", "recovered"),
        ("degraded", "broken", None),
    ],
)
def test_a_success_after_what_was_told_makes_it_news_again(status, told, alert):
    assert rules.health_alert(status, "timeout", told, MINUTE, worked_since=True) == alert


def test_a_second_outage_of_an_account_that_never_became_quite_healthy_is_told(gmx, anna, clock):
    put_down(gmx, BROKEN, "timeout")
    later(clock)
    clock.shift(HOUR)
    put_down(gmx, DEGRADED, "quarantined", last_success_at=timezone.now())
    later(clock)
    clock.shift(HOUR)
    put_down(gmx, BROKEN, "timeout")
    later(clock)
    later(clock)
    assert kinds(anna.user) == ["broken", "broken"]


def test_who_was_not_told_of_the_trouble_is_not_told_that_it_is_over(gmx, anna, email, smtp, clock):
    preferences.set_rule(anna.user, "degraded", on=False)
    put_down(gmx, DEGRADED, "timeout")
    later(clock)
    put_down(gmx, HEALTHY)
    later(clock)
    assert kinds(anna.user) == ["degraded", "recovered"]
    assert not AlertDelivery.objects.exists()


def test_an_account_that_nothing_syncs_by_itself_is_promised_nothing(gmx, anna, clock):
    put_down(gmx, BROKEN, "invalid_credentials")
    later(clock)
    [alert] = Alert.objects.all()
    assert "keeps trying" not in words_of(alert, anna.user).next_step


def test_the_alert_names_the_cause_and_the_cure_that_the_accounts_page_does(gmx, anna, clock):
    facts = {"reason": "certificate_expired", "probe": "tls"}
    put_down(gmx, BROKEN, "no_success", last_error_type="tls_failed", last_error_facts=facts)
    later(clock)
    [alert] = Alert.objects.all()
    words = words_of(alert, anna.user)
    assert "certificate has expired" in words.sentence and "Ask the provider to renew it" in words.next_step


def test_an_account_that_waits_for_its_server_says_so(gmx, anna, clock):
    RemoteHost.objects.create(host_key=gmx.host_key, breaker_opened_at=timezone.now())
    put_down(gmx, BROKEN, "no_success")
    later(clock)
    [alert] = Alert.objects.all()
    assert "The mail server failed several times" in words_of(alert, anna.user).sentence


def test_an_account_that_breaks_and_heals_is_announced_once_each(gmx, anna, clock):
    for status, reason in [
        (HEALTHY, ""),
        (DEGRADED, "timeout"),
        (BROKEN, "timeout"),
        (DEGRADED, "recovering"),
    ]:
        put_down(gmx, status, reason)
        later(clock)
        later(clock)
    put_down(gmx, HEALTHY)
    later(clock)
    later(clock)
    assert kinds(anna.user) == ["degraded", "broken", "recovered"]


def test_the_second_outage_is_announced_as_the_first(gmx, anna, clock):
    for status in (BROKEN, HEALTHY, BROKEN, HEALTHY):
        put_down(gmx, status, "timeout" if status == BROKEN else "")
        later(clock)
    assert kinds(anna.user) == ["broken", "recovered", "broken", "recovered"]


def test_degraded_is_announced_only_when_it_lasts_as_long_as_the_person_said(gmx, anna, clock):
    preferences.set_rule(anna.user, "degraded", threshold=30)
    put_down(gmx, DEGRADED, "timeout")
    assert later(clock, 29 * MINUTE) == 0
    assert later(clock, MINUTE) == 1
    assert kinds(anna.user) == ["degraded"]


def test_a_paused_account_is_silent(gmx, anna, clock):
    put_down(gmx, BROKEN, "timeout", quarantined=9)
    actions.set_enabled(gmx, False)
    assert later(clock) == 0
    put_down(gmx, MANUAL, "paused")
    assert later(clock) == 0


def test_the_quarantine_is_announced_when_it_grows_and_not_while_it_stays(gmx, anna, clock):
    put_down(gmx, HEALTHY, quarantined=2)
    assert [later(clock), later(clock)] == [1, 0]
    put_down(gmx, HEALTHY, quarantined=5)
    assert [later(clock), later(clock)] == [1, 0]
    assert [alert.facts["grown"] for alert in Alert.objects.order_by("decided_at")] == [2, 3]


def test_growth_counts_from_where_the_quarantine_fell_to(gmx, anna, clock):
    put_down(gmx, HEALTHY, quarantined=5)
    later(clock)
    put_down(gmx, HEALTHY, quarantined=1)
    assert later(clock) == 0
    put_down(gmx, HEALTHY, quarantined=2)
    assert later(clock) == 1


def test_the_quarantine_is_announced_from_the_number_on_that_the_person_said(gmx, anna, clock):
    preferences.set_rule(anna.user, "quarantine", threshold=3)
    put_down(gmx, HEALTHY, quarantined=2)
    assert later(clock) == 0
    put_down(gmx, HEALTHY, quarantined=3)
    assert later(clock) == 1


@pytest.fixture
def granted(clock, anna, gmx):
    return grants.grant(gmx, actions.account_key(gmx, anna.user_key), GrantPurpose.BACKGROUND)


def test_a_grant_is_announced_seven_days_and_one_day_before_it_ends(granted, anna, clock):
    assert later(clock, 82 * DAY) == 0
    assert [later(clock, 2 * DAY), later(clock, 4 * DAY)] == [1, 0]
    assert [later(clock, DAY), later(clock)] == [1, 0]
    assert kinds(anna.user) == ["grant_expiring"] * 2


def test_a_grant_that_was_extended_is_announced_anew(granted, anna, clock):
    later(clock, 84 * DAY)
    grants.extend_background(anna.user)
    assert later(clock) == 0
    assert later(clock, 84 * DAY) == 1


def test_a_grant_that_ended_is_not_announced(granted, anna, clock):
    grants.revoke(KeyGrant.objects.filter(pk=granted.pk))
    assert later(clock, 84 * DAY) == 0


def test_deciding_takes_the_same_number_of_queries_for_one_account_and_for_many(
    anna, bert, clock, django_assert_max_num_queries
):
    for number in range(12):
        put_down(made_account(anna if number % 2 else bert, f"box {number}"), BROKEN, "timeout")
    later(clock)
    with django_assert_max_num_queries(4):
        later(clock)


def test_each_person_hears_of_their_own_accounts_only(anna, bert, clock):
    put_down(made_account(bert), BROKEN, "timeout")
    later(clock)
    assert (kinds(anna.user), kinds(bert.user)) == ([], ["broken"])


def test_one_account_that_cannot_be_decided_does_not_silence_the_others(anna, bert, clock, monkeypatch):
    put_down(made_account(anna), BROKEN, "timeout")
    put_down(made_account(bert), BROKEN, "timeout")
    decide = alerts.decide

    def stumbling(user, *args, **options):
        if user == anna.user:
            raise KeyError("a bug")
        return decide(user, *args, **options)

    monkeypatch.setattr(alerts, "decide", stumbling)
    assert later(clock) == 1
    assert kinds(bert.user) == ["broken"]


def test_a_rule_that_is_off_leaves_the_notification_and_sends_nothing(gmx, anna, webhook, clock):
    preferences.set_rule(anna.user, "broken", on=False)
    put_down(gmx, BROKEN, "timeout")
    later(clock)
    assert kinds(anna.user) == ["broken"]
    assert not AlertDelivery.objects.exists()


def test_a_key_is_decided_once_and_with_its_deliveries(anna, webhook, email):
    assert alerts.decide(anna.user, "slow", "one key").deliveries.count() == 2
    assert alerts.decide(anna.user, "slow", "one key") is None
    assert AlertDelivery.objects.count() == 2


def test_operators_are_the_staff_and_without_any_the_first_person(anna, bert, clock):
    assert alerts.operators() == [anna.user]
    type(bert.user).objects.filter(pk=bert.user.pk).update(is_staff=True)
    assert alerts.operators() == [bert.user]
    assert len(alerts.decide_for_operators("scheduler_dead", "dead at noon")) == 1
    assert alerts.decide_for_operators("scheduler_dead", "dead at noon") == []


def test_the_notification_of_a_snoozed_account_is_there_and_its_message_waits(gmx, anna, webhook, clock):
    preferences.snooze(gmx, timezone.now() + 8 * HOUR)
    put_down(gmx, BROKEN, "timeout")
    later(clock)
    [delivery] = AlertDelivery.objects.all()
    assert kinds(anna.user) == ["broken"]
    assert delivery.due_at == timezone.now() + 8 * HOUR - MINUTE


def test_a_snooze_that_ends_lets_what_waits_go(gmx, anna, webhook, clock):
    preferences.snooze(gmx, timezone.now() + 8 * HOUR)
    put_down(gmx, BROKEN, "timeout")
    later(clock)
    preferences.snooze(gmx, None)
    assert AlertDelivery.objects.get().due_at == timezone.now()
