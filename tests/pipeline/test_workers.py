"""Workers as processes: what they do when they start, stop, are stopped dead, and lose their queue."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.processes import SHORTEST_LIFE, end, launch
from tests.conftest import Mailbox
from tests.installation import BASE, Installation, engine_of_this_run
from tests.pipeline.test_errors import drop
from tests.pipeline.test_sync import mail
from tests.servers.ports import free_port
from tests.servers.scripted import ScriptedImap

pytestmark = pytest.mark.engines
FEW_SECONDS = {"MAILHELPER_LEASE_SECONDS": "2", "MAILHELPER_WORKERS": "3"}


def until(truth, seconds=60):
    deadline = time.monotonic() + seconds
    while not (found := truth()):
        assert time.monotonic() < deadline, "it never became true"
        time.sleep(0.05)
    return found


@pytest.fixture
def house(tmp_path):
    house = Installation(tmp_path / "house", engine=engine_of_this_run())
    house.manage("add_user", "anna@example.org")
    return house


@pytest.fixture
def slow():
    """A mailbox whose bodies come one by one, each when `give` lets it."""
    with ScriptedImap() as server:
        yield Mailbox(server)


@contextmanager
def worker(house):
    process = launch(
        [sys.executable, "manage.py", "run_huey"],
        cwd=BASE,
        env=house.environment | FEW_SECONDS,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        end(process)


def make_due(house):
    """Let the account's time have come when the next worker starts."""
    house.manage("shell", "-c", "from django.utils import timezone as t; from accounts.models import *; "
                 "MailAccount.objects.update(next_due=t.now())")  # fmt: skip


def status(house) -> list[str]:
    return [row[0] for row in house.rows("SELECT status FROM pipeline_accountrun")]


def arrows(house) -> list[str]:
    return [
        row[0]
        for row in house.rows("SELECT arrow FROM pipeline_jobevent WHERE run_id IS NOT NULL ORDER BY id")
    ]


def stored(house) -> int:
    return house.rows("SELECT count(*) FROM mail_ledgerentry WHERE state = 'stored'")[0][0]


def a_mail_each(server, count):
    """Bodies are given one per second command, so that a run lasts."""
    for number in range(count):
        server.append("", "INBOX", mail(str(number), "x" * 1_000_000))


def slowly(session, tag, rest):
    if b"BODY" in rest:
        session.server.over.wait(0.3)
    return False


def test_a_worker_that_starts_syncs_what_is_due_and_a_retry_is_rung_on_time(house, slow):
    slow.append(mail("one"))
    house.add_account(slow, "--background")
    make_due(house)
    dropped = []

    def drop_once(session, tag, rest):
        if not dropped:
            dropped.append(tag)
            drop(session, tag, rest)
        return False

    slow.server.scripts["LIST"] = drop_once
    with worker(house):
        until(lambda: status(house) == ["success"])
    assert arrows(house) == ["created", "claimed", "retried", "claimed", "succeeded"]
    assert stored(house) == 1


def test_sigterm_finishes_the_batch_gives_the_lease_back_and_another_goes_on(house, slow):
    a_mail_each(slow.server, 40)  # five batches of 8 MB
    slow.server.scripts["FETCH"] = slowly
    house.add_account(slow, "--background")
    make_due(house)
    with worker(house) as first:
        until(lambda: stored(house) > 0)
        first.terminate()
        assert first.wait(20) == 0
    assert (status(house), arrows(house)[-1]) == (["pending"], "released")
    [(owner, lapses)] = house.rows("SELECT owner, lapses FROM pipeline_accountrun")
    assert (owner, lapses) == ("", 0) and 0 < stored(house) < 40
    with worker(house):
        until(lambda: status(house) == ["success"])
    assert stored(house) == 40


def test_a_worker_that_hangs_is_replaced_and_writes_nothing_when_it_wakes(house, slow):
    a_mail_each(slow.server, 40)
    slow.server.scripts["FETCH"] = slowly
    house.add_account(slow, "--background")
    make_due(house)
    with worker(house) as zombie:
        until(lambda: stored(house) > 0)
        os.kill(zombie.pid, signal.SIGSTOP)
        until(lambda: house.rows(_LAPSED[house.engine == {}])[0][0])
        with worker(house):
            until(lambda: "lapsed" in arrows(house))
            os.kill(zombie.pid, signal.SIGCONT)
            until(lambda: status(house) == ["success"])
    assert stored(house) == house.rows("SELECT count(*) FROM mail_message")[0][0] == 40
    assert arrows(house).count("succeeded") == 1


_LAPSED = {
    True: "SELECT lease_until < strftime('%Y-%m-%d %H:%M:%f', 'now') FROM pipeline_accountrun",
    False: "SELECT lease_until < now() FROM pipeline_accountrun",
}


def test_a_lost_queue_loses_no_job(house, mailbox):
    mailbox.append(mail("one"))
    house.add_account(mailbox, "--background")
    asking = house.start("sync_all", "--queue")
    until(lambda: status(house) == ["pending"])
    lose_the_queue(house)
    with worker(house):
        out, err = asking.communicate(timeout=60)
    assert asking.returncode == 0, out + err
    assert stored(house) == 1


def lose_the_queue(house):
    if house.engine:
        import redis

        redis.Redis.from_url(house.environment["REDIS_URL"]).flushdb()
    else:
        for file in (house.home / "var").glob("queue.sqlite3*"):
            file.unlink()


def test_serve_starts_a_killed_worker_again(house):
    serving = house.start("serve", "--port", str(free_port()))
    try:
        first = until(lambda: worker_of(serving.pid))
        until(lambda: house.rows("SELECT at FROM pipeline_heartbeat"))
        until(lambda: age_of(first) > SHORTEST_LIFE + 1)
        os.kill(first, signal.SIGKILL)
        until(lambda: worker_of(serving.pid) not in (first, None))
    finally:
        serving.terminate()
        out, err = serving.communicate(timeout=30)
    assert (serving.returncode, "Traceback" in out + err) == (0, False), out + err
    assert [json.loads(line)["event"] for line in err.splitlines()].count("process_restarted") == 1


def worker_of(pid: int) -> int | None:
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        command = Path(f"/proc/{child}/cmdline").read_bytes()
        if b"run_huey" in command:  # a zombie has no command line
            return int(child)
    return None


def age_of(pid: int) -> float:
    started = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started / os.sysconf("SC_CLK_TCK")
