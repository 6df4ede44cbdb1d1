"""What the log tells, in which shape, and what it never tells: canaries go through every way to fail."""

import ast
import errno
import json
import logging
import re
import secrets
import socket
import subprocess
import sys
import threading
from functools import cache
from uuid import uuid4

import pytest
from django.db import DatabaseError
from django.utils import timezone

from accounts import actions
from accounts.events import Event
from diagnostics.alerting import alerts, channels, delivery, rules
from diagnostics.models import AccountHealth, AlertKind
from diagnostics.probing import ladder, probes
from mailhelper import logs
from mailhelper.logs import NowAndThen, formatter
from pipeline import checkup, connection_trials, heartbeats, tasks
from pipeline.processes import free_port
from pipeline.watchdog import Watchdog
from tests.conftest import Mailbox
from tests.diagnostics.alerts.conftest import receiver, smtp  # noqa: F401
from tests.installation import BASE, Installation
from tests.pipeline.conftest import attempt
from tests.pipeline.test_canary import found
from tests.pipeline.test_errors import say
from tests.servers.scripted import ScriptedImap
from tests.test_staircase import modules

pytestmark = [pytest.mark.django_db, pytest.mark.once]

KINDS = ("password", "login", "host", "subject", "body", "address", "folder", "token", "secret", "words")


@pytest.fixture
def canaries():
    return {kind: f"canary{secrets.token_hex(8)}" for kind in KINDS}


def nothing_in(logged, canaries) -> bool:
    logging.getLogger("mailhelper.planted").error("%s", "x")
    assert logged.of("library_said"), "the search sees nothing"
    return found(canaries, logged.text.encode()) == set()


# Its shape


def test_each_event_stands_once_in_the_vocabulary_and_is_told_somewhere():
    names = [event.value for event in Event]
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)+", name) and name.upper() == Event(name).name for name in names)
    used = {call.args[0].attr for call in log_calls() if isinstance(call.args[0], ast.Attribute)}
    text = (BASE / "mailhelper" / "logs.py").read_text()
    assert {event.name for event in Event} == used | set(re.findall(r"Event\.([A-Z_]+)", text))


def test_nothing_is_logged_in_free_words():
    for call in log_calls():
        assert len(call.args) == 1 and call.args[0].value.id == "Event", ast.unparse(call)


@cache
def log_calls() -> list[ast.Call]:
    texts = (path.read_text() for path in modules().values())
    trees = (ast.walk(ast.parse(text)) for text in texts if "import structlog" in text)
    calls = (node for tree in trees for node in tree if isinstance(node, ast.Call))
    return [call for call in calls if ast.unparse(call.func).startswith(("log.", "_log.", "_access."))]


def test_a_queue_that_is_away_is_complained_of_once_a_minute():
    def complains(line: int, error: type[Exception], *task: str) -> bool:
        fields = {"pathname": "/a/huey/consumer.py", "lineno": line, "exc_info": (error, error(), None)}
        fields["args"] = task
        return now_and_then.filter(logging.makeLogRecord(fields))

    now = 1000.0
    now_and_then = NowAndThen(lambda: now)
    assert [complains(125, OSError) for _ in range(3)] == [True, False, False]
    assert complains(125, ValueError) and complains(134, OSError)
    assert all(complains(134, OSError, task) for task in ("one", "another", "another"))
    now += 60
    assert complains(125, OSError)


def test_a_terminal_gets_readable_lines_and_anything_else_json():
    record = logging.makeLogRecord({"msg": "x", "name": "huey", "levelname": "ERROR", "pathname": "/a/b.py"})
    assert json.loads(formatter(readable=False).format(record))["event"] == "library_said"
    assert re.search(r"library_said.*said_at.*a/b\.py", formatter(readable=True).format(record))


def test_a_line_about_a_run_names_job_run_account_and_person(account, granted, logged):
    run = attempt(granted(account))
    [line] = logged.of("run_succeeded")
    told = {name: line[name] for name in ("job_ids", "run_id", "account_id", "user_id", "level", "logger")}
    assert told == {
        "job_ids": [str(job.pk) for job in run.jobs.all()],
        "run_id": str(run.pk),
        "account_id": str(account.pk),
        "user_id": account.user_id,
        "level": "info",
        "logger": "mailhelper.runner",
    }


def test_what_others_say_during_a_run_names_it_and_what_comes_after_does_not(
    account, granted, logged, monkeypatch
):
    monkeypatch.setattr("pipeline.runner.take_stock", lambda *_: logging.getLogger("huey").error("meanwhile"))
    run = attempt(granted(account))
    logging.getLogger("huey").error("after")
    during, after = (line for line in logged.of("library_said") if line["logger"] == "huey")
    assert (during["run_id"], during["account_id"]) == (str(run.pk), str(account.pk))
    assert not {"run_id", "account_id", "user_id", "job_ids"} & set(after)


def test_a_request_is_named_by_number_page_and_person(client, anna, logged):
    client.force_login(anna.user)
    answer = client.get(f"/accounts/{uuid4()}/")
    [line] = logged.of("request_refused")
    assert (line["status"], line["view"], line["user_id"]) == (404, "account", anna.user.pk)
    assert line["request_id"] == answer.headers["X-Request-ID"]
    logging.getLogger("huey").error("after")
    assert not {"user_id", "view", "request_id"} & set(logged.lines[-1])


# What it never tells


def raising(words: str, kind=ValueError):
    def fail(*args, **kwargs):
        try:
            raise OSError(words)
        except OSError as error:
            raise kind(f"{words} {args}") from error

    return fail


@pytest.fixture
def box(canaries, dovecot):
    box = Mailbox(dovecot, canaries["login"], canaries["password"])
    box.create(canaries["folder"])
    head = f"Subject: {canaries['subject']}\r\nFrom: {canaries['address']}@example.org\r\n\r\n"
    for folder in ("INBOX", canaries["folder"]):
        box.append(f"{head}{canaries['body']}\r\n".encode(), folder=folder)
    return box


def wrong_password(connect, box, canaries, monkeypatch):
    return connect(box, secret=canaries["secret"])


def no_such_host(connect, box, canaries, monkeypatch):
    return connect(box, host=f"{canaries['host']}.invalid")


def server_gone(connect, box, canaries, monkeypatch):
    return connect(box, port=free_port())


def bad_certificate(connect, box, canaries, monkeypatch):
    return connect(box, ca_pem="")


def unparseable(connect, box, canaries, monkeypatch):
    monkeypatch.setattr("pipeline.intake.parse_message", lambda raw: raising(raw.decode())())
    return connect(box)


def bug_of_ours(connect, box, canaries, monkeypatch):
    monkeypatch.setattr("pipeline.runner.take_stock", raising(canaries["words"]))
    return connect(box)


def database_trouble(connect, box, canaries, monkeypatch):
    monkeypatch.setattr("pipeline.runner.take_stock", raising(canaries["words"], DatabaseError))
    return connect(box)


class NoRoom(OSError):
    errno = errno.ENOSPC


def disk_full(connect, box, canaries, monkeypatch):
    monkeypatch.setattr("pipeline.runner.fetch_pending", raising(canaries["words"], NoRoom))
    return connect(box)


@pytest.mark.parametrize(
    ("way", "error_type"),
    [
        (wrong_password, "invalid_credentials"),
        (no_such_host, "dns_failed"),
        (server_gone, "connection_refused"),
        (bad_certificate, "tls_failed"),
        (unparseable, "bug"),
        (bug_of_ours, "bug"),
        (database_trouble, "unknown"),
        (disk_full, "disk_full"),
    ],
)
def test_a_run_that_fails_tells_its_type_and_nobodys_words(
    way, error_type, connect, box, canaries, monkeypatch, logged, granted
):
    attempt(granted(way(connect, box, canaries, monkeypatch)))
    assert [line["error_type"] for line in logged.of("run_failed")] == [error_type]
    assert nothing_in(logged, canaries)


@pytest.mark.parametrize("answer", [b"TAG NO [ALERT] %s", b"* BYE %s", b"\x00\xff}%s{"])
@pytest.mark.parametrize("command", ["LOGIN", "LIST", "EXAMINE"])
def test_a_server_that_misbehaves_is_not_quoted(command, answer, connect, canaries, logged, granted):
    with ScriptedImap() as server:
        server.scripts[command] = say(answer.replace(b"%s", canaries["words"].encode()))
        box = Mailbox(server, canaries["login"], canaries["password"])
        attempt(granted(connect(box, security="none")))
    assert logged.of("run_failed")
    assert nothing_in(logged, canaries)


def test_the_parts_of_a_tick_that_fail_tell_no_words(
    clock, account, granted, canaries, monkeypatch, logged, django_capture_on_commit_callbacks
):
    granted(account)
    words = canaries["words"]
    monkeypatch.setattr("pipeline.checkup.look", raising(words))
    monkeypatch.setattr("pipeline.scheduler._start", raising(words))
    monkeypatch.setattr("pipeline.tasks.enqueue", raising(words, ConnectionError))
    monkeypatch.setattr("diagnostics.alerting.alerts.decide", raising(words))
    with django_capture_on_commit_callbacks(execute=True):
        tasks.beat()
    checkup._look_again(account, timezone.now())
    AccountHealth.objects.update_or_create(account=account, defaults={"status": "broken"})
    rules.decide_due()
    for event in ("account_not_scheduled", "health_not_noted", "alert_not_decided"):
        [line, *_] = logged.of(event)
        assert (line["account_id"], line["user_id"]) == (str(account.pk), account.user_id)
        assert line["exception"] == "ValueError"
    assert logged.of("queue_unreachable")[0]["exception"] == "ConnectionError"
    assert nothing_in(logged, canaries)


def test_processes_and_threads_that_fail_tell_no_words(canaries, monkeypatch, logged, settings):
    words = canaries["words"]
    monkeypatch.setattr("pipeline.heartbeats.beat", raising(words, DatabaseError))
    monkeypatch.setattr("pipeline.heartbeats.connections.close_all", lambda: None)
    ended = threading.Event()
    ended.set()
    heartbeats._beat_until("worker:x", ended)
    monkeypatch.setattr("pipeline.watchdog.Watchdog._look", raising(words, DatabaseError))
    Watchdog().look()
    thread = threading.Thread(target=raising(words), name="one")
    failed = threading.ExceptHookArgs([ValueError, ValueError(words), None, thread])
    logs._thread_failed(failed)
    settings.MAILHELPER_PING_URL = f"http://{words}.invalid/"
    monkeypatch.setattr("pipeline.heartbeats.ticks", lambda: True)
    tasks.ping.call_local()
    told = {line["event"] for line in logged.lines}
    assert told >= {"heartbeat_not_written", "watchdog_failed", "thread_failed", "ping_failed"}
    assert nothing_in(logged, canaries)


def test_an_examination_and_a_trial_that_fail_tell_no_words(account, anna, canaries, monkeypatch, logged):
    broken = tuple(
        probe.__class__(**vars(probe) | {"ask": raising(canaries["words"])}) for probe in probes.ALL[:2]
    )
    monkeypatch.setattr(probes, "in_order", lambda security: broken)
    key = actions.account_key(account, anna.user_key)
    ladder.examine(actions.connection_of(account, key), account, key)
    assert logged.of("probe_failed")[0]["account_id"] == str(account.pk)
    monkeypatch.setattr("pipeline.connection_trials._examined", raising(canaries["words"]))
    monkeypatch.setattr("pipeline.connection_trials.in_background", lambda work: work())
    wish = connection_trials.Wish(account, key, {}, save=None, begin=None)
    connection_trials.start(anna.user, anna.user_key, wish)
    assert logged.of("trial_failed")[0]["user_id"] == anna.user.pk
    assert nothing_in(logged, canaries)


def test_messages_that_do_not_arrive_tell_no_words(anna, account, smtp, receiver, canaries, logged):  # noqa: F811
    channels.add_channel(anna.user, "webhook", "Hook", f"{receiver.url}/{canaries['token']}")
    channels.add_channel(anna.user, "email", "Mail", f"{canaries['address']}@example.net")
    smtp.answer, receiver.status = f"451 {canaries['words']}", 503
    alerts.decide(anna.user, AlertKind.BROKEN, "key", account=account)
    delivery.deliver_due()
    lines = logged.of("delivery_failed")
    assert [line["error_type"] for line in lines] == ["temporarily_unavailable"] * 2
    assert {line["user_id"] for line in lines} == {anna.user.pk}
    assert nothing_in(logged, canaries)


def test_a_message_that_meets_a_bug_tells_no_words(anna, account, canaries, monkeypatch, logged, smtp):  # noqa: F811
    channels.add_channel(anna.user, "email", "Mail", f"{canaries['address']}@example.net")
    monkeypatch.setattr("diagnostics.alerting.channels.send", raising(canaries["words"]))
    alerts.decide(anna.user, AlertKind.BROKEN, "key", account=account)
    delivery.deliver_due()
    [line] = logged.of("delivery_failed")
    assert (line["error_type"], line["exception"]) == ("bug", "ValueError")
    assert nothing_in(logged, canaries)


def test_requests_that_fail_tell_neither_path_nor_what_was_sent(anna, client, canaries, monkeypatch, logged):
    client.raise_request_exception = False
    monkeypatch.setattr("accounts.invitations.find", raising(canaries["words"]))
    client.get(f"/sign-up/{canaries['token']}/?q={canaries['words']}")
    client.get(f"/{canaries['token']}/?q={canaries['words']}", headers={"Referer": canaries["host"]})
    client.get("/sign-in/", headers={"Host": canaries["host"]})
    wrong = {"username": f"{canaries['address']}@example.org", "password": canaries["secret"]}
    for _ in range(6):
        client.post("/sign-in/", wrong)
    client.get("/api/accounts", headers={"Authorization": f"Bearer {canaries['token']}"})
    client.get("/metrics", headers={"Authorization": f"Digest {canaries['token']}"})
    [failed] = logged.of("request_failed")
    assert (failed["view"], failed["exception"]) == ("invitation", "ValueError")
    assert failed["causes"] == ["OSError"]
    assert failed["trace"][0].startswith("views/sign_up.py:")
    assert any("Locking out" in line.get("text", "") for line in logged.of("library_said"))
    assert nothing_in(logged, canaries)


@pytest.mark.parametrize("debug", [False, True])
def test_what_libraries_put_into_their_messages_stays_out(debug, client, canaries, logged, settings):
    """django-ninja, for one, writes headers into a message of Django's logger."""
    settings.DEBUG = debug
    client.get("/api/accounts", headers={"Authorization": f"Digest {canaries['token']}"})
    theirs = logging.getLogger("django.request")
    theirs.error(f"in the message {canaries['words']}")
    theirs.error("filled in: %s", canaries["words"])
    theirs.error(OSError(canaries["words"]), exc_info=OSError(canaries["words"]), stack_info=True)
    assert nothing_in(logged, canaries)


def test_numbers_are_filled_in_and_text_is_not():
    path = "/usr/lib/python3/dist-packages/huey/api.py"
    fields = {"msg": "Task %s ran %d times in %.1fs", "args": ("canary", 3, 0.25), "pathname": path}
    record = logging.makeLogRecord({"name": "huey", "levelname": "INFO", "lineno": 7} | fields)
    line = json.loads(formatter(readable=False).format(record))
    assert (line["text"], line["said_at"]) == ("Task … ran 3 times in 0.2s", "huey/api.py:7")


# The web server


@pytest.mark.once
def test_the_web_server_speaks_the_same_way(tmp_path, canaries):
    house, port = Installation(tmp_path), free_port()
    command = [sys.executable, "-m", "gunicorn", "mailhelper.wsgi", "--bind", f"127.0.0.1:{port}"]
    command += ["--log-level", "debug", "--access-logfile", "-", "--no-control-socket"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    server = subprocess.Popen(command, cwd=BASE, env=house.environment, **pipes)
    try:
        ask(port, f"GET /sign-up/{canaries['token']}/?x={canaries['words']} HTTP/1.1\r\nHost: localhost")
        ask(port, f"GET /{canaries['words']} HTTP/1.1\r\nHost: {canaries['host']}.example")
        ask(port, f"GET /{canaries['words']} HTTP/{canaries['words']}\r\nHost: localhost")
    finally:
        server.terminate()
        out, _ = server.communicate(timeout=30)
    lines = [json.loads(line) for line in out.splitlines()]
    assert {"library_said", "request_served", "request_refused"} <= {line["event"] for line in lines}
    [served] = [
        line for line in lines if line.get("view") == "invitation" and line["event"] == "request_served"
    ]
    assert (served["method"], served["status"]) == ("GET", 302)
    assert found(canaries, out.encode()) == set()


def ask(port: int, head: str) -> bytes:
    for _ in range(600):
        try:
            connection = socket.create_connection(("127.0.0.1", port), timeout=10)
            break
        except ConnectionRefusedError:
            threading.Event().wait(0.02)
    with connection:
        connection.sendall(f"{head}\r\nConnection: close\r\n\r\n".encode())
        return b"".join(iter(lambda: connection.recv(65536), b""))
