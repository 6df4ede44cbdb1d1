"""When alerts are rung for, decided at a job's end, and a watcher hears that the scheduler lives."""

import json
import logging
from datetime import timedelta

import pytest
from django.utils import timezone

from diagnostics.alerting import alerts, channels, preferences
from diagnostics.models import AlertDelivery
from pipeline import tasks
from pipeline.broker import PipelineBroker
from pipeline.models import AccountRun, Heartbeat, RunStatus, Trigger
from tests.conftest import Mailbox
from tests.pipeline.conftest import attempt
from tests.servers.dovecot import Dovecot
from tests.servers.http_receiver import HttpReceiver

pytestmark = pytest.mark.django_db


@pytest.fixture
def receiver():
    with HttpReceiver() as server:
        yield server


@pytest.fixture
def webhook(anna, receiver):
    return channels.add_channel(anna.user, "webhook", "Hook", f"{receiver.url}/hook").channel


@pytest.fixture
def at_commit(django_capture_on_commit_callbacks):
    return lambda: django_capture_on_commit_callbacks(execute=True)


def test_the_tick_rings_for_alerts(db, rings, at_commit):
    with at_commit():
        tasks.beat()
    assert rings.for_alerts == 1


def test_a_queue_that_is_down_does_not_stop_the_tick(db, monkeypatch, at_commit, caplog):
    def down(task):
        raise OSError("no queue at canary-host")

    monkeypatch.setattr(tasks, "enqueue", down)
    with at_commit():
        tasks.beat()
    assert "OSError" in caplog.text
    assert "canary" not in caplog.text


def test_the_ring_decides_and_delivers(anna, webhook, receiver, rings):
    alerts.decide(anna.user, "broken", "one", reason="timeout")
    tasks.deliver.call_local()
    tasks.deliver.call_local()
    assert len(receiver.requests) == 1


def test_one_delivery_at_a_time_in_a_process(anna, webhook, receiver, rings):
    alerts.decide(anna.user, "broken", "one", reason="timeout")
    with tasks._delivering:
        tasks.deliver.call_local()
    assert receiver.requests == []


def test_a_failed_fetch_that_a_person_asked_for_is_told_and_rung_for(
    anna, scripted_account, webhook, rings, at_commit
):
    preferences.set_rule(anna.user, "job_failed", on=True)
    with at_commit():
        attempt(scripted_account)
    [alert] = anna.user.alerts.filter(kind="job_failed")
    assert (alert.account, alert.reason, alert.facts) == (None, "no_key", {"accounts": 1, "failed": 1})
    assert AlertDelivery.objects.filter(alert=alert).count() == 1
    assert rings.for_alerts == 1


def test_by_default_a_failed_fetch_is_told_in_the_app_alone(anna, scripted_account, webhook, rings):
    attempt(scripted_account)
    assert anna.user.alerts.filter(kind="job_failed").count() == 1
    assert not AlertDelivery.objects.filter(alert__kind="job_failed").exists()


def test_a_failed_fetch_of_the_schedule_is_not_told_by_itself(anna, scripted_account, rings):
    attempt(scripted_account, trigger=Trigger.SCHEDULE)
    assert not anna.user.alerts.filter(kind="job_failed").exists()


def test_a_fetch_that_was_stopped_is_not_told(anna, scripted_account, rings):
    job_id = PipelineBroker().enqueue_fetch_job(anna.user, scripted_account)
    PipelineBroker().cancel_job(job_id)
    assert not anna.user.alerts.exists()


def test_a_fetch_that_went_well_is_not_told(anna, scripted_account, granted, rings):
    assert attempt(granted(scripted_account)).status == RunStatus.SUCCESS
    assert not anna.user.alerts.filter(kind="job_failed").exists()


@pytest.fixture
def alive(clock, db):
    Heartbeat.objects.create(name=Heartbeat.TICK, at=timezone.now())


def test_a_watcher_hears_of_a_living_scheduler(alive, receiver, settings):
    settings.MAILHELPER_PING_URL = f"{receiver.url}/ping"
    tasks.deliver.call_local()
    assert [(request.method, request.path) for request in receiver.requests] == [("GET", "/ping")]


def test_a_watcher_hears_nothing_of_a_dead_one(alive, receiver, settings, clock):
    settings.MAILHELPER_PING_URL = f"{receiver.url}/ping"
    clock.shift(4 * 60)
    tasks.deliver.call_local()
    assert receiver.requests == []


def test_a_watcher_that_fails_is_named_by_type_and_alerts_go_on(
    alive, anna, webhook, receiver, settings, caplog
):
    caplog.set_level(logging.DEBUG)
    with HttpReceiver() as watcher:
        watcher.status = 500
        settings.MAILHELPER_PING_URL = f"{watcher.url}/canary"
        alerts.decide(anna.user, "broken", "one", reason="timeout")
        tasks.deliver.call_local()
    lines = [record.getMessage() for record in caplog.records if record.name != "django.db.backends"]
    assert "the ping did not arrive: temporarily_unavailable" in lines
    assert not any("canary" in line for line in lines)
    assert len(receiver.requests) == 1


# The whole way


def live(clock, minutes: int) -> None:
    """Each minute a tick, and workers that do what it rings for."""
    for _ in range(minutes):
        clock.shift(timedelta(minutes=1))
        tasks.beat()
        for run in AccountRun.objects.filter(status=RunStatus.PENDING):
            while run.status == RunStatus.PENDING:
                clock.shift(max(0, (run.run_after - timezone.now()).total_seconds()))
                tasks.run.call_local(str(run.pk))
                run.refresh_from_db()
        tasks.deliver.call_local()


def test_a_server_that_stops_and_comes_back_is_told_once_each(
    clock, anna, connect, granted, webhook, receiver, rings, tmp_path, authority
):
    with Dovecot(tmp_path, authority) as server:
        account = granted(connect(Mailbox(server), security="none"))
        live(clock, 16)
        server.stop()
        live(clock, 61)
        server.start()
        live(clock, 60)
    told = [alert for request in receiver.requests for alert in json.loads(request.body)["alerts"]]
    assert [alert["kind"] for alert in told] == ["degraded", "dead_man", "recovered"]
    assert {alert["account_id"] for alert in told} == {str(account.pk)}
    assert "The server is there, but nothing answers at this port." in told[1]["sentence"]


def test_a_run_after_which_an_account_is_not_as_it_was_rings_for_alerts(
    scripted_account, granted, rings, at_commit
):
    with at_commit():
        attempt(granted(scripted_account))
    assert rings.for_alerts == 1
    with at_commit():
        attempt(scripted_account)
    assert rings.for_alerts == 1
