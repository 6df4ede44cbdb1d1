"""Surprising emptiness and servers that lie: nothing is believed at first sight, and the person is told."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from mail.models import Finding
from mail.queries import account_figures
from tests.conftest import Mailbox
from tests.pipeline.test_errors import say
from tests.pipeline.test_frugal import many
from tests.pipeline.test_sync import figures, mail

pytestmark = pytest.mark.django_db
FULL = b"IMAP4rev1 LIST-STATUS SPECIAL-USE CONDSTORE QRESYNC ESEARCH ENABLE"


@pytest.fixture(
    params=[b"IMAP4rev1", b"IMAP4rev1 CONDSTORE LIST-STATUS", FULL], ids=["plain", "condstore", "qresync"]
)
def three(request, scripted, scripted_account, sync):
    """A scripted server with three mails, all synced; its account."""
    scripted.capabilities = request.param
    scripted.append_many("", "INBOX", many(3))
    assert sync(scripted_account).emails_fetched == 3
    return scripted_account


def kinds(account, **where) -> list[str]:
    return list(account.findings.filter(**where).values_list("kind", flat=True))


def test_a_folder_that_is_empty_at_once_is_believed_at_the_second_look(three, scripted, sync):
    scripted.expunge("", "INBOX", [1, 2, 3])
    assert sync(three).status == "success"
    assert figures(three) == {"on_server": 3, "stored": 3}
    assert kinds(three, ended_at=None) == ["folder_emptied"]
    sync(three)
    assert figures(three) == {"gone": 3}
    assert not kinds(three, ended_at=None)


def test_mails_that_are_back_at_the_second_look_were_never_gone(three, scripted, sync):
    mails = dict(scripted.boxes[b"INBOX"].mails)
    scripted.boxes[b"INBOX"].mails.clear()
    sync(three)
    scripted.boxes[b"INBOX"].mails.update(mails)
    assert sync(three).emails_fetched == 0
    assert figures(three) == {"on_server": 3, "stored": 3}
    assert not kinds(three, ended_at=None)


def test_an_emptied_folder_with_a_new_uidvalidity_is_not_believed_either(three, scripted, sync):
    mails = dict(scripted.boxes[b"INBOX"].mails)
    scripted.boxes[b"INBOX"].mails.clear()
    scripted.boxes[b"INBOX"].uidvalidity = 99
    sync(three)
    assert figures(three) == {"on_server": 3, "stored": 3}
    scripted.boxes[b"INBOX"].mails.update(mails)
    scripted.boxes[b"INBOX"].uidvalidity = 1
    sync(three)
    assert figures(three) == {"on_server": 3, "stored": 3}


def test_a_retry_of_the_same_run_is_no_second_look(three, scripted, sync):
    """One folder is empty, one not listed, and one breaks the connection, so that the run tries again."""
    for name in ("Old", "Zoo"):
        scripted.create("", name)
    sync(three)
    scripted.append("", "Zoo", mail("new"))
    del scripted.boxes[b"Old"]
    scripted.expunge("", "INBOX", [1, 2, 3])

    def drop_at_zoo(session, tag, rest):
        return b"Zoo" in rest and say(b"* BYE not now")(session, tag, rest)

    scripted.scripts["EXAMINE"] = drop_at_zoo
    run = sync(three)
    assert (run.status, run.retries) == ("failed", 3)
    assert figures(three)["stored"] == 3
    assert three.folders.filter(gone_at=None).count() == 3


def test_a_folder_that_is_not_listed_is_gone_at_the_second_look(three, scripted, sync):
    scripted.create("", "Old")
    scripted.append("", "Old", mail("kept"))
    sync(three)
    box = scripted.boxes.pop(b"Old")
    sync(three)
    assert figures(three) == {"on_server": 4, "stored": 4}
    assert kinds(three, ended_at=None) == ["folder_missing"]
    sync(three)
    assert figures(three) == {"on_server": 3, "stored": 3}
    assert not kinds(three, ended_at=None)
    scripted.boxes[b"Old"] = box
    assert sync(three).emails_fetched == 0
    assert figures(three) == {"on_server": 4, "stored": 4}


def test_a_folder_that_is_listed_again_was_never_gone(three, scripted, sync):
    scripted.create("", "Old")
    sync(three)
    box = scripted.boxes.pop(b"Old")
    sync(three)
    scripted.boxes[b"Old"] = box
    sync(three)
    box = scripted.boxes.pop(b"Old")
    sync(three)
    assert three.folders.filter(gone_at=None).count() == 2
    assert len(kinds(three, kind="folder_missing")) == 2


@pytest.mark.parametrize("answer", [b"TAG NO not now", b"TAG OK nothing"])
def test_a_list_that_fails_or_is_empty_takes_nothing_away(answer, three, scripted, sync):
    scripted.scripts["LIST"] = say(answer)
    for _ in range(2):
        assert sync(three).error_type == "protocol_error"
    assert figures(three) == {"on_server": 3, "stored": 3}


# Servers that lie


@pytest.fixture
def liar(scripted, scripted_account, sync):
    scripted.capabilities = FULL
    scripted.append_many("", "INBOX", many(5))
    sync(scripted_account)
    return scripted.boxes[b"INBOX"]


def test_a_modseq_that_goes_down_is_told_and_costs_nothing_but_a_whole_look(liar, scripted_account, sync):
    liar.change_flags(3, [b"\\Flagged"])
    sync(scripted_account)
    liar.modseq = 2
    liar.mails[1].flags = [b"\\Seen"]
    sync(scripted_account)
    assert scripted_account.folders.get().entries.get(uid=1).flags == 1
    assert kinds(scripted_account) == ["modseq_went_down"]
    liar.change_flags(2, [b"\\Answered"])
    sync(scripted_account)
    assert scripted_account.folders.get().entries.get(uid=2).flags == 2


def test_a_folder_without_modseqs_is_compared_as_a_whole_and_told_of(liar, scripted, scripted_account, sync):
    def examine(session, tag, rest):
        session.say(b"* OK [NOMODSEQ] none")
        session.box = liar
        session.say(b"* %d EXISTS" % len(liar.mails), b"* OK [UIDVALIDITY 1] ok", b"* OK [UIDNEXT 6] ok")
        session.ok(tag)
        return True

    scripted.scripts["EXAMINE"] = examine
    liar.change_flags(2, [b"\\Seen"])
    sync(scripted_account)
    assert scripted_account.folders.get().entries.get(uid=2).flags == 1
    assert kinds(scripted_account, ended_at=None) == ["no_modseq"]
    del scripted.scripts["EXAMINE"]
    sync(scripted_account)
    assert not kinds(scripted_account, ended_at=None)


def test_changes_that_do_not_add_up_are_not_relied_on(liar, scripted_account, sync):
    del liar.mails[2]  # and nothing tells of it
    liar.change_flags(3, [b"\\Seen"])
    sync(scripted_account)
    assert figures(scripted_account) == {"on_server": 4, "stored": 4, "gone": 1}
    assert kinds(scripted_account) == ["counts_differ"]


def test_a_lie_that_adds_up_is_found_within_a_day(liar, scripted_account, sync):
    liar.mails[1].flags = [b"\\Flagged"]  # without a new modseq
    sync(scripted_account)
    entry = scripted_account.folders.get().entries.get(uid=1)
    assert entry.flags == 0
    with time_machine.travel(timezone.now() + timedelta(hours=25)):
        sync(scripted_account)
    entry.refresh_from_db()
    assert entry.flags == 4


def test_findings_belong_to_their_account(liar, scripted_account, connect, scripted):
    other = connect(Mailbox(scripted), name="Other", security="none")
    Finding.objects.create(account=scripted_account, folder=scripted_account.folders.get(), kind="no_modseq")
    assert account_figures(other).on_server == 0 and not other.findings.exists()
