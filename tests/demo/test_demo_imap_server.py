import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from imapclient import IMAPClient
from imapclient.imap_utf7 import decode, encode

from mailhelper.demo.imap_server import HOST, DemoImapServer, DemoServerError
from mailhelper.demo.mails import DemoFolder, DemoMail, DemoMailbox, mailboxes

NOW = datetime(2026, 6, 15, 12, 30, tzinfo=UTC)
MAILBOXES = mailboxes(NOW)
NAMES = [mailbox.name for mailbox in MAILBOXES]
FETCHED = ["BODY.PEEK[]", "RFC822.SIZE", "INTERNALDATE", "FLAGS"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("imap")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[DemoImapServer]:
    with DemoImapServer(folder, MAILBOXES) as server:
        yield server


@pytest.fixture(params=MAILBOXES, ids=NAMES)
def mailbox(request: pytest.FixtureRequest) -> DemoMailbox:
    return request.param


@pytest.fixture
def client(server: DemoImapServer, mailbox: DemoMailbox) -> Iterator[IMAPClient]:
    with IMAPClient(HOST, server.port_of(mailbox.name), ssl=False, timeout=10) as client:
        client.folder_encode = False
        client.normalise_times = False
        client.login(mailbox.login, server.password_of(mailbox.name))
        yield client


def served_mails(client: IMAPClient, folder: DemoFolder, *, readonly: bool) -> list[DemoMail]:
    client.select_folder(encode(folder.name), readonly=readonly)
    answers = client.fetch(client.search("ALL"), FETCHED)
    return [served_mail(answers[uid]) for uid in sorted(answers)]


def served_mail(answer: dict[bytes, object]) -> DemoMail:
    raw = answer[b"BODY[]"]
    assert answer[b"RFC822.SIZE"] == len(raw)
    return DemoMail(raw, answer[b"INTERNALDATE"], tuple(sorted(flag.decode() for flag in answer[b"FLAGS"])))


def with_sorted_flags(mail: DemoMail) -> DemoMail:
    return DemoMail(mail.raw, mail.date, tuple(sorted(mail.flags)))


@pytest.mark.parametrize("readonly", [True, False], ids=["EXAMINE", "SELECT"])
def test_every_mail_is_served_byte_for_byte(client: IMAPClient, mailbox: DemoMailbox, readonly: bool) -> None:
    for folder in mailbox.folders:
        expected = [with_sorted_flags(mail) for mail in folder.mails]
        assert served_mails(client, folder, readonly=readonly) == expected


def test_exactly_the_named_folders_can_be_opened(client: IMAPClient, mailbox: DemoMailbox) -> None:
    listed = {decode(name) for flags, _, name in client.list_folders() if b"\\Noselect" not in flags}
    assert listed == {folder.name for folder in mailbox.folders}


def test_status_counts_the_mails(client: IMAPClient, mailbox: DemoMailbox) -> None:
    for folder in mailbox.folders:
        status = client.folder_status(encode(folder.name), ["MESSAGES", "UNSEEN", "UIDNEXT", "UIDVALIDITY"])
        unseen = sum(r"\Seen" not in mail.flags for mail in folder.mails)
        assert (status[b"MESSAGES"], status[b"UNSEEN"]) == (len(folder.mails), unseen)
        assert status[b"UIDNEXT"] > len(folder.mails)
        assert status[b"UIDVALIDITY"] > 0


def test_no_mailbox_opens_with_the_password_of_another(server: DemoImapServer) -> None:
    client = IMAPClient(HOST, server.port_of("GMX"), ssl=False, timeout=10)
    with client, pytest.raises(client.Error):
        client.login(MAILBOXES[0].login, server.password_of("Gmail"))


def test_the_servers_leave_no_password_on_disk(server: DemoImapServer, folder: Path) -> None:
    left = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(left) == {f"pymap-{server.port_of(name)}.log" for name in NAMES}
    assert not any(server.password_of(name).encode() in output for name in NAMES for output in left.values())


def test_the_server_is_gone_after_stop(tmp_path: Path) -> None:
    server = DemoImapServer(tmp_path, MAILBOXES[2:])
    server.start()
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, server.port_of("Verein")), timeout=5)


def test_a_taken_port_is_reported_with_the_output_of_the_server(tmp_path: Path) -> None:
    server = DemoImapServer(tmp_path, MAILBOXES[2:])
    with socket.socket() as taken:
        taken.bind((HOST, server.port_of("Verein")))
        with pytest.raises(DemoServerError, match="address already in use"):
            server.start()


def test_the_mails_are_the_same_every_time() -> None:
    assert mailboxes(NOW) == MAILBOXES


def test_the_mails_lie_within_the_last_fourteen_months() -> None:
    dates = [mail.date for mailbox in MAILBOXES for folder in mailbox.folders for mail in folder.mails]
    assert NOW - timedelta(days=430) < min(dates)
    assert max(dates) < NOW
