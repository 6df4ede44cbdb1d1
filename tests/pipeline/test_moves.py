"""A mail that is stored already is linked, not fetched again: moved, copied, back, or renumbered."""

from datetime import UTC, datetime

import pytest

from mail.models import Message
from mail.queries import account_figures
from tests.conftest import Mailbox
from tests.pipeline.test_frugal import many
from tests.pipeline.test_sync import mail
from tests.servers.scripted import Mail

pytestmark = pytest.mark.django_db
DAY = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def filled(any_mailbox, any_account, sync):
    """Five mails in the INBOX, synced, and a folder to move them to."""
    for number in range(5):
        any_mailbox.append(mail(f"mail {number}"))
    any_mailbox.create("Kept")
    assert sync(any_account).emails_fetched == 5
    return any_mailbox


def test_a_moved_mail_is_linked_and_not_fetched(filled, any_account, sync, folders):
    uids = sorted(filled.served())
    filled.server.move(filled.login, "INBOX", uids[:3], "Kept")
    run = sync(any_account)
    assert (run.emails_fetched, run.emails_linked) == (0, 3)
    figures = account_figures(any_account)
    assert (figures.on_server, figures.stored, figures.gone) == (5, 5, 3)
    stored = {
        name: {uid: one.raw for uid, one in mails.items()} for name, mails in folders(any_account).items()
    }
    assert stored == {"INBOX": filled.served(), "Kept": filled.served("Kept")}


def test_a_copied_mail_shares_the_stored_one(filled, any_account, sync):
    filled.server.copy(filled.login, "INBOX", sorted(filled.served())[:2], "Kept")
    assert sync(any_account).emails_fetched == 0
    assert account_figures(any_account).stored == 7
    assert Message.objects.filter(account=any_account).count() == 5


def test_a_mail_that_returns_after_it_was_deleted_is_found_again(connect, dovecot, sync):
    box = Mailbox(dovecot)
    account = connect(box)
    uid = box.append(mail("one"), date=DAY)
    box.append(mail("two"))
    sync(account)
    box.server.expunge(box.login, "INBOX", [uid])
    assert sync(account).status == "success"
    box.append(mail("one"), date=DAY)
    assert sync(account).emails_fetched == 0
    assert account_figures(account).stored == 2


def test_a_renamed_folder_is_linked(filled, any_account, sync):
    filled.append(mail("kept"), folder="Kept")
    sync(any_account)
    filled.server.rename(filled.login, "Kept", "Kept well")
    assert sync(any_account).emails_fetched == 0
    assert sync(any_account).emails_fetched == 0
    assert account_figures(any_account).stored == 6


def test_a_changed_uidvalidity_fetches_no_body(metered, sync):
    with metered() as one:
        one.box.server.append_many(one.box.login, "INBOX", many(120))
        one.sync()
        one.box.server.set_uidvalidity(one.box.login, "INBOX", 7_000)
        run = one.sync()
        assert (run.emails_fetched, run.emails_linked) == (0, 120)
        assert not one.asked_for(b"BODY.PEEK[]")
        assert [finding.kind for finding in one.account.findings.all()] == ["uidvalidity_changed"]


def test_a_thousand_moved_mails_cost_their_headers_and_no_body(metered):
    with metered() as one:
        one.box.server.append_many(one.box.login, "INBOX", [raw + b"x" * 5_000 for raw in many(1_000)])
        one.box.create("Kept")
        one.sync()
        one.box.server.move(one.box.login, "INBOX", range(1, 1_000), "Kept")
        run = one.sync()
        assert (run.emails_fetched, run.emails_linked) == (0, 999)
        assert not one.asked_for(b"BODY.PEEK[]") and one.figures.bytes_in < 300 * 1_000


@pytest.fixture
def lookalikes(scripted, scripted_account, sync):
    """Asks for a sync after a second mail of the same size and date was put beside a stored one."""

    def lookalikes(first: bytes, second: bytes, flags=()):
        scripted.append("", "INBOX", first, date=DAY)
        sync(scripted_account)
        scripted.create("", "Other")
        scripted.append("", "Other", second, date=DAY, flags=flags)
        run = sync(scripted_account)
        return run.emails_fetched, run.emails_linked, scripted_account.messages.count()

    return lookalikes


def test_a_mail_with_another_header_is_fetched(lookalikes):
    assert lookalikes(mail("one"), mail("two")) == (1, 0, 2)


def test_a_mail_without_message_id_is_fetched(lookalikes):
    assert lookalikes(b"Subject: a\r\n\r\none", b"Subject: a\r\n\r\ntwo") == (1, 0, 2)


def test_a_draft_is_fetched_for_its_text_may_have_changed(lookalikes):
    assert lookalikes(mail("draft", "one"), mail("draft", "two"), flags=("\\Draft",)) == (1, 0, 2)


def test_when_two_stored_mails_could_be_meant_the_mail_is_fetched(scripted, scripted_account, sync):
    for text in ("one", "two"):
        scripted.append("", "INBOX", mail("same", text), date=DAY, flags=("\\Draft",))
    sync(scripted_account)
    assert scripted_account.messages.count() == 2
    scripted.create("", "Other")
    scripted.append("", "Other", mail("same", "two"), date=DAY)
    run = sync(scripted_account)
    assert (run.emails_fetched, run.emails_linked, scripted_account.messages.count()) == (1, 0, 2)


def test_a_server_that_withholds_headers_gives_the_mail_itself(scripted, scripted_account, sync):
    scripted.append("", "INBOX", mail("one"), date=DAY)
    sync(scripted_account)
    scripted.create("", "Other")
    scripted.copy("", "INBOX", [1], "Other")

    def refuse(session, tag, rest):
        if b"HEADER" in rest:
            session.say(tag + b" NO not that")
            return True
        return False

    scripted.scripts["FETCH"] = refuse
    assert sync(scripted_account).emails_fetched == 1
    assert scripted_account.messages.count() == 1


# By the server's own id of the content


@pytest.mark.parametrize("extension", [b"OBJECTID", b"X-GM-EXT-1"])
def test_an_id_of_the_content_spares_the_header(extension, scripted, scripted_account, sync):
    scripted.capabilities += b" " + extension
    scripted.append("", "INBOX", b"no header at all, and a body")
    sync(scripted_account)
    scripted.create("", "Other")
    scripted.copy("", "INBOX", [1], "Other")
    scripted.commands.clear()
    run = sync(scripted_account)
    assert (run.emails_fetched, run.emails_linked) == (0, 1)
    assert not any(b"BODY" in command for command in scripted.commands)


def test_an_id_that_the_server_gives_two_mails_hides_neither(scripted, scripted_account, sync):
    scripted.capabilities += b" OBJECTID"
    scripted.append("", "INBOX", mail("one"), email_id="Msame")
    sync(scripted_account)
    scripted.append("", "INBOX", mail("another"), email_id="Msame")
    assert sync(scripted_account).emails_fetched == 1
    assert scripted_account.messages.count() == 2


def test_two_copies_in_one_folder_are_fetched_once(scripted, scripted_account, sync):
    scripted.capabilities += b" OBJECTID"
    scripted.boxes[b"INBOX"].mails = {uid: Mail(mail("same"), email_id="M1", date=DAY) for uid in (1, 2)}
    sync(scripted_account)
    assert scripted_account.messages.count() == 1
    scripted.create("", "Other")
    scripted.copy("", "INBOX", [1, 2], "Other")
    run = sync(scripted_account)
    assert (run.emails_fetched, run.emails_linked) == (0, 2)


def test_a_server_that_has_sizes_wrong_is_taken_at_its_word_for_them(scripted, scripted_account, sync):
    scripted.append("", "INBOX", mail("one"), size=77)
    sync(scripted_account)
    scripted.create("", "Other")
    scripted.move("", "INBOX", [1], "Other")
    scripted.append("", "INBOX", mail("two"))
    run = sync(scripted_account)
    assert (run.emails_fetched, run.emails_linked) == (1, 1)
