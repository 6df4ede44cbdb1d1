"""The scheduler that is dead, and the one that is back."""

from datetime import timedelta

import pytest
from django.db import OperationalError

from diagnostics.alerting.messages import words_of
from diagnostics.models import Alert
from pipeline import tasks, watchdog
from pipeline.watchdog import Watchdog

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rings", "clock")]
MINUTE = timedelta(minutes=1)
DEAD, BACK = "Nothing is synced by itself", "The scheduler is back"


@pytest.fixture
def awake(monkeypatch):
    """A machine that never slept and was never off."""
    monkeypatch.setattr(watchdog, "_machine_rested", lambda silence: False)


def told(person) -> list[str]:
    alerts = Alert.objects.filter(user=person.user, kind="scheduler_dead").order_by("decided_at")
    return [words_of(alert, person.user).headline for alert in alerts]


def looks(dog, clock, count: int) -> list[bool]:
    seen = []
    for _ in range(count):
        clock.shift(MINUTE)
        seen.append(dog.look())
    return seen


def test_a_dead_scheduler_is_told_once(anna, clock):
    tasks.beat()
    assert looks(Watchdog(), clock, 9) == [False] * 5 + [True] * 4
    assert told(anna) == [DEAD]


def test_a_machine_that_wakes_up_alarms_nobody(anna, clock, monkeypatch):
    monkeypatch.setattr(watchdog, "_machine_rested", lambda silence: True)
    dog = Watchdog()
    tasks.beat()
    looks(dog, clock, 2)
    clock.shift(timedelta(hours=8))
    assert dog.look() is False
    tasks.beat()
    assert looks(dog, clock, 2) == [False, False]
    assert told(anna) == []


def test_the_return_is_told_to_whom_the_silence_was(anna, clock, monkeypatch):
    monkeypatch.setattr(watchdog, "_machine_rested", lambda silence: True)
    tasks.beat()
    looks(Watchdog(), clock, 9)
    tasks.beat()
    clock.shift(MINUTE)
    tasks.beat()
    assert told(anna) == [DEAD, BACK]


def test_a_silence_that_nobody_watched_is_told_when_it_is_over(anna, clock, awake):
    tasks.beat()
    clock.shift(60 * MINUTE)
    tasks.beat()
    assert told(anna) == [BACK]


def test_a_machine_that_was_switched_off_is_no_news(anna, clock, monkeypatch):
    monkeypatch.setattr(watchdog.time, "clock_gettime", lambda which: 30.0)  # seconds since it was started
    tasks.beat()
    clock.shift(600 * MINUTE)
    tasks.beat()
    assert told(anna) == []


def test_a_machine_that_slept_is_no_news(anna, clock, monkeypatch):
    times = {watchdog.time.CLOCK_BOOTTIME: 90_000.0, watchdog.time.CLOCK_MONOTONIC: 54_100.0}
    monkeypatch.setattr(watchdog.time, "clock_gettime", times.get)
    tasks.beat()
    clock.shift(600 * MINUTE)
    tasks.beat()
    assert told(anna) == []


def test_before_its_first_beat_nobody_is_alarmed(anna, clock):
    assert looks(Watchdog(), clock, 3) == [False] * 3
    assert told(anna) == []


def test_it_goes_to_whoever_runs_the_installation_and_to_nobody_else(anna, bert, clock):
    bert.user.is_staff = True
    bert.user.save(update_fields=["is_staff"])
    tasks.beat()
    looks(Watchdog(), clock, 9)
    assert (len(told(anna)), len(told(bert))) == (0, 1)


def test_a_database_that_is_away_does_not_end_the_watch(anna, monkeypatch):
    def away(*args, **options):
        raise OperationalError("the database's host is gone")

    monkeypatch.setattr("pipeline.models.Heartbeat.objects.filter", away)
    assert Watchdog().look() is False
