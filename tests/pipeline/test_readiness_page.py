"""What monitors see of an installation."""

from datetime import timedelta

import pytest
from django.utils import timezone

from pipeline import heartbeats, tasks
from pipeline.models import Heartbeat


def test_healthz_answers_without_any_query(client, django_assert_num_queries, db):
    with django_assert_num_queries(0):
        answer = client.get("/healthz")
    assert (answer.status_code, answer.content) == (200, b"ok\n")


def test_readyz_is_well_while_the_tick_lives(client, db, clock, django_assert_max_num_queries):
    tasks.beat()
    heartbeats.beat(f"{Heartbeat.WORKER}one")
    with django_assert_max_num_queries(3):
        answer = client.get("/readyz")
    told = answer.json()
    assert answer.status_code == 200
    assert (told["database"], told["queue"], told["tick"], told["workers"]) == ("ok", "ok", "ok", 1)


@pytest.mark.parametrize(("silent_for", "word"), [(timedelta(minutes=2), "late"), (None, "never")])
def test_readyz_says_that_the_scheduler_is_dead(client, db, clock, silent_for, word):
    if silent_for:
        tasks.beat()
        clock.shift(silent_for)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["tick"]) == (503, word)


def test_readyz_says_that_the_queue_is_unreachable(client, db, clock, monkeypatch):
    def lost(*args):
        raise OSError("the queue's host is gone: secret-host")

    tasks.beat()
    monkeypatch.setattr("huey.contrib.djhuey.HUEY.storage.queue_size", lost)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["queue"]) == (503, "unreachable")
    assert b"secret-host" not in answer.content


def test_readyz_says_since_when_a_run_waits(client, account, granted, clock, rings):
    granted(account)
    tasks.beat()
    began = timezone.now()
    clock.shift(timedelta(minutes=1))
    assert client.get("/readyz").json()["oldest_due"].startswith(f"{began:%Y-%m-%dT%H:%M}")


def test_workers_that_have_not_been_heard_of_for_a_day_are_forgotten(db, clock):
    heartbeats.beat(f"{Heartbeat.WORKER}old")
    clock.shift(timedelta(hours=25))
    tasks.beat()
    assert not Heartbeat.objects.filter(name__startswith=Heartbeat.WORKER).exists()


def test_a_pause_of_the_tick_begins_a_new_life(db, clock):
    heartbeats.beat("tick")
    first = Heartbeat.objects.get().since
    clock.shift(timedelta(minutes=4))
    assert heartbeats.beat("tick") is None and Heartbeat.objects.get().since == first
    clock.shift(timedelta(minutes=6))
    assert timezone.now() - heartbeats.beat("tick") >= timedelta(minutes=6)
    assert Heartbeat.objects.get().since > first
