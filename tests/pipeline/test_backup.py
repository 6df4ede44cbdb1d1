"""A backup that is restored gives the mail back to who has the password, and to nobody else."""

import json
import os
import shutil
import stat
import subprocess
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.db.backends.postgresql.base import DatabaseWrapper
from django.test import Client
from django.utils import timezone

from accounts import actions
from accounts.errors import UsageError
from accounts.models import MailAccount, User
from pipeline import heartbeats, identity
from pipeline.models import Heartbeat
from pipeline.operations import backup, dumps
from tests.conftest import Mailbox
from tests.installation import Installation, engine_of_this_run
from tests.pipeline.test_pages import signed_in
from tests.pipeline.test_sync import mail

pytestmark = pytest.mark.engines
EMAIL = "anna@example.org"


@pytest.fixture(scope="module")
def house(tmp_path_factory, dovecot):
    """Anna's installation with one stored mail and one that was deleted before, background sync allowed."""
    house = Installation(tmp_path_factory.mktemp("house"), engine=engine_of_this_run())
    house.manage("add_user", EMAIL)
    box = Mailbox(dovecot)
    box.append(mail("kept"))
    house.add_account(box, "--background")
    house.manage("sync_all", "--user", EMAIL)
    return house


@pytest.fixture(scope="module")
def made(house):
    house.manage("backup", str(house.home / "made"))
    return house.home / "made"


def another(house, folder: Path) -> Installation:
    return Installation(folder, password=house.password, engine=engine_of_this_run())


def exported(house, target: Path) -> list[bytes]:
    house.manage("export_mail", EMAIL, str(target))
    return [path.read_bytes() for path in target.rglob("*") if path.is_file() and path.parent.name == "cur"]


def test_a_mail_is_read_by_password_after_a_restore_into_an_empty_installation(house, made, tmp_path):
    other = another(house, tmp_path / "other")
    told = other.manage("restore", str(made))
    assert "rotate_worker_key" in told and "sign in" in told
    assert exported(other, tmp_path / "out") == [mail("kept")]
    assert other.rows("SELECT count(*) FROM django_session") == [(0,)]
    assert other.rows("SELECT name FROM pipeline_heartbeat") == [("backup",)]
    told = other.manage("restore", str(made), status=2)
    assert "--replace" in told
    other.manage("restore", str(made), "--replace", "--yes")
    assert exported(other, tmp_path / "again") == [mail("kept")]


def test_a_backup_is_for_its_owner_alone_and_holds_no_key(house, made):
    files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in made.iterdir()}
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert set(files.values()) == {0o600} and len(files) == 2
    keys = [path.read_bytes().strip() for path in (house.home / "keys").iterdir()]
    assert len(keys) == 2
    for path in made.iterdir():
        assert not any(key in path.read_bytes() for key in keys)


def test_where_the_worker_key_was_kept_background_sync_goes_on(house, made, tmp_path):
    """With another secret key, which changes by what a mail server is known."""
    other = another(house, tmp_path / "other")
    (other.home / "keys").mkdir(exist_ok=True)
    shutil.copy(house.home / "keys" / "worker.key", other.home / "keys")
    assert "The worker key is here" in other.manage("restore", str(made))
    before = other.rows("SELECT host_key FROM accounts_mailaccount")
    assert "success" in str(other.json("sync_all", MAILHELPER_PASSWORD=""))
    assert other.rows("SELECT host_key FROM accounts_mailaccount") != before


# In this process


@pytest.fixture
def source(tmp_path, db):
    """A folder that passes for a backup of this engine."""
    dump = tmp_path / dumps.file_name()
    dump.write_bytes(b"rows")
    manifest = backup.Manifest(
        format=1,
        engine=connection.vendor,
        made_at=timezone.now().isoformat(),
        migrations=["accounts.0001_initial"],
        sha256={dump.name: backup._sha256(dump)},
    )
    write(tmp_path, asdict(manifest))
    return tmp_path


def write(source: Path, manifest: dict) -> None:
    (source / backup.MANIFEST).write_text(json.dumps(manifest))


def refused(source: Path) -> str:
    with pytest.raises(UsageError) as raised:
        backup.restore(source)
    return str(raised.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"engine": "mysql"}, "It was made of mysql"),
        ({"migrations": ["accounts.9999_of_tomorrow"]}, "newer mailhelper"),
        ({"format": 2}, "newer mailhelper"),
        ({"sha256": {}}, "changed or damaged"),
        ({"sha256": {"../elsewhere": ""}}, "changed or damaged"),
        ({"of_tomorrow": 1}, "no manifest"),
    ],
)
def test_what_cannot_be_restored_here_is_refused(source, changes, words):
    assert backup.verified(source)
    write(source, json.loads((source / backup.MANIFEST).read_text()) | changes)
    assert words in refused(source)


def test_a_damaged_or_half_backup_is_refused(source):
    (source / dumps.file_name()).write_bytes(b"rowz")
    assert "changed or damaged" in refused(source)
    (source / dumps.file_name()).unlink()
    assert "changed or damaged" in refused(source)
    (source / backup.MANIFEST).unlink()
    assert "no whole backup" in refused(source)
    assert "no whole backup" in refused(source / "nowhere")


def test_an_installation_with_people_is_not_replaced_unasked(source, anna, monkeypatch):
    assert "--replace" in refused(source)
    monkeypatch.setattr("builtins.input", lambda _: "yes")
    with pytest.raises(CommandError, match="Nothing was changed"):
        call_command("restore", str(source), "--replace")


def test_nothing_is_restored_under_running_workers(source):
    heartbeats.note(f"worker:{identity.this_process()}", timezone.now())
    assert "Workers are running" in (told := refused(source)) and "web pages, too" in told
    Heartbeat.objects.all().delete()
    ended = subprocess.Popen(["true"])
    ended.wait()
    heartbeats.note(f"worker:{identity._machine()}:{ended.pid}", timezone.now())
    backup.require_at_rest()
    heartbeats.note("worker:another machine:1", timezone.now())
    assert "Workers are running" in refused(source)
    heartbeats.note("worker:another machine:1", timezone.now() - timedelta(minutes=2))
    backup.require_at_rest()


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    (tmp_path / "new.partial").mkdir()
    for name, words in (("taken", "not an empty directory"), ("new", "another backup is being made")):
        with pytest.raises(UsageError, match=words):
            backup.make(tmp_path / name)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "new.partial", "taken"]


@pytest.mark.django_db(transaction=True)
def test_a_restore_takes_back_what_changed_and_a_broken_dump_changes_nothing(anna, account, tmp_path):
    signed_in(Client(), anna)
    heartbeats.beat(Heartbeat.TICK)
    MailAccount.objects.filter(pk=account.pk).update(label="a name that was changed " + "x" * 70)
    MailAccount.objects.filter(pk=account.pk).update(label="kept")
    made_at = timezone.now()
    backup.make(tmp_path / "made")
    assert heartbeats.last(Heartbeat.BACKUP) >= made_at
    dump = tmp_path / "made" / dumps.file_name()
    if connection.vendor == "sqlite":
        assert b"a name that was changed" not in dump.read_bytes()
        assert Session.objects.get().session_data.encode() not in dump.read_bytes()
    MailAccount.objects.update(label="changed since")
    broken = tmp_path / "broken"
    shutil.copytree(tmp_path / "made", broken)
    half = dump.read_bytes()[: dump.stat().st_size // 2]
    (broken / dump.name).write_bytes(half)
    manifest = json.loads((broken / backup.MANIFEST).read_text())
    write(broken, manifest | {"sha256": {dump.name: backup._sha256(broken / dump.name)}})
    with pytest.raises(dumps.DumpFailed):
        backup.restore(broken, replace=True)
    assert MailAccount.objects.get().label == "changed since" and Session.objects.exists()
    backup.restore(tmp_path / "made", replace=True)
    assert MailAccount.objects.get().label == "kept"
    assert not Session.objects.exists()
    assert list(Heartbeat.objects.values_list("name", flat=True)) == ["backup"]
    assert actions.unlock(User.objects.get(), anna.password) == anna.user_key


def test_postgresqls_programs_are_asked_for_and_get_the_password_by_environment(monkeypatch, tmp_path):
    there = DatabaseWrapper({**connection.settings_dict, **POSTGRES})
    monkeypatch.setattr(dumps, "connection", there)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="pg_dump is not on this machine"):
        dumps._client("pg_dump")
    (tmp_path / "pg_dump").touch(mode=0o700)
    monkeypatch.setenv("SECRET_KEY", "hush too")
    call = dumps._client("pg_dump", "--format=custom")
    assert call["env"] == {"PATH": str(tmp_path), "HOME": os.environ["HOME"], "PGPASSWORD": "hush"} | {
        name: os.environ[name] for name in ("LANG", "LC_ALL", "TMPDIR") if name in os.environ
    }
    assert "hush" not in " ".join(call["args"]) and "--dbname=mail" in call["args"]


POSTGRES = {
    "NAME": "mail",
    "USER": "anna",
    "PASSWORD": "hush",
    "HOST": "localhost",
    "PORT": 5432,
    "OPTIONS": {},
}
