"""When alerts are rung for, decided at a job's end, and a watcher hears that the scheduler lives."""

import json
import threading
import uuid
from contextlib import ExitStack
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone

from diagnostics.alerting import alerts, channels, preferences
from diagnostics.models import AlertDelivery
from pipeline import tasks
from pipeline.broker import PipelineBroker
from pipeline.models import AccountRun, Heartbeat, RunStatus, Trigger
from pipeline.senders import Senders
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


def hear_all(rings) -> None:
    """Workers do what was rung for, and what that rings for."""
    tasks.deliver.call_local()
    for _ in range(50):
        if rings.channels:
            tasks.deliver_channel.call_local(rings.channels.pop(0))
    assert rings.channels == []


@pytest.fixture
def worker(monkeypatch):
    """Says that this process has so many threads."""
    return lambda threads: monkeypatch.setattr(tasks, "_threads", lambda: threads)


def hooks(person, receiver, count: int) -> list[str]:
    """Ids of so many web hooks, through each of which an alert waits."""
    labels = [f"Hook {number}" for number in range(count)]
    made = [channels.add_channel(person.user, "webhook", label, receiver.url) for label in labels]
    alerts.decide(person.user, "broken", f"of {person.user.pk}", reason="timeout")
    return [str(new.channel.pk) for new in made]


def test_the_ring_decides_and_rings_for_channels_that_deliver(anna, webhook, receiver, rings):
    alerts.decide(anna.user, "broken", "one", reason="timeout")
    hear_all(rings)
    hear_all(rings)
    assert len(receiver.requests) == 1


def test_a_channel_that_is_rung_for_twice_or_for_nothing_sends_once_and_rings_for_nobody(
    anna, receiver, rings
):
    [hook] = hooks(anna, receiver, 1)
    for channel_id in (hook, hook, str(uuid.uuid4())):
        tasks.deliver_channel.call_local(channel_id)
    assert len(receiver.requests) == 1
    assert rings.channels == []


def test_all_that_waits_goes_without_another_tick_whatever_the_threads(anna, bert, receiver, rings, worker):
    worker(1)
    hooks(anna, receiver, 4), hooks(bert, receiver, 3)
    hear_all(rings)
    assert len(receiver.requests) == 7


def test_people_take_turns_whoever_has_more_channels(anna, bert, receiver, rings, worker):
    worker(4)
    annas, berts = hooks(anna, receiver, 3), hooks(bert, receiver, 2)
    order = []
    tasks.deliver.call_local()
    while rings.channels:
        order.append("anna" if rings.channels[0] in annas else "bert")
        tasks.deliver_channel.call_local(rings.channels[0])
        rings.channels.clear()
        tasks._ring_for_channels()
    assert len(berts) == 2 and order == ["anna", "bert", "anna", "bert", "anna"]


def test_a_channel_that_had_its_fill_does_not_stand_before_the_persons_others(anna, receiver, rings, clock):
    hooks(anna, receiver, 1)
    for number in range(6):
        hear_all(rings)
        alerts.decide(anna.user, "broken", str(number), reason="timeout")
    channels.add_channel(anna.user, "webhook", "Other", f"{receiver.url}/other")
    alerts.decide(anna.user, "broken", "for both", reason="timeout")
    hear_all(rings)
    assert [request.path for request in receiver.requests] == ["/"] * 5 + ["/other"]
    clock.shift(61 * 60)
    hear_all(rings)
    assert len(json.loads(receiver.requests[-1].body)["alerts"]) == 3


@pytest.mark.parametrize(("threads", "senders"), [(1, 1), (4, 1), (6, 2), (9, 3)])
def test_at_most_a_third_of_the_threads_sends(threads, senders):
    seats = Senders()
    with ExitStack() as stack:
        free = [stack.enter_context(seats.taken(uuid.uuid4(), threads)) for _ in range(threads)]
    assert sum(free) == senders
    with seats.taken(uuid.uuid4(), threads) as free:
        assert free


def test_one_thread_per_person_at_a_time():
    seats, person = Senders(), uuid.uuid4()
    with seats.taken(person, 9) as first, seats.taken(person, 9) as second:
        assert (first, second) == (True, False)
        with seats.taken(person, 9) as third, seats.taken(uuid.uuid4(), 9) as other:
            assert (third, other) == (False, True)


@pytest.mark.django_db(transaction=True)
def test_a_receiver_that_hangs_holds_up_nobody_else(anna, bert, receiver, rings, worker):
    def send(channel_id):
        try:
            tasks.deliver_channel.call_local(channel_id)
        finally:
            connections.close_all()

    worker(6)
    with HttpReceiver() as slow:
        slow.hangs = True
        [annas], [berts] = hooks(anna, slow, 1), hooks(bert, receiver, 1)
        sending = threading.Thread(target=send, args=[annas])
        sending.start()
        assert slow.arrived.wait(20)
        tasks.deliver_channel.call_local(berts)
        assert len(receiver.requests) == 1
        assert sending.is_alive()
        slow.release.set()
        sending.join(20)
    assert AlertDelivery.objects.filter(status="sent").count() == 2


def test_who_finds_no_thread_sends_nothing_and_leaves_the_message_to_others(anna, receiver, rings):
    [hook] = hooks(anna, receiver, 1)
    with tasks.senders.taken(anna.user.pk, 1):
        tasks.deliver_channel.call_local(hook)
    assert (receiver.requests, rings.channels) == ([], [])
    hear_all(rings)
    assert len(receiver.requests) == 1


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
    tasks.ping.call_local()
    assert [(request.method, request.path) for request in receiver.requests] == [("GET", "/ping")]


def test_a_watcher_hears_nothing_of_a_dead_one(alive, receiver, settings, clock):
    settings.MAILHELPER_PING_URL = f"{receiver.url}/ping"
    clock.shift(4 * 60)
    tasks.ping.call_local()
    assert receiver.requests == []


def test_each_tick_rings_for_the_ping_where_there_is_a_watcher(db, rings, settings):
    tasks.beat()
    assert rings.for_ping == 0
    settings.MAILHELPER_PING_URL = "https://watcher.example.org/canary"
    tasks.beat()
    assert rings.for_ping == 1


def test_the_ping_goes_while_no_thread_may_send(alive, receiver, rings, settings):
    settings.MAILHELPER_PING_URL = f"{receiver.url}/ping"
    with tasks.senders.taken(uuid.uuid4(), 1):
        tasks.ping.call_local()
    assert [request.path for request in receiver.requests] == ["/ping"]
    tasks.deliver.call_local()
    assert len(receiver.requests) == 1


def test_a_watcher_that_fails_is_named_by_type(alive, settings, logged):
    with HttpReceiver() as watcher:
        watcher.status = 500
        settings.MAILHELPER_PING_URL = f"{watcher.url}/canary"
        tasks.ping.call_local()
    assert [line["error_type"] for line in logged.of("ping_failed")] == ["temporarily_unavailable"]
    assert "canary" not in logged.text


# The whole way


def live(clock, rings, minutes: int) -> None:
    """Each minute a tick, and workers that do what it rings for."""
    for _ in range(minutes):
        clock.shift(timedelta(minutes=1))
        tasks.beat()
        for run in AccountRun.objects.filter(status=RunStatus.PENDING):
            while run.status == RunStatus.PENDING:
                clock.shift(max(0, (run.run_after - timezone.now()).total_seconds()))
                tasks.run.call_local(str(run.pk))
                run.refresh_from_db()
        hear_all(rings)


def test_a_server_that_stops_and_comes_back_is_told_once_each(
    clock, anna, connect, granted, webhook, receiver, rings, tmp_path, authority
):
    with Dovecot(tmp_path, authority) as server:
        account = granted(connect(Mailbox(server), security="none"))
        live(clock, rings, 16)
        server.stop()
        live(clock, rings, 61)
        server.start()
        live(clock, rings, 60)
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
