"""Grants: who may open an account's key without its owner, and how that ends."""

import base64
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from django.core.management import CommandError, call_command

from accounts import actions, grants, rotation, vault, worker_key
from accounts.errors import ErrorType, SealBroken, SyncError, UsageError
from accounts.keyfile import read_or_make
from accounts.models import GrantPurpose, KeyGrant, WorkerKey
from tests.accounts.test_people import all_rows, new_account, swap

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TICK = timedelta(seconds=1)
ROOT = Path(__file__).resolve().parents[2]
MAKE_A_KEY_FILE = """
import secrets, sys
from pathlib import Path
from accounts.keyfile import read_or_make

def make():
    print("making", flush=True)
    sys.stdin.readline()
    return secrets.token_hex(16).encode()

print(read_or_make(Path(sys.argv[1]), make).decode())
"""


@pytest.fixture(autouse=True)
def key_file(settings, tmp_path) -> Path:
    """A worker key of each test's own."""
    settings.MAILHELPER_WORKER_KEY_FILE = tmp_path / "keys" / "worker.key"
    return settings.MAILHELPER_WORKER_KEY_FILE


@pytest.fixture
def noon():
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


@pytest.fixture
def gmx(anna):
    return new_account(anna, "GMX")


@pytest.fixture
def work(anna):
    return new_account(anna, "Work")


@pytest.fixture
def key_of(anna):
    return lambda account: actions.account_key(account, anna.user_key)


@pytest.fixture
def give(key_of):
    def give(account, purpose=GrantPurpose.BACKGROUND):
        return grants.grant(account, key_of(account), purpose)

    return give


def assert_no_key(account, grant_id=None):
    before = all_rows()
    with pytest.raises(SyncError) as refused:
        grants.open_account_key(account, grant_id)
    assert refused.value.error_type == ErrorType.NO_KEY
    assert all_rows() == before
    return refused.value.facts


def mode_of(path: Path) -> str:
    return oct(path.stat().st_mode & 0o777)


def test_a_background_grant_opens_its_accounts_key_and_no_other(gmx, work, give, key_of):
    give(gmx)
    assert grants.open_account_key(gmx, None) == key_of(gmx)
    assert assert_no_key(work) == {"reason": "no_grant"}


def test_without_a_grant_there_is_no_key(gmx):
    assert assert_no_key(gmx) == {"reason": "no_grant"}


def test_a_grant_holds_no_readable_key(gmx, give, key_of):
    assert key_of(gmx) not in bytes(give(gmx).sealed_key)


def test_giving_a_grant_needs_no_private_key(gmx, give, key_file, key_of):
    worker_key.current()
    private = key_file.read_bytes()
    key_file.unlink()
    give(gmx)
    assert not key_file.exists()
    key_file.write_bytes(private)
    assert grants.open_account_key(gmx, None) == key_of(gmx)


def test_grants_whose_keys_were_swapped_open_nothing(gmx, work, give):
    one, other = give(gmx), give(work)
    swap(KeyGrant, "sealed_key", one.pk, other.pk)
    assert [assert_no_key(account) for account in (gmx, work)] == [{"reason": "worker_key"}] * 2


def test_grants_whose_accounts_were_swapped_open_nothing(gmx, work, give):
    one, other = give(gmx, GrantPurpose.JOB), give(work, GrantPurpose.JOB)
    swap(KeyGrant, "account_id", one.pk, other.pk)
    assert_no_key(gmx, other.pk)
    assert_no_key(work, one.pk)


def test_a_job_grant_cannot_be_turned_into_a_background_grant(gmx, give):
    KeyGrant.objects.filter(pk=give(gmx, GrantPurpose.JOB).pk).update(purpose=GrantPurpose.BACKGROUND)
    assert assert_no_key(gmx) == {"reason": "worker_key"}


def test_a_job_grant_opens_only_for_the_run_that_carries_it(gmx, work, give, key_of):
    own, other = give(gmx, GrantPurpose.JOB), give(work, GrantPurpose.JOB)
    assert grants.open_account_key(gmx, own.pk) == key_of(gmx)
    assert_no_key(gmx, None)
    assert_no_key(gmx, other.pk)


@pytest.mark.parametrize(
    ("purpose", "lifetime"),
    [(GrantPurpose.BACKGROUND, timedelta(days=90)), (GrantPurpose.JOB, timedelta(hours=24))],
)
def test_a_grant_opens_until_its_last_second(gmx, give, key_of, noon, purpose, lifetime):
    given = give(gmx, purpose)
    noon.move_to(NOON + lifetime - TICK)
    assert grants.open_account_key(gmx, given.pk) == key_of(gmx)
    noon.move_to(NOON + lifetime)
    assert assert_no_key(gmx, given.pk) == {"reason": "no_grant"}


def test_the_use_of_a_grant_is_noted(gmx, give, noon):
    given = give(gmx)
    assert given.last_used_at is None
    noon.shift(60)
    grants.open_account_key(gmx, None)
    given.refresh_from_db()
    assert given.last_used_at == NOON + timedelta(seconds=60)


def test_revoking_ends_a_grant_and_wipes_its_key(gmx, work, give, key_of, noon):
    given = give(gmx)
    give(work)
    assert grants.revoke(gmx.grants.all()) == 1
    assert assert_no_key(gmx, given.pk) == {"reason": "no_grant"}
    given.refresh_from_db()
    assert (given.revoked_at, given.sealed_key) == (NOON, b"")
    assert grants.open_account_key(work, None) == key_of(work)
    assert grants.revoke(gmx.grants.all()) == 0


def test_giving_again_replaces_the_background_grant_and_starts_its_time_anew(gmx, give, key_of, noon):
    first = give(gmx)
    noon.shift(timedelta(days=80))
    second = give(gmx)
    first.refresh_from_db()
    assert (first.revoked_at, first.sealed_key) == (NOON + timedelta(days=80), b"")
    noon.shift(timedelta(days=80))
    assert grants.open_account_key(gmx, None) == key_of(gmx)
    assert list(grants.valid_grants()) == [second]


def test_giving_again_after_expiry_works(gmx, give, key_of, noon):
    give(gmx)
    noon.shift(timedelta(days=91))
    give(gmx)
    assert grants.open_account_key(gmx, None) == key_of(gmx)


def test_a_job_grant_leaves_the_background_grant_and_other_job_grants_alone(gmx, give):
    given = {give(gmx).pk, give(gmx, GrantPurpose.JOB).pk, give(gmx, GrantPurpose.JOB).pk}
    assert {grant.pk for grant in grants.valid_grants()} == given


def test_a_grant_sealed_to_a_retired_worker_key_does_not_open(gmx, give, noon):
    given = give(gmx)
    WorkerKey.objects.update(retired_at=NOON)
    assert assert_no_key(gmx, given.pk) == {"reason": "no_grant"}


def test_a_machine_with_another_worker_key_opens_nothing(gmx, give, key_file):
    give(gmx)
    key_file.write_bytes(base64.b64encode(vault.new_key_pair().private))
    assert assert_no_key(gmx) == {"reason": "worker_key"}


def test_a_broken_run_grant_leaves_the_background_grant_to_open(gmx, give, key_of):
    give(gmx)
    own = give(gmx, GrantPurpose.JOB)
    KeyGrant.objects.filter(pk=own.pk).update(sealed_key=b"broken")
    assert grants.open_account_key(gmx, own.pk) == key_of(gmx)


def test_the_worker_key_can_come_from_the_environment(gmx, give, key_of, settings, key_file):
    settings.MAILHELPER_WORKER_KEY = base64.b64encode(vault.new_key_pair().private).decode()
    give(gmx)
    assert grants.open_account_key(gmx, None) == key_of(gmx)
    assert not key_file.exists()


def test_rotation_moves_running_grants_and_destroys_the_old_key(gmx, work, give, key_of, key_file, noon):
    running, job, gone = give(gmx), give(work, GrantPurpose.JOB), give(work)
    grants.revoke(KeyGrant.objects.filter(pk=gone.pk))
    old_text, old = key_file.read_bytes(), worker_key.key_pair()
    assert rotation.rotate_worker_key() == 2
    assert key_file.read_bytes() != old_text
    assert grants.open_account_key(gmx, None) == key_of(gmx)
    assert grants.open_account_key(work, job.pk) == key_of(work)
    assert WorkerKey.objects.get(public_key=old.public).retired_at == NOON
    assert worker_key.current().public_key == worker_key.key_pair().public
    for row in KeyGrant.objects.all():
        with pytest.raises(SealBroken):
            grants.open_grant(row, old.private)
    running.refresh_from_db()
    assert running.expires_at == NOON + timedelta(days=90)


def test_rotation_ends_what_had_expired_or_was_sealed_to_another_key(gmx, work, give, noon):
    expired = give(gmx)
    noon.shift(timedelta(days=91))
    foreign = give(work)
    stranger = WorkerKey.objects.create(public_key=vault.new_key_pair().public, retired_at=NOON)
    KeyGrant.objects.filter(pk=foreign.pk).update(worker_key=stranger)
    assert rotation.rotate_worker_key() == 0
    for row in (expired, foreign):
        row.refresh_from_db()
        assert (row.revoked_at, row.sealed_key) == (NOON + timedelta(days=91), b"")


def test_a_grant_from_a_backup_opens_nothing_after_rotation(gmx, give):
    given = give(gmx)
    backup = KeyGrant.objects.filter(pk=given.pk).values("worker_key_id", "sealed_key", "revoked_at").get()
    rotation.rotate_worker_key()
    KeyGrant.objects.filter(pk=given.pk).update(**backup)
    assert_no_key(gmx, given.pk)
    KeyGrant.objects.filter(pk=given.pk).update(worker_key=worker_key.current())
    assert_no_key(gmx, given.pk)


def test_a_broken_grant_does_not_stop_rotation(gmx, work, give, key_of):
    broken = give(gmx)
    give(work)
    KeyGrant.objects.filter(pk=broken.pk).update(sealed_key=b"broken")
    assert rotation.rotate_worker_key() == 1
    broken.refresh_from_db()
    assert (broken.revoked_at is None, broken.sealed_key) == (False, b"")
    assert grants.open_account_key(work, None) == key_of(work)


def test_rotating_twice_works(gmx, give, key_of):
    give(gmx)
    assert [rotation.rotate_worker_key(), rotation.rotate_worker_key()] == [1, 1]
    assert grants.open_account_key(gmx, None) == key_of(gmx)


def test_rotation_through_the_command_says_how_many_grants_moved(gmx, give, capsys):
    give(gmx)
    call_command("rotate_worker_key")
    assert "moved to it: 1;" in capsys.readouterr().out


def test_rotation_is_refused_while_the_environment_holds_the_current_key(gmx, give, settings, key_file):
    give(gmx)
    settings.MAILHELPER_WORKER_KEY = key_file.read_text()
    before, text = all_rows(), key_file.read_bytes()
    with pytest.raises(CommandError, match="is the current key already") as refused:
        call_command("rotate_worker_key")
    assert refused.value.returncode == 2
    assert (all_rows(), key_file.read_bytes()) == (before, text)


@pytest.mark.parametrize("text", [b"", b"garbage", b"\xff\x00\x80", base64.b64encode(bytes(95)), b"A"])
def test_garbage_in_the_key_file_is_said_clearly_and_left_alone(gmx, give, key_file, text):
    give(gmx)
    key_file.write_bytes(text)
    before = all_rows()
    with pytest.raises(UsageError, match="is not a worker key"):
        rotation.rotate_worker_key()
    assert assert_no_key(gmx) == {"reason": "worker_key"}
    assert (all_rows(), key_file.read_bytes()) == (before, text)


def test_a_new_key_in_the_environment_takes_over_and_old_grants_end(gmx, give, settings, key_of):
    give(gmx)
    settings.MAILHELPER_WORKER_KEY = base64.b64encode(vault.new_key_pair().private).decode()
    assert assert_no_key(gmx) == {"reason": "worker_key"}
    assert rotation.rotate_worker_key() == 0
    give(gmx)
    assert grants.open_account_key(gmx, None) == key_of(gmx)


def test_a_lost_key_file_is_never_replaced_in_silence(gmx, give, key_file, key_of):
    give(gmx)
    key_file.unlink()
    give(gmx)  # a web host gives grants without a private key
    assert assert_no_key(gmx) == {"reason": "worker_key"}
    assert not key_file.exists()
    assert rotation.rotate_worker_key() == 0
    give(gmx)
    assert grants.open_account_key(gmx, None) == key_of(gmx)


def test_a_grants_sealed_key_is_destroyed_when_its_time_is_over(gmx, give):
    row = give(gmx)
    with time_machine.travel(row.expires_at + timedelta(seconds=1), tick=False):
        assert grants.end_expired() == 1
    row.refresh_from_db()
    assert row.sealed_key == b""


def test_garbage_in_the_environments_key_is_said_clearly(settings):
    settings.MAILHELPER_WORKER_KEY = "no key"
    with pytest.raises(UsageError, match="MAILHELPER_WORKER_KEY"):
        worker_key.key_pair()


def test_key_files_are_for_their_owner_alone(key_file):
    previous = os.umask(0)
    try:
        worker_key.current()
        modes = [mode_of(key_file), mode_of(key_file.parent)]
        rotation.rotate_worker_key()
        modes.append(mode_of(key_file))
    finally:
        os.umask(previous)
    assert modes == ["0o600", "0o700", "0o600"]
    assert list(key_file.parent.iterdir()) == [key_file]


def test_a_key_file_is_made_once(tmp_path):
    path = tmp_path / "secret.key"
    assert read_or_make(path, lambda: b"first") == b"first"
    assert read_or_make(path, lambda: b"second") == b"first"


def test_two_processes_that_make_the_key_at_once_agree(key_file):
    command = [sys.executable, "-c", MAKE_A_KEY_FILE, str(key_file)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, cwd=ROOT, **pipes) for _ in range(2)]
    assert [process.stdout.readline() for process in processes] == ["making\n"] * 2
    outputs = [process.communicate("go\n", timeout=30)[0].strip() for process in processes]
    assert outputs == [key_file.read_text()] * 2
    assert list(key_file.parent.iterdir()) == [key_file]


def test_the_worker_key_lies_outside_the_data_folder_unless_told_otherwise(tmp_path):
    changed = {"HOME": str(tmp_path / "home"), "MAILHELPER_VAR": str(tmp_path / "data")}
    unset = {"MAILHELPER_WORKER_KEY", "MAILHELPER_WORKER_KEY_FILE", "SECRET_KEY", "DATABASE_URL"}
    environment = {name: value for name, value in os.environ.items() if name not in unset} | changed
    ask = "from mailhelper.settings import *; print(MAILHELPER_WORKER_KEY_FILE, BASE_DIR, VAR, sep='\\n')"
    answer = subprocess.run(
        [sys.executable, "-c", ask], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    key_file, *others = map(Path, answer.stdout.splitlines())
    assert key_file == tmp_path / "home/.config/mailhelper/worker.key"
    assert not any(key_file.is_relative_to(folder) for folder in others)


def test_a_rotation_that_cannot_be_recorded_keeps_the_old_key(gmx, give, key_of, key_file, monkeypatch):
    give(gmx)
    before = key_file.read_bytes()

    def broken(**fields):
        raise OSError("the database is away")

    monkeypatch.setattr(WorkerKey.objects, "create", broken)
    with pytest.raises(OSError):
        rotation.rotate_worker_key()
    assert key_file.read_bytes() == before and list(key_file.parent.iterdir()) == [key_file]
    assert grants.open_account_key(gmx, None) == key_of(gmx)
