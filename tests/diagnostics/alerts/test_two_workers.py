"""Decided exactly once, sent at least once: competing workers, and one that is killed at the worst moment."""

import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from urllib.parse import quote

import pytest
from django.db import connection, connections

from accounts.errors import UsageError
from diagnostics.alerting import alerts, channels, delivery, events, rules, trials
from diagnostics.models import Alert, AlertDelivery, AlertKind
from tests.diagnostics.alerts.conftest import BROKEN, made_account, put_down
from tests.installation import BASE

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(work, workers=4) -> list:
    """What each of some threads got, which begin together."""
    gate, results = threading.Barrier(workers), []

    def one():
        gate.wait()
        try:
            results.append(work())
        finally:
            connections.close_all()

    threads = [threading.Thread(target=one) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == workers
    return results


def test_workers_that_decide_at_once_decide_once(anna, webhook):
    for number in range(3):
        put_down(made_account(anna, f"box {number}"), BROKEN, "timeout", quarantined=3)
    decided = at_once(rules.decide_due)
    assert sum(decided) == Alert.objects.count() == AlertDelivery.objects.count() == 6


def test_workers_that_deliver_at_once_send_each_alert_once(anna, webhook, email, smtp, receiver):
    for number in range(3):
        alerts.decide(anna.user, "broken", str(number), reason="timeout")
    assert sum(at_once(delivery.deliver_due)) == 2
    assert len(receiver.requests) == len(smtp.letters) == 1
    assert set(AlertDelivery.objects.values_list("status", "attempts")) == {("sent", 1)}


def test_an_event_that_many_workers_address_and_send_goes_once_and_is_forgotten(anna, receiver):
    channels.add_channel(anna.user, "webhook", "Hook", receiver.url, events=True)
    for _ in range(5):
        events.note(anna.user, AlertKind.JOB_ENDED, uuid.uuid4(), {"status": "success"})
    at_once(lambda: (rules.decide_due(), delivery.deliver_due(), rules.decide_due()))
    sent = [event["id"] for request in receiver.requests for event in json.loads(request.body)["events"]]
    assert len(sent) == len(set(sent)) == 5
    assert not Alert.objects.exists()


def test_of_tests_that_begin_at_once_one_goes(anna, webhook, receiver):
    receiver.on_request = lambda _: gone_on.wait(20)
    gone_on, refused = threading.Event(), []

    def one_test():
        try:
            trials.send(webhook)
        except UsageError as error:
            refused.append(str(error))
        if len(refused) == 3:
            gone_on.set()

    at_once(one_test)
    assert len(receiver.requests) == 1
    assert all("on its way" in words for words in refused) and len(refused) == 3


def test_an_alert_decided_while_others_are_sent_is_sent_too(anna, webhook, receiver):
    alerts.decide(anna.user, "broken", "first", reason="timeout")

    def meanwhile(_):
        receiver.on_request = lambda _: None
        thread = threading.Thread(target=_decide_second, args=(anna.user,))
        thread.start()
        thread.join(30)

    receiver.on_request = meanwhile
    assert delivery.deliver_due() == 2
    assert len(receiver.requests) == 2


def _decide_second(user):
    alerts.decide(user, "broken", "second", reason="timeout")
    connections.close_all()


# In a process of its own, which dies after the receiver's yes and before our commit.
_KILLED = """
import os, signal, django
django.setup()
from diagnostics.alerting import delivery
delivery._note_arrival = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
delivery.deliver_due()
"""
_LATER = """
import django
django.setup()
from datetime import timedelta
from django.utils import timezone
from diagnostics.alerting import delivery
delivery.deliver_due(timezone.now() + timedelta(seconds={seconds}))
"""


def database_url() -> str:
    """Of the rows of this test."""
    one = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{one['NAME']}"
    place = f"{quote(one['USER'])}:{quote(one['PASSWORD'])}@{one['HOST']}:{one['PORT']}"
    return f"postgres://{place}/{one['NAME']}"


def in_another_process(script: str, mail_port: int) -> int:
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "mailhelper.settings",
        "DATABASE_URL": database_url(),
        "EMAIL_URL": f"smtp://127.0.0.1:{mail_port}",
        "DEFAULT_FROM_EMAIL": "mailhelper@example.org",
    }
    return subprocess.run([sys.executable, "-c", script], cwd=BASE, env=environment, timeout=60).returncode


def test_a_worker_killed_after_the_receivers_yes_costs_a_duplicate_with_the_same_id(
    anna, receiver, smtp, settings
):
    channels.add_channel(anna.user, "webhook", "Hook", receiver.url)
    channels.add_channel(anna.user, "email", "Mail", "anna@example.org")
    alerts.decide(anna.user, "broken", "one", reason="timeout")
    for _ in range(2):  # one channel each
        assert in_another_process(_KILLED, settings.EMAIL_PORT) == -signal.SIGKILL
    assert (len(receiver.requests), len(smtp.letters)) == (1, 1)
    assert in_another_process(_LATER.format(seconds=30), settings.EMAIL_PORT) == 0
    assert (len(receiver.requests), len(smtp.letters)) == (1, 1)
    assert in_another_process(_LATER.format(seconds=90), settings.EMAIL_PORT) == 0
    assert len({request.headers["Idempotency-Key"] for request in receiver.requests}) == 1
    assert len({letter["Message-ID"] for letter in smtp.letters}) == 1
    assert (len(receiver.requests), len(smtp.letters)) == (2, 2)
    assert receiver.requests[0].body == receiver.requests[1].body
    assert set(AlertDelivery.objects.values_list("status", "attempts")) == {("sent", 2)}
