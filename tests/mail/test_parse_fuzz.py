"""Whatever bytes a mail is made of: it is read or refused, and what is read can be stored."""

import json
import re
from base64 import b64encode
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mail.parse import MAX_LINE, MAX_NAMES, SNIPPET, Unparseable, parse_message, read_content
from tests.mail.test_parse import described

SAMPLES = [path.read_bytes() for path in sorted((Path(__file__).parents[1] / "messages").glob("*.eml"))]
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

fuzz = settings(
    max_examples=600, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)

PIECES = [
    *(
        b"\0",
        b"\r",
        b"\n",
        b"\r\n",
        b"\r\n\r\n",
        b"\r\n ",
        b"\t",
        b":",
        b";",
        b"=",
        b'"',
        b"(",
        b"<",
        b"\xff",
    ),
    *(
        b"--",
        b"--b",
        b"--b--",
        b"=?utf-8?q?",
        b"=?utf-8?b?w7w=?=",
        b"?=",
        b"=FC",
        b"\xc3",
        b"%C3",
        b"~{held}~",
    ),
    *(
        b"<",
        b"\xc3",
        b"<p>",
        b"<!--",
        b"&#0;",
        b"begin 644 a\n",
        b"Subject: ",
        b"boundary=",
        b"; charset=utf-7",
    ),
    *(
        b"Content-Type: text/html",
        b"Content-Type: multipart/mixed; boundary=b",
        b"Content-Type: message/rfc822",
    ),
    *(b"Content-Transfer-Encoding: base64", b"Content-Transfer-Encoding: quoted-printable"),
    *(b"Content-Disposition: attachment; filename=", b"filename*0*=utf-8''%"),
]
TYPES = [b"text/plain", b"text/html", b"a/b", b"message/rfc822", b""]
ENCODINGS = [b"", b"base64", b"quoted-printable", b"8bit", b"x-uuencode", b"BASE64 "]
EDGES = [b"b", b"bb", b"=_1", b"", b"-", b"x" * 80]
HEADERS = ["From", "To", "Subject", "Date", "Message-ID", "Content-Type", "Content-Disposition", "X"]

blocks = st.one_of(st.sampled_from(PIECES), st.binary(max_size=20))
floods = st.builds(lambda block, times: block * times, blocks, st.sampled_from([1, 1, 1, 2, 50, 3000]))
soups = st.lists(floods, max_size=30).map(b"".join)
charsets = st.one_of(st.sampled_from(["utf-7", "hz", "hex"]), st.text("abcdeisoutfx0123456789-", max_size=9))


@st.composite
def changed_samples(draw) -> bytes:
    raw = bytearray(draw(st.sampled_from(SAMPLES)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(raw)))
        raw[at : at + draw(st.sampled_from([0, 0, 1, 30, 400]))] = draw(floods)
    return bytes(raw)


@st.composite
def trees(draw, depth: int = 6) -> bytes:
    if depth == 0 or draw(st.booleans()):
        head = b"Content-Type: " + draw(st.sampled_from(TYPES)) + b"; charset=" + draw(charsets).encode()
        head += draw(soups) + b"\r\nContent-Transfer-Encoding: " + draw(st.sampled_from(ENCODINGS))
        body = draw(soups)
        return head + b"\r\n\r\n" + draw(st.sampled_from([body, b64encode(body)]))
    edge = draw(st.sampled_from(EDGES))
    parts = draw(st.lists(trees(depth - 1), max_size=4))
    inside = b"".join(b"\r\n--" + edge + b"\r\n" + part for part in parts)
    end = draw(st.sampled_from([b"", b"\r\n--" + edge + b"--"]))
    return b'Content-Type: multipart/mixed; boundary="' + edge + b'"\r\n' + inside + end


def check(raw: bytes) -> None:
    try:
        envelope, content = parse_message(raw), read_content(raw)
    except Unparseable:
        return
    shown = described(envelope)
    json.dumps([shown, content.text, content.html], ensure_ascii=False).encode()
    lines = [shown["subject"], shown["message_id"], shown["snippet"], *shown["attachments"]]
    lines += [text for field in ("sender", "to", "cc") for pair in shown[field] for text in pair]
    lines += [text for one in content.attachments for text in (one.name, one.content_type)]
    assert not any(CONTROLS.search(line) for line in lines)
    assert not CONTROLS.search(re.sub(r"[\n\t\x85]", "", content.text + content.html))
    assert len(envelope.snippet) <= SNIPPET and max(map(len, lines)) <= MAX_LINE
    assert len(envelope.attachments) <= MAX_NAMES
    sizes = [len(content.text), len(content.html), *(len(one.data) for one in content.attachments)]
    assert sum(sizes) <= 2 * len(raw)
    found = [one.name for one in content.attachments]
    assert [name for name in envelope.attachments if name not in found] == []


@fuzz
@given(st.binary(max_size=2000))
def test_any_bytes_are_read_or_refused(raw):
    check(raw)


@fuzz
@given(soups)
def test_pieces_of_mails_in_any_order_are_read_or_refused(raw):
    check(raw)


@fuzz
@given(changed_samples())
def test_damaged_samples_are_read_or_refused(raw):
    check(raw)


@fuzz
@given(trees())
def test_any_tree_of_parts_is_read_or_refused(raw):
    check(b"From: a@example.org\r\n" + raw)


@fuzz
@given(st.sampled_from(HEADERS), soups)
def test_any_header_is_read_or_refused(name, value):
    check(name.encode() + b": " + value + b"\r\n\r\nHello")


@fuzz
@given(st.text(max_size=300), charsets)
def test_a_text_is_read_whatever_charset_it_claims(text, charset):
    check(f"Content-Type: text/plain; charset={charset}\r\n\r\n{text}".encode(errors="replace"))
