"""Which extensions the server names, and whether those that only read really work."""

import re
import zlib

from accounts.errors import ErrorType, SyncError
from diagnostics.probing.climb import Climb
from diagnostics.probing.dialogue import Dialogue
from diagnostics.probing.probe import Told, not_offered, ok, skipped, warning
from mail.imap_text import enables_qresync, flat, folder_status, searched

CRITERIA = (b"ARRIVAL", b"DATE", b"FROM", b"SIZE", b"SUBJECT")  # of RFC 5256, those that people sort by
ALGORITHMS = (b"REFERENCES", b"ORDEREDSUBJECT", b"REFS")
SORTED_LAST = 100
MOST_CONNECTIONS = 10
FEW_CONNECTIONS = 3
_TOO_MANY = (ErrorType.TOO_MANY_CONNECTIONS, ErrorType.THROTTLED)


def condstore(climb: Climb) -> Told:
    if not climb.offers & {b"CONDSTORE", b"QRESYNC"}:
        return not_offered()
    name, line = climb.folder_with_mail() or b"INBOX", climb.session()
    told = line.examine(name, b" (CONDSTORE)")
    if not told.get("highestmodseq"):
        return warning("no_modseq")
    if told.get("exists"):
        line.ask(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {told['highestmodseq']})".encode())
    return ok()


def qresync(climb: Climb) -> Told:
    if b"QRESYNC" not in climb.offers:
        return not_offered()
    line = climb.unselected()
    if not any(enables_qresync(flat(answer)) for answer in line.ask(b"ENABLE QRESYNC")):
        raise SyncError(ErrorType.PROTOCOL_ERROR, missing="ENABLED")
    name = climb.folder_with_mail() or b"INBOX"
    told = climb.figures.get(name, {})
    modseq = told.get("highestmodseq") or 1
    line.examine(name, f" (QRESYNC ({told.get('uidvalidity', 1)} {modseq}))".encode())
    return ok()


def esearch(climb: Climb) -> Told:
    if b"ESEARCH" not in climb.offers:
        return not_offered()
    line = climb.opened(climb.folder_with_mail() or b"INBOX")
    answers = [searched(flat(answer)) for answer in line.ask(b"UID SEARCH RETURN (ALL) ALL")]
    return _shown(any(uids is not None for uids in answers), "ESEARCH")


def list_status(climb: Climb) -> Told:
    if b"LIST-STATUS" not in climb.offers:
        return not_offered()
    answers = climb.session().ask(b'LIST "" "INBOX" RETURN (STATUS (MESSAGES UIDNEXT UIDVALIDITY))')
    return _shown(any(folder_status(flat(answer)) for answer in answers), "STATUS")


def objectid(climb: Climb) -> Told:
    if b"OBJECTID" not in climb.offers:
        return not_offered()
    answers = climb.session().ask(b"STATUS INBOX (MAILBOXID)")
    return _shown(any(re.search(rb"\bMAILBOXID \(", flat(answer), re.I) for answer in answers), "MAILBOXID")


def idle(climb: Climb) -> Told:
    if b"IDLE" not in climb.offers:
        return not_offered()
    climb.opened(climb.folder_with_mail() or b"INBOX").idle()
    return ok()


def move(climb: Climb) -> Told:
    """Only read from the list: to try it would change the mailbox."""
    return ok(tried=False) if b"MOVE" in climb.offers else not_offered()


def sort(climb: Climb) -> Told:
    if b"SORT" not in climb.offers:
        return not_offered()
    if (name := climb.folder_with_mail()) is None:
        return skipped("no_mail")
    line, last = climb.opened(name), _last(climb, name)
    for criterion in CRITERIA:
        answers = [flat(a) for a in line.ask(b"UID SORT (" + criterion + b") UTF-8 " + last)]
        _shown(any(text[:4].upper() == b"SORT" for text in answers), "SORT")
    return ok(criteria=len(CRITERIA))


def thread(climb: Climb) -> Told:
    algorithms = [word for word in ALGORITHMS if b"THREAD=" + word in climb.offers]
    if not algorithms:
        return not_offered()
    if (name := climb.folder_with_mail()) is None:
        return skipped("no_mail")
    line, last = climb.opened(name), _last(climb, name)
    for algorithm in algorithms:
        answers = [flat(a) for a in line.ask(b"UID THREAD " + algorithm + b" UTF-8 " + last)]
        _shown(any(text[:6].upper() == b"THREAD" for text in answers), "THREAD")
    return ok(algorithms=len(algorithms))


def _last(climb: Climb, name: bytes) -> bytes:
    exists = climb.figures[name]["exists"]
    return f"{max(1, exists - SORTED_LAST + 1)}:{exists}".encode()


def _shown(worked: bool, what: str) -> Told:
    if not worked:
        raise SyncError(ErrorType.PROTOCOL_ERROR, missing=what)
    return ok()


def connections(climb: Climb) -> Told:
    """How many at a time; they are closed when this probe ends."""
    if not climb.ask_connections:
        return skipped("not_asked")
    climb.session()
    allowed = 1
    while allowed < MOST_CONNECTIONS:
        try:
            climb.another()
        except SyncError as error:
            if error.error_type not in _TOO_MANY:
                raise
            return _limit(allowed, error)
        allowed += 1
    return ok(allowed=allowed, limit_reached=False)


def _limit(allowed: int, error: SyncError) -> Told:
    facts = {"allowed": allowed, "limit_reached": True, "error": str(error.error_type)}
    return warning("few_connections", **facts) if allowed < FEW_CONNECTIONS else ok(**facts)


def utf8(climb: Climb) -> Told:
    if b"UTF8=ACCEPT" not in climb.offers:
        return not_offered()
    answers = [flat(answer).upper() for answer in climb.another().ask(b"ENABLE UTF8=ACCEPT")]
    return _shown(any(a[:7] == b"ENABLED" and b"UTF8=ACCEPT" in a for a in answers), "ENABLED")


def compress(climb: Climb) -> Told:
    """What follows OK is deflated both ways (RFC 4978)."""
    if b"COMPRESS=DEFLATE" not in climb.offers:
        return not_offered()
    line = climb.another()
    line.ask(b"COMPRESS DEFLATE")
    return _shown(_deflated_noop(line), "COMPRESS")


def _deflated_noop(line: Dialogue) -> bool:
    deflate = zlib.compressobj(wbits=-15)
    said = deflate.compress(b"PZ NOOP\r\n") + deflate.flush(zlib.Z_SYNC_FLUSH)
    answer = line.exchange_raw(said, lambda heard: b"PZ " in _inflated(heard))
    return b"PZ OK" in _inflated(answer)


def _inflated(raw: bytes) -> bytes:
    """Of a bomb only the beginning."""
    try:
        return zlib.decompressobj(wbits=-15).decompress(raw, 65_536)
    except zlib.error as error:
        raise ValueError("what is called deflated is not") from error
