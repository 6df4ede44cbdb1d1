"""A real PostgreSQL in a throw-away folder, on a free port of 127.0.0.1."""

import os
import pwd
import re
import secrets
import shutil
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import psycopg2

from .ports import free_port

PATIENCE = 20
USER = "mailhelper"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "300",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
}

# See tests/servers/dovecot.py: the parent-death signal comes when the starting thread ends.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="postgres-starter")

# Runs the server and removes its folder after it, also when we are killed. INT is PostgreSQL's fast shutdown.
_KEEPER = """\
"${@:2}" & server=$!
trap 'kill -INT $server' TERM
until wait; do :; done
rm -rf -- "$1"
"""


class Postgres:
    """Nothing outlives stop(); a further start() makes an empty one on the same port."""

    def __init__(self):
        self.port = free_port()
        self._password = secrets.token_hex(16)
        self._process: subprocess.Popen | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception) -> None:
        self.stop()

    def url(self, database: str = "postgres") -> str:
        return f"postgres://{USER}:{self._password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        if self._process is not None:
            raise RuntimeError("PostgreSQL already runs")
        self._base = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - stop() closes it
        try:
            self._make_cluster()
            self._process = _starter.submit(self._spawn).result()
            self._wait_until_it_answers()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE)
            self._process = None
            self._log.close()
        shutil.rmtree(self._base, ignore_errors=True)

    def _make_cluster(self) -> None:
        password = self._base / "password"
        password.write_text(self._password)
        if os.geteuid() == 0:
            for path in (self._base, password):
                os.chown(path, _server_user().pw_uid, _server_user().pw_gid)
        # The password goes in clear over loopback: scram would cost each connection 4096 hashes.
        options = ["--auth=password", f"--username={USER}", f"--pwfile={password}"]
        options += ["--encoding=UTF8", "--locale=C", "--no-sync", f"--pgdata={self._base / 'data'}"]
        command = [*_as_server_user(), _program("initdb"), *options]
        done = subprocess.run(command, cwd=self._base, check=False, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"initdb ended with {done.returncode}:\n{done.stderr}")

    def _spawn(self) -> subprocess.Popen:
        server = [
            *_as_server_user("--pdeathsig", "INT"),
            _program("postgres"),
            "-D",
            str(self._base / "data"),
        ]
        server += ["-p", str(self.port)]
        for name, value in SETTINGS.items():
            server += ["-c", f"{name}={value}"]
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", "bash", "-c", _KEEPER, "bash", str(self._base), *server],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._log.seek(0)
                raise RuntimeError(f"PostgreSQL did not start:\n{self._log.read().decode()}")
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            psycopg2.connect(self.url()).close()
        except psycopg2.OperationalError:
            return False
        return True


def create_database(server_url: str, name: str) -> str:
    """An empty database on the server of this URL; gives its URL."""
    connection = psycopg2.connect(server_url)
    try:
        connection.autocommit = True
        connection.cursor().execute(f'CREATE DATABASE "{name}"')
    finally:
        connection.close()
    return urlsplit(server_url)._replace(path=f"/{name}").geturl()


def _program(name: str) -> str:
    """Debian keeps the server's programs out of PATH, in a folder per version; the newest is taken."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    found = shutil.which(name, path=os.pathsep.join([*map(str, folders), os.environ["PATH"]]))
    if found is None:
        raise FileNotFoundError(f"{name} is missing; run tests/servers/install_servers.sh")
    return found


def _version(folder: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", folder.parent.name)]


def _server_user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def _as_server_user(*options: str) -> list[str]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() == 0:
        user = _server_user()
        options += (f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups")
    return ["setpriv", *options] if options else []
