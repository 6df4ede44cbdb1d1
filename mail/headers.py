"""Header fields decoded: words (RFC 2047), addresses, dates (RFC 5322). Nothing in them raises or hangs."""

import re
from datetime import UTC, datetime
from email._parseaddr import AddressList  # getaddresses may drop a whole header for one odd address
from email.errors import HeaderParseError
from email.header import decode_header
from email.utils import parsedate_to_datetime

from mail.parcels import Address

MAX_ADDRESSES = 100
MAX_HEADER = 20_000
MAX_NAME = 255

_FIELD = re.compile(
    rb"^(from|to|cc|subject|date|message-id)[ \t]*:([^\r\n]*+(?:\r*+\n[ \t][^\r\n]*+)*+)", re.I | re.M
)
_WORD = r"=\?[a-zA-Z0-9_.:+*-]{1,60}\?[bBqQ]\?[ -~]*?\?="
_WORDS = re.compile(rf"{_WORD}(?:\s*{_WORD})*")
_PHRASE = re.compile(r'(?<![^,;:])(?:[^",;:<>()\\@]{1,60},)?[^",;:<>()\\]{1,100}(?=<)')
_MAILBOX = re.compile(
    r'[ \t]*+(?:"([^"\\\r\n]*+)"|([A-Za-z0-9=?_ -]*+))[ \t]*+'
    r"<([A-Za-z0-9_+-]++(?:\.[A-Za-z0-9_+-]++)*+@[A-Za-z0-9-]++(?:\.[A-Za-z0-9-]++)*+)>[ \t]*+(?:,|\Z)"
)
_INVISIBLE = re.compile(
    r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_MEANT = {"gb2312": "gb18030", "gbk": "gb18030", "iso-8859-1": "cp1252", "latin1": "cp1252"}
# Python codecs that are no charset of any mail; punycode takes quadratic time.
_NO_CHARSETS = {
    "",
    "us-ascii",
    "ascii",
    "punycode",
    "idna",
    "undefined",
    "unicode_escape",
    "raw_unicode_escape",
}


def fields(raw: bytes) -> dict[str, str]:
    """The first of each field an Envelope needs, by its name in small letters."""
    found: dict[str, str] = {}
    for match in _FIELD.finditer(raw, 0, head_end(raw)):
        name, value = match[1].decode("ascii").lower(), match[2][:MAX_HEADER]
        if name not in found:
            found[name] = decoded(re.sub(rb"\r*\n", b"", value) if b"\n" in value else value)
    return found


def head_end(raw: bytes) -> int:
    end = re.search(rb"\n\r*\n", raw)
    return end.end() if end else len(raw)


def decoded(data: bytes, charset: str = "") -> str:
    charset = _MEANT.get(charset.lower(), charset.lower())
    declared = [] if charset in _NO_CHARSETS else [(charset, "strict")]
    replacing = [(name, "replace") for name, _ in declared]
    for name, errors in (*declared, ("utf-8", "strict"), *replacing):
        try:
            return data.decode(name, errors)
        except (LookupError, ValueError):  # ValueError: a NUL in the charset's name
            continue
    return data.decode("cp1252", "replace")


def clean(text: str) -> str:
    return " ".join((text if text.isprintable() else _INVISIBLE.sub("", text)).split())


def unworded(text: str) -> str:
    return _WORDS.sub(_run_of_words, text[:MAX_HEADER])


def _run_of_words(words: re.Match) -> str:
    """Adjacent words are joined as bytes first: many senders cut inside a character."""
    try:
        chunks = decode_header(words[0])
    except HeaderParseError:
        return words[0]
    return "".join(
        chunk if isinstance(chunk, str) else decoded(chunk, (charset or "").partition("*")[0])
        for chunk, charset in chunks
    )


def addresses(header: str) -> tuple[Address, ...]:
    if not header:
        return ()
    if len(header) >= MAX_HEADER:
        header = header.rpartition(",")[0]
    kept: list[Address] = []
    for name, email in _plain_pairs(header) or _pairs(header):
        if "@" in email:
            shown = clean(unworded(name))
            kept.append(Address("" if shown == email else shown[:MAX_NAME], clean(email)[:MAX_NAME]))
    return tuple(kept[:MAX_ADDRESSES])


def _plain_pairs(header: str) -> list[tuple[str, str]]:
    """Most headers, read five times as fast; [] where any mailbox is written in another way."""
    pairs, end = [], 0
    while end < len(header):
        mailbox = _MAILBOX.match(header, end)
        if not mailbox:
            return []
        pairs.append((mailbox[1] or mailbox[2] or "", mailbox[3]))
        end = mailbox.end()
    return pairs


def _pairs(header: str) -> list[tuple[str, str]]:
    for nesting in "(:":  # AddressList recurses on both
        if header.count(nesting) > MAX_ADDRESSES:
            header = header.replace(nesting, " ")
    return AddressList(_PHRASE.sub(_quoted, header)).addresslist


def _quoted(phrase: re.Match) -> str:
    """A name with a comma or a special in it, written without the quotes RFC 5322 section 3.4 wants."""
    return f' "{phrase[0].strip()}" ' if re.search(r"[@,\[\]]", phrase[0]) else phrase[0]


def date(header: str) -> datetime | None:
    text = re.sub(r":60\b", ":59", clean(header[:MAX_NAME]))  # a leap second, RFC 5322 section 3.3
    try:
        sent = parsedate_to_datetime(text)
        return (sent if sent.tzinfo else sent.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def message_id(header: str) -> str:
    bracketed = re.search(r"<([^<>]*)>", header)
    return clean(bracketed[1] if bracketed else header)
