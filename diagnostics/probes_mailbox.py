"""Folders and mail: what is there, whether it can be read, and whether it is what the ledger knows."""

import re

from django.conf import settings
from imapclient.imap_utf7 import decode as decode_modified_utf7

from accounts import vault
from accounts.errors import ErrorType, SyncError
from diagnostics.climb import Climb
from diagnostics.line import Line
from diagnostics.probe import Told, ok, skipped, warning
from mail import ledger
from mail.imap_text import (
    flat,
    listed_folder,
    searched,
    uid_and_flags,
    uid_and_metadata,
    uid_and_section,
)
from mail.models import Folder
from mail.parcels import ListedFolder
from mail.survey import survey
from mail.uid_set import UidSet

LAST_MAILS = 3
FLAGS_OF_LAST = 50
CHOSEN_FROM_LAST = 20
LAST_SECONDS = 3  # of a probe that takes folder by folder, it ends so long before its deadline
DIFFERING_FOLDERS = 50

_SEARCH = re.compile(rb"SEARCH((?: \d{1,10})*) *$", re.I)
_ENVELOPE = re.compile(rb"\bENVELOPE (\(|NIL)", re.I)


def folder_list(climb: Climb) -> Told:
    """LIST and LSUB; names stay out of the facts, whatever they are."""
    line = climb.session()
    listed = _listed(climb, line, b"LIST")
    if not listed:
        raise SyncError(ErrorType.PROTOCOL_ERROR, missing="LIST")
    subscribed = _listed(climb, line, b"LSUB")
    gmail = b"X-GM-EXT-1" in climb.offers
    climb.folders = survey([one for one in listed if _selectable(one)], climb.filters, all_mail=gmail)
    odd = sum(is_odd(folder.raw_name) for folder in listed)
    facts = {
        "folders": len(climb.folders),
        "not_selectable": len(listed) - len(climb.folders),
        "subscribed": len(subscribed),
        "special_use": sum(bool(f.special_use) and not f.guessed for f in climb.folders),
        "left_out": sum(folder.excluded for folder in climb.folders),
        "odd_names": odd,
    }
    if b"INBOX" not in {folder.raw_name for folder in climb.folders}:
        return warning("no_inbox_listed", **facts)
    return warning("odd_names", **facts) if odd else ok(**facts)


def _listed(climb: Climb, line: Line, command: bytes) -> list[ListedFolder]:
    answers = [flat(answer) for answer in line.ask(command + b' "" "*"')]
    if command == b"LSUB":
        answers = [b"LIST" + text[4:] for text in answers if text[:5].upper() == b"LSUB "]
    listed = [folder for folder in map(listed_folder, answers) if folder]
    for folder in listed:
        names = {folder.name, folder.raw_name.decode("utf-8", "backslashreplace")}
        parts = {part for name in names for part in name.split(folder.delimiter or "/")}
        climb.redact.learn_folders(names | parts)
    return listed


def _selectable(folder: ListedFolder) -> bool:
    return not folder.flags & {"\\noselect", "\\nonexistent"}


def is_odd(raw_name: bytes) -> bool:
    """Whether a name is 8-bit, holds control characters or is no valid modified UTF-7. Pure."""
    if not raw_name.isascii() or any(byte < 32 or byte == 127 for byte in raw_name):
        return True
    try:
        decode_modified_utf7(raw_name)
    except (ValueError, AttributeError, IndexError):
        return True
    return bool(re.search(rb"&[^-]*$|&[^-A-Za-z0-9+,]", raw_name))


def inbox(climb: Climb) -> Told:
    line = climb.session()
    told = line.examine(b"INBOX")
    climb.figures[b"INBOX"] = told
    if not line.read_only:
        return warning("not_read_only", mails=told.get("exists", 0))
    return ok(mails=told.get("exists", 0))


def flags(climb: Climb) -> Told:
    """Each folder opened once; of its last mails the flags."""
    facts = dict.fromkeys(
        ("opened", "refused", "refused_synced", "no_uidvalidity", "no_uidnext", "no_flags", "mails"), 0
    )
    known = _rows(climb)
    facts["renumbered"] = 0
    for position, folder in enumerate(climb.folders):
        if climb.deadline.remaining() < LAST_SECONDS:
            facts["not_looked_at"] = len(climb.folders) - position
            break
        try:
            told = climb.session().examine(folder.raw_name)
            facts["no_flags"] += _without_flags(climb.session(), told)
        except SyncError as error:
            if error.error_type != ErrorType.MAILBOX_GONE:
                raise
            facts["refused"] += 1
            facts["refused_synced"] += not folder.excluded
            continue
        climb.figures[folder.raw_name] = told
        facts["opened"] += 1
        facts["mails"] += told.get("exists", 0)
        facts["no_uidvalidity"] += "uidvalidity" not in told
        facts["no_uidnext"] += "uidnext" not in told
        row = known.get(_index(climb, folder.raw_name))
        facts["renumbered"] += _is_renumbered(row, told)
    return _told_of_folders(facts)


def _told_of_folders(facts: dict[str, int]) -> Told:
    if facts["refused_synced"]:
        raise SyncError(ErrorType.MAILBOX_GONE, **facts)
    if facts["no_uidvalidity"]:
        raise SyncError(ErrorType.PROTOCOL_ERROR, missing="UIDVALIDITY", **facts)
    for trouble in ("refused", "no_flags", "not_looked_at"):
        if facts.get(trouble):
            return warning(f"folders_{trouble}" if trouble != "no_flags" else "no_flags", **facts)
    return ok(**facts)


def _without_flags(line: Line, told: dict[str, int]) -> int:
    """Of the last mails, those whose flags the server does not tell."""
    if not told.get("exists"):
        return 0
    first = max(1, told["exists"] - FLAGS_OF_LAST + 1)
    asked = f"FETCH {first}:{told['exists']} (UID FLAGS)".encode()
    found = [uid_and_flags(flat(a)) for a in line.ask(asked, refused=ErrorType.MAILBOX_GONE)]
    return told["exists"] - first + 1 - sum(uid is not None and some is not None for uid, some in found)


def _is_renumbered(row: Folder | None, told: dict[str, int]) -> bool:
    return bool(row and row.uidvalidity and told.get("uidvalidity") not in (None, row.uidvalidity))


def envelope(climb: Climb) -> Told:
    if (name := climb.folder_with_mail()) is None:
        return skipped("no_mail")
    exists = climb.figures[name]["exists"]
    line = climb.opened(name)
    asked = f"FETCH {max(1, exists - LAST_MAILS + 1)}:{exists} (UID ENVELOPE)".encode()
    answers = [flat(answer) for answer in line.ask(asked)]
    found = [(match[1] == b"(", len(text)) for text in answers if (match := _ENVELOPE.search(text))]
    facts = {"mails": len(found), "bytes": sum(size for _, size in found)}
    empty = sum(not full for full, _ in found)
    wanted = min(LAST_MAILS, exists)
    return warning("empty_envelopes", **facts, empty=empty) if empty or len(found) < wanted else ok(**facts)


def fetch(climb: Climb) -> Told:
    """One whole mail, a small one of the last."""
    if (name := climb.folder_with_mail()) is None:
        return skipped("no_mail")
    line = climb.opened(name)
    chosen = _smallest_of_last(line, climb.figures[name]["exists"])
    if chosen is None:
        return skipped("no_mail")
    uid, announced = chosen
    answers = line.ask(f"UID FETCH {uid} (BODY.PEEK[])".encode(), refused=ErrorType.UNFETCHABLE)
    bodies = [body for of, body in (uid_and_section(a, b"") for a in answers) if of == uid]
    if not bodies or not bodies[0]:
        raise SyncError(ErrorType.UNFETCHABLE, announced=announced)
    facts = {"bytes": len(bodies[0]), "announced": announced}
    return ok(**facts) if len(bodies[0]) == announced else warning("size_differs", **facts)


def _smallest_of_last(line: Line, exists: int) -> tuple[int, int] | None:
    first = max(1, exists - CHOSEN_FROM_LAST + 1)
    answers = line.ask(f"FETCH {first}:{exists} (UID RFC822.SIZE)".encode())
    told = (uid_and_metadata(flat(answer)) for answer in answers)
    sizes = [(facts.size, uid) for uid, facts in told if uid and facts.size]
    size, uid = min(sizes, default=(settings.MAILHELPER_MAX_MAIL_BYTES + 1, 0))
    return (uid, size) if size <= settings.MAILHELPER_MAX_MAIL_BYTES else None


def completeness(climb: Climb) -> Told:
    """The server's UIDs against the ledger, for each folder that is synced."""
    known = _rows(climb)
    facts = dict.fromkeys(("folders", "both", "only_server", "only_here", "renumbered", "never_synced"), 0)
    differing: dict[str, list[int]] = {}
    for position, folder in enumerate(one for one in climb.folders if not one.excluded):
        if climb.deadline.remaining() < LAST_SECONDS:
            facts["not_looked_at"] = sum(not one.excluded for one in climb.folders) - position
            break
        row, told = known.get(_index(climb, folder.raw_name)), climb.figures.get(folder.raw_name)
        if told is None:
            continue  # it refuses to open, as another probe says
        if row is None or row.uidvalidity is None:
            facts["never_synced"] += 1
        elif _is_renumbered(row, told):
            facts["renumbered"] += 1
        else:
            figures = _compared(_uids(climb, folder.raw_name), ledger.live_uids(row))
            facts["folders"] += 1
            for name, count in zip(("both", "only_server", "only_here"), figures, strict=True):
                facts[name] += count
            if any(figures[1:]) and len(differing) < DIFFERING_FOLDERS:
                differing[str(row.pk)] = list(figures)
    return _told_of_ledger(facts | ({"differing": differing} if differing else {}))


def _told_of_ledger(facts: dict) -> Told:
    if facts["only_here"] or facts["renumbered"]:
        return warning("ledger_differs", **facts)
    if facts["only_server"]:
        return warning("mails_to_fetch", **facts)
    return ok(**facts) if facts["folders"] else skipped("never_synced", **facts)


def _compared(there: UidSet, here: list[int]) -> tuple[int, int, int]:
    """In both, only on the server, only here."""
    both = sum(uid in there for uid in here)
    return both, len(there) - both, len(here) - both


def _uids(climb: Climb, raw_name: bytes) -> UidSet:
    line = climb.opened(raw_name)
    if b"ESEARCH" in climb.offers:
        answers = [searched(flat(a)) for a in line.ask(b"UID SEARCH RETURN (ALL) ALL")]
        if told := [uids for uids in answers if uids is not None]:
            return told[0]
    found = [_SEARCH.match(flat(answer)) for answer in line.ask(b"UID SEARCH ALL")]
    return UidSet.of(int(uid) for match in found if match for uid in match[1].split())


def _rows(climb: Climb) -> dict[bytes, Folder]:
    return {bytes(row.name_index): row for row in climb.account.folders.filter(gone_at=None)}


def _index(climb: Climb, raw_name: bytes) -> bytes:
    return vault.blind_index(climb.account_key, "folder", raw_name)
