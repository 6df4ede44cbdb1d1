"""What must stay secret is looked for in every file and every line that a sync leaves behind."""

import base64
import random
import secrets
import sqlite3
import subprocess
import sys

import pytest

from tests.conftest import Mailbox
from tests.installation import BASE, Installation
from tests.servers.dovecot import Dovecot

# Runs commands with every logger at DEBUG, then optionally with a parser that raises what it reads.
PROGRAM = """
import logging, sys
import django
django.setup()
from django.core.management import call_command
if "broken" in sys.argv:
    import pipeline.intake
    def broken(raw):
        raise TypeError(raw.decode())
    pipeline.intake.parse_message = broken
logging.basicConfig(level=logging.DEBUG, force=True, stream=sys.stderr)
for name in list(logging.root.manager.loggerDict):
    logger = logging.getLogger(name)
    logger.setLevel(logging.DEBUG)
    logger.disabled, logger.propagate = False, True
logging.getLogger("canary").debug("planted: %s", sys.argv[1])
try:
    call_command("sync_all", *sys.argv[3:])
except SystemExit as end:
    sys.exit(end.code)
"""


def shapes(word: str) -> list[bytes]:
    """A word as it is, and as base64 shows it at any offset."""
    raw = word.encode()
    encoded = [base64.b64encode(b"\0" * shift + raw)[4 if shift else 0 : -4] for shift in range(3)]
    return [raw, raw.hex().encode(), *encoded]


def found(words: dict[str, str], text: bytes) -> set[str]:
    return {name for name, word in words.items() if any(shape in text for shape in shapes(word))}


@pytest.fixture
def canaries():
    names = ("password", "login", "subject", "body", "attachment", "folder", "keyword", "person", "wrong")
    words = {name: f"canary{secrets.token_hex(10)}" for name in names}
    return words | {
        "host": f"127.{random.randint(100, 250)}.{random.randint(100, 250)}.{random.randint(100, 250)}"
    }


@pytest.fixture
def box(trouble, canaries, authority, tmp_path):
    """A mailbox full of canaries on a Dovecot whose host is one too."""
    named = "elsewhere.example" if trouble == "bad tls" else canaries["host"]
    certificate, key = authority.issue("named", host=named)
    settings = f"listen = 127.0.0.1, {canaries['host']}\nssl_cert = <{certificate}\nssl_key = <{key}"
    raw = (
        f"Subject: {canaries['subject']}\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        f"--b\r\n\r\n{canaries['body']}\r\n"
        f"--b\r\nContent-Disposition: attachment; filename={canaries['attachment']}.pdf\r\n\r\nx\r\n--b--\r\n"
    ).encode()
    with Dovecot(tmp_path / "dovecot", authority, settings=settings) as server:
        server.host = canaries["host"]
        box = Mailbox(server, canaries["login"], canaries["password"])
        box.create(canaries["folder"])
        for folder in ("INBOX", canaries["folder"]):
            box.append(raw, folder=folder, flags=(canaries["keyword"],))
        yield box


@pytest.fixture
def house(tmp_path, canaries):
    house = Installation(tmp_path, password=f"{canaries['person']} is mine")
    house.manage("add_user", "anna@example.org")
    return house


def sync(house, planted: str, *arguments: str, status: int) -> bytes:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, planted, *arguments],
        cwd=BASE,
        env=house.environment,
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == status, done.stderr.decode()[-2000:]
    assert b"planted: " + planted.encode() in done.stderr
    return done.stdout + done.stderr


def files(house) -> bytes:
    paths = [path for path in (house.home / "var").rglob("*") if path.is_file()]
    assert {"mailhelper.sqlite3", "queue.sqlite3"} <= {path.name for path in paths}
    return b"".join(path.read_bytes() for path in paths)


@pytest.mark.parametrize(
    ("trouble", "status"), [("none", 0), ("wrong password", 1), ("bad tls", 1), ("broken", 1)]
)
def test_no_secret_is_left_in_any_file_or_line(trouble, status, house, box, canaries):
    password = canaries["wrong" if trouble == "wrong password" else "password"]
    house.add_account(box, "--background", MAILHELPER_IMAP_PASSWORD=password)
    planted = f"planted{secrets.token_hex(10)}"
    out = sync(house, planted, trouble, status=status)
    again = 0 if trouble == "broken" else status  # what a bug left unread is stored all the same
    out += sync(house, planted, trouble, "--user", "anna@example.org", status=again)
    worker = house.start("run_huey")
    try:
        out += house.manage("sync_all", "--queue", status=again).encode()
    finally:
        worker.terminate()
        out += "".join(worker.communicate(timeout=30)).encode()
    assert found(canaries, out) == set()
    assert found(canaries, files(house)) == set()
    assert found({"planted": planted}, out) == {"planted"}


def test_the_search_finds_what_is_planted_in_the_database(house, canaries):
    database = sqlite3.connect(house.home / "var" / "mailhelper.sqlite3")
    planted = base64.b64encode(b"x" + canaries["body"].encode()).decode()
    database.execute(
        "INSERT INTO accounts_remotehost (host_key, failures, failed_probes) VALUES (x'00', ?, 0)",
        (f'"{planted}"',),
    )
    database.commit()
    text = b"".join(path.read_bytes() for path in (house.home / "var").rglob("*") if path.is_file())
    assert found(canaries, text) == {"body"}
