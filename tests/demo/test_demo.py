"""The demo as `make demo ARGS=--once` runs it."""

import subprocess
import sys

from tests.installation import BASE
from tests.servers.ports import free_port


def test_the_demo_syncs_everything_and_leaves_nothing_running():
    done = subprocess.run(
        [sys.executable, "-m", "mailhelper.demo", "--once", "--port", str(free_port())],
        cwd=BASE,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("GMX", "Gmail", "Verein"):
        assert f"✓ {name}: " in done.stdout
    assert "unexplained" not in done.stdout and "Traceback" not in done.stderr
