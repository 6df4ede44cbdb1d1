import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from .postgres import Postgres, create_database
from .test_dovecot import ROOT, is_alive, until


@pytest.fixture(scope="module")
def postgres():
    with Postgres() as server:
        yield server


def asked(url: str, question: str) -> str:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(question)
        return cursor.fetchone()[0]


def test_each_database_has_its_own_rows(postgres):
    one, other = (create_database(postgres.url(), name) for name in ("one", "other"))
    assert one == postgres.url("one")
    with closing(psycopg2.connect(one)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE mail AS SELECT 'hello' AS subject")
    assert asked(one, "SELECT subject FROM mail") == "hello"
    with pytest.raises(psycopg2.errors.UndefinedTable):
        asked(other, "SELECT subject FROM mail")


def test_it_waits_for_no_disk_and_listens_to_this_machine_only(postgres):
    for name in ("fsync", "full_page_writes", "synchronous_commit"):
        assert asked(postgres.url(), f"SHOW {name}") == "off"
    assert asked(postgres.url(), "SHOW listen_addresses") == "127.0.0.1"
    assert asked(postgres.url(), "SHOW unix_socket_directories") == ""


def test_a_stranger_on_this_machine_is_refused(postgres):
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(postgres.url().replace(postgres._password, "guessed"))


def test_stop_leaves_neither_process_nor_folder_and_start_makes_an_empty_one():
    server = Postgres()
    server.start()
    create_database(server.url(), "old")
    folder = Path(asked(server.url(), "SHOW data_directory")).parent
    connection = psycopg2.connect(server.url())
    pid = connection.info.backend_pid
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 5
    assert not folder.exists()
    until(lambda: not is_alive(pid))
    with pytest.raises(psycopg2.OperationalError):
        connection.cursor().execute("SELECT 1")
    server.start()
    with pytest.raises(psycopg2.OperationalError, match="does not exist"):
        psycopg2.connect(server.url("old"))
    server.stop()


def test_a_server_that_does_not_start_is_told_with_its_log(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("tests.servers.postgres.SETTINGS", {"no_such_setting": "1"})
    server = Postgres()
    with pytest.raises(RuntimeError, match="no_such_setting"):
        server.start()
    assert not server._base.exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_dies_with_the_tests_and_takes_its_folder_along(number):
    script = (
        "import sys\n"
        "from tests.servers.postgres import Postgres\n"
        "server = Postgres()\n"
        "server.start()\n"
        "print(server._base, server._process.pid, server.url(), flush=True)\n"
        "sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as tests:
        base, keeper, url = tests.stdout.readline().split()
        server = int(Path(base, "data", "postmaster.pid").read_text().split()[0])
        tests.send_signal(number)
    until(lambda: not is_alive(int(keeper)) and not is_alive(server))
    assert not os.path.exists(base)
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(url)
