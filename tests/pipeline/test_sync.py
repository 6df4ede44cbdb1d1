"""One account, synced from a real server; where all can play it, from Dovecot, pymap and the scripted one."""

import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from accounts.actions import Filters
from mail.models import LedgerEntry, Message
from mail.queries import account_figures, folder_figures
from tests.conftest import Mailbox
from tests.mail.test_parse import nested
from tests.servers.scripted import Box, Mail, ScriptedImap

pytestmark = pytest.mark.django_db
MESSAGES = sorted(Path("tests/messages").glob("*.eml"))
DAY = datetime(2026, 3, 1, tzinfo=UTC)


def mail(subject: str, body: str = "text") -> bytes:
    return f"Subject: {subject}\r\nMessage-ID: <{subject}@example.org>\r\n\r\n{body}\r\n".encode()


def figures(account):
    sums = account_figures(account)
    return {
        name: getattr(sums, name)
        for name in ("on_server", "stored", "excluded", "quarantined", "pending", "gone", "unexplained")
        if getattr(sums, name)
    }


def test_a_mail_on_the_server_is_stored_after_a_sync(any_mailbox, any_account, sync):
    any_mailbox.append(mail("hello"))
    run = sync(any_account)
    assert (run.status, run.emails_fetched, run.error_type) == ("success", 1, "")
    assert figures(any_account) == {"on_server": 1, "stored": 1}


def test_a_second_sync_fetches_only_what_is_new(any_mailbox, any_account, sync):
    any_mailbox.append(mail("one"))
    sync(any_account)
    any_mailbox.append(mail("two"))
    assert sync(any_account).emails_fetched == 1
    assert sync(any_account).emails_fetched == 0
    assert figures(any_account) == {"on_server": 2, "stored": 2}


def test_flags_and_keywords_follow_the_server(any_mailbox, any_account, sync, folders):
    uid = any_mailbox.append(mail("one"), flags=("\\Seen", "$Forwarded"))
    sync(any_account)
    stored = folders(any_account)["INBOX"][uid]
    assert ({flag.name for flag in stored.flags}, stored.keywords) == ({"SEEN"}, ("$Forwarded",))
    any_mailbox.server.set_flags(any_mailbox.login, "INBOX", uid, ("\\Flagged", "\\Answered"))
    sync(any_account)
    stored = folders(any_account)["INBOX"][uid]
    assert ({flag.name for flag in stored.flags}, stored.keywords) == ({"FLAGGED", "ANSWERED"}, ())


def test_a_mail_gone_from_the_server_leaves_a_tombstone_and_stays_stored(any_mailbox, any_account, sync):
    uid = any_mailbox.append(mail("one"))
    any_mailbox.append(mail("two"))
    sync(any_account)
    any_mailbox.server.expunge(any_mailbox.login, "INBOX", [uid])
    sync(any_account)
    assert figures(any_account) == {"on_server": 1, "stored": 1, "gone": 1}
    assert Message.objects.filter(account=any_account).count() == 2


def test_an_empty_mailbox_is_a_success(any_account, sync):
    run = sync(any_account)
    assert (run.status, run.emails_fetched) == ("success", 0)


def test_every_message_comes_back_byte_for_byte(mailbox, account, sync, folders):
    assert len(MESSAGES) >= 30
    mailbox.server.append_many(
        mailbox.login, "INBOX", [path.read_bytes() for path in MESSAGES if path.stat().st_size]
    )
    assert sync(account).status == "success"
    stored = {uid: one.raw for uid, one in folders(account)["INBOX"].items()}
    assert stored == mailbox.served()


def test_the_newest_mails_come_first_and_the_rest_stays_pending(any_mailbox, any_account, sync, folders):
    dates = [DAY, DAY + timedelta(days=3), DAY + timedelta(days=1), DAY + timedelta(days=2)]
    uids = [any_mailbox.append(mail(f"day {number}"), date=date) for number, date in enumerate(dates)]
    any_mailbox.create("Other")
    elsewhere = any_mailbox.append(mail("elsewhere"), folder="Other", date=DAY + timedelta(days=9))
    run = sync(any_account, max_mails=2)
    assert (run.status, run.emails_fetched) == ("success", 2)
    assert {name: sorted(mails) for name, mails in folders(any_account).items()} == {
        "INBOX": [uids[1]],
        "Other": [elsewhere],
    }
    assert figures(any_account) == {"on_server": 5, "stored": 2, "pending": 3}
    assert sync(any_account, max_mails=100).emails_fetched == 3
    assert figures(any_account) == {"on_server": 5, "stored": 5}


@pytest.mark.parametrize("values", [(7_000, 9_000), (9_000, 7_000), (7_000, 9_000, 7_000)])
def test_a_changed_uidvalidity_loses_and_doubles_nothing(values, mailbox, account, sync, folders):
    for number in range(5):
        mailbox.append(mail(f"mail {number}"))
    for value in values:
        mailbox.server.set_uidvalidity(mailbox.login, "INBOX", value)
        assert sync(account).status == "success"
        assert figures(account) == {"on_server": 5, "stored": 5}
    assert Message.objects.filter(account=account).count() == 5
    assert {uid: one.raw for uid, one in folders(account)["INBOX"].items()} == mailbox.served()


def test_reused_uids_under_an_old_uidvalidity_are_not_taken_for_the_old_mails(connect, sync, folders):
    with ScriptedImap() as server:
        box = Mailbox(server)
        account = connect(box, security="none")
        inbox = server.boxes[b"INBOX"]
        box.append(mail("first life"))
        sync(account)
        inbox.uidvalidity = 2
        sync(account)
        inbox.uidvalidity, inbox.mails = 1, {}
        box.append(mail("second life"))
        sync(account)
        assert folders(account)["INBOX"][1].raw == mail("second life")


def test_a_copy_in_another_folder_is_stored_once_and_counted_twice(any_mailbox, any_account, sync):
    any_mailbox.append(mail("same"))
    any_mailbox.create("Copies")
    any_mailbox.append(mail("same"), folder="Copies")
    sync(any_account)
    assert figures(any_account) == {"on_server": 2, "stored": 2}
    assert Message.objects.filter(account=any_account).count() == 1


NAMES = ["Entwürfe", 'with "quotes"', "back\\slash", "&bad-", "A&B", "2025", "NIL", "日本語", "a b (c) %*"]


def test_odd_folder_names_are_synced(mailbox, account, sync, folders):
    for name in NAMES:
        mailbox.create(name)
        mailbox.append(mail(name.encode().hex()), folder=name)
    assert sync(account).status == "success"
    assert {name for name, mails in folders(account).items() if len(mails) == 1} == set(NAMES)


def test_names_that_are_no_modified_utf7_do_not_stop_the_others(connect, sync, folders):
    with ScriptedImap() as server:
        box = Mailbox(server)
        for name in (b"INBOX", b"&bad-", b"A&B", b"Caf\xc3\xa9", b"latin \xe9"):
            server.boxes[name] = Box({1: Mail(mail(name.hex()))})
        account = connect(box, security="none")
        assert sync(account).status == "success"
        stored = folders(account)
    assert {name: len(mails) for name, mails in stored.items()} == {
        "INBOX": 1,
        "&bad-": 1,
        "A&B": 1,
        "Café": 1,
        "latin \\xe9": 1,
    }


def test_trash_junk_and_all_are_left_out_and_still_counted(connect, mailbox, sync):
    for folder in ("INBOX", "Papierkorb", "Spam", "Rechnungen"):
        if folder != "INBOX":
            mailbox.create(folder)
        mailbox.append(mail(folder), folder=folder)
    account = connect(mailbox)
    sync(account)
    assert figures(account) == {"on_server": 4, "stored": 2, "excluded": 2}
    assert {f.special_use: (f.guessed, f.left_out) for f in folder_figures(account) if f.special_use} == {
        "trash": (True, True),
        "junk": (True, True),
    }


@pytest.mark.parametrize(
    ("filters", "synced"),
    [
        (Filters(include=("Projekte/*",)), {"Projekte/A", "Projekte/B"}),
        (Filters(exclude=("projekte/b", "INBOX")), {"Projekte", "Projekte/A"}),
        (Filters(include=("*",), exclude=("INBOX",)), {"Projekte", "Projekte/A", "Projekte/B", "Trash"}),
    ],
)
def test_patterns_choose_the_folders(filters, synced, connect, mailbox, sync, folders):
    for folder in ("Projekte", "Projekte/A", "Projekte/B", "Trash"):
        mailbox.create(folder)
        mailbox.append(mail(folder.replace("/", "-")), folder=folder)
    mailbox.append(mail("inbox"))
    account = connect(mailbox, filters=filters)
    sync(account)
    assert {name for name, mails in folders(account).items() if mails} == synced
    assert figures(account) == {"on_server": 5, "stored": len(synced), "excluded": 5 - len(synced)}


def test_a_mail_over_the_limit_is_excluded_until_the_limit_admits_it(
    any_mailbox, any_account, sync, settings
):
    any_mailbox.append(mail("big", "x" * 50_000))
    any_mailbox.append(mail("small"))
    settings.MAILHELPER_MAX_MAIL_BYTES = 10_000
    sync(any_account)
    assert figures(any_account) == {"on_server": 2, "stored": 1, "excluded": 1}
    assert LedgerEntry.objects.get(state="excluded").reason == "over_limit"
    settings.MAILHELPER_MAX_MAIL_BYTES = 100_000
    sync(any_account)
    assert figures(any_account) == {"on_server": 2, "stored": 2}


def test_a_deleted_ledger_row_shows_as_unexplained_and_the_next_sync_heals_it(any_mailbox, any_account, sync):
    for number in range(3):
        any_mailbox.append(mail(str(number)))
    sync(any_account)
    LedgerEntry.objects.first().delete()
    assert figures(any_account) == {"on_server": 3, "stored": 2, "unexplained": 1}
    sync(any_account)
    assert figures(any_account) == {"on_server": 3, "stored": 3}
    assert Message.objects.filter(account=any_account).count() == 3


def test_an_unparseable_mail_is_stored_raw_and_marked(mailbox, account, sync, folders):
    mailbox.append(nested(1_000))
    mailbox.append(mail("fine"))
    assert sync(account).status == "success"
    assert figures(account) == {"on_server": 2, "stored": 2}
    marked = Message.objects.get(account=account, parsed=False)
    assert (marked.error_type, marked.sealed_envelope) == ("unparseable", None)
    assert {uid: one.raw for uid, one in folders(account)["INBOX"].items()} == mailbox.served()


def test_a_bug_in_the_parser_costs_no_mail_and_is_shown(mailbox, account, sync, monkeypatch):
    def broken(raw):
        raise TypeError(raw.decode())

    monkeypatch.setattr("pipeline.intake.parse_message", broken)
    word = secrets.token_hex(8)
    mailbox.append(mail(word))
    run = sync(account)
    assert (run.status, run.error_type) == ("failed", "bug")
    assert "TypeError at pipeline/test_sync.py:" in run.error and word not in run.error
    assert figures(account) == {"on_server": 1, "stored": 1}


def test_phases_are_timed_on_every_run(mailbox, account, sync):
    mailbox.append(mail("one"))
    names = ["connect", "folder_list", "fetch", "parse", "save", "process", "disconnect"]
    good = sync(account)
    assert list(good.phases) == names
    assert all(good.phases[name] > 0 for name in names if name != "process")
    mailbox.server.set_password(mailbox.login, "another one")
    failed = sync(account)
    assert list(failed.phases) == names and failed.phases["connect"] > 0 and failed.phases["fetch"] == 0
