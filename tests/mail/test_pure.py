"""The deciders: survey, reconcile, order and batches, and the small IMAP grammar."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from accounts.actions import Filters
from mail.export import safe_names
from mail.fetch import BATCH_BYTES, BATCH_MAILS, batches
from mail.imap_text import display_name
from mail.parcels import Flags, FlagSurvey, KnownEntry, ListedFolder, PendingMail
from mail.reconcile import plan_folder, vanished_from
from mail.survey import survey
from mail.uid_set import UidSet

EVERYTHING = Filters()
A, B = UUID(int=1), UUID(int=2)


def listed(name: str, *flags: str, delimiter: str = "/") -> ListedFolder:
    return ListedFolder(name.encode(), name, delimiter, frozenset(flags))


def uses(*folders: ListedFolder, filters=EVERYTHING):
    return {f.name: (f.special_use, f.guessed, f.excluded) for f in survey(list(folders), filters)}


def test_a_marked_use_is_taken_and_a_well_known_name_is_a_guess():
    assert uses(listed("Weg", "\\trash"), listed("Spam"), listed("Post")) == {
        "Weg": ("trash", False, True),
        "Spam": ("junk", True, True),
        "Post": ("", False, False),
    }


def test_no_name_is_guessed_for_a_use_that_the_server_marks():
    assert uses(listed("Weg", "\\trash"), listed("Trash"))["Trash"] == ("", False, False)


@pytest.mark.parametrize(
    ("name", "delimiter", "use"),
    [("INBOX.Trash", ".", "trash"), ("[Gmail]/Papierkorb", "/", "trash"), ("Garten/Trash", "/", "")],
)
def test_names_are_guessed_at_the_top_only(name, delimiter, use):
    assert uses(listed(name, delimiter=delimiter))[name][0] == use


def test_an_include_pattern_admits_what_is_left_out_by_default():
    filters = Filters(include=("trash",))
    assert uses(listed("Trash", "\\trash"), listed("INBOX"), filters=filters) == {
        "INBOX": ("", False, True),
        "Trash": ("trash", False, False),
    }


def test_a_folder_listed_twice_is_one_folder_and_the_inbox_comes_first():
    folders = survey([listed("A"), listed("Inbox"), listed("A")], Filters())
    assert [folder.name for folder in folders] == ["Inbox", "A"]


def plan(here: dict, there: dict, complete=True):
    survey = FlagSurvey(here, complete, changed=False)
    return plan_folder(here, there, vanished_from(survey, there), blind)


def blind(kind, words):
    return b"".join(map(str.encode, words or ())) or None


SEEN, NONE = Flags(1, ()), Flags(0, ())


def test_reconcile_finds_new_gone_returned_and_reflagged():
    known = {
        2: KnownEntry("stored", 0, None),
        3: KnownEntry("stored", 0, None),
        4: KnownEntry("gone", 0, None),
        5: KnownEntry("stored", 0, b"work"),
        6: KnownEntry("gone", 0, None),
    }
    found = plan({1: NONE, 3: SEEN, 4: NONE, 5: Flags(0, ("work",))}, known)
    assert (found.new, found.gone, found.returned) == ((1,), (2,), (4,))
    assert found.reflagged == ((3, SEEN),)


def test_a_changed_keyword_is_a_changed_flag():
    found = plan({1: Flags(0, ("home",))}, {1: KnownEntry("stored", 0, b"work")})
    assert found.reflagged == ((1, Flags(0, ("home",))),)


def test_absence_proves_nothing_when_the_survey_is_incomplete():
    assert plan({}, {1: KnownEntry("stored", 0, None)}, complete=False).gone == ()


def test_flags_that_were_not_sent_change_nothing():
    assert plan({1: None}, {1: KnownEntry("stored", 1, None)}).reflagged == ()


def pending(uid, folder=A, size=100, day=1, attempts=0):
    date = datetime(2026, 1, day, tzinfo=UTC) if day else None
    return PendingMail(uid, folder, uid, size, date, attempts)


def uids(mails):
    return [[mail.uid for mail in batch] for batch in batches(mails)]


def test_a_batch_is_of_one_folder():
    assert uids([pending(1), pending(2, folder=B), pending(3)]) == [[1, 3], [2]]


def test_a_batch_is_bounded_by_count_and_bytes():
    assert [len(batch) for batch in batches([pending(n) for n in range(BATCH_MAILS + 1)])] == [BATCH_MAILS, 1]
    half = BATCH_BYTES // 2
    assert uids([pending(n, size=half) for n in range(3)]) == [[0, 1], [2]]
    assert uids([pending(1, size=BATCH_BYTES * 2), pending(2)]) == [[1], [2]]


def test_a_mail_of_unknown_size_or_that_failed_before_stands_alone():
    assert uids([pending(1), pending(2, size=None), pending(3)]) == [[1], [2], [3]]
    assert uids([pending(1), pending(2, attempts=1), pending(3, attempts=2)]) == [[1], [2], [3]]


@pytest.mark.parametrize(
    ("numbers", "text"), [([], ""), ([5], "5"), ([3, 1, 2, 7], "1:3,7"), ([1, 3, 5], "1,3,5")]
)
def test_uid_sets_are_written_as_ranges(numbers, text):
    assert str(UidSet.of(numbers)) == text


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"Entw&APw-rfe", "Entwürfe"),
        (b"&bad-", "&bad-"),
        ("Café".encode(), "Café"),
        (b"latin \xe9", "latin \\xe9"),
        (b"\x1b[31mred\r\n", "\\x1b[31mred\\r\\n"),
        (b"&2D0-", "\\ud83d"),
    ],
)
def test_folder_names_are_shown_so_that_nothing_acts_on_a_terminal(raw, shown):
    assert display_name(raw) == shown


def test_exported_names_are_single_safe_and_distinct_path_components():
    names = ["a/b", "a_b", "..", ".", "", "Twin", "twin", "x" * 500, "~", "con\n"]
    safe = safe_names(dict(enumerate(names)))
    assert len({name.casefold() for name in safe.values()}) == len(names)
    assert all(name and "/" not in name and not name.startswith(".") for name in safe.values())
    assert max(len(name.encode()) for name in safe.values()) <= 130
