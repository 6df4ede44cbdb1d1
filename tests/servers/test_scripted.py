import imaplib
from contextlib import contextmanager

import pytest
from imapclient import IMAPClient

from .scripted import Box, ScriptedImap

MAIL = b"Subject: hello\r\nFrom: a@example.org\r\n\r\nbody\r\n"
ALL = b"IMAP4rev1 ENABLE LIST-STATUS SPECIAL-USE CONDSTORE QRESYNC ESEARCH OBJECTID X-GM-EXT-1"


@pytest.fixture
def server():
    with ScriptedImap() as server:
        server.capabilities = ALL
        server.add_user("ann", "secret")
        yield server


@contextmanager
def logged_in(server):
    with IMAPClient(server.host, server.imap_port, ssl=False) as client:
        client.login("ann", "secret")
        yield client


@pytest.fixture
def client(server):
    with logged_in(server) as client:
        yield client


def answers(client, name: str, *command: str) -> dict:
    """The untagged answers by their name."""
    imap = client._imap
    imap.untagged_responses = {}
    typ, data = imap._simple_command(name, *command)
    assert typ == "OK", data
    return dict(imap.untagged_responses)


@pytest.mark.parametrize(
    "command",
    [
        ("LIST", '""', '"*"', "RETURN (STATUS (MESSAGES))"),
        ("LIST", '""', '"*"', "RETURN (SPECIAL-USE)"),
        ("STATUS", '"INBOX"', "(HIGHESTMODSEQ)"),
        ("STATUS", '"INBOX"', "(MAILBOXID)"),
        ("EXAMINE", '"INBOX"', "(CONDSTORE)"),
        ("EXAMINE", '"INBOX"', "(QRESYNC (1 1))"),
        ("UID", "SEARCH", "RETURN (ALL) ALL"),
        ("UID", "FETCH", "1:* (FLAGS) (CHANGEDSINCE 1)"),
        ("UID", "FETCH", "1:* (EMAILID)"),
        ("UID", "FETCH", "1:* (X-GM-MSGID X-GM-LABELS)"),
    ],
)
def test_an_extension_that_is_not_named_is_not_spoken(server, command):
    server.capabilities = b"IMAP4rev1"
    server.append("ann", "INBOX", MAIL)
    with logged_in(server) as client:
        client.select_folder("INBOX", readonly=True)
        with pytest.raises(imaplib.IMAP4.error, match="BAD"):
            client._imap._simple_command(*command)


def test_list_status_tells_of_all_folders_that_can_be_opened(server, client):
    server.boxes = {b"INBOX": Box(), b"[Gmail]": Box(flags=b"\\Noselect"), b'a"b\\c': Box(uidvalidity=7)}
    server.append("ann", "INBOX", MAIL, flags=("\\Seen",))
    server.append("ann", "INBOX", MAIL)
    items = "RETURN (SPECIAL-USE STATUS (MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ))"
    said = answers(client, "LIST", '""', '"*"', items)
    assert len(said["LIST"]) == 3
    assert said["STATUS"] == [
        b'"INBOX" (MESSAGES 2 UIDNEXT 3 UIDVALIDITY 1 UNSEEN 1 HIGHESTMODSEQ 3)',
        b'"a\\"b\\\\c" (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 7 UNSEEN 0 HIGHESTMODSEQ 1)',
    ]


def test_status_without_extensions_answers_what_was_asked(server):
    server.capabilities = b"IMAP4rev1"
    server.append("ann", "INBOX", MAIL)
    with logged_in(server) as client:
        assert client.folder_status("INBOX", ["UIDNEXT", "MESSAGES"]) == {b"UIDNEXT": 2, b"MESSAGES": 1}
        with pytest.raises(imaplib.IMAP4.error, match="NONEXISTENT"):
            client.folder_status("Nowhere", ["MESSAGES"])


def test_changes_raise_the_modseq_and_changedsince_gives_the_changed_ones(server, client):
    server.append_many("ann", "INBOX", [MAIL] * 3)
    before = client.select_folder("INBOX", readonly=True)[b"HIGHESTMODSEQ"]
    server.set_flags("ann", "INBOX", 2, ["\\Seen"])
    server.append("ann", "INBOX", MAIL)
    found = client.fetch([1, 2, 3, 4], ["FLAGS"], [f"CHANGEDSINCE {before}"])
    assert {uid: (facts[b"FLAGS"], facts[b"MODSEQ"]) for uid, facts in found.items()} == {
        2: ((b"\\Seen",), (before + 1,)),
        4: ((), (before + 2,)),
    }
    server.expunge("ann", "INBOX", [1])
    assert client.folder_status("INBOX", ["HIGHESTMODSEQ"]) == {b"HIGHESTMODSEQ": before + 3}


def test_qresync_tells_what_vanished_and_what_changed(server, client):
    server.append_many("ann", "INBOX", [MAIL] * 6)
    before = client.folder_status("INBOX", ["HIGHESTMODSEQ"])[b"HIGHESTMODSEQ"]
    server.expunge("ann", "INBOX", [1, 2, 5])
    server.set_flags("ann", "INBOX", 6, ["\\Seen"])
    client.enable("QRESYNC")
    said = answers(client, "EXAMINE", '"INBOX"', f"(QRESYNC (1 {before}))")
    assert said["VANISHED"] == [b"(EARLIER) 1:2,5"]
    assert said["FETCH"] == [b"3 (UID 6 FLAGS (\\Seen) MODSEQ (%d))" % (before + 2)]
    said = answers(client, "EXAMINE", '"INBOX"', f"(QRESYNC (1 {before + 2}))")
    assert not {"VANISHED", "FETCH"} & set(said)
    said = answers(client, "EXAMINE", '"INBOX"', f"(QRESYNC (2 {before}))")
    assert not {"VANISHED", "FETCH"} & set(said)
    client.select_folder("INBOX", readonly=True)
    said = answers(client, "UID", "FETCH", f"1:* (FLAGS) (CHANGEDSINCE {before} VANISHED)")
    assert (said["VANISHED"], len(said["FETCH"])) == ([b"(EARLIER) 1:2,5"], 1)


def test_qresync_before_enable_is_bad(client):
    with pytest.raises(imaplib.IMAP4.error, match="BAD"):
        answers(client, "EXAMINE", '"INBOX"', "(QRESYNC (1 1))")


def test_a_folder_that_cannot_be_opened_closes_the_one_before(server, client):
    client.select_folder("INBOX", readonly=True)
    with pytest.raises(imaplib.IMAP4.error, match="NONEXISTENT"):
        client.select_folder("Nowhere", readonly=True)
    client._imap.state = "SELECTED"
    with pytest.raises(imaplib.IMAP4.error, match="BAD"):
        answers(client, "UID", "SEARCH", "ALL")


def test_a_search_lists_the_uids_and_an_esearch_their_ranges(server, client):
    server.append_many("ann", "INBOX", [MAIL] * 5)
    server.expunge("ann", "INBOX", [4])
    client.select_folder("INBOX", readonly=True)
    assert client.search("ALL") == [1, 2, 3, 5]
    assert answers(client, "UID", "SEARCH", "RETURN (ALL) ALL")["ESEARCH"][0].endswith(b" UID ALL 1:3,5")
    server.expunge("ann", "INBOX", [1, 2, 3, 5])
    assert client.search("ALL") == []
    assert answers(client, "UID", "SEARCH", "RETURN (ALL) ALL")["ESEARCH"][0].endswith(b'") UID')


def test_the_star_is_the_last_mail_even_below_the_other_end(server, client):
    server.append_many("ann", "INBOX", [MAIL] * 3)
    client.select_folder("INBOX", readonly=True)
    assert answers(client, "UID", "FETCH", "10:* (FLAGS)")["FETCH"] == [b"3 (UID 3 FLAGS ())"]


def test_a_copy_has_the_email_id_of_its_original(server, client):
    server.create("ann", "Other")
    server.append("ann", "INBOX", MAIL, email_id="Mx1")
    server.append("ann", "INBOX", MAIL)
    assert server.copy("ann", "INBOX", [1], "Other") == {1: 1}
    assert server.move("ann", "INBOX", [2], "Other") == {2: 2}
    client.select_folder("INBOX", readonly=True)
    (original,) = client.fetch([1, 2], ["EMAILID"]).values()
    client.select_folder("Other", readonly=True)
    copy, moved = client.fetch([1, 2], ["EMAILID"]).values()
    assert original[b"EMAILID"] == copy[b"EMAILID"] == (b"Mx1",)
    assert moved[b"EMAILID"] != copy[b"EMAILID"]
    assert (server.uids("ann", "INBOX"), server.uids("ann", "Other")) == ({1}, {1, 2})


def test_gmails_number_and_labels(server, client):
    server.append("ann", "INBOX", MAIL, gm_msgid=123, labels=("\\Inbox", "Foo bar", "Work"))
    client.select_folder("INBOX", readonly=True)
    said = answers(client, "UID", "FETCH", "1 (X-GM-MSGID X-GM-LABELS)")
    assert said["FETCH"] == [rb'1 (UID 1 X-GM-MSGID 123 X-GM-LABELS ("\\Inbox" "Foo bar" Work))']


def test_a_header_whole_or_in_part_and_a_size_that_lies(server, client):
    server.append("ann", "INBOX", MAIL, size=7)
    client.select_folder("INBOX", readonly=True)
    items = ["BODY.PEEK[HEADER]", "BODY.PEEK[HEADER]<0.10>", "RFC822.SIZE"]
    facts = client.fetch("1", items)[1]
    assert facts[b"BODY[HEADER]"] == MAIL.removesuffix(b"body\r\n")
    assert facts[b"BODY[HEADER]<0>"] == b"Subject: h"
    assert facts[b"RFC822.SIZE"] == 7


def test_no_uid_is_given_twice(server):
    server.append_many("ann", "INBOX", [MAIL] * 3)
    server.expunge("ann", "INBOX", [2, 3])
    assert server.append("ann", "INBOX", MAIL) == 4


def test_a_renamed_folder_keeps_what_it_is_and_takes_its_subfolders_along(server, client):
    for name in ("a", "a/b", "ab"):
        server.create("ann", name)
    before = client.folder_status("a", ["UIDVALIDITY", "MAILBOXID"])
    server.rename("ann", "a", "z")
    assert list(server.boxes) == [b"INBOX", b"z", b"z/b", b"ab"]
    assert client.folder_status("z", ["UIDVALIDITY", "MAILBOXID"]) == before
    server.delete_folder("ann", "z")
    server.create("ann", "z")
    assert client.folder_status("z", ["UIDVALIDITY", "MAILBOXID"]) != before
    server.set_uidvalidity("ann", "z", 99)
    assert client.folder_status("z", ["UIDVALIDITY"]) == {b"UIDVALIDITY": 99}
