"""The real settings, with a data folder of each test process's own and a cheap password hash.

On the servers of tests/on_servers.py each process has a database and a queue of its own there.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from tests.servers.redis import own_number

_home = Path(tempfile.mkdtemp(prefix="mailhelper-tests-"))
atexit.register(shutil.rmtree, _home, ignore_errors=True)
_postgres = os.environ.get("MAILHELPER_TEST_DATABASE_URL")
_redis = os.environ.get("MAILHELPER_TEST_REDIS_URL")
os.environ |= {
    "MAILHELPER_VAR": str(_home / "var"),
    "MAILHELPER_WORKER_KEY": "",
    "MAILHELPER_WORKER_KEY_FILE": str(_home / "keys" / "worker.key"),
    "DATABASE_URL": _postgres or f"sqlite:///{_home / 'var' / 'mailhelper.sqlite3'}",
    "REDIS_URL": own_number(_redis) if _redis else "",
    "DEBUG": "0",
    "MAILHELPER_SECURE_COOKIES": "0",
    "MAILHELPER_ALLOW_PRIVATE_HOSTS": "1",
}

from mailhelper.settings import *  # noqa: E402, F403
from mailhelper.settings import DATABASES, VAR, Cost  # noqa: E402

if not _postgres:
    # A file: the in-memory default is shared by threads and answers "table is locked" at once.
    DATABASES["default"]["TEST"] = {"NAME": str(VAR / "test.sqlite3")}
MAILHELPER_ARGON2_COST = Cost(memory=64, passes=1, lanes=1)
