"""mailhelper as a person runs it: manage.py in processes of its own, with a data folder of its own."""

import json
import os
import secrets
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import psycopg2

from tests.servers.postgres import create_database
from tests.servers.redis import own_number

BASE = Path(__file__).resolve().parent.parent


def _connection(url: str):
    if url.startswith("sqlite:///"):
        return sqlite3.connect(url.removeprefix("sqlite:///"), timeout=30)
    return psycopg2.connect(url)


def engine_on(postgres_url: str, redis_url: str) -> dict[str, str]:
    """A database and a queue for one installation on these servers."""
    return {
        "DATABASE_URL": create_database(postgres_url, f"house_{secrets.token_hex(6)}"),
        "REDIS_URL": own_number(redis_url),
    }


def engine_of_this_run() -> dict[str, str]:
    """The same on the servers of this test run; nothing when it tests the embedded engine."""
    if "MAILHELPER_TEST_DATABASE_URL" not in os.environ:
        return {}
    return engine_on(os.environ["MAILHELPER_TEST_DATABASE_URL"], os.environ["MAILHELPER_TEST_REDIS_URL"])


@dataclass
class Installation:
    """`engine` is its DATABASE_URL and REDIS_URL; without them it keeps rows and queue in its folder."""

    home: Path
    password: str = field(default_factory=lambda: f"{secrets.token_hex(8)} horse battery")
    engine: dict[str, str] = field(default_factory=dict)

    _empty: ClassVar[bytes] = b""  # a migrated database: making one takes seconds

    def __post_init__(self):
        database = self.home / "var" / "mailhelper.sqlite3"
        if self._empty and not self.engine:
            database.parent.mkdir(mode=0o700, parents=True)
            database.write_bytes(self._empty)
            return
        self.manage("migrate", "--verbosity", "0")
        if not self.engine:
            Installation._empty = database.read_bytes()

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "MAILHELPER_VAR": str(self.home / "var"),
            "MAILHELPER_WORKER_KEY_FILE": str(self.home / "keys" / "worker.key"),
            "MAILHELPER_PASSWORD": self.password,
            "DJANGO_SETTINGS_MODULE": "mailhelper.settings",
            "DATABASE_URL": f"sqlite:///{self.home / 'var' / 'mailhelper.sqlite3'}",
            "REDIS_URL": "",
            "MAILHELPER_ALLOW_PRIVATE_HOSTS": "1",
        } | self.engine

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=BASE,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def manage(self, *arguments: str, status: int = 0, **environment: str) -> str:
        """Run a command, insist on its exit status, and give what it printed."""
        process = self.start(*arguments, **environment)
        out, err = process.communicate(timeout=300)
        assert process.returncode == status, f"{arguments}: {process.returncode}\n{out}\n{err}"
        return out + err

    def rows(self, query: str) -> list[tuple]:
        """What the database holds now."""
        url = self.environment["DATABASE_URL"]
        with closing(_connection(url)) as database, closing(database.cursor()) as cursor:
            cursor.execute(query)
            return cursor.fetchall()

    def json(self, *arguments: str, status: int = 0, **environment: str) -> dict:
        process = self.start(*arguments, "--json", **environment)
        out, err = process.communicate(timeout=300)
        assert process.returncode == status, f"{arguments}: {process.returncode}\n{out}\n{err}"
        return json.loads(out)

    def manage_each(self, commands: list[tuple[str, ...]], **environment: str) -> None:
        """Several commands in one process: starting one takes a second."""
        program = (
            "import json, sys; from django.core.management import ManagementUtility\n"
            "for words in json.load(sys.stdin): ManagementUtility(['manage.py', *words]).execute()"
        )
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=BASE,
            env=self.environment | environment,
            input=json.dumps(commands),
            text=True,
            capture_output=True,
            check=True,
        )

    def add_account(
        self, box, *options: str, email="anna@example.org", name="GMX", **environment: str
    ) -> str:
        return self.manage(
            *account_command(box, email, name),
            *options,
            **{"MAILHELPER_IMAP_PASSWORD": box.password} | environment,
        )


def account_command(box, email: str, name: str) -> tuple[str, ...]:
    security = ("tls", "--ca-file", str(box.server.ca_file)) if box.server.ca_file else ("none",)
    port = str(box.server.imaps_port or box.server.imap_port)
    where = ("--host", box.server.host, "--port", port, "--login", box.login)
    return "add_account", email, "--name", name, *where, "--security", *security
