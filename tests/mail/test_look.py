"""Which question a folder needs, as a table; and the grammar of the answers."""

from datetime import UTC, datetime, timedelta

import pytest

from mail.imap_text import (
    examined,
    flat,
    folder_status,
    listed_folder,
    searched,
    uid_and_flags,
    uid_and_metadata,
    uid_and_section,
    uid_sets,
    vanished,
)
from mail.models import Folder
from mail.parcels import Flags, FolderStatus, Metadata
from mail.reconcile import Look, look_needed
from mail.uid_set import UidSet

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
KNOWN = {"uidvalidity": 7, "uidnext": 11, "highestmodseq": 90, "as_of": NOW, "looked_at": NOW - MINUTE}
SAME = FolderStatus(messages=10, uidnext=11, uidvalidity=7, highestmodseq=90)
PLAIN = FolderStatus(messages=10, uidnext=11, uidvalidity=7)


def status(**changes) -> FolderStatus:
    return FolderStatus(**vars(SAME) | changes)


@pytest.mark.parametrize(
    ("what", "known", "told", "look"),
    [
        ("nothing changed", {}, SAME, Look.NOTHING),
        ("a flag changed", {}, status(highestmodseq=91), Look.CHANGES),
        ("a mail came", {}, status(messages=11, uidnext=12, highestmodseq=91), Look.CHANGES),
        ("a mail came and a modseq lies", {}, status(messages=11, uidnext=12), Look.CHANGES),
        ("the ledger lacks a mail", {}, status(messages=9), Look.CHANGES),
        ("another life of the folder", {}, status(uidvalidity=8), Look.WHOLE),
        ("the modseq went down", {}, status(highestmodseq=89), Look.WHOLE),
        ("the server did not say", {}, FolderStatus(), Look.CHANGES),
        ("never seen", dict.fromkeys(KNOWN), SAME, Look.WHOLE),
        ("not looked at for a day", {"looked_at": NOW - 25 * HOUR}, SAME, Look.WHOLE),
        ("a reset was asked for", {"reset_asked_at": NOW}, SAME, Look.WHOLE),
        ("its emptiness is doubted", {"emptied_at": NOW}, SAME, Look.WHOLE),
        ("no modseq was known", {"highestmodseq": None}, SAME, Look.WHOLE),
    ],
)
def test_the_cheapest_question_leaves_nothing_out(what, known, told, look):
    folder = Folder(**KNOWN | known)
    assert look_needed(folder, told, 10, NOW, has_changes=True, patient=False) == look, what


@pytest.mark.parametrize(
    ("minutes", "told", "patient", "look"),
    [
        (1, PLAIN, False, Look.WHOLE),
        (59, PLAIN, True, Look.NOTHING),
        (61, PLAIN, True, Look.WHOLE),
        (1, FolderStatus(messages=11, uidnext=12, uidvalidity=7), True, Look.WHOLE),
        (1, FolderStatus(messages=9, uidnext=11, uidvalidity=7), True, Look.WHOLE),
    ],
)
def test_without_modseqs_a_run_that_nobody_waits_for_reads_flags_once_an_hour(minutes, told, patient, look):
    folder = Folder(**KNOWN | {"highestmodseq": None, "looked_at": NOW - minutes * MINUTE})
    assert look_needed(folder, told, 10, NOW, has_changes=False, patient=patient) == look


def test_a_uid_set_may_hold_more_than_a_mailbox():
    everything = UidSet.parsed(b"1:4294967295")
    assert 4294967295 in everything and 0 not in everything and 4294967296 not in everything


@pytest.mark.parametrize("text", [b"0", b"1:0", b"4294967296", b"1:*", b"a", b"-5"])
def test_what_is_no_uid_set_is_refused(text):
    with pytest.raises(ValueError):
        UidSet.parsed(text)


def test_ranges_may_overlap_come_in_any_order_and_backwards():
    uids = UidSet.parsed(b"9:7,3,1:2,8:12")
    assert str(uids) == "1:3,7:12" and [uid for uid in range(14) if uid in uids] == [1, 2, 3, *range(7, 13)]


def test_long_uid_sets_are_cut_into_command_lines_and_none_is_made_of_nothing():
    sets = list(uid_sets(range(1, 20_000, 2)))
    assert len(sets) > 10 and max(map(len, sets)) < 8_000
    assert ",".join(sets) == ",".join(str(uid) for uid in range(1, 20_000, 2))
    assert list(uid_sets([])) == []


@pytest.mark.parametrize(
    ("answer", "name", "flags"),
    [
        ((b'LIST (\\HasNoChildren \\Sent) "/" Sent',), b"Sent", {"\\hasnochildren", "\\sent"}),
        ((b'LIST () NIL "a \\"b\\" \\\\c"',), b'a "b" \\c', set()),
        ((b'LIST () "." ', b'li"ne\nbreak', b""), b'li"ne\nbreak', set()),
        ((b'LIST () "/" NIL',), b"NIL", set()),
        ((b'LIST () "/" 2025 ("CHILDINFO" ("SUBSCRIBED"))',), b"2025", set()),
    ],
)
def test_a_folder_is_listed(answer, name, flags):
    found = listed_folder(flat(answer))
    assert (found.raw_name, found.flags) == (name, flags)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'STATUS "a b" (MESSAGES 3 UIDNEXT 4 UIDVALIDITY 5 HIGHESTMODSEQ 6)', (b"a b", (3, 4, 5, 6))),
        (b"STATUS INBOX (messages 3 HIGHESTMODSEQ 0)", (b"INBOX", (3, None, None, None))),
        (b"STATUS INBOX (MESSAGES 99999999999999999999)", (b"INBOX", (None, None, None, None))),
    ],
)
def test_a_status_is_read_and_what_is_out_of_range_is_not_known(text, expected):
    name, found = folder_status(text)
    assert (name, tuple(vars(found).values())) == expected


@pytest.mark.parametrize(
    ("text", "uid", "flags"),
    [
        (b"1 FETCH (UID 5 FLAGS (\\Seen $Work))", 5, Flags(1, ("$Work",))),
        (b"1 FETCH (FLAGS (\\Flagged) UID 5 MODSEQ (12))", 5, Flags(4, ())),
        (b"1 FETCH (UID 5)", 5, None),
        (b"1 FETCH (FLAGS ())", None, Flags(0, ())),
        (
            b'1 FETCH (X-GM-LABELS ("\\\\Inbox" "UID 9" "a)b" Plain &APw-ber) UID 5 FLAGS ())',
            5,
            Flags(0, (), ("Plain", "UID 9", "\\Inbox", "a)b", "über")),
        ),
        (b"1 FETCH (UID 5 X-GM-LABELS () FLAGS ())", 5, Flags(0, (), ())),
        (b"1 FETCH (UID 4294967296 FLAGS ())", None, Flags(0, ())),
    ],
)
def test_flags_and_labels_are_read(text, uid, flags):
    assert uid_and_flags(text) == (uid, flags)


@pytest.mark.parametrize(
    ("text", "object_id"),
    [
        (b"1 FETCH (UID 5 RFC822.SIZE 9 EMAILID (M6d99ac3275bb4e))", "M6d99ac3275bb4e"),
        (b"1 FETCH (X-GM-MSGID 1278455344230334865 UID 5 RFC822.SIZE 9)", "1278455344230334865"),
        (b"1 FETCH (UID 5 RFC822.SIZE 9 EMAILID NIL)", None),
    ],
)
def test_the_id_of_the_content_is_read(text, object_id):
    assert uid_and_metadata(text) == (5, Metadata(9, None, object_id))


@pytest.mark.parametrize(
    ("answer", "section", "expected"),
    [
        ((b"1 FETCH (UID 5 BODY[] ", b"raw", b")"), b"", (5, b"raw")),
        ((b"1 FETCH (BODY[] ", b"UID 6", b" UID 5)"), b"", (5, b"UID 6")),
        ((b'1 FETCH (UID 5 BODY[] "a \\"b\\"")',), b"", (5, b'a "b"')),
        ((b"1 FETCH (UID 5 BODY[] NIL)",), b"", (5, None)),
        ((b"1 FETCH (UID 5 BODY[HEADER]<0> ", b"head", b")"), b"HEADER", (5, b"head")),
        ((b"1 FETCH (UID 5 BODY[HEADER]<0> ", b"head", b")"), b"", (5, None)),
        ((b"3 EXISTS",), b"", (None, None)),
    ],
)
def test_a_section_of_a_mail_is_found(answer, section, expected):
    assert uid_and_section(answer, section) == expected


def test_other_answers_are_what_they_are():
    assert examined(b"12 EXISTS") == ("exists", 12)
    assert examined(b"OK [HIGHESTMODSEQ 715194045007] Highest") == ("highestmodseq", 715194045007)
    assert examined(b"OK [NOMODSEQ] none") is None
    assert str(vanished(b"VANISHED (EARLIER) 41,43:116")) == "41,43:116"
    assert vanished(b"41 EXPUNGE") is None
    assert str(searched(b'ESEARCH (TAG "A1") UID ALL 4:18,21')) == "4:18,21"
    assert searched(b'ESEARCH (TAG "A1") UID') == UidSet()
    assert searched(b"SEARCH 1 2 3") is None
