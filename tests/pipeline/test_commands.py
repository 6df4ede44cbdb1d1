"""The commands that scripts rely on, run as processes against a real Dovecot."""

import contextlib
import mailbox as mailbox_module
import os
import pty
import signal
import sqlite3
import subprocess
import sys
import termios
import threading
import time

import pytest

from tests.conftest import Mailbox
from tests.installation import BASE, Installation
from tests.pipeline.test_sync import mail
from tests.servers.scripted import Box, Mail, ScriptedImap

PHASES = {"connect", "folder_list", "fetch", "parse", "save", "process", "disconnect"}


@pytest.fixture
def house(tmp_path):
    """An installation with anna in it."""
    house = Installation(tmp_path)
    house.manage("add_user", "anna@example.org")
    return house


def arrows(house) -> set[str]:
    with sqlite3.connect(house.home / "var" / "mailhelper.sqlite3") as database:
        return {arrow for (arrow,) in database.execute("SELECT arrow FROM pipeline_jobevent")}


def until(truth, seconds=60):
    deadline = time.monotonic() + seconds
    while not (found := truth()):
        assert time.monotonic() < deadline, "it never became true"
        time.sleep(0.05)
    return found


def test_a_thousand_mails_in_three_folders_are_accounted_for_and_come_back(house, mailbox, tmp_path):
    sent = {}
    for folder, count in (("INBOX", 500), ("Archiv", 300), ("Vereine/Chor", 200)):
        raws = [mail(f"{folder} {number}", "ü" * number) for number in range(count)]
        if folder != "INBOX":
            mailbox.create(folder)
        mailbox.server.append_many(mailbox.login, folder, raws)
        sent[folder] = raws
    house.add_account(mailbox)
    report = house.json("sync_all", "--user", "anna@example.org")
    [account] = report["accounts"]
    assert report["status"] == account["status"] == report["jobs"][0]["status"] == "success"
    assert (account["emails_fetched"], account["emails_processed"]) == (1000, 0)
    assert account["phases"].keys() == PHASES and account["error_type"] is None
    [ledger] = house.json("ledger", "--user", "anna@example.org")["accounts"]
    assert {folder["name"]: (folder["on_server"], folder["stored"]) for folder in ledger["folders"]} == {
        "INBOX": (500, 500),
        "Archiv": (300, 300),
        "Vereine/Chor": (200, 200),
    }
    assert all(folder["as_of"] for folder in ledger["folders"])
    house.manage("export_mail", "anna@example.org", str(tmp_path / "out"))
    exported = {
        folder: sorted(path.read_bytes() for path in (tmp_path / "out/GMX" / name / "cur").iterdir())
        for folder, name in (("INBOX", "INBOX"), ("Archiv", "Archiv"), ("Vereine/Chor", "Vereine_Chor"))
    }
    assert exported == {folder: sorted(raws) for folder, raws in sent.items()}


def test_sync_all_says_which_accounts_failed_and_exits_with_1(house, dovecot):
    good, bad, locked = Mailbox(dovecot), Mailbox(dovecot), Mailbox(dovecot)
    good.append(mail("one"))
    house.add_account(good, "--background", name="Good")
    house.add_account(bad, "--background", name="Bad", MAILHELPER_IMAP_PASSWORD="wrong")
    house.add_account(locked, name="Locked")
    report = house.json("sync_all", status=1, MAILHELPER_PASSWORD="")
    assert report["status"] == "partial_failure"
    assert {a["name"]: (a["status"], a["error_type"], a["emails_fetched"]) for a in report["accounts"]} == {
        "Good": ("success", None, 1),
        "Bad": ("failed", "invalid_credentials", 0),
        "Locked": ("skipped", "no_key", 0),
    }
    assert all(a["error"] for a in report["accounts"] if a["status"] != "success")
    assert "grants" in house.manage("sync_all", "--account", "locked", status=1, MAILHELPER_PASSWORD="")
    assert house.json("sync_all", "--account", "Good")["status"] == "success"


def test_sync_all_without_an_account_exits_with_1_and_wrong_usage_with_2(house):
    report = house.json("sync_all", status=1)
    assert report == {"status": "failed", "jobs": [], "accounts": []}
    assert "add_account" in house.manage("sync_all", status=1)
    for wrong in (["--max-mails", "0"], ["--jobs", "none"], ["--user", "nobody@example.org"], ["--nonsense"]):
        assert "Traceback" not in house.manage("sync_all", *wrong, status=2)


def test_limits_leave_the_rest_pending(house, mailbox):
    for number in range(3):
        mailbox.append(mail(str(number)))
    house.add_account(mailbox, "--background")
    assert house.json("sync_all", "--max-mails", "2")["accounts"][0]["emails_fetched"] == 2
    [folder] = house.json("ledger")["accounts"][0]["folders"]
    assert (folder["on_server"], folder["stored"], folder["pending"]) == (3, 2, 1)


def test_the_ledger_names_folders_only_to_those_who_hold_a_key(house, mailbox):
    mailbox.append(mail("one"))
    house.add_account(mailbox)
    house.json("sync_all", "--user", "anna@example.org")
    [folder] = house.json("ledger")["accounts"][0]["folders"]
    assert folder["name"] is None
    assert f"folder-{folder['id']}" in house.manage("ledger")
    assert house.json("ledger", "--user", "anna@example.org")["accounts"][0]["folders"][0]["name"] == "INBOX"
    house.manage("grants", "anna@example.org", "--background")
    assert house.json("ledger")["accounts"][0]["folders"][0]["name"] == "INBOX"
    house.manage("grants", "anna@example.org", "--revoke")
    assert house.json("ledger")["accounts"][0]["folders"][0]["name"] is None


def test_export_keeps_flags_and_stays_inside_its_directory(house, tmp_path):
    names = [
        b"INBOX",
        b"..",
        b"../up",
        b"a/../../b",
        b"/etc",
        b"con*?",
        b".hidden",
        b"Twin",
        b"twin",
        b"x\x01",
    ]
    flags = [b"\\Seen", b"\\Flagged", b"$Forwarded"]
    with ScriptedImap() as server:
        server.boxes = {name: Box({1: Mail(mail(name.hex()), flags)}) for name in names}
        house.add_account(Mailbox(server), name="../escape")
        house.json("sync_all", "--user", "anna@example.org")
    out = tmp_path / "deep" / "out"
    house.manage("export_mail", "anna@example.org", str(out))
    written = {path for path in tmp_path.rglob("*mailhelper:2,*")}
    assert len(written) == len(names)
    [account] = out.iterdir()
    assert all(path.relative_to(account).parts[1:2] == ("cur",) for path in written)
    [message] = mailbox_module.Maildir(account / "INBOX")
    assert message.get_flags() == "FSa"
    assert (account / "INBOX" / "dovecot-keywords").read_text() == "0 $Forwarded\n"
    assert "not an empty directory" in house.manage("export_mail", "anna@example.org", str(out), status=2)


def test_export_with_the_wrong_password_writes_nothing(house, tmp_path):
    out = tmp_path / "out"
    house.manage("export_mail", "anna@example.org", str(out), status=1, MAILHELPER_PASSWORD="wrong")
    assert not out.exists()


def test_workers_sync_what_the_queue_holds(house, mailbox):
    mailbox.append(mail("one"))
    house.add_account(mailbox)
    worker = house.start("run_huey")
    try:
        report = house.json("sync_all", "--queue", "--user", "anna@example.org")
    finally:
        worker.terminate()
        worker.communicate(timeout=30)
    assert report["accounts"][0]["emails_fetched"] == 1


def test_a_killed_sync_blocks_nobody_and_costs_at_most_a_batch(house, mailbox):
    mailbox.server.append_many(mailbox.login, "INBOX", [mail(str(n), "x" * 20_000) for n in range(2_000)])
    house.add_account(mailbox, "--background")
    doomed = house.start("sync_all")

    def stored():
        folders = house.json("ledger")["accounts"][0]["folders"]
        return folders and folders[0]["stored"]

    before = until(stored)
    doomed.send_signal(signal.SIGKILL)
    doomed.communicate()
    assert before < 2_000, "the kill came too late to show anything"
    report = house.json("sync_all")
    assert report["accounts"][0]["status"] == "success"
    [folder] = house.json("ledger")["accounts"][0]["folders"]
    assert (folder["on_server"], folder["stored"], folder["pending"]) == (2_000, 2_000, 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_gives_the_run_back_at_once(number, house, mailbox):
    mailbox.server.append_many(mailbox.login, "INBOX", [mail(str(n), "x" * 20_000) for n in range(2_000)])
    house.add_account(mailbox, "--background")
    stopped = house.start("sync_all")
    until(lambda: house.rows("SELECT 1 FROM mail_message LIMIT 1"))
    stopped.send_signal(number)
    out, err = stopped.communicate(timeout=30)
    assert (stopped.returncode, "Traceback" in out + err) == (130, False), out + err
    assert "released" in arrows(house)
    assert house.json("sync_all")["accounts"][0]["status"] == "success"


def test_five_thousand_mails_of_20_kb_stay_under_200_mb(house, mailbox):
    raws = [mail(str(number), f"{number:06} " * 2_857) for number in range(5_000)]
    mailbox.server.append_many(mailbox.login, "INBOX", raws)
    del raws
    house.add_account(mailbox, "--background")
    # VmHWM, for ru_maxrss starts from the size of the process that forked this one
    program = (
        "import re; from django.core.management import execute_from_command_line as run\n"
        "run(['manage.py', 'sync_all'])\n"
        "print('peak', re.search(r'VmHWM:\\s+(\\d+) kB', open('/proc/self/status').read())[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=BASE,
        env=house.environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "5000 mails" in done.stdout
    assert int(done.stdout.split("peak ")[1]) < 200_000  # kB


def test_a_removed_account_takes_its_mail_along_and_leaves_the_others(house, dovecot):
    for name in ("GMX", "Verein"):
        box = Mailbox(dovecot)
        box.append(mail(name))
        house.add_account(box, "--background", name=name)
    house.json("sync_all")
    house.manage("remove_account", "anna@example.org", "--name", "GMX", status=2)  # nobody answers
    house.manage("remove_account", "anna@example.org", "--name", "gmx", "--yes")
    assert [account["name"] for account in house.json("ledger")["accounts"]] == ["Verein"]
    assert house.json("sync_all")["status"] == "success"


def test_a_database_that_is_not_set_up_is_named_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(Installation, "__post_init__", lambda self: None)
    house = Installation(tmp_path)
    for command in (["sync_all"], ["ledger"], ["add_user", "anna@example.org"]):
        said = house.manage(*command, status=1)
        assert "manage.py migrate" in said and "Traceback" not in said


def test_a_limit_says_what_is_left(house, mailbox):
    for number in range(3):
        mailbox.append(mail(str(number)))
    house.add_account(mailbox, "--background")
    assert "GMX: 2 mails are still to fetch." in house.manage("sync_all", "--max-mails", "1")


def test_a_failure_is_explained_in_full_however_narrow_the_terminal(house, mailbox):
    house.add_account(mailbox, "--background", MAILHELPER_IMAP_PASSWORD="wrong")
    screen, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 60))
    process = subprocess.Popen(
        [sys.executable, "manage.py", "sync_all"],
        cwd=BASE,
        env=house.environment | {"TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    said = b""
    with contextlib.suppress(OSError):  # what Linux raises at the end of a terminal
        while piece := os.read(screen, 4_096):
            said += piece
    assert process.wait(30) == 1
    plain = " ".join(said.decode().split())
    assert "refuses this login and password. Check both" in plain and "--replace" in plain


def test_nobody_to_take_the_queue_is_said(house, mailbox, monkeypatch):
    house.add_account(mailbox, "--background")
    waiting = house.start("sync_all", "--queue")
    watchdog = threading.Timer(60, waiting.kill)
    watchdog.start()
    lines = iter(waiting.stdout.readline, "")
    assert any("manage.py run_huey" in line for line in lines)
    watchdog.cancel()
    waiting.send_signal(signal.SIGINT)
    out, err = waiting.communicate(timeout=30)
    assert waiting.returncode == 130 and "Traceback" not in out + err


def test_an_estimate_fetches_nothing_and_says_what_there_is(house, mailbox):
    mailbox.server.append_many(mailbox.login, "INBOX", [mail(str(n), "x" * 10_000) for n in range(20)])
    house.add_account(mailbox, "--background")
    out = house.manage("sync_all", "--estimate")
    assert "1 of 1 accounts looked at." in out
    assert "GMX: 20 mails are still to fetch. That is 0.2 MB, about 1 s." in out
    [account] = house.json("sync_all", "--estimate")["accounts"]
    assert (account["emails_fetched"], account["pending"], account["pending_bytes"] > 200_000) == (
        0,
        20,
        True,
    )
    assert "takes no --max-mails" in house.manage("sync_all", "--estimate", "--max-mails", "3", status=2)


def test_one_folder_is_synced_reset_and_named_in_the_ledger(house, mailbox):
    mailbox.create("Work")
    for folder in ("INBOX", "Work"):
        mailbox.append(mail(folder), folder=folder)
    house.add_account(mailbox, "--background")
    house.manage("sync_all", "--estimate")
    [account] = house.json("sync_all", "--account", "GMX", "--folder", "work")["accounts"]
    assert (account["emails_fetched"], account["pending"]) == (1, 1)
    [account] = house.json("sync_all", "--account", "GMX", "--folder", "Work", "--reset")["accounts"]
    assert (account["emails_fetched"], account["emails_linked"]) == (0, 1)
    assert "has no folder named Wrok" in house.manage("sync_all", "--folder", "Wrok", status=2)
    assert "--reset needs the --folder" in house.manage("sync_all", "--reset", status=2)
    assert "GMX: 0 mails are tried again." in house.manage("sync_all", "--retry")


def test_what_was_left_out_and_what_was_found_stand_in_the_ledger(house, mailbox):
    mailbox.append(mail("large", "x" * 5_000))
    uid = mailbox.append(mail("small"))
    mailbox.create("Work")
    mailbox.append(mail("work"), folder="Work")
    house.add_account(mailbox, "--background", "--max-mail-mb", "0.001")
    house.manage("sync_all")
    mailbox.server.expunge(mailbox.login, "Work", [1])
    mailbox.server.set_uidvalidity(mailbox.login, "INBOX", 77)
    out = house.manage("sync_all")
    assert "GMX: All mails of the folder Work (1) are gone from the server at once." in out
    out = house.manage("ledger")
    assert "INBOX  (1 too large)" in out
    assert "All mails of the folder Work (1) are gone from the server at once." in out
    assert "(over) The server has numbered the mails of the folder INBOX anew." in out
    [account] = house.json("ledger")["accounts"]
    assert [folder["excluded_by"] for folder in account["folders"]] == [{"over_limit": 1}, {}]
    assert {found["kind"]: found["over"] for found in account["findings"]} == {
        "folder_emptied": False,
        "uidvalidity_changed": True,
    }
    assert uid == 2


def test_an_export_says_what_it_leaves_out_and_takes_it_if_asked(house, mailbox, tmp_path):
    for name in ("kept", "deleted"):
        mailbox.append(mail(name))
    house.add_account(mailbox, "--background")
    house.manage("sync_all")
    mailbox.server.expunge(mailbox.login, "INBOX", [2])
    house.manage("sync_all")
    out = house.manage("export_mail", "anna@example.org", str(tmp_path / "current"))
    assert "GMX: 1 mails stored only here are left out; --all takes them too." in out
    house.manage("export_mail", "anna@example.org", str(tmp_path / "all"), "--all")
    [copy] = (tmp_path / "all" / "GMX" / "~stored only here" / "cur").iterdir()
    assert copy.read_bytes() == mail("deleted")


def test_a_paused_account_is_synced_when_it_is_named(house, mailbox):
    mailbox.append(mail("one"))
    house.add_account(mailbox, "--background")
    house.manage("schedule", "anna@example.org", "--name", "GMX", "--pause")
    house.manage("sync_all", status=1)
    assert house.json("sync_all", "--account", "gmx")["accounts"][0]["emails_fetched"] == 1
