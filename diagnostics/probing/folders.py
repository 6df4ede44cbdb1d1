"""Folders: which there are, and whether they open for reading and are numbered as IMAP asks."""

import re

from imapclient.imap_utf7 import decode as decode_modified_utf7

from accounts import vault
from accounts.errors import ErrorType, SyncError
from diagnostics.probing.climb import Climb
from diagnostics.probing.dialogue import Dialogue
from diagnostics.probing.probe import Told, ok, warning
from diagnostics.probing.troubled import note, reference
from mail.deadline import Deadline
from mail.imap_text import (
    flat,
    listed_folder,
    uid_and_flags,
)
from mail.models import Folder
from mail.parcels import ListedFolder, SurveyedFolder
from mail.survey import survey

FLAGS_OF_LAST = 50
LONGEST_NAME = 1_000
LAST_SECONDS = 3  # of a probe that takes folder by folder, it ends so long before its deadline

_ONE_MAY_BE_THE_CAUSE = (
    *(ErrorType.CONNECTION_RESET, ErrorType.TIMEOUT),
    *(ErrorType.PROTOCOL_ERROR, ErrorType.TEMPORARILY_UNAVAILABLE),
)
_NO_UTF7 = re.compile(rb"&[^-]*$|&[^-A-Za-z0-9+,]")
_COUNTED = (
    *("opened", "refused", "refused_synced", "mails"),
    *("no_exists", "no_uidvalidity", "no_uidnext", "no_flags", "renumbered"),
)


def folder_list(climb: Climb) -> Told:
    """LIST and LSUB; names stay out of the facts, whatever they are."""
    line = climb.session()
    listed = _listed(climb, line, b"LIST")
    if not listed:
        raise SyncError(ErrorType.PROTOCOL_ERROR, missing="LIST")
    subscribed = _subscribed(climb, line)
    gmail = b"X-GM-EXT-1" in climb.offers
    climb.folders = survey([one for one in listed if _selectable(one)], climb.filters, all_mail=gmail)
    odd = sum(is_odd(folder.raw_name) for folder in listed)
    facts = {
        "folders": len(climb.folders),
        "not_selectable": len(listed) - len(climb.folders),
        "subscribed": subscribed,
        "special_use": sum(bool(f.special_use) and not f.guessed for f in climb.folders),
        "left_out": sum(folder.excluded for folder in climb.folders),
        "odd_names": odd,
    }
    if b"INBOX" not in {folder.raw_name for folder in climb.folders}:
        return warning("no_inbox_listed", **facts)
    return warning("odd_names", **facts) if odd else ok(**facts)


def _subscribed(climb: Climb, line: Dialogue) -> int | None:
    """None where the server does not say: IMAP4rev2 has no LSUB any more."""
    try:
        return len(_listed(climb, line, b"LSUB"))
    except SyncError:
        if line.broken:
            raise
        return None


def _listed(climb: Climb, line: Dialogue, command: bytes) -> list[ListedFolder]:
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
    controls = any(byte < 32 or byte == 127 for byte in raw_name)
    if controls or not raw_name.isascii() or len(raw_name) > LONGEST_NAME:
        return True
    try:
        decode_modified_utf7(raw_name)
    except (ValueError, AttributeError, IndexError):
        return True
    return bool(_NO_UTF7.search(raw_name))


def inbox(climb: Climb) -> Told:
    line = climb.session()
    told = line.examine(b"INBOX")
    climb.figures[b"INBOX"] = told
    if not line.read_only:
        return warning("not_read_only", mails=told.get("exists", 0))
    return ok(mails=told.get("exists", 0))


def flags(climb: Climb) -> Told:
    """Each folder opened once; of its last mails the flags."""
    facts = dict.fromkeys(_COUNTED, 0)
    try:
        _look_into_each(climb, facts)
    except SyncError as error:
        error.facts = facts | error.facts
        raise
    return _told_of_folders(facts)


def _look_into_each(climb: Climb, facts: dict) -> None:
    """Raises SyncError where the server is the trouble, not one of the folders."""
    known, lost = rows_of(climb), None
    for position, folder in enumerate(climb.folders):
        if climb.deadline.remaining() < LAST_SECONDS:
            facts["not_looked_at"] = len(climb.folders) - position
            break
        row, line = known.get(index_of(climb, folder.raw_name)), climb.session()
        try:
            _look_into(climb, line, folder, row, facts)
        except SyncError as error:
            if not _is_of_one_folder(error, climb.deadline):
                raise
            lost = error if line.broken else lost
            _refused(climb, folder, row, facts)
    climb.session()
    if lost and not facts["opened"]:
        raise lost


def _is_of_one_folder(error: SyncError, deadline: Deadline) -> bool:
    """It refuses to open, or the connection broke at it while there was time left."""
    if error.error_type == ErrorType.MAILBOX_GONE:
        return True
    return error.error_type in _ONE_MAY_BE_THE_CAUSE and deadline.remaining() >= LAST_SECONDS


def _refused(climb: Climb, folder: SurveyedFolder, row: Folder | None, facts: dict) -> None:
    facts["refused"] += 1
    facts["refused_synced"] += not folder.excluded
    note(facts, "refusing", reference(climb, folder, row))


def _look_into(climb: Climb, line: Dialogue, folder: SurveyedFolder, row: Folder | None, facts: dict) -> None:
    told = line.examine(folder.raw_name)
    facts["no_flags"] += _without_flags(line, told)
    climb.figures[folder.raw_name] = told
    facts["opened"] += 1
    facts["mails"] += told.get("exists", 0)
    for what in ("exists", "uidvalidity", "uidnext"):
        facts[f"no_{what}"] += what not in told
    facts["renumbered"] += is_renumbered(row, told)
    if not {"exists", "uidvalidity"} <= told.keys():
        note(facts, "unnumbered", reference(climb, folder, row))


def _told_of_folders(facts: dict) -> Told:
    if facts["refused_synced"]:
        raise SyncError(ErrorType.MAILBOX_GONE, **facts)
    for what in ("EXISTS", "UIDVALIDITY"):
        if facts[f"no_{what.lower()}"]:
            raise SyncError(ErrorType.PROTOCOL_ERROR, missing=what, **facts)
    warnings = {
        "refused": "folders_refused",
        "not_looked_at": "folders_not_looked_at",
        "no_flags": "no_flags",
    }
    reason = next((warnings[trouble] for trouble in warnings if facts.get(trouble)), "")
    return warning(reason, **facts) if reason else ok(**facts)


def _without_flags(line: Dialogue, told: dict[str, int]) -> int:
    """Of the last mails, those whose flags the server does not tell."""
    if not told.get("exists"):
        return 0
    first = max(1, told["exists"] - FLAGS_OF_LAST + 1)
    asked = f"FETCH {first}:{told['exists']} (UID FLAGS)".encode()
    found = [uid_and_flags(flat(a)) for a in line.ask(asked, refused=ErrorType.MAILBOX_GONE)]
    return told["exists"] - first + 1 - sum(uid is not None and some is not None for uid, some in found)


def is_renumbered(row: Folder | None, told: dict[str, int]) -> bool:
    return bool(row and row.uidvalidity and told.get("uidvalidity") not in (None, row.uidvalidity))


def rows_of(climb: Climb) -> dict[bytes, Folder]:
    return {bytes(row.name_index): row for row in climb.account.folders.filter(gone_at=None)}


def index_of(climb: Climb, raw_name: bytes) -> bytes:
    return vault.blind_index(climb.account_key, "folder", raw_name)
