"""Mail: whether it can be read, and whether it is what the ledger knows."""

import re

from django.conf import settings

from accounts.errors import ErrorType, SyncError
from diagnostics.probing.climb import Climb
from diagnostics.probing.dialogue import Dialogue
from diagnostics.probing.folders import LAST_SECONDS, index_of, is_renumbered, rows_of
from diagnostics.probing.probe import Told, ok, skipped, warning
from diagnostics.probing.troubled import FIGURES, MOST_TOLD, reference
from mail import ledger
from mail.imap_text import flat, searched, uid_and_metadata, uid_and_section
from mail.uid_set import UidSet

LAST_MAILS = 3
CHOSEN_FROM_LAST = 20

_SEARCH = re.compile(rb"SEARCH((?: \d{1,10})*) *$", re.I)
_ENVELOPE = re.compile(rb"\bENVELOPE (\(|NIL)", re.I)


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


def _smallest_of_last(line: Dialogue, exists: int) -> tuple[int, int] | None:
    first = max(1, exists - CHOSEN_FROM_LAST + 1)
    answers = line.ask(f"FETCH {first}:{exists} (UID RFC822.SIZE)".encode())
    told = (uid_and_metadata(flat(answer)) for answer in answers)
    sizes = [(facts.size, uid) for uid, facts in told if uid and facts.size]
    size, uid = min(sizes, default=(settings.MAILHELPER_MAX_MAIL_BYTES + 1, 0))
    return (uid, size) if size <= settings.MAILHELPER_MAX_MAIL_BYTES else None


def completeness(climb: Climb) -> Told:
    """The server's UIDs against the ledger, for each folder that is synced."""
    known = rows_of(climb)
    facts = dict.fromkeys(("folders", "both", "only_server", "only_here", "renumbered", "never_synced"), 0)
    differing: dict[str, list[int]] = {}
    for position, folder in enumerate(one for one in climb.folders if not one.excluded):
        if climb.deadline.remaining() < LAST_SECONDS:
            facts["not_looked_at"] = sum(not one.excluded for one in climb.folders) - position
            break
        row, told = known.get(index_of(climb, folder.raw_name)), climb.figures.get(folder.raw_name)
        if told is None:
            continue  # it refuses to open, as another probe says
        if row is None or row.uidvalidity is None:
            facts["never_synced"] += 1
        elif is_renumbered(row, told):
            facts["renumbered"] += 1
        else:
            figures = _compared(_uids(climb, folder.raw_name), ledger.live_uids(row))
            facts["folders"] += 1
            for name, count in zip(FIGURES, figures, strict=True):
                facts[name] += count
            if any(figures[1:]) and len(differing) < MOST_TOLD:
                differing[reference(climb, folder, row)] = list(figures)
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
