import signal
import subprocess
import sys

import pytest
import redis

from .redis import Redis, own_number
from .test_dovecot import ROOT, is_alive, until


@pytest.fixture(scope="module")
def server():
    with Redis() as server:
        yield server


def client(url: str) -> redis.Redis:
    return redis.Redis.from_url(url)


def test_everybody_gets_a_database_of_their_own(server):
    one, other = own_number(server.url()), own_number(server.url())
    with client(one) as mine, client(other) as theirs:
        mine.set("subject", "hello")
        assert (mine.get("subject"), theirs.get("subject")) == (b"hello", None)


def test_it_keeps_nothing_and_listens_to_this_machine_only(server):
    with client(server.url()) as asking:
        said = asking.config_get("save", "appendonly", "bind")
    assert said == {"save": "", "appendonly": "no", "bind": "127.0.0.1"}


def test_a_stranger_on_this_machine_is_refused(server):
    with client(f"redis://127.0.0.1:{server.port}") as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()


def test_start_after_stop_makes_an_empty_one():
    server = Redis()
    server.start()
    with client(server.url()) as old:
        old.set("subject", "hello")
        server.stop()
        with pytest.raises(redis.ConnectionError):
            old.ping()
        server.start()
        assert old.get("subject") is None
    server.stop()


def test_a_server_that_does_not_start_is_told_with_its_log(monkeypatch):
    monkeypatch.setattr("tests.servers.redis.CONFIG", "no-such-setting 1\n")
    with pytest.raises(RuntimeError, match="no-such-setting"):
        Redis().start()


def test_it_dies_with_the_tests():
    script = (
        "import sys\n"
        "from tests.servers.redis import Redis\n"
        "server = Redis()\n"
        "server.start()\n"
        "print(server._process.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as tests:
        pid = int(tests.stdout.readline())
        tests.send_signal(signal.SIGKILL)
    until(lambda: not is_alive(pid))
