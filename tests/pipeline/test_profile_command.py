"""manage.py profile_sync: where the time of a real sync goes, and nothing secret on the way."""

import io
import re
import signal
import subprocess
import sys
import threading
from contextlib import nullcontext
from pathlib import Path

import pytest

from accounts import actions
from pipeline import hotspots, runner
from pipeline.broker import PipelineBroker
from pipeline.figures import operations_of
from pipeline.hotspots import group_of, name_of, seconds_by_group
from pipeline.models import AccountRun, Phase
from pipeline.profile_text import ProfileText
from pipeline.profiler import PerformanceProfiler, peak_bytes, seconds_per_call
from tests.conftest import Mailbox, let_time_pass_until_retry
from tests.installation import BASE, Installation
from tests.pipeline.test_sync import mail
from tests.servers.scripted import Drop, Hang, ScriptedImap


@pytest.fixture
def house(tmp_path):
    """An installation with anna in it."""
    house = Installation(tmp_path)
    house.manage("add_user", "anna@example.org")
    return house


def test_phases_operations_memory_and_functions_of_a_real_sync_are_shown(house, mailbox):
    mailbox.server.append_many(mailbox.login, "INBOX", [mail(str(n), "x" * 5_000) for n in range(60)])
    house.add_account(mailbox)
    house.add_account(Mailbox(mailbox.server), "--background", name="Empty")
    said = house.manage("profile_sync", "anna@example.org", "--account", "GMX", "--account", "empty")
    for phase in Phase.values:
        assert re.search(rf"^{phase} +\d+\.\d+ +\d+\.\d+ +\d+\.\d+$", said, re.M), phase
    for operation in ("connect", "folder list", "fetch, 50 mails", "parse \\+ save, 50 mails", "total, 100"):
        assert re.search(rf"^{operation}.* (on target|acceptable|slow|critical) ", said, re.M), operation
    assert re.search(r"^Peak memory \d+\.\d MB, of which \d+\.\d MB", said, re.M)
    assert re.search(r"^\d+ mails/s, \d+\.\d MB/s", said, re.M)
    assert "pipeline.runner:_sync" in said and "parsing mails" in said and "Being profiled took" in said
    assert "Empty: 0 mails" in said and "Nothing was there to fetch, so" in said
    assert re.search(r"^GMX +\d+\.\d +60 +\d+ +\d+\.\d MB", said, re.M), "the accounts beside each other"
    assert "\x1b" not in said, "colours are for terminals"
    assert house.password not in said and mailbox.password not in said and str(Path.home()) not in said


def test_as_json_the_seconds_add_up(house, mailbox):
    mailbox.server.append_many(mailbox.login, "INBOX", [mail(str(n), "x" * 20_000) for n in range(30)])
    house.add_account(mailbox, "--background")
    limited = ("--max-mails", "20", "--top", "5")
    report = house.json("profile_sync", "anna@example.org", "--account", "GMX", *limited)
    [account] = report["accounts"]
    assert (report["status"], account["status"], account["emails_fetched"]) == ("success", "success", 20)
    phases = account["phases"]
    assert phases.keys() == set(Phase.values)
    for found in phases.values():
        assert found["waiting"] == pytest.approx(max(0, found["seconds"] - found["cpu"]), abs=0.001)
    assert phases["parse"]["cpu"] > 0 and phases["fetch"]["waiting"] > 0
    spent = {phase: found["seconds"] for phase, found in phases.items()}
    judged = {name: found["seconds"] for name, found in account["operations"].items()}
    assert judged == pytest.approx(operations_of(spent, 20), abs=0.001)
    work = spent["fetch"] + spent["parse"] + spent["save"]
    assert account["mails_per_second"] == pytest.approx(20 / work, rel=0.01)
    assert account["peak_bytes"] > account["peak_bytes_before"] > 20_000_000
    own = sorted(account["functions"], key=lambda spot: -spot["own_seconds"])
    assert 5 <= len(own) <= 10 and own[0]["own_seconds"] > 0
    everything = sum(account["groups"].values())
    assert everything == pytest.approx(max(spot["cumulative_seconds"] for spot in own), rel=0.2)


def test_a_failed_sync_is_profiled_explained_and_exits_with_1(house, dovecot):
    good, bad = Mailbox(dovecot), Mailbox(dovecot)
    house.add_account(good, "--background", name="Good")
    house.add_account(bad, "--background", name="Bad", MAILHELPER_IMAP_PASSWORD="wrong one")
    both = ("anna@example.org", "--account", "Good", "--account", "Bad")
    report = house.json("profile_sync", *both, status=1)
    assert report["status"] == "partial_failure"
    assert [(a["status"], bool(a["operations"])) for a in report["accounts"]] == [
        ("success", True),
        ("failed", False),
    ]
    said = house.manage("profile_sync", "anna@example.org", "--account", "Bad", status=1)
    assert "refuses this login" in said and "Traceback" not in said and "wrong one" not in said


def test_wrong_usage_exits_with_2(house):
    for wrong in (
        ("anna@example.org",),
        ("anna@example.org", "--account", "nobody's"),
        ("bert@example.org", "--account", "GMX"),
        ("anna@example.org", "--account", "GMX", "--max-mails", "0"),
    ):
        assert "Traceback" not in house.manage("profile_sync", *wrong, status=2)


@pytest.fixture
def stalling():
    """A server that says no more once a folder list is asked for, and an event that tells of it."""
    asked = threading.Event()

    def stall(session, tag, rest):
        asked.set()
        raise Hang

    with ScriptedImap() as server:
        server.scripts["LIST"] = stall
        yield server, asked


def test_no_secret_reaches_the_process_but_by_its_input_and_a_stop_gives_the_run_back(house, stalling):
    server, asked = stalling
    box = Mailbox(server)
    house.add_account(box, MAILHELPER_ALLOW_PLAINTEXT="1")
    profiling = house.start("profile_sync", "anna@example.org", "--account", "GMX")
    assert asked.wait(60)
    [child] = Path(f"/proc/{profiling.pid}/task/{profiling.pid}/children").read_text().split()
    command, environment = (Path("/proc", child, name).read_bytes() for name in ("cmdline", "environ"))
    assert b"--here" in command and b"MAILHELPER_VAR" in environment
    for secret in (house.password, box.password):
        assert secret.encode() not in command + environment
    assert not re.search(rb"[0-9a-f]{40,}", command)
    profiling.send_signal(signal.SIGTERM)
    out, err = profiling.communicate(timeout=30)
    assert (profiling.returncode, "Traceback" in out + err) == (130, False), out + err
    assert not Path("/proc", child).exists()
    assert ("released",) in house.rows("SELECT arrow FROM pipeline_jobevent")


# Without a process


def test_without_a_profile_nothing_watches(account, sync, monkeypatch):
    """The hooks of a profiler would slow every sync."""
    real, seen = runner.sync, []

    def look(work):
        seen.append((sys.getprofile(), threading.getprofile(), work.watch))
        real(work)

    monkeypatch.setattr(runner, "sync", look)
    assert sync(account).status == "success"
    assert seen == [(None, None, nullcontext)]


def test_the_attempts_of_a_run_are_profiled_together(anna, scripted, scripted_account):
    def drop_once(session, tag, rest):
        del scripted.scripts["LIST"]
        raise Drop

    scripted.scripts["LIST"] = drop_once
    job = PipelineBroker().create_fetch_job_here(anna.user, [scripted_account])
    [run_id] = job.run_ids
    key, profiler = actions.account_key(scripted_account, anna.user_key), PerformanceProfiler()
    assert profiler.profile == {}
    while profiler.execute(run_id, key):
        let_time_pass_until_retry(run_id)
    run = AccountRun.objects.get()
    assert (run.status, run.attempt) == ("success", 2)
    calls = {spot.function: spot.calls for spot in hotspots.hotspots(profiler.profile)}
    assert calls["pipeline.runner:execute"] == 2
    happened = {phase for phase, seconds in profiler.cpu_seconds.items() if seconds}
    assert happened == {"connect", "folder_list", "disconnect"}


def test_places_are_named_by_module_and_function():
    here = Path(hotspots.__file__)
    site = here.parent.parent / ".venv/lib/python3.11/site-packages"
    library = Path(re.__file__).parent.parent
    assert [
        name_of(place)
        for place in [
            (str(here), 1, "name_of"),
            (str(site / "imapclient/response_lexer.py"), 3, "__iter__"),
            (str(site / "zstandard/__init__.py"), 3, "compress"),
            (str(library / "email/message.py"), 3, "get"),
            ("~", 0, "<built-in method builtins.len>"),
            ("~", 0, "<function Wrapper.execute at 0x7f7cb6440a40>"),
            ("<string>", 1, "<module>"),
        ]
    ] == [
        "pipeline.hotspots:name_of",
        "imapclient.response_lexer:__iter__",
        "zstandard:compress",
        "email.message:get",
        "builtins.len",
        "function Wrapper.execute",
        "<string>:<module>",
    ]


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("method 'read' of '_ssl._SSLSocket' objects", "network"),
        ("method 'recv_into' of '_socket.socket' objects", "network"),
        ("method 'do_handshake' of '_ssl._SSLSocket' objects", "tls"),
        ("ssl:create_default_context", "tls"),
        ("method 'encrypt' of 'cryptography.hazmat.bindings._rust.openssl.aead.AESGCM' objects", "sealing"),
        ("accounts.vault:seal", "sealing"),
        ("method 'compress' of 'zstandard.backend_c.ZstdCompressor' objects", "zstd"),
        ("django.db.models.query:bulk_create", "database"),
        ("method 'execute' of 'sqlite3.Cursor' objects", "database"),
        ("fast_mail_parser.fast_mail_parser.parse_email_tree", "parsing"),
        ("mail.parse:parse_message", "parsing"),
        ("mail.imap:fetch", "imap"),
        ("mail.imap_text:quoted", "imap"),
        ("pipeline.runner:_sync", "other"),
    ],
)
def test_each_function_belongs_to_something(name, group):
    assert group_of(name) == group


def test_what_is_built_in_counts_for_its_caller():
    parse = ("/x/site-packages/email/parser.py", 1, "parse")
    fetch = ("~", 0, "<method 'read' of '_ssl._SSLSocket' objects>")
    strip = ("~", 0, "<method 'strip' of 'str' objects>")
    profile = {
        parse: (1, 1, 2.0, 3.0, {}),
        fetch: (1, 1, 5.0, 5.0, {parse: (1, 1, 5.0, 5.0)}),
        strip: (9, 9, 1.0, 1.0, {parse: (6, 6, 0.75, 0.75), fetch: (3, 3, 0.25, 0.25)}),
    }
    assert seconds_by_group(profile) == {"network": 5.25, "parsing": 2.75}


def test_being_profiled_costs_something_and_a_peak_only_rises():
    assert 0 < seconds_per_call() < 0.0001
    before = peak_bytes()
    ballast = b"x" * (before + 30_000_000)
    assert peak_bytes() > len(ballast) > before


def test_the_peak_is_the_process_s_own_and_not_of_the_one_that_started_it():
    program = "import django; django.setup(); from pipeline.profiler import peak_bytes; print(peak_bytes())"
    ballast = b"x" * 300_000_000
    told = subprocess.run([sys.executable, "-c", program], cwd=BASE, capture_output=True, check=True)
    assert 20_000_000 < int(told.stdout) < len(ballast) / 2


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_shows_grades_in_colour(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    limits = {"target": 1, "acceptable": 2, "critical": 5}
    profile = {
        **{"name": "[red]GMX", "status": "success", "error": None, "profiled": True, "duration": 6.0},
        **{"emails_fetched": 0, "emails_linked": 0, "bytes": 0, "mails_per_second": None},
        **{"peak_bytes": 0, "peak_bytes_before": 0, "phases": {}, "groups": {}, "functions": []},
        "operations": {"connect": {"seconds": 6.0, "grade": "critical", **limits}},
        "profiler_seconds": 0.0,
    }
    screen = Terminal()
    ProfileText(screen, 5).show([profile])
    assert re.search(r"\x1b\[1;31m *critical", screen.getvalue())
    assert "[red]GMX" in screen.getvalue(), "a name is no markup"
