"""An account that has become slow: its owner is told once a month, and not for one bad sync."""

from datetime import timedelta

import pytest

from diagnostics.alerting.messages import words_of
from diagnostics.models import Alert
from pipeline.models import AccountRun, JobType
from tests.pipeline.test_rollups import Story

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rings", "clock")]


def synced(account, *seconds, mails=0, phase="connect"):
    for spent in seconds:
        Story(account).tell("succeeded", emails_fetched=mails, phase_seconds={phase: float(spent)})


def told():
    return [
        (alert.user, alert.account, alert.kind, alert.facts) for alert in Alert.objects.filter(kind="slow")
    ]


def test_the_owner_is_told_what_was_measured_and_where_critical_begins(anna, account):
    synced(account, 6, 8, 0.1, 9)
    assert told() == []
    synced(account, 7)
    facts = {"operation": "connect", "seconds": 7.0, "critical": 5}
    assert told() == [(anna.user, account, "slow", facts)]
    assert Alert.objects.get().reason == "connect"


def test_one_slow_sync_is_no_news(account):
    synced(account, 0.1, 0.1, 0.1, 0.1, 60, 0.1, 60)
    assert told() == []


def test_a_month_has_one_alert_for_each_operation(account, clock):
    synced(account, *[6] * 8)
    assert len(told()) == 1
    synced(account, *[100] * 5, mails=200, phase="fetch")
    operations = [facts["operation"] for *_, facts in told()]
    assert sorted(operations) == ["connect", "fetch_50_mails", "total_100_mails"]
    clock.shift(timedelta(days=31))
    synced(account, 6)
    assert len(told()) == 4


def test_fetching_is_judged_only_by_runs_that_fetched_some_mails(account):
    synced(account, *[100] * 8, mails=9, phase="fetch")
    assert told() == []


def test_failed_runs_and_other_work_are_not_judged(account):
    for _ in range(5):
        Story(account).tell("failed", phase_seconds={"connect": 60.0})
    for _ in range(5):
        story = Story(account)
        AccountRun.objects.filter(pk=story.run.pk).update(kind=JobType.DIAGNOSTICS)
        story.tell("succeeded", phase_seconds={"connect": 60.0})
    synced(account, 0.1)
    assert told() == []


def test_the_alert_says_in_words_what_is_slow_and_how_slow(anna, account):
    synced(account, *[6] * 5)
    words = words_of(Alert.objects.get(), anna.user)
    assert "Connecting of GMX took 6.0 s" in words.sentence and "above 5 s is critical" in words.sentence
