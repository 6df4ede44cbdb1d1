"""Raw bytes of one mail in, its Envelope out: no I/O, and no mail content may break it."""

import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from datetime import UTC, datetime
from email._parseaddr import AddressList  # getaddresses may drop a whole header for one odd address
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser

from fast_mail_parser import DecodeError, ParseError, parse_email_tree

from mail.parcels import Address, Envelope

MAX_ADDRESSES = 100
MAX_HEADER = 20_000
MAX_LINE = 998
MAX_NAMES = 100
MAX_NAME = 255
MAX_BODY = 512 * 1024
MAX_TEXT = 64 * 1024
MAX_TEXT_PARTS = 5
SNIPPET = 200
SNIPPET_SOURCE = 20 * SNIPPET

_FIELD = re.compile(
    rb"^(from|to|cc|subject|date|message-id)[ \t]*:([^\r\n]*(?:\r*\n[ \t][^\r\n]*)*)", re.I | re.M
)
_WORD = r"=\?[a-zA-Z0-9_.:+*-]{1,60}\?[bBqQ]\?[ -~]*?\?="
_WORDS = re.compile(rf"{_WORD}(?:\s*{_WORD})*")
_PHRASE = re.compile(r'(?<![^,;:])(?:[^",;:<>()\\@]{1,60},)?[^",;:<>()\\]{1,100}(?=<)')
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([a-z0-9_.:+-]{1,40})", re.I)
_BASE64 = re.compile(rb"^(content-transfer-encoding[ \t]*:\s*)base64", re.I | re.M)
_EMBEDDED = re.compile(rb"/(?<=(?i:message/))(?i:rfc)822")
_UUENCODED = re.compile(r"^begin [0-7]{3,4} ([^\r\n]{1,200})\r?\n(?=[!-`])", re.M)
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
_HIDDEN = (
    (re.compile(r"<!--"), re.compile(r"-->")),
    (re.compile(r"<(?:style|script|title)\b", re.I), re.compile(r"</(?:style|script|title)\s*>", re.I)),
)
_TAG = re.compile(
    r"""<(?:[!?][^<>]*+>|(/?[a-zA-Z][a-zA-Z0-9]{0,20})\b(?:[^<>"']++|"[^"<]*+"|'[^'<]*+'|["'])*+>)?"""
)
_INLINE = {
    "a",
    "abbr",
    "b",
    "big",
    "em",
    "font",
    "i",
    "mark",
    "s",
    "small",
    "span",
    "strong",
    "sub",
    "sup",
    "u",
}


class Unparseable(ValueError):
    """The bytes cannot be taken apart: nested over 255 deep, or over 100 MiB."""


def parse_message(raw: bytes) -> Envelope:
    """The Envelope of one RFC 5322 message; what is missing or broken in it is "", () or None.

    Headers follow RFC 2047, file names RFC 2231, text is decoded as MIME (RFC 2045) says.
    Every string is free of line breaks and control characters. Raises Unparseable, nothing else.
    """
    raw = _normal(raw)
    fields = _fields(raw)
    try:
        snippet, attachments = _body(raw)
    except ParseError as error:
        raise Unparseable(str(error)) from error
    return Envelope(
        subject=_clean(_unworded(fields.get("subject", "")))[:MAX_LINE],
        sender=_addresses(fields.get("from", "")),
        to=_addresses(fields.get("to", "")),
        cc=_addresses(fields.get("cc", "")),
        date=_date(fields.get("date", "")),
        message_id=_message_id(fields.get("message-id", "")),
        snippet=snippet,
        attachments=attachments,
    )


def _normal(raw: bytes) -> bytes:
    raw = raw.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")
    return raw if b"\n" in raw else raw.replace(b"\r", b"\n")


def _fields(raw: bytes) -> dict[str, str]:
    end = re.search(rb"\n\r*\n", raw)
    found: dict[str, str] = {}
    for match in _FIELD.finditer(raw, 0, end.end() if end else len(raw)):
        unfolded = re.sub(rb"\r*\n", b"", match[2][:MAX_HEADER])
        found.setdefault(match[1].decode("ascii").lower(), _decoded(unfolded))
    return found


def _decoded(data: bytes, charset: str = "") -> str:
    charset = _MEANT.get(charset.lower(), charset.lower())
    declared = [] if charset in _NO_CHARSETS else [charset]
    attempts = [(name, "strict") for name in [*declared, "utf-8"]]
    for name, errors in [*attempts, *((name, "replace") for name in declared)]:
        try:
            return data.decode(name, errors)
        except (LookupError, UnicodeError):
            continue
    return data.decode("cp1252", "replace")


def _clean(text: str) -> str:
    return " ".join(_INVISIBLE.sub("", text).split())


def _unworded(text: str) -> str:
    return _WORDS.sub(_run_of_words, text[:MAX_HEADER])


def _run_of_words(words: re.Match) -> str:
    """Adjacent words are joined as bytes first: many senders cut inside a character."""
    try:
        chunks = decode_header(words[0])
    except HeaderParseError:
        return words[0]
    return "".join(
        chunk if isinstance(chunk, str) else _decoded(chunk, (charset or "").partition("*")[0])
        for chunk, charset in chunks
    )


def _addresses(header: str) -> tuple[Address, ...]:
    if len(header) >= MAX_HEADER:
        header = header.rpartition(",")[0]
    for nesting in "(:":  # AddressList recurses on both
        if header.count(nesting) > MAX_ADDRESSES:
            header = header.replace(nesting, " ")
    kept: list[Address] = []
    for name, email in AddressList(_PHRASE.sub(_quoted, header)).addresslist:
        if "@" in email:
            shown = _clean(_unworded(name))
            kept.append(Address("" if shown == email else shown[:MAX_NAME], _clean(email)[:MAX_NAME]))
    return tuple(kept[:MAX_ADDRESSES])


def _quoted(phrase: re.Match) -> str:
    """A name with a comma or a special in it, written without the quotes RFC 5322 section 3.4 wants."""
    return f' "{phrase[0].strip()}" ' if re.search(r"[@,\[\]]", phrase[0]) else phrase[0]


def _date(header: str) -> datetime | None:
    text = re.sub(r":60\b", ":59", _clean(header[:MAX_NAME]))  # a leap second, RFC 5322 section 3.3
    try:
        date = parsedate_to_datetime(text)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _message_id(header: str) -> str:
    bracketed = re.search(r"<([^<>]*)>", header)
    return _clean(bracketed[1] if bracketed else header)[:MAX_LINE]


def _body(raw: bytes) -> tuple[str, tuple[str, ...]]:
    # Measured: the library keeps one copy per embedded message (5 MB, 100 deep: 970 MB) and needs
    # quadratic time for unended encoded words (2 MB: 50 s). _clean takes the NUL out again.
    raw = _EMBEDDED.sub(b"/\0rfc822", raw)
    if raw.count(b"=?") > 10_000:
        raw = raw.replace(b"=?", b"= ")
    try:
        return _parts(parse_email_tree(raw, mode="lazy"))
    except DecodeError:
        return _parts(parse_email_tree(_BASE64.sub(rb"\1x-base64", raw), mode="lazy"))


def _parts(root) -> tuple[str, tuple[str, ...]]:
    texts, files = [], []
    pending = [root]
    while pending:
        part = pending.pop()
        kind = _clean(part.content_type).lower()
        if kind.startswith("multipart/"):
            pending.extend(reversed(part.children))
        elif _is_text(part, kind) and (part is root or not part.filename):
            texts.append(part)
        elif len(files) < MAX_NAMES:
            files.append((_file_name(part) or kind)[:MAX_NAME])
    texts.sort(key=lambda part: part.content_type.lower() == "text/html")
    snippet, inside = _snippet(texts[:MAX_TEXT_PARTS])
    return snippet, tuple([*files, *inside][:MAX_NAMES])


def _is_text(part, kind: str) -> bool:
    readable = kind in ("text/plain", "text/html") or "/" not in kind  # RFC 2045 section 5.2
    return readable and (part.disposition or "").lower() != "attachment"


def _file_name(part) -> str:
    message = Message()
    for name in ("content-disposition", "content-type"):
        message[name] = _header(part, name)
    try:
        name = message.get_filename("")
    except (TypeError, ValueError):  # RFC 2231 sections numbered badly
        name = part.filename
    return _clean(_unworded(name))


def _snippet(parts: list) -> tuple[str, list[str]]:
    inside: list[str] = []
    for part in parts:
        text = _text(part)
        if part.content_type.lower() == "text/html":
            text = _readable(text)
        if "begin " in text:
            inside += [_clean(name)[:MAX_NAME] for name in _UUENCODED.findall(text)]
            text = _UUENCODED.split(text, maxsplit=1)[0]
        if shown := _clean(text[:SNIPPET_SOURCE]) or _clean(text):
            return shown[:SNIPPET].rstrip(), inside
    return "", inside


def _header(part, wanted: str) -> str:
    found = (values[0] for name, values in part.headers.items() if name.lower() == wanted)
    return next(found, "")[:MAX_HEADER]


def _text(part) -> str:
    data = (part.content or b"")[:MAX_BODY]
    if _header(part, "content-transfer-encoding").strip().lower() == "x-base64":
        data = _lenient_base64(data)
    charset = _CHARSET.search(_header(part, "content-type"))
    return _decoded(data, charset[1] if charset else "")


def _lenient_base64(data: bytes) -> bytes:
    symbols = re.sub(rb"[^A-Za-z0-9+/]", b"", data)
    try:
        return a2b_base64(symbols[: len(symbols) // 4 * 4])
    except Base64Error:
        return b""


class _Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.texts: list[str] = []

    def handle_data(self, data: str):
        self.texts.append(data)

    def handle_starttag(self, tag: str, attrs: list):
        self.texts.append("" if tag in _INLINE else " ")

    def handle_endtag(self, tag: str):
        self.handle_starttag(tag, [])


def _readable(html: str) -> str:
    for start, end in _HIDDEN:
        head, *rest = start.split(html)
        html = head + "".join("".join(end.split(piece, maxsplit=1)[1:]) for piece in rest)
    page = _Page()
    page.feed(_TAG.sub(_bare_tag, html[:MAX_TEXT]))
    page.close()
    return "".join(page.texts)


def _bare_tag(tag: re.Match) -> str:
    """HTMLParser takes quadratic time for broken tags (32 kB of "<a ": 10 s); these it takes at once."""
    if tag[1]:
        return f"<{tag[1]}>"
    return "" if len(tag[0]) > 1 else "&lt;"
