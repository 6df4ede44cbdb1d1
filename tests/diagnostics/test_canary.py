"""What must stay secret is looked for in every file and every line that an examination leaves behind."""

import secrets

import pytest

from tests.pipeline import test_canary as of_a_sync
from tests.pipeline.test_canary import box, canaries, files, found, house  # noqa: F401

PROGRAM = of_a_sync.PROGRAM.replace(
    'call_command("sync_all", *sys.argv[3:])',
    'call_command("diagnose", "anna@example.org", "--account", "GMX", *sys.argv[3:])',
)


@pytest.mark.parametrize(("trouble", "status"), [("none", 0), ("wrong password", 1), ("bad tls", 1)])
def test_no_secret_is_left_in_any_file_or_line(trouble, status, house, box, canaries, monkeypatch):  # noqa: F811
    monkeypatch.setattr(of_a_sync, "PROGRAM", PROGRAM)
    password = canaries["wrong" if trouble == "wrong password" else "password"]
    house.add_account(box, "--background", MAILHELPER_IMAP_PASSWORD=password)
    planted, report = f"planted{secrets.token_hex(10)}", house.home / "report.txt"
    out = of_a_sync.sync(house, planted, trouble, "--evidence", "--report", str(report), status=status)
    assert b"Name of the server" in out and b"    | " in out
    assert report.read_text().startswith("mailhelper diagnostics")
    assert found(canaries, out) == set()
    assert found(canaries, files(house) + report.read_bytes()) == set()
