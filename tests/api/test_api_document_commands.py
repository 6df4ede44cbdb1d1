"""docs/api.md, typed line by line against a running mailhelper."""

import os
import re
import subprocess

import pytest

from tests.api.conftest import OWNER
from tests.installation import BASE

pytestmark = pytest.mark.once
NEXT = "== next =="
SAID = [
    ("shown only now",),
    (OWNER, '"manual"', "Background sync is off"),
    ('"pending"',),
    ("event: job", '"status": "success"'),
    ('"status": "success"', "\ntrue\n"),
    ('"job_id"',),
    ('"unexplained": 0',),
    ('"not_found"',),
    ("",),
]


def commands() -> list[str]:
    document = (BASE / "docs" / "api.md").read_text()
    return re.findall(r"^```sh\n(.*?)^```$", document, flags=re.MULTILINE | re.DOTALL)


def test_every_command_of_the_document_does_what_it_says(site, house, tmp_path):
    for name in (".venv", "manage.py"):
        (tmp_path / name).symlink_to(BASE / name)
    script = "set -euo pipefail; exec 2>&1\n" + f"echo; echo '{NEXT}'\n".join(commands())
    done = subprocess.run(
        ["bash", "-c", script.replace("http://localhost:8000", site.url)],
        cwd=tmp_path,
        env=house.environment | {"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    for said, expected in zip(done.stdout.split(NEXT), SAID, strict=True):
        assert all(words in said for words in expected), said
    assert {path.name for path in tmp_path.iterdir()} == {".venv", "manage.py"}
