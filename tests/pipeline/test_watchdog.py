"""The scheduler that is dead, and the one that is back."""

from datetime import timedelta

import pytest
from django.db import OperationalError

from diagnostics.alerting.messages import words_of
from diagnostics.models import Alert
from pipeline import tasks, watchdog

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rings", "clock")]
MINUTE = timedelta(minutes=1)


def told(person) -> list[str]:
    alerts = Alert.objects.filter(user=person.user, kind="scheduler_dead").order_by("decided_at")
    return [words_of(alert, person.user).headline for alert in alerts]


def test_a_dead_scheduler_is_told_once_by_whoever_notices(anna, clock):
    tasks.beat()
    clock.shift(4 * MINUTE)
    assert watchdog.look() is False
    clock.shift(2 * MINUTE)
    assert [watchdog.look(), watchdog.look()] == [True, True]
    assert told(anna) == ["Nothing is synced by itself"]


def test_its_return_is_told_too(anna, clock):
    tasks.beat()
    clock.shift(60 * MINUTE)
    watchdog.look()
    tasks.beat()
    clock.shift(MINUTE)
    tasks.beat()
    assert told(anna) == ["Nothing is synced by itself", "The scheduler is back"]
    assert watchdog.look() is False


def test_before_its_first_beat_nobody_is_alarmed(anna):
    assert watchdog.look() is False
    assert told(anna) == []


def test_it_goes_to_whoever_runs_the_installation_and_to_nobody_else(anna, bert, clock):
    bert.user.is_staff = True
    bert.user.save(update_fields=["is_staff"])
    tasks.beat()
    clock.shift(60 * MINUTE)
    watchdog.look()
    assert (len(told(anna)), len(told(bert))) == (0, 1)


def test_a_database_that_is_away_does_not_end_the_watch(anna, monkeypatch):
    def away(*args, **options):
        raise OperationalError("the database's host is gone")

    monkeypatch.setattr("pipeline.models.Heartbeat.objects.filter", away)
    assert watchdog.look() is False
