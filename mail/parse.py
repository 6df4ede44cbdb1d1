"""Raw bytes of one mail in, its Envelope or its Content out: no I/O, and no mail content may break it."""

import re

from mail.headers import MAX_NAME, addresses, clean, date, decoded, fields, message_id, unworded
from mail.html import readable
from mail.leaf import Leaf, uudecoded
from mail.mime import Unparseable, leaves
from mail.parcels import Attachment, Content, Envelope

__all__ = ["Unparseable", "parse_message", "read_content"]

MAX_LINE = 998
MAX_NAMES = 100
MAX_BODY = 512 * 1024
MAX_TEXT_PARTS = 5
SNIPPET = 200
SNIPPET_SOURCE = 20 * SNIPPET

_CHARSET = re.compile(r"charset\s*=\s*[\"']?([a-z0-9_.:+-]{1,40})", re.I)
_UUENCODED = re.compile(
    r"^begin [0-7]{3,4} ([^\r\n]{1,200})\r?\n(?=[!-`])((?:[ -`][^\n]*+(?:\n|\Z))*+)"
    r"(?:end[ \t]*\r?(?:\n|\Z))?",
    re.M,
)
# Line breaks and tabs stay in a text, and so do the marks that Arabic and Hebrew are written with.
_UNSTORABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")


def parse_message(raw: bytes) -> Envelope:
    """The Envelope of one RFC 5322 message; what is missing or broken in it is "", () or None.

    Headers follow RFC 2047, file names RFC 2231, text is decoded as MIME (RFC 2045) says.
    Every string is free of line breaks and control characters. Raises Unparseable, nothing else.
    """
    raw = _normal(raw)
    found = fields(raw)
    texts, files = _texts_and_files(raw)
    snippet, inside = _snippet(texts[:MAX_TEXT_PARTS])
    names = [_shown_name(leaf) for leaf in files[:MAX_NAMES]]
    return Envelope(
        subject=clean(unworded(found.get("subject", "")))[:MAX_LINE],
        sender=addresses(found.get("from", "")),
        to=addresses(found.get("to", "")),
        cc=addresses(found.get("cc", "")),
        date=date(found.get("date", "")),
        message_id=message_id(found.get("message-id", ""))[:MAX_LINE],
        snippet=snippet,
        attachments=tuple([*names, *inside][:MAX_NAMES]),
    )


def read_content(raw: bytes) -> Content:
    """All that parse_message only shows a piece of: text, HTML source and attachments, decoded in full.

    Lines end with a line feed. Files written into the text (uuencode) are attachments. Raises Unparseable.
    """
    texts, files = _texts_and_files(_normal(raw))
    plain, inside = _unpacked("\n".join(_whole(leaf) for leaf in texts if not _is_html(leaf)))
    attached = [_attachment(leaf) for leaf in files]
    html = "\n".join(_whole(leaf) for leaf in texts if _is_html(leaf))
    return Content(plain, html, tuple(attached + inside))


def _normal(raw: bytes) -> bytes:
    raw = raw.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")
    return raw if b"\n" in raw else raw.replace(b"\r", b"\n")


def _texts_and_files(raw: bytes) -> tuple[list[Leaf], list[Leaf]]:
    """What is to be read, plain text before HTML, and what is to be opened."""
    texts, files = [], []
    for leaf in leaves(raw):
        (texts if _is_text(leaf) else files).append(leaf)
    return sorted(texts, key=_is_html), files


def _is_text(leaf: Leaf) -> bool:
    readable_kind = leaf.kind in ("text/plain", "text/html") or "/" not in leaf.kind  # RFC 2045 section 5.2
    return readable_kind and not leaf.is_attached() and (leaf.is_root or not leaf.name())


def _is_html(leaf: Leaf) -> bool:
    return leaf.kind == "text/html"


def _shown_name(leaf: Leaf) -> str:
    return (leaf.name() or leaf.kind)[:MAX_NAME]


def _attachment(leaf: Leaf) -> Attachment:
    return Attachment(_shown_name(leaf), leaf.kind[:MAX_NAME], leaf.data(), leaf.content_id)


def _text(leaf: Leaf, limit: int | None = None) -> str:
    charset = _CHARSET.search(leaf.type_header)
    return decoded(leaf.data(limit), charset[1] if charset else "")


def _whole(leaf: Leaf) -> str:
    return _UNSTORABLE.sub("", _text(leaf).replace("\r\n", "\n").replace("\r", "\n"))


def _snippet(texts: list[Leaf]) -> tuple[str, list[str]]:
    inside: list[str] = []
    for leaf in texts:
        text = _text(leaf, MAX_BODY)
        if _is_html(leaf):
            text = readable(text)
        elif "begin " in text:
            text, files = _unpacked(text)
            inside += [file.name for file in files]
        if shown := clean(text[:SNIPPET_SOURCE]) or clean(text):
            return shown[:SNIPPET].rstrip(), inside
    return "", inside


def _unpacked(text: str) -> tuple[str, list[Attachment]]:
    """The text without the first files written into it with uuencode, and those files."""
    files = []

    def unpack(block: re.Match) -> str:
        data = uudecoded(block[2].encode("ascii", "replace"))
        files.append(Attachment(clean(block[1])[:MAX_NAME], "application/octet-stream", data))
        return ""

    return _UUENCODED.sub(unpack, text, count=MAX_NAMES), files
