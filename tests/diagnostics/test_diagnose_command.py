"""manage.py diagnose: the ladder on a terminal, as JSON, as a report; its exit status."""

import io
import json
import re
import sys

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from accounts.management.doors import PASSWORD
from diagnostics.models import DiagnosticReport
from tests.conftest import Mailbox
from tests.pipeline.test_errors import drop, say
from tests.pipeline.test_sync import mail

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(connect, scripted):
    scripted.append("", "INBOX", mail("one"))
    return connect(Mailbox(scripted), security="none")


@pytest.fixture
def diagnose(anna, account, monkeypatch):
    """diagnose("--json") gives exit status and output."""
    monkeypatch.setenv(PASSWORD, anna.password)

    def diagnose(*arguments, out=None):
        out = out or io.StringIO()
        try:
            call_command("diagnose", "anna@example.org", "--account", "GMX", *arguments, stdout=out)
        except SystemExit as end:
            return end.code, out.getvalue()
        return 0, out.getvalue()

    return diagnose


def test_a_line_per_probe_and_its_time(diagnose):
    status, out = diagnose()
    lines = out.splitlines()
    assert status == 0
    assert re.fullmatch(r"✓ Name of the server: ok \(IPv4 addresses 1\), \d\.\d{3} s", lines[0])
    assert re.fullmatch(r"– Encryption and certificate: skipped: no encryption is set, 0\.000 s", lines[2])
    assert re.fullmatch(r"Passed in \d\.\d s\.", lines[-1])
    assert DiagnosticReport.objects.get().passed


def test_a_failure_comes_with_cause_and_cure_and_status_1(diagnose, scripted):
    diagnose()
    scripted.scripts["LOGIN"] = say(b"TAG NO [AUTHENTICATIONFAILED] no")
    status, out = diagnose()
    lines = out.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("✗ Login: failed"))
    assert lines[at + 1] == "    The server refuses this login and password."
    assert lines[at + 2].startswith("    → Check both at the provider's web mail")
    assert [line for line in lines if line.startswith("Since it last passed: ")] == [
        "Since it last passed: Login: failed (before: ok)",
        "Since it last passed: Login, kind of error: invalid_credentials (before: –)",
    ]
    assert lines[-1].startswith("Not passed") and status == 1


def test_the_servers_words_are_shown_only_when_asked_for(diagnose, scripted):
    scripted.greeting = b"* OK some words of mine \x1b[2J"
    assert "words of mine" not in diagnose()[1] + diagnose("--json")[1]
    assert "    | * OK some words of mine \\x1b[2J" in diagnose("--evidence")[1].splitlines()
    probes = json.loads(diagnose("--json", "--evidence")[1])["probes"]
    assert probes[3]["evidence"] == "* OK some words of mine \\x1b[2J"


def test_one_json_object(diagnose, scripted):
    scripted.scripts["LIST"] = drop
    status, out = diagnose("--json")
    told = json.loads(out)
    assert (status, told["passed"], told["account"]) == (1, False, "GMX")
    found = {probe["name"]: probe for probe in told["probes"]}
    assert found["folder_list"]["error_type"] == "connection_reset"
    assert found["folder_list"]["cause"] == "The connection to the server broke off."
    assert found["dns"]["cause"] == found["dns"]["cure"] == ""
    assert told["report_id"] == str(DiagnosticReport.objects.get().pk)


def test_the_folders_in_trouble_are_named_below_their_probe(diagnose, scripted, account, sync):
    scripted.create("", "Archive")
    sync(account)
    scripted.append("", "INBOX", mail("two"))
    scripted.create("", "Never synced")
    scripted.boxes[b"Never synced"].flags = b"\\Noselect"
    _, out = diagnose()
    assert "    Folders that differ: “INBOX” (only on the server 1)" in out.splitlines()
    scripted.boxes[b"Never synced"].flags = b""
    scripted.scripts["EXAMINE"] = refusing(b"Archive", b"Never synced")
    _, out = diagnose()
    assert "    Folders that do not open: “Archive”, “Never synced”" in out.splitlines()
    told = json.loads(diagnose("--json")[1])
    [flags] = [probe for probe in told["probes"] if "folders" in probe]
    assert flags["name"] == "flags"
    assert flags["folders"] == [
        {"kind": "refusing", "name": "Archive"},
        {"kind": "refusing", "name": "Never synced"},
    ]


def refusing(*names: bytes):
    def script(session, tag, rest):
        return rest.strip(b'"') in names and say(b"TAG NO [NOPERM] not yours")(session, tag, rest)

    return script


def test_a_report_to_attach(diagnose, tmp_path, account):
    diagnose("--report", str(tmp_path / "report.txt"))
    text = (tmp_path / "report.txt").read_text()
    assert text.startswith("mailhelper diagnostics, ") and "    * OK ready\n" in text
    assert "GMX" not in text and "127.0.0.1" not in text


def test_a_background_grant_is_enough(diagnose, monkeypatch, account, granted):
    monkeypatch.delenv(PASSWORD)
    with pytest.raises(CommandError) as error:
        diagnose()
    assert error.value.returncode == 2 and PASSWORD in str(error.value)
    granted(account)
    assert diagnose()[0] == 0


@pytest.mark.parametrize("arguments", [("bert@example.org", "GMX"), ("anna@example.org", "Other")])
def test_who_or_what_is_not_there_is_wrong_usage(arguments, account, anna, monkeypatch):
    monkeypatch.setenv(PASSWORD, anna.password)
    with pytest.raises(CommandError) as error:
        call_command("diagnose", arguments[0], "--account", arguments[1])
    assert error.value.returncode == 2


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("colours", [True, False])
def test_colours_on_a_terminal_unless_they_are_not_wanted(colours, diagnose, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if not colours:
        monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    status, out = diagnose(out=terminal)
    assert status == 0 and "✓ Login: ok" in out
    assert ("\x1b[32m✓ Login" in out) == colours
