"""The grammar of what we send and of what servers answer. Pure.

An answer comes in pieces, text and literals in turn; `flat` makes one text of it, its literals quoted.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice

from imapclient.datetime_util import parse_to_datetime
from imapclient.imap_utf7 import decode as decode_modified_utf7

from mail.models import SystemFlag
from mail.parcels import Flags, FolderStatus, ListedFolder, Metadata
from mail.uid_set import MAX_UID, UidSet

MAX_SIZE = 2**40  # a sum of millions stays within the database's integers
MAX_WORDS, MAX_WORD = 200, 255
CACHED_BYTES = 500

_SYSTEM_FLAGS = {f"\\{flag.name.lower()}".encode(): flag.value for flag in SystemFlag}
# Possessive, for a server may send 16 MB of anything: with backtracking 100 kB of "FLAGS (" took 8 s.
_QUOTED = rb'"((?:[^"\\]++|\\.)*+)"'
_LIST = re.compile(rb"LIST \(([^)]*)\) (?:NIL|" + _QUOTED + rb") (?:" + _QUOTED + rb"|(\S+))", re.I | re.S)
_STATUS = re.compile(rb"STATUS (?:" + _QUOTED + rb"|(\S+)) \(([^)]*)\)", re.I | re.S)
_STATUS_ITEM = re.compile(rb"(MESSAGES|UIDNEXT|UIDVALIDITY|HIGHESTMODSEQ) (\d{1,20})", re.I)
_FETCH = re.compile(rb"\d{1,10} FETCH \(", re.I)
_PLAIN_FLAGS = re.compile(
    rb"\d{1,10} FETCH \(UID (\d{1,10}) FLAGS \(([^()]*)\)(?: MODSEQ \(\d{1,20}\))?\)", re.I
)
_UID = re.compile(rb"\bUID (\d{1,10})\b", re.I)
_FLAGS = re.compile(rb"\bFLAGS \(([^()]*+)\)", re.I)
_LABELS = re.compile(rb"\bX-GM-LABELS \(((?:" + _QUOTED + rb'|[^()"\\]++|\\(?!"))*+)\)', re.I | re.S)
_LABEL = re.compile(_QUOTED + rb"|([^\s\"]+)", re.S)
_SIZE = re.compile(rb"\bRFC822\.SIZE (\d{1,18})\b", re.I)
_INTERNAL_DATE = re.compile(rb'\bINTERNALDATE "([^"]+)"', re.I)
_OBJECT_ID = re.compile(rb"\bEMAILID \(([A-Za-z0-9_-]{1,255})\)|\bX-GM-MSGID (\d{1,20})\b", re.I)
_CODE = re.compile(rb"OK \[(?P<name>UIDVALIDITY|UIDNEXT|HIGHESTMODSEQ) (?P<number>\d{1,20})\]", re.I)
_EXISTS = re.compile(rb"(?P<number>\d{1,20}) (?P<name>EXISTS)$", re.I)
_VANISHED = re.compile(rb"VANISHED (?:\(EARLIER\) )?([\d:,]+)$", re.I)
_ESEARCH = re.compile(rb"ESEARCH\b.* ALL ([\d:,]+)", re.I)
_SECTIONS = {
    b"": re.compile(rb"\bBODY\[\] ", re.I),
    b"HEADER": re.compile(rb"\bBODY\[HEADER\](?:<0>)? ", re.I),
}
_INLINE = re.compile(_QUOTED, re.S)


def quotable(text: bytes) -> bool:
    """Whether a quoted string can carry this; what it cannot would end the command and begin another."""
    return not set(text) & set(b"\r\n\0")


def quoted(text: bytes) -> bytes:
    return b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def unquoted(text: bytes) -> bytes:
    return b"\\".join(part.replace(b"\\", b"") for part in text.split(b"\\\\"))


def flat(answer: tuple[bytes, ...]) -> bytes:
    """An answer as one text, each literal as a quoted string."""
    if len(answer) == 1:
        return answer[0]
    return b"".join(quoted(piece) if position % 2 else piece for position, piece in enumerate(answer))


def uid_sets(uids: Iterable[int], longest: int = 4_000) -> Iterator[str]:
    """UID sets that hold all of these, each short enough for a command line (8,192 octets, RFC 7162)."""
    parts, length = [], 0
    for part in filter(None, str(UidSet.of(uids)).split(",")):
        if parts and length + len(part) > longest:
            yield ",".join(parts)
            parts, length = [], 0
        parts.append(part)
        length += len(part) + 1
    if parts:
        yield ",".join(parts)


def listed_folder(text: bytes) -> ListedFolder | None:
    """Of a LIST answer; None for any other."""
    if not (found := _LIST.match(text)):
        return None
    raw_name = _identity(found[4] if found[3] is None else unquoted(found[3]))
    delimiter = unquoted(found[2] or b"").decode("ascii", "replace")
    flags = frozenset(found[1].decode("ascii", "replace").lower().split())
    return ListedFolder(raw_name, display_name(raw_name), delimiter, flags)


def _identity(raw_name: bytes) -> bytes:
    """INBOX is one folder whatever its case (RFC 9051 section 5.1)."""
    return b"INBOX" if raw_name.upper() == b"INBOX" else raw_name


def display_name(raw_name: bytes) -> str:
    """The name for people; what could act on a terminal is shown escaped."""
    try:
        name = decode_modified_utf7(raw_name) if raw_name.isascii() else raw_name.decode()
    except (ValueError, AttributeError, IndexError):
        name = raw_name.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def folder_status(text: bytes) -> tuple[bytes, FolderStatus] | None:
    """Name and figures of a STATUS answer; None for any other. A HIGHESTMODSEQ of 0 says that it has none."""
    if not (found := _STATUS.match(text)):
        return None
    raw_name = _identity(found[2] if found[1] is None else unquoted(found[1]))
    figures = {item.lower().decode(): int(value) for item, value in _STATUS_ITEM.findall(found[3])}
    if not figures.get("highestmodseq"):
        figures.pop("highestmodseq", None)
    return raw_name, FolderStatus(**{item: value for item, value in figures.items() if value < 2**63})


def enables_qresync(text: bytes) -> bool:
    words = text.upper().split()
    return words[:1] == [b"ENABLED"] and b"QRESYNC" in words


def is_fetch(text: bytes) -> bool:
    return _FETCH.match(text) is not None


def examined(text: bytes) -> tuple[str, int] | None:
    """What one answer to EXAMINE tells in numbers: exists, uidvalidity, uidnext or highestmodseq."""
    if not (found := _EXISTS.match(text) or _CODE.match(text)):
        return None
    number = int(found["number"])
    return (found["name"].decode().lower(), number) if number < 2**63 else None


def vanished(text: bytes) -> UidSet | None:
    """Of a VANISHED answer (RFC 7162); None for any other."""
    found = _VANISHED.match(text)
    return UidSet.parsed(found[1]) if found else None


def searched(text: bytes) -> UidSet | None:
    """Of an ESEARCH answer (RFC 4731), which has no ALL where nothing was found; None for any other."""
    if text[:7].upper() != b"ESEARCH":
        return None
    found = _ESEARCH.match(text)
    return UidSet.parsed(found[1]) if found else UidSet()


def uid_and_flags(text: bytes) -> tuple[int | None, Flags | None]:
    """Of a FETCH answer; a UID is a number from 1 to 2³² - 1 (RFC 9051 section 2.3.1.1)."""
    if plain := _PLAIN_FLAGS.fullmatch(text):
        return _checked(int(plain[1])), _flags(plain[2], None)
    labels = _LABELS.search(text)
    rest = _LABELS.sub(b"", text)
    found = _FLAGS.search(rest)
    flags = _flags(found[1], labels and labels[1]) if found else None
    return _uid(_FLAGS.sub(b"", rest)), flags


def uid_and_metadata(text: bytes) -> tuple[int | None, Metadata]:
    size, object_id = _SIZE.search(text), _OBJECT_ID.search(text)
    name = (object_id[1] or object_id[2]).decode() if object_id else None
    return _uid(text), Metadata(min(int(size[1]), MAX_SIZE) if size else None, _internal_date(text), name)


def uid_and_section(answer: tuple[bytes, ...], section: bytes) -> tuple[int | None, bytes | None]:
    """UID and content of BODY[section] of a FETCH answer; None for what is missing or NIL."""
    texts = answer[::2]
    if not is_fetch(texts[0]):
        return None, None
    content, around = None, []
    for position, text in enumerate(texts):
        found = _SECTIONS[section].search(text)
        inline = _INLINE.match(text, found.end()) if found else None
        if inline:
            content = unquoted(inline[1])
            text = text[: inline.start()] + text[inline.end() :]  # a mail may say "UID 1"
        elif found and found.end() == len(text) and position + 1 < len(texts):
            content = answer[2 * position + 1]
        around.append(text)
    return _uid(b" ".join(around)), content


def _uid(text: bytes) -> int | None:
    found = _UID.search(text)
    return _checked(int(found[1])) if found else None


def _checked(uid: int) -> int | None:
    return uid if 0 < uid <= MAX_UID else None


def forget_words() -> None:
    """Keywords and labels of the last answers; they are a person's."""
    _few_flags.cache_clear()


def _flags(text: bytes, labels: bytes | None) -> Flags:
    short = len(text) + len(labels or b"") < CACHED_BYTES
    return _few_flags(text, labels) if short else _few_flags.__wrapped__(text, labels)


@lru_cache(maxsize=4096)
def _few_flags(text: bytes, labels: bytes | None) -> Flags:
    words = {word for word in text.split() if word.lower() != b"\\recent"}
    system = sum({_SYSTEM_FLAGS.get(word.lower(), 0) for word in words})
    custom = {word for word in words if word.lower() not in _SYSTEM_FLAGS}
    named = (
        None
        if labels is None
        else _words(unquoted(name) if name else atom for name, atom in _LABEL.findall(labels))
    )
    return Flags(system, _words(custom), named)


def _words(words: Iterable[bytes]) -> tuple[str, ...]:
    """Sorted, and no more than a person can have meant; Gmail writes labels as folder names."""
    return tuple(sorted({display_name(word[:MAX_WORD]) for word in islice(words, MAX_WORDS)}))


def _internal_date(text: bytes) -> datetime | None:
    found = _INTERNAL_DATE.search(text)
    try:
        date = parse_to_datetime(found[1], normalise=False).astimezone(UTC) if found else None
    except (ValueError, OverflowError):
        return None
    return date if date and 1970 <= date.year <= 2200 else None
