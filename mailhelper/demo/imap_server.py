"""The demo's IMAP servers: one pymap process for each mailbox, reachable from this machine only.

pymap's maildir backend knows several users but serves LF instead of CRLF (a mail comes back altered and
shorter), so the mails live in its in-memory backend, which knows one user per process.
"""

import os
import secrets
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from imapclient import IMAPClient
from imapclient.imap_utf7 import encode as folder_bytes

from mailhelper.demo.mails import DemoFolder, DemoMailbox
from pipeline.processes import HOST, end, launch

START_SECONDS = 15
STOP_SECONDS = 3
RUN_PYMAP = "from pymap.main import main; main()"
INHERITED = ("PATH", "HOME", "PYTHONPATH", "SYSTEMROOT", "TMPDIR")


class DemoServerError(Exception):
    pass


@dataclass
class _Server:
    mailbox: DemoMailbox
    folder: Path
    port: int
    password: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)
    process: subprocess.Popen[bytes] | None = None

    @property
    def output_path(self) -> Path:
        return self.folder / f"pymap-{self.port}.log"

    @property
    def arguments_path(self) -> Path:
        return self.folder / f"pymap-{self.port}.args"

    def launch(self) -> None:
        self._write_arguments()
        command = [sys.executable, "-P", "-c", RUN_PYMAP, f"@{self.arguments_path.name}"]
        with self.output_path.open("wb") as output:
            self.process = launch(
                command, cwd=self.folder, env=_environment(), stdout=output, stderr=subprocess.STDOUT
            )

    def _write_arguments(self) -> None:
        """pymap reads its arguments from this file, so that `ps` shows no password."""
        arguments = (
            f"--host={HOST}",
            f"--port={self.port}",
            "--no-tls",
            "dict",
            f"--demo-user={self.mailbox.login}",
            f"--demo-password={self.password}",
        )
        self.arguments_path.touch(mode=0o600)
        self.arguments_path.write_text("\n".join(arguments) + "\n", encoding="utf-8")

    def wait_for_greeting(self, deadline: float) -> None:
        while not self._greets():
            if self.process.poll() is not None:
                raise self._error("ended")
            if time.monotonic() > deadline:
                raise self._error("stays silent")
            time.sleep(0.02)
        self.arguments_path.unlink()

    def _greets(self) -> bool:
        with suppress(OSError), socket.create_connection((HOST, self.port), timeout=1) as connection:
            return connection.recv(4) == b"* OK"
        return False

    def _error(self, what: str) -> DemoServerError:
        output = self.output_path.read_text(encoding="utf-8", errors="replace").strip()[-2000:]
        name = self.mailbox.name
        return DemoServerError(f"The demo's IMAP server for {name} {what}: {output or 'no output'}")

    def fill(self) -> None:
        with IMAPClient(HOST, self.port, ssl=False, timeout=START_SECONDS) as client:
            client.folder_encode = False
            # Without this every APPEND waits 40 ms for Nagle and the delayed ACK.
            client.socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.login(self.mailbox.login, self.password)
            for folder in self.mailbox.folders:
                _fill_folder(client, folder)

    def end(self) -> None:
        self.arguments_path.unlink(missing_ok=True)
        if self.process is None:
            return
        end(self.process, STOP_SECONDS)
        self.process = None


class DemoImapServer:
    """Serves the mailboxes from `start` to `stop`; what clients change is gone afterwards."""

    def __init__(self, folder: Path, mailboxes: tuple[DemoMailbox, ...]) -> None:
        self._folder = folder.resolve()
        ports = _free_ports(len(mailboxes))
        self._servers = {
            mailbox.name: _Server(mailbox, self._folder, port)
            for mailbox, port in zip(mailboxes, ports, strict=True)
        }

    def start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            self._start_all()
        except BaseException:
            self.stop()
            raise

    def _start_all(self) -> None:
        servers = self._servers.values()
        deadline = time.monotonic() + START_SECONDS
        for server in servers:
            server.launch()
        for server in servers:
            server.wait_for_greeting(deadline)
            server.fill()

    def stop(self) -> None:
        for server in self._servers.values():
            server.end()

    def port_of(self, mailbox_name: str) -> int:
        return self._servers[mailbox_name].port

    def password_of(self, mailbox_name: str) -> str:
        return self._servers[mailbox_name].password

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in sockets]


def _environment() -> dict[str, str]:
    """FQDN saves pymap a DNS look-up for each greeting."""
    kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return {**kept, "FQDN": "localhost"}


def _fill_folder(client: IMAPClient, folder: DemoFolder) -> None:
    name = folder_bytes(folder.name)
    if folder.name != "INBOX":
        client.create_folder(name)
    client.subscribe_folder(name)
    for mail in folder.mails:
        client.append(name, mail.raw, mail.flags, mail.date)
    # The first client that opens a folder gets \Recent on its mails; this is that client.
    client.select_folder(name)
