"""A backup that is restored gives the mail back to who has the password, and to nobody else."""

import stat
from pathlib import Path

import pytest

from tests.conftest import Mailbox
from tests.installation import Installation, engine_of_this_run
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
