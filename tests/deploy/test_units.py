"""The units for systemd, judged by systemd itself."""

import re
import shlex
import subprocess
import sys

import pytest

from pipeline import processes
from tests.deploy.conftest import DEPLOY, parse_command

UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux's")


def values(unit, name) -> list[str]:
    text = unit.read_text().replace("\\\n", " ")
    return re.findall(rf"^{name}=(.*)$", text, re.MULTILINE)


def analyzed(unit, folder, *arguments) -> str:
    """What systemd-analyze says of the unit when this project stands where the unit looks for it."""
    here = folder / unit.name
    here.write_text(unit.read_text().replace("/opt/mailhelper/.venv/bin/python", sys.executable))
    done = subprocess.run(["systemd-analyze", *arguments, here], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_takes_every_line_of_it_and_finds_it_well_locked_in(unit, tmp_path):
    said = analyzed(unit, tmp_path, "verify", "--man=no", "--recursive-errors=no")
    assert unit.name not in said.replace(unit.name.replace("@", "@i"), unit.name), said
    analyzed(unit, tmp_path, "security", "--offline=yes", "--threshold=20")  # of 100


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_it_starts_what_there_is(unit):
    [line] = values(unit, "ExecStart")
    words = shlex.split(line)
    if "manage.py" in words:
        assert parse_command(words[words.index("manage.py") + 1 :])
    else:
        begin = words.index("gunicorn")
        assert words[begin:] == [*processes.WEB_SERVER, "--bind", "127.0.0.1:8000"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_secrets_reach_it_by_files_and_settings_that_there_are(unit, settings_names):
    named = set(re.findall(r"([A-Z_]+)=%d/", " ".join(values(unit, "ExecStart"))))
    assert named <= settings_names
    loaded = {credential.partition(":")[0] for credential in values(unit, "LoadCredential")}
    opened = set(re.findall(r"%d/([a-z_.]+)", " ".join(values(unit, "ExecStart"))))
    assert opened | ({"secret.key"} if opened else set()) == loaded
    assert not values(unit, "Environment")


def test_the_example_names_settings_that_there_are(settings_names):
    lines = (DEPLOY / "mailhelper.env.example").read_text().splitlines()
    named = {match[1] for line in lines if (match := re.match(r"#?([A-Z_]+)=", line))}
    assert len(named) > 8 and named <= settings_names
