"""The MIME tree of a mail as its leaves; fast-mail-parser takes it apart, else the standard library."""

import re
from collections.abc import Callable, Iterator
from email import message_from_bytes
from email.policy import Compat32
from functools import partial
from itertools import islice, pairwise

from fast_mail_parser import ParseError, parse_email_tree

from mail.headers import MAX_HEADER, clean, decoded, head_end
from mail.leaf import HELD, Leaf

MAX_HEAD = 64 * 1024
MAX_CONTAINERS = 1000
MAX_PARTS = 100_000
MAX_BOUNDARIES = 20
MAX_FOLDS = 100_000
MAX_FIELD_FOLDS = 1000
MAX_WORDS = 10_000
MAX_STANDARD = 32 * 1024 * 1024
MAX_STANDARD_LINES = 1_000_000

ENCODING = "content-transfer-encoding"

_CONTENT_FIELD = re.compile(rb"^content-[a-z-]{1,30}:[^\r\n]*+(?:\r*+\n[ \t][^\r\n]*+)*+", re.I | re.M)
_BOUNDARY = re.compile(rb'boundary\s*=\s*(?:"([^"\r\n]{1,998})"|([^\s;"]{1,998}))', re.I)
_FOLDS = re.compile(rb"(?:\n[ \t][^\n]*+){2,}+")
_EDGE_END = re.compile(rb"(?:--)?[ \t]*\r*(?:\n|\Z)")


class Unparseable(ValueError):
    """The bytes cannot be taken apart: nested too deep, over 100 MiB, or refused by both parsers."""


def leaves(raw: bytes) -> list[Leaf]:
    """Every leaf in the order of the mail. An embedded message is one leaf. Raises Unparseable."""
    guarded, boundaries = _guarded(_small_head(raw))
    refusal = None
    try:
        found = list(_fast_leaves(guarded))
    except ParseError as error:
        found, refusal = [], error
    if refusal or not found or _misread(guarded, boundaries):
        try:
            return list(_standard_leaves(guarded, len(boundaries)))
        except (Unparseable, RecursionError) as error:
            if not refusal:
                return found
            raise Unparseable(str(refusal)) from error
    return found


def _small_head(raw: bytes) -> bytes:
    end = head_end(raw)
    if end < MAX_HEAD:
        return raw
    kept = islice(_CONTENT_FIELD.finditer(raw, 0, end), MAX_BOUNDARIES)
    return b"".join(field[0][:MAX_HEADER] + b"\r\n" for field in kept) + b"\r\n" + raw[end:]


def _guarded(raw: bytes) -> tuple[bytes, list[bytes]]:
    """The mail with what the library does badly held off it, and the boundaries declared in it.

    Measured: it decodes leniently written base64 not at all and drops 8-bit bytes out of quoted-printable,
    so decoding is ours. It copies an embedded message per level (5 MB, 100 deep: 970 MB), overruns the
    stack at 50,000 levels, needs 2.6 GB for 5 million parts and quadratic time for encoded words without
    an end (2 MB: 50 s).
    """
    small = raw.lower()
    declared = list(_places(small, b"boundary", 0))
    held = [
        *_places(small, ENCODING.encode() + b":", len(ENCODING)),
        *_places(small, b"message/", 0),
        *_places(small, b"multipart/digest", 10),
        *(place + 4 for place in declared[MAX_CONTAINERS:]),
    ]
    found = [match for place in declared[:MAX_CONTAINERS] if (match := _BOUNDARY.match(raw, place))]
    cuts = [0, *sorted(held), len(raw)]
    raw = HELD.join(raw[start:end] for start, end in pairwise(cuts))
    boundaries = list(dict.fromkeys(match[1] or match[2] for match in found))
    if len(raw) > MAX_FOLDS and raw.count(b"\n ") + raw.count(b"\n\t") > MAX_FOLDS:
        raw = _FOLDS.sub(_held_folds, raw)
    if len(raw) > MAX_WORDS and raw.count(b"=?") > MAX_WORDS:
        raw = _held_after(raw, b"=?", MAX_WORDS)
    if len(raw) > MAX_PARTS and _edges(raw, boundaries) > MAX_PARTS:
        raw = _held_after(raw, b"--", MAX_PARTS)
    return raw, boundaries


def _held_after(raw: bytes, word: bytes, limit: int) -> bytes:
    *left, rest = raw.split(word, limit)
    return word.join([*left, rest.replace(word, word[:1] + HELD + word[1:])])


def _held_folds(run: re.Match) -> bytes:
    return _held_after(run[0], b"\n", MAX_FIELD_FOLDS) if run[0].count(b"\n") > MAX_FIELD_FOLDS else run[0]


def _edges(raw: bytes, boundaries: list[bytes]) -> int:
    if len(boundaries) > MAX_BOUNDARIES:
        return raw.count(b"--")
    return sum(raw.count(b"--" + boundary) for boundary in boundaries)


def _places(small: bytes, word: bytes, offset: int) -> Iterator[int]:
    place = small.find(word)
    while place >= 0:
        yield place + offset
        place = small.find(word, place + len(word))


def _misread(raw: bytes, boundaries: list[bytes]) -> bool:
    """Whether a boundary stands where it bounds nothing: the library takes "--ab" or "x--a" for "--a"."""
    for boundary in boundaries[:MAX_BOUNDARIES]:
        edge = b"--" + boundary
        for place in _places(raw, edge, 0):
            if raw[place - 1 : place] != b"\n" or not _EDGE_END.match(raw, place + len(edge)):
                return True
    return False


def _fast_leaves(raw: bytes) -> Iterator[Leaf]:
    root = parse_email_tree(raw, mode="lazy")
    pending = [(root, "")]
    while pending:
        part, inside = pending.pop()
        kind = _kind(part.content_type)
        if kind.startswith("multipart/"):
            pending.extend((child, kind) for child in reversed(part.children))
        else:
            headers = {name.lower(): values[0] for name, values in part.headers.items()}
            encoded = partial(_content, part)
            yield _leaf(kind, inside, headers, encoded, part is root)


def _content(part) -> bytes:
    return part.content or b""


def _standard_leaves(raw: bytes, boundaries: int) -> Iterator[Leaf]:
    # It looks at every line once per open container, and keeps each as an object of its own.
    lines = max(raw.count(b"\n"), raw.count(b"\r"))
    looks = max(lines, lines * boundaries // 10)
    if len(raw) > MAX_STANDARD or looks > MAX_STANDARD_LINES:
        raise Unparseable("too much for the slower parser")
    root = message_from_bytes(raw, policy=_Plain())
    pending = [(root, "")]
    while pending:
        part, inside = pending.pop()
        kind = _kind(part.get("content-type", "text/plain").partition(";")[0])
        if part.is_multipart():
            pending.extend((child, kind) for child in reversed(part.get_payload()))
        else:
            headers = {name.lower(): value for name, value in reversed(part.items())}
            kind = "text/plain" if kind.startswith("multipart/") else kind
            encoded = partial(part.get_payload, decode=True)
            yield _leaf(kind, inside, headers, encoded, part is root)


def _leaf(
    kind: str, inside: str, headers: dict[str, str], encoded: Callable[[], bytes], is_root: bool
) -> Leaf:
    type_header = _released(headers.get("content-type", ""))
    disposition = _released(headers.get("content-disposition", ""))
    if inside == "multipart/digest" and not type_header:
        kind = "message/rfc822"  # RFC 2046 section 5.1.5
    content_id = clean(_released(headers.get("content-id", ""))).strip("<>")
    encoding = headers.get(ENCODING + HELD.decode(), "").partition(";")[0].strip().lower()
    return Leaf(kind, type_header, disposition, content_id, encoding, encoded, is_root)


def _released(text: str) -> str:
    return text[:MAX_HEADER].replace(HELD.decode(), "")


def _kind(content_type: str) -> str:
    return clean(_released(content_type)).lower()


class _Plain(Compat32):
    """Header values as strings, none longer than we read: get_params is quadratic in their length."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, _, value = sourcelines[0].partition(":")
        value = "".join([value, *sourcelines[1:]])[:MAX_HEADER]
        unfolded = value.lstrip(" \t").replace("\r", "").replace("\n", "")
        return name, decoded(unfolded.encode("ascii", "surrogateescape"))

    def header_fetch_parse(self, name: str, value: str) -> str:
        return value
