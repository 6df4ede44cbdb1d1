"""Gmail, played by the scripted server: one id per mail, labels, archived mail in All Mail alone."""

import pytest

from accounts import actions
from mail.models import LedgerEntry
from mail.queries import account_figures
from tests.pipeline.test_sync import mail
from tests.servers.scripted import Box, Mail

pytestmark = pytest.mark.django_db
ALL = "[Gmail]/All Mail"


@pytest.fixture
def gmail(scripted, scripted_account):
    """The INBOX has two mails, All Mail these and an archived one; there are Spam and Trash."""
    scripted.capabilities = b"IMAP4rev1 LIST-STATUS SPECIAL-USE CONDSTORE ESEARCH ENABLE X-GM-EXT-1"
    scripted.boxes[ALL.encode()] = Box(flags=b"\\HasNoChildren \\All", uidvalidity=11)
    scripted.boxes[b"[Gmail]/Spam"] = Box(flags=b"\\HasNoChildren \\Junk", uidvalidity=12)
    for number in (1, 2):
        one = Mail(mail(f"inbox {number}"), labels=["\\Inbox", "Work (old)"])
        scripted.boxes[b"INBOX"].add([one])
        scripted.boxes[ALL.encode()].add([one])
    scripted.append("", ALL, mail("archived"), labels=["Rechnungen & mehr", 'say "hi"'])
    scripted.append("", "[Gmail]/Spam", mail("spam"))
    return scripted


def bodies(server) -> int:
    return sum(b"BODY.PEEK[]" in command for command in server.commands)


def test_archived_mail_is_covered_and_nothing_is_fetched_twice(gmail, scripted_account, sync):
    run = sync(scripted_account)
    assert (run.status, run.emails_fetched, run.emails_linked) == ("success", 3, 2)
    figures = account_figures(scripted_account)
    assert (figures.on_server, figures.stored, figures.excluded) == (6, 5, 1)
    assert scripted_account.messages.count() == 3


def test_a_mail_that_is_archived_stays_and_is_not_fetched(gmail, scripted_account, sync):
    sync(scripted_account)
    gmail.expunge("", "INBOX", [1])
    run = sync(scripted_account)
    assert (run.emails_fetched, account_figures(scripted_account).stored) == (0, 4)


def test_a_new_mail_is_fetched_once(gmail, scripted_account, sync):
    sync(scripted_account)
    new = Mail(mail("new"))
    gmail.boxes[b"INBOX"].add([new])
    gmail.boxes[ALL.encode()].add([new])
    gmail.commands.clear()
    run = sync(scripted_account)
    assert (run.emails_fetched, run.emails_linked, bodies(gmail)) == (1, 1, 1)


def labels_of(anna, account) -> dict[int, tuple[str, ...]]:
    from mail.queries import MailOpener

    key = actions.account_key(account, anna.user_key)
    opener = MailOpener(actions.mail_private_key(anna.user, anna.user_key), key)
    entries = LedgerEntry.objects.filter(folder__account=account, folder__special_use="all")
    return {entry.uid: opener.labels(entry) for entry in entries}


def test_labels_are_kept_sealed_and_follow_the_server(gmail, anna, scripted_account, sync):
    sync(scripted_account)
    both = ("Work (old)", "\\Inbox")
    assert labels_of(anna, scripted_account) == {1: both, 2: both, 3: ("Rechnungen & mehr", 'say "hi"')}
    one, two, three = LedgerEntry.objects.filter(folder__special_use="all").order_by("uid")
    assert bytes(one.labels_index) == bytes(two.labels_index) != bytes(three.labels_index)
    assert all(b"Rechnungen" not in bytes(entry.sealed_labels) for entry in (one, two, three))
    archive = gmail.boxes[ALL.encode()]
    archive.mails[1].labels = ["Work (old)"]
    archive.change_flags(1, [])
    assert sync(scripted_account).emails_fetched == 0
    assert labels_of(anna, scripted_account)[1] == ("Work (old)",)


def test_all_mail_can_be_left_out(gmail, anna, scripted_account, sync):
    actions.set_filters(scripted_account, anna.user_key, actions.Filters(exclude=(ALL,)))
    sync(scripted_account)
    assert account_figures(scripted_account).excluded == 4


def test_elsewhere_a_folder_of_all_mail_shows_what_others_hold_and_is_left_out(gmail, scripted_account, sync):
    gmail.capabilities = b"IMAP4rev1 SPECIAL-USE"
    sync(scripted_account)
    assert account_figures(scripted_account).excluded == 4
