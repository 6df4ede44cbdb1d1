"""The tests that touch rows or the queue, once more on a PostgreSQL and a Redis that end with them.

python -m tests.on_servers [pytest arguments]
"""

import os
import signal
import subprocess
import sys

import pytest

from tests.servers.postgres import Postgres
from tests.servers.redis import Redis


def main(arguments: list[str]) -> int:
    with Postgres() as postgres, Redis() as redis:
        urls = {
            "MAILHELPER_TEST_DATABASE_URL": postgres.url(),
            "MAILHELPER_TEST_REDIS_URL": redis.url(),
        }
        print("Once more, on PostgreSQL and Redis:", flush=True)
        status = run([sys.executable, "-m", "pytest", *arguments], os.environ | urls)
    # What was asked for may touch neither.
    return 0 if status == pytest.ExitCode.NO_TESTS_COLLECTED else status


def run(command: list[str], environment: dict[str, str]) -> int:
    with subprocess.Popen(["setpriv", "--pdeathsig", "TERM", *command], env=environment) as tests:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the tests too, and we end after them
        signal.signal(signal.SIGTERM, lambda *_: tests.send_signal(signal.SIGINT))
        return tests.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
