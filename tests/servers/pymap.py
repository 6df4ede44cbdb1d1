"""pymap, an IMAP server with OBJECTID and without CONDSTORE, on a free port of 127.0.0.1."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self
from urllib.parse import quote

from .mailboxes import Mailboxes
from .ports import free_port

PATIENCE = 20
ROOT = Path(__file__).parents[2]

# See tests/servers/dovecot.py: the parent-death signal comes when the starting thread ends.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pymap-starter")


class Pymap(Mailboxes):
    """Without TLS. Nothing outlives stop()."""

    host = "127.0.0.1"
    imaps_port = None
    ca_file = None

    def __init__(self):
        self.imap_port = free_port()
        self._process: subprocess.Popen | None = None
        self._passwords: dict[str, str] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception) -> None:
        self.stop()

    def start(self) -> None:
        if self._process is not None:
            raise RuntimeError("pymap already runs")
        self._users = Path(tempfile.mkdtemp(prefix="pymap"))
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - stop() closes it
        self._process = _starter.submit(self._spawn).result()
        try:
            self._wait_until_it_greets()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE)
            self._process = None
            self._log.close()
            shutil.rmtree(self._users)

    def add_user(self, login: str, password: str) -> None:
        self.set_password(login, password)

    def set_password(self, login: str, password: str) -> None:
        (self._users / quote(login, safe="")).write_text(password)
        self._passwords[login] = password

    def _spawn(self) -> subprocess.Popen:
        command = [sys.executable, "-m", "tests.servers.pymap_process"]
        command += ["--host", "127.0.0.1", "--port", str(self.imap_port), "--no-tls", "dict"]
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *command],
            cwd=ROOT,
            env=os.environ | {"USERS": str(self._users), "FQDN": "localhost"},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )

    def _wait_until_it_greets(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while not self._greets():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._log.seek(0)
                raise RuntimeError(f"pymap did not start:\n{self._log.read().decode()}")
            time.sleep(0.02)

    def _greets(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.imap_port), timeout=PATIENCE) as connection:
                return connection.makefile("rb").readline().startswith(b"* OK")
        except OSError:
            return False
