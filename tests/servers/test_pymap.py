import imaplib
import signal
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from .pymap import Pymap
from .test_dovecot import MAIL, ROOT, is_alive, refuses, until

OTHER = b"Subject: other\r\n\r\nbody\r\n"


@pytest.fixture(scope="module")
def pymap():
    with Pymap() as server:
        yield server


@pytest.fixture
def login(pymap, request):
    pymap.add_user(request.node.name, "secret")
    return request.node.name


def fetched(server, login, folder, items) -> list[bytes]:
    with imaplib.IMAP4(server.host, server.imap_port) as imap:
        imap.login(login, "secret")
        imap.select(folder, readonly=True)
        return imap.uid("FETCH", "1:*", items)[1]


def test_it_offers_objectid_and_none_of_what_dovecot_is_quick_with(pymap, login):
    with imaplib.IMAP4(pymap.host, pymap.imap_port) as imap:
        imap.login(login, "secret")
        offered = set(imap.capability()[1][-1].decode().split())
    assert {"OBJECTID", "UIDPLUS", "MOVE"} <= offered
    assert not {"CONDSTORE", "QRESYNC", "LIST-STATUS", "ESEARCH", "SPECIAL-USE", "ENABLE"} & offered


def test_users_have_mailboxes_of_their_own(pymap, login):
    pymap.add_user("another/one", "secret")
    pymap.append("another/one", "INBOX", MAIL)
    assert pymap.uids(login, "INBOX") == set()
    assert len(pymap.uids("another/one", "INBOX")) == 1


def test_a_changed_password_is_asked_for_at_once(pymap, login):
    pymap.set_password(login, "changed")
    assert refuses(pymap, login, "secret")
    assert pymap.uids(login, "INBOX") == set()


def test_append_comes_back_as_given(pymap, login):
    date = datetime(2020, 2, 29, 12, 30, tzinfo=UTC)
    uid = pymap.append(login, "INBOX", MAIL, [r"\Seen"], date)
    assert pymap.served(login, "INBOX") == {uid: MAIL}
    (answer,) = fetched(pymap, login, "INBOX", "(FLAGS INTERNALDATE)")
    assert {rb"\Seen"} == set(imaplib.ParseFlags(answer)) - {rb"\Recent"}
    assert b'"29-Feb-2020 12:30:00 +0000"' in answer


def test_mails_come_move_and_go_as_on_dovecot(pymap, login):
    pymap.create(login, "Entwürfe")
    first, second, third = pymap.append_many(login, "INBOX", [MAIL, OTHER, MAIL])
    copied = pymap.copy(login, "INBOX", [first], "Entwürfe")
    moved = pymap.move(login, "INBOX", [second], "Entwürfe")
    pymap.expunge(login, "INBOX", [third])
    assert pymap.served(login, "INBOX") == {first: MAIL}
    assert pymap.served(login, "Entwürfe") == {copied[first]: MAIL, moved[second]: OTHER}


def test_equal_mails_have_one_email_id_wherever_they_are(pymap, login):
    pymap.create(login, "Other")
    pymap.append_many(login, "INBOX", [MAIL, OTHER])
    pymap.append(login, "Other", MAIL)
    first, second = (line.split()[2] for line in fetched(pymap, login, "INBOX", "(EMAILID)"))
    (copy,) = (line.split()[2] for line in fetched(pymap, login, "Other", "(EMAILID)"))
    assert first == copy != second


def test_folders_are_renamed_and_deleted(pymap, login):
    for name in ("old", "gone"):
        pymap.create(login, name)
    pymap.append(login, "old", MAIL)
    before = pymap.status(login, "old", "MESSAGES UIDNEXT UIDVALIDITY")
    pymap.rename(login, "old", "new")
    pymap.delete_folder(login, "gone")
    assert pymap.listed(login) == {b"INBOX", b"new"}
    assert pymap.status(login, "new", "MESSAGES UIDNEXT UIDVALIDITY") == before


def test_a_server_that_does_not_start_is_told_with_its_log(pymap):
    second = Pymap()
    second.imap_port = -1
    with pytest.raises(RuntimeError, match="port"):
        second.start()


def test_it_dies_with_the_tests():
    script = (
        "import sys\n"
        "from tests.servers.pymap import Pymap\n"
        "server = Pymap()\n"
        "server.start()\n"
        "print(server._process.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as tests:
        pid = int(tests.stdout.readline())
        tests.send_signal(signal.SIGKILL)
    until(lambda: not is_alive(pid))
