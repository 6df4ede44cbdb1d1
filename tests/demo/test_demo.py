"""The demo as `make demo` runs it."""

import os
import re
import signal
import subprocess
import sys

from mailhelper.demo.__main__ import EMAIL
from tests.installation import BASE
from tests.servers.ports import free_port

DEMO = [sys.executable, "-u", "-m", "mailhelper.demo", "--port"]


def test_the_demo_syncs_everything_and_leaves_nothing_running():
    done = subprocess.run(
        [*DEMO, str(free_port()), "--once"],
        cwd=BASE,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("GMX", "Gmail", "Verein"):
        assert f"✓ {name}: " in done.stdout
    assert "unexplained" not in done.stdout and "Traceback" not in done.stderr


def test_commands_work_in_another_terminal_after_what_the_demo_prints():
    demo = subprocess.Popen([*DEMO, str(free_port())], cwd=BASE, stdout=subprocess.PIPE, text=True)
    try:
        said = ""
        for line in demo.stdout:
            said += line
            if "Ctrl-C stops" in line:
                break
        exports = "\n".join(re.findall(r"^  export .*", said, re.M))
        command = f'{exports}\nexec "$0" manage.py sync_all --user {EMAIL}'
        bare = {"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "mailhelper.settings"}
        [password] = re.findall(r"^Password: +(\S+)", said, re.M)
        done = subprocess.run(
            ["bash", "-c", command, sys.executable],
            cwd=BASE,
            env=bare | {"MAILHELPER_PASSWORD": password},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "GMX" in done.stdout
    finally:
        demo.send_signal(signal.SIGINT)
        assert demo.wait(timeout=60) == 0
