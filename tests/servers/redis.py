"""A real Redis that keeps nothing, on a free port of 127.0.0.1."""

import secrets
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Self
from urllib.parse import urlsplit

import redis

from .ports import free_port

PATIENCE = 20
CONFIG = """\
bind 127.0.0.1
port {port}
requirepass {password}
databases 10000
save ""
appendonly no
"""

# See tests/servers/dovecot.py: the parent-death signal comes when the starting thread ends.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="redis-starter")


class Redis:
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

    def url(self, number: int = 0) -> str:
        return f"redis://:{self._password}@127.0.0.1:{self.port}/{number}"

    def start(self) -> None:
        if self._process is not None:
            raise RuntimeError("Redis already runs")
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - stop() closes it
        self._process = _starter.submit(self._spawn).result()
        try:
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

    def _spawn(self) -> subprocess.Popen:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", "redis-server", "-"],
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        with process.stdin as config:
            config.write(CONFIG.format(port=self.port, password=self._password).encode())
        return process

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._log.seek(0)
                raise RuntimeError(f"Redis did not start:\n{self._log.read().decode()}")
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url()) as client:
                return client.ping()
        except redis.ConnectionError:
            return False


def own_number(server_url: str) -> str:
    """The URL of a database that nobody else was given; database 0 counts them."""
    with redis.Redis.from_url(server_url) as client:
        return urlsplit(server_url)._replace(path=f"/{client.incr('given')}").geturl()
