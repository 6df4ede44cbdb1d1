"""Tests of channels: one at a time, and few."""

import pytest

from accounts.errors import UsageError
from diagnostics.alerting import alerts, channels, trials
from diagnostics.models import Alert, AlertChannel

pytestmark = pytest.mark.django_db


def under_way(channel: AlertChannel) -> None:
    """A process has begun a test and is at it, or has died over it."""
    trials._begin(channel.user, trials.timezone.now())


def test_a_test_that_is_handed_over_has_no_error(webhook, receiver):
    assert trials.send(webhook) == ""
    receiver.status = 410
    assert trials.send(webhook) == "delivery_refused"


def test_while_one_test_goes_the_person_has_no_other(webhook, email, smtp, receiver, clock):
    under_way(webhook)
    with pytest.raises(UsageError, match="on its way"):
        trials.send(email)
    assert smtp.letters == []


def test_anothers_test_is_no_hindrance(webhook, bert, receiver, clock):
    under_way(webhook)
    theirs = channels.add_channel(bert.user, "webhook", "Hook", receiver.url).channel
    assert trials.send(theirs) == ""


def test_a_test_whose_process_died_is_over_after_a_minute(webhook, receiver, clock):
    under_way(webhook)
    clock.shift(61)
    assert trials.send(webhook) == ""


def test_after_a_test_that_failed_or_broke_comes_the_next(webhook, receiver, clock, monkeypatch):
    receiver.status = 500
    trials.send(webhook), trials.send(webhook)
    with monkeypatch.context() as broken:
        broken.setattr(channels, "send", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            trials.send(webhook)
    assert trials.send(webhook) == "temporarily_unavailable"


def test_five_an_hour_through_all_channels_together_and_what_failed_counts(
    anna, webhook, email, smtp, receiver, clock
):
    receiver.status = 500
    for channel in (webhook, webhook, webhook, email, email):
        trials.send(channel)
        clock.shift(60)
    with pytest.raises(UsageError, match="from March 1, 2026, 1 p"):
        trials.send(email)
    clock.shift(55 * 60)
    assert trials.send(email) == ""
    with pytest.raises(UsageError, match="1:01 p"):
        trials.send(email)


def test_a_removed_channel_gives_no_tests_back(anna, receiver, clock):
    for number in range(5):
        channel = channels.add_channel(anna.user, "webhook", str(number), receiver.url).channel
        trials.send(channel)
        channels.remove(channel)
    with pytest.raises(UsageError, match="At most 5"):
        trials.send(channels.add_channel(anna.user, "webhook", "next", receiver.url).channel)


def test_tests_are_kept_for_an_hour_and_nobody_is_told_of_them(anna, webhook, receiver, clock):
    trials.send(webhook)
    clock.shift(61 * 60)
    trials.send(webhook)
    assert Alert.objects.count() == 1
    assert alerts.unread_count(anna.user) == 0
    assert not alerts.told(anna.user).exists()
