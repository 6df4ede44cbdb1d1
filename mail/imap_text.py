"""The grammar of what we send and of the answers that IMAPClient does not read for us. Pure."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from imapclient.datetime_util import parse_to_datetime
from imapclient.imap_utf7 import decode as decode_modified_utf7

from mail.models import SystemFlag
from mail.parcels import Flags, ListedFolder, Metadata

_SYSTEM_FLAGS = {f"\\{flag.name.lower()}".encode(): flag.value for flag in SystemFlag}
_UID = re.compile(rb"\bUID (\d{1,10})\b", re.I)
_FLAGS = re.compile(rb"\bFLAGS \(([^)]*)\)", re.I)
_SIZE = re.compile(rb"\bRFC822\.SIZE (\d{1,18})\b", re.I)
_INTERNAL_DATE = re.compile(rb'\bINTERNALDATE "([^"]+)"', re.I)
_MESSAGES = re.compile(rb"\bMESSAGES (\d{1,10})\b", re.I)


def quotable(text: bytes) -> bool:
    """Whether a quoted string can carry this; what it cannot would end the command and begin another."""
    return not set(text) & set(b"\r\n\0")


def quoted(text: bytes) -> bytes:
    return b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def uid_set_of(uids: Iterable[int]) -> str:
    """RFC 9051 sequence-set: 1,2,3,7 becomes 1:3,7."""
    ranges: list[list[int]] = []
    for uid in sorted(uids):
        if ranges and uid == ranges[-1][1] + 1:
            ranges[-1][1] = uid
        else:
            ranges.append([uid, uid])
    return ",".join(str(a) if a == b else f"{a}:{b}" for a, b in ranges)


def joined(line: bytes | tuple[bytes, ...]) -> bytes:
    """One answer of imaplib, which gives a tuple where a literal was in it."""
    return b" ".join(line) if isinstance(line, tuple) else line


def listed_folder(flags, delimiter, raw_name) -> ListedFolder:
    # IMAPClient makes a number of a name such as 2025 and None of one called NIL.
    raw = b"NIL" if raw_name is None else raw_name if isinstance(raw_name, bytes) else str(raw_name).encode()
    words = frozenset(flag.decode("ascii", "replace").lower() for flag in flags)
    return ListedFolder(raw, display_name(raw), (delimiter or b"").decode("ascii", "replace"), words)


def display_name(raw_name: bytes) -> str:
    """The name for people; what could act on a terminal is shown escaped."""
    try:
        name = decode_modified_utf7(raw_name) if raw_name.isascii() else raw_name.decode()
    except (ValueError, AttributeError, IndexError):
        name = raw_name.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def status_messages(line: bytes) -> int | None:
    found = _MESSAGES.search(line)
    return int(found[1]) if found else None


def uid_and_flags(line: bytes) -> tuple[int | None, Flags | None]:
    """Of a FETCH answer; a UID is a number from 1 to 2³² - 1 (RFC 9051 section 2.3.1.1)."""
    found = _FLAGS.search(line)
    return _uid(_FLAGS.sub(b"", line)), _flags(found[1]) if found else None


def uid_and_metadata(line: bytes) -> tuple[int | None, Metadata]:
    size = _SIZE.search(line)
    return _uid(line), Metadata(int(size[1]) if size else None, _internal_date(line))


def _uid(line: bytes) -> int | None:
    found = _UID.search(line)
    uid = int(found[1]) if found else 0
    return uid if 0 < uid < 2**32 else None


def _flags(text: bytes) -> Flags:
    words = {word for word in text.split() if word.lower() != b"\\recent"}
    system = sum({_SYSTEM_FLAGS.get(word.lower(), 0) for word in words})
    custom = {word for word in words if word.lower() not in _SYSTEM_FLAGS}
    return Flags(system, tuple(sorted(word.decode("utf-8", "backslashreplace") for word in custom)))


def _internal_date(line: bytes) -> datetime | None:
    found = _INTERNAL_DATE.search(line)
    try:
        date = parse_to_datetime(found[1], normalise=False).astimezone(UTC) if found else None
    except (ValueError, OverflowError):
        return None
    return date if date and 1970 <= date.year <= 2200 else None
