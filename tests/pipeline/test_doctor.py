"""What is wrong with an installation, and what to do about it."""

import json
import socket
import sqlite3
import subprocess
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from accounts import advice, worker_key
from accounts.advice import operations
from accounts.models import WorkerKey
from pipeline import heartbeats, identity
from pipeline.models import AccountRun, Heartbeat
from pipeline.operations import doctor
from tests.installation import Installation

pytestmark = pytest.mark.django_db


def found() -> dict[str, str]:
    return {one.code: one.verdict for one in doctor.examine() if one.code != "ok"}


@pytest.fixture
def well(settings):
    """An installation behind a proxy that nothing is wrong with."""
    settings.SECRET_KEY = "a" * 10 + "bcdefghijklmnopqrstuvwxyz0123456789-_+*=ABCDEF"
    settings.MAILHELPER_URL = "https://mail.example.org"
    settings.ALLOWED_HOSTS = ["mail.example.org"]
    settings.CSRF_TRUSTED_ORIGINS = ["https://mail.example.org"]
    settings.MAILHELPER_PROXIES = 1
    settings.SESSION_COOKIE_SECURE = True
    worker_key.current()
    for name in (Heartbeat.TICK, f"{Heartbeat.WORKER}one", Heartbeat.BACKUP):
        heartbeats.beat(name)
    return settings


def test_a_well_installation(well):
    assert found() == {}
    out = StringIO()
    call_command("doctor", stdout=out)
    assert out.getvalue().count("All is well.") == len(out.getvalue().splitlines()) == 11


@pytest.mark.parametrize(
    ("name", "value", "code", "verdict"),
    [
        ("SECRET_KEY", "short", "weak_secret_key", "failed"),
        ("DEBUG", True, "debug", "failed"),
        ("ALLOWED_HOSTS", ["*"], "all_hosts", "warning"),
        ("ALLOWED_HOSTS", ["localhost"], "host_not_allowed", "failed"),
        ("MAILHELPER_URL", "", "no_url", "warning"),
        ("MAILHELPER_URL", "mail.example.org", "url_not_understood", "failed"),
        ("SESSION_COOKIE_SECURE", False, "plain_cookies", "warning"),
        ("MAILHELPER_PROXIES", 0, "no_proxies", "warning"),
        ("CSRF_TRUSTED_ORIGINS", [], "origin_not_trusted", "warning"),
        ("MAILHELPER_WORKER_KEY", "no key", "no_key", "failed"),
        ("MAILHELPER_URL", "https://[mail", "url_not_understood", "failed"),
        ("MAILHELPER_LEASE_SECONDS", 59, "short_lease", "warning"),
        ("MAILHELPER_PING_URL", "watcher.example.org", "ping_url_not_understood", "warning"),
        ("DEFAULT_FROM_EMAIL", "mailhelper", "sender_not_understood", "warning"),
    ],
)
def test_settings_that_do_not_fit(well, name, value, code, verdict):
    setattr(well, name, value)
    assert found()[code] == verdict


def test_a_mail_server_for_alerts_that_cannot_be_connected_to(well):
    well.EMAIL_BACKEND, well.EMAIL_HOST = doctor.SMTP, "127.0.0.1"
    with socket.create_server(("127.0.0.1", 0)) as server:
        well.EMAIL_PORT = server.getsockname()[1]
        assert found() == {}
    assert found() == {"smtp_unreachable": "warning"}
    well.EMAIL_HOST = "mail..example.org"
    assert found() == {"smtp_unreachable": "warning"}


def test_on_loopback_nothing_is_asked_of_a_proxy(well):
    well.MAILHELPER_URL, well.ALLOWED_HOSTS, well.MAILHELPER_PROXIES = (
        "http://localhost:8000",
        ["localhost"],
        0,
    )
    well.SESSION_COOKIE_SECURE = False
    assert found() == {}


def test_key_files_are_for_their_owner_and_not_among_the_data(well, tmp_path):
    well.VAR, well.MAILHELPER_WORKER_KEY_FILE = tmp_path, tmp_path / "worker.key"
    WorkerKey.objects.all().delete()
    worker_key.current()
    tmp_path.chmod(0o700)
    assert found() == {"key_among_data": "failed"}
    (tmp_path / "worker.key").chmod(0o640)
    tmp_path.chmod(0o755)
    assert found() == {"key_readable": "failed", "key_among_data": "failed", "data_readable": "warning"}


def test_a_worker_key_that_grants_are_not_sealed_to(well, tmp_path):
    well.MAILHELPER_WORKER_KEY_FILE = tmp_path / "none" / "worker.key"
    assert found() == {"other_worker_key": "warning"}
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(("free", "verdict"), [(900_000_000, "warning"), (90_000_000, "failed")])
def test_little_space(well, monkeypatch, free, verdict):
    usage = type(doctor.shutil.disk_usage("/"))(10**12, 10**12 - free, free)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: usage)
    assert found() == {"little_space": verdict}


def test_a_database_that_was_not_migrated_is_asked_nothing_more(well):
    MigrationRecorder.Migration.objects.filter(app="pipeline").latest("pk").delete()
    assert found() == {"not_migrated": "failed"}


def test_a_database_that_cannot_be_reached(well, monkeypatch):
    def refuse(*_):
        raise DatabaseError("no route\nsecond line")

    monkeypatch.setattr(connection, "ensure_connection", refuse)
    [one] = [one for one in doctor.examine() if one.code == "unreachable"]
    assert one.facts == {"reason": "no route"}


def test_a_queue_that_cannot_be_reached(well, monkeypatch):
    monkeypatch.setattr("pipeline.readiness.HUEY.pending_count", lambda: 1 / 0)
    assert found() == {"queue_unreachable": "failed"}


def test_workers_the_scheduler_and_what_waits_for_them(well, account):
    AccountRun.objects.create(account=account, run_after=timezone.now() - timedelta(minutes=9))
    assert found() == {"due_waits": "warning"}
    Heartbeat.objects.filter(name=Heartbeat.TICK).delete()
    assert found() == {"due_waits": "warning", "no_tick": "failed"}
    Heartbeat.objects.filter(name__startswith=Heartbeat.WORKER).delete()
    assert found() == {"due_waits": "warning", "no_workers": "failed"}


def test_a_worker_that_has_just_ended_on_this_machine_runs_no_more(well):
    Heartbeat.objects.filter(name__startswith=Heartbeat.WORKER).delete()
    ended = subprocess.Popen(["true"])
    ended.wait()
    heartbeats.beat(f"{Heartbeat.WORKER}{identity._machine()}:{ended.pid}")
    assert found() == {"no_workers": "failed"}
    heartbeats.beat(f"{Heartbeat.WORKER}{identity.this_process()}")
    assert found() == {}


def test_a_clock_that_went_back(well):
    Heartbeat.objects.filter(name=Heartbeat.TICK).update(at=timezone.now() + timedelta(hours=1))
    assert found() == {"clock_went_back": "failed"}


def test_a_clock_that_differs_from_the_databases(well, monkeypatch):
    monkeypatch.setattr(doctor, "_now_of_database", lambda: timezone.now() - timedelta(seconds=9))
    [one] = [one for one in doctor.examine() if one.code == "clocks_differ"]
    assert one.facts == {"seconds": 9}


def test_backups_that_are_missing_or_old(well):
    heartbeats.note(Heartbeat.BACKUP, timezone.now() - timedelta(days=9))
    assert found() == {"old_backup": "warning"}
    Heartbeat.objects.filter(name=Heartbeat.BACKUP).delete()
    assert found() == {"no_backup": "warning"}


def test_every_code_has_its_words(well):
    facts = dict.fromkeys(("host", "origin", "path", "folder", "reason"), "x")
    facts |= dict.fromkeys(("megabytes", "seconds", "minutes", "days", "port"), 1)
    for code in operations._FOUND:
        words = advice.installation(code, facts)
        assert words.sentence and "{" not in words.sentence + words.next_step


@pytest.mark.once
@pytest.mark.engines
def test_the_command_shows_no_secret_and_ends_with_1_when_something_failed(tmp_path):
    house = Installation(tmp_path)
    shown = house.json("doctor", status=1, SECRET_KEY="hush")
    assert not shown["ok"]
    codes = {one["code"] for one in shown["checks"]}
    assert {"weak_secret_key", "no_workers", "no_backup"} <= codes
    assert "hush" not in json.dumps(shown)
    for name, value in (
        ("EMAIL_URL", "nonsense://anna:hush@host"),
        ("DATABASE_URL", "oops://anna:hush@host/name"),
        ("DATABASE_URL", ""),
        ("MAILHELPER_WORKERS", "hush"),
    ):
        told = house.manage("doctor", status=1, **{name: value})
        assert told.startswith(f"Settings: {name} is not understood.") and told.count("\n") == 1
        assert "hush" not in told
    failed = house.json("doctor", status=1, DATABASE_URL="oops://anna:hush@host/name")
    [one] = failed["checks"]
    assert not failed["ok"] and one.keys() == shown["checks"][0].keys() and "hush" not in str(failed)
    assert one["verdict"] == "failed" and one["sentence"].startswith("DATABASE_URL is not understood.")


@pytest.mark.once
@pytest.mark.engines
def test_a_damaged_database_is_found(tmp_path):
    house = Installation(tmp_path)
    path = tmp_path / "var" / "mailhelper.sqlite3"
    with sqlite3.connect(path) as database:
        [(root,)] = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'run_by_turn'")
    data = bytearray(path.read_bytes())
    data[(root - 1) * 4096 : (root - 1) * 4096 + 64] = b"\xff" * 64
    path.write_bytes(data)
    assert "damaged" in {one["code"] for one in house.json("doctor", status=1)["checks"]}
