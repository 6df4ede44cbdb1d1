"""Mails as they arrive: each message of tests/messages beside the Envelope a person expects of it."""

import json
import random
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import pytest
from fast_mail_parser import HeaderParseError, parse_email_tree

from mail.parse import Unparseable, parse_message, read_content

MESSAGES = sorted((Path(__file__).parents[1] / "messages").glob("*.eml"))
STRANGE_CHARSETS = [
    "rot13",
    "hex",
    "zlib",
    "idna",
    "utf-7",
    "unicode_escape",
    "punycode",
    "undefined",
    "utf-16",
]
HEADERS = b"From: anna@beispiel.example\r\nSubject: Probe\r\n"


def described(envelope) -> dict:
    described = asdict(envelope)
    for field in ("sender", "to", "cc"):
        described[field] = [[address.name, address.email] for address in getattr(envelope, field)]
    described["date"] = envelope.date and envelope.date.isoformat()
    described["attachments"] = list(envelope.attachments)
    return described


def nested(depth: int) -> bytes:
    message = b"Content-Type: text/plain\r\n\r\nganz innen"
    for level in range(depth):
        edge = b"e%d" % level
        start = b"Content-Type: multipart/mixed; boundary=" + edge + b"\r\n\r\n--" + edge + b"\r\n"
        message = start + message + b"\r\n--" + edge + b"--\r\n"
    return HEADERS + message


def nested_without_end(depth: int) -> bytes:
    edges = (b"e%d" % level for level in range(depth))
    return HEADERS + b"".join(
        b"Content-Type: multipart/mixed; boundary=" + edge + b"\r\n\r\n--" + edge + b"\r\n" for edge in edges
    )


def mutated(message: bytes, chance: random.Random) -> bytes:
    raw = bytearray(message)
    for _ in range(chance.randint(1, 12)):
        at = chance.randrange(len(raw) + 1)
        pieces = [bytes([chance.randrange(256)]), b"\0", b"=?", b"?=", b"\r\n", b"(", b'"', b"<!["]
        piece = chance.choice(pieces)
        raw[at : at + chance.choice([0, 1, 1, 5, 40])] = piece * chance.choice([1, 1, 1, 300])
    return bytes(raw)


def parsed_or_refused(raw: bytes):
    try:
        return parse_message(raw)
    except Unparseable:
        return None


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_a_message_shows_what_a_person_expects(path):
    expected = json.loads(path.with_suffix(".json").read_text("utf-8"))
    assert described(parse_message(path.read_bytes())) == expected


def test_every_message_has_its_expectation_and_there_are_many():
    assert {path.stem for path in MESSAGES} == {path.stem for path in MESSAGES[0].parent.glob("*.json")}
    assert len(MESSAGES) >= 60


def test_headers_after_200000_references_are_still_found():
    references = b"\r\n ".join(b"<%d@beispiel.example>" % number for number in range(200_000))
    envelope = parse_message(b"References: " + references + b"\r\n" + HEADERS + b"\r\nHallo")
    assert (envelope.subject, envelope.snippet) == ("Probe", "Hallo")


def test_200_levels_of_nesting_are_read():
    assert parse_message(nested(200)).snippet == "ganz innen"


def test_1000_levels_of_nesting_are_refused():
    with pytest.raises(Unparseable, match="nesting"):
        parse_message(nested(1000))


def test_1000_messages_inside_each_other_are_one_attachment():
    envelope = parse_message(HEADERS + b"Content-Type: message/rfc822\r\n\r\n" * 1000 + b"Hallo")
    assert envelope.attachments == ("message/rfc822",)


def test_no_control_character_survives_anywhere():
    controls = bytes(sorted({*range(32), 127} - {10, 13}))
    name = b"A" + controls + b"B"
    raw = b"From: " + name + b" <a@beispiel.example>\r\nSubject: " + name + b"\r\nMessage-ID: <" + name
    raw += b'>\r\nContent-Type: application/pdf; name="' + name + b'"\r\n\r\n' + controls
    envelope = parse_message(raw)
    shown = [envelope.subject, envelope.sender[0].name, envelope.message_id, *envelope.attachments]
    assert all(text.isprintable() and text[0] == "A" and text[-1] == "B" for text in shown)


def test_a_nul_in_the_charset_of_a_file_name_is_survived():
    kind = b"Content-Type: application/pdf; name*=ut\0f-8''Gr%C3%BC%C3%9Fe.pdf\r\n\r\n"
    assert parse_message(HEADERS + kind).attachments == ("Grüße.pdf",)


def test_surrogates_hidden_in_utf7_do_not_reach_the_subject():
    assert parse_message(b"Subject: =?utf-7?Q?a+2AA-b?=\r\n\r\n").subject.encode() == b"ab"


def test_of_5000_recipients_the_first_100_are_kept():
    recipients = b",\r\n ".join(b'"Nr, %d" <n%d@example.org>' % (number, number) for number in range(5000))
    to = parse_message(b"To: " + recipients + b"\r\n\r\n").to
    assert [address.email for address in to] == [f"n{number}@example.org" for number in range(100)]
    assert to[99].name == "Nr, 99"


@pytest.mark.parametrize("piece", ["(", ":", "<", '"', "a:", "=?utf-8?Q?", "=?utf-8?Q?a?= ", "a@b <", ","])
@pytest.mark.parametrize("header", ["From", "Subject", "Date", "Message-ID", "Content-Type"])
def test_a_header_of_one_repeated_piece_is_survived(header, piece):
    envelope = parse_message(f"{header}: {piece * 20_000}\r\nCc: eva@example.com\r\n\r\nHallo".encode())
    assert [address.email for address in envelope.cc] == ["eva@example.com"]


@pytest.mark.parametrize("piece", ["<a ", "<!", "<![", "<!--", "<a b='x>'", "<style>", "</", "&#"])
def test_html_of_one_repeated_piece_is_survived(piece):
    html = "<p>Hallo</p>" + piece * 100_000
    assert parse_message(f"Content-Type: text/html\r\n\r\n{html}".encode()).snippet.startswith("Hallo")


def test_the_date_is_in_utc():
    assert parse_message(b"Date: 2 Mar 2026 10:00:00 +0530\r\n\r\n").date.utcoffset() == timedelta(0)


def test_a_mail_the_fast_parser_refuses_is_read_by_the_standard_library():
    raw = (MESSAGES[0].parent / "header-starts-with-a-space.eml").read_bytes()
    with pytest.raises(HeaderParseError):
        parse_email_tree(raw)
    assert read_content(raw).text.strip() == "Bis nächste Woche."


def test_300_levels_are_too_deep_for_the_fast_parser_and_read_all_the_same():
    assert read_content(nested(300)).text == "ganz innen"


def test_100000_levels_of_nesting_neither_crash_nor_hang():
    with pytest.raises(Unparseable, match="nesting"):
        parse_message(nested_without_end(100_000))


@pytest.mark.parametrize("line", ["a line with --b in it", "--bc", "--b c", " --b", "--b--c"])
def test_what_only_looks_like_a_boundary_is_text(line):
    head = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n"
    assert read_content(head + f"one\r\n{line}\r\ntwo\r\n--b--\r\n".encode()).text == f"one\n{line}\ntwo"


def test_a_refused_mail_of_too_many_lines_stays_refused():
    with pytest.raises(Unparseable, match="start with a space"):
        parse_message(b" x\n" + HEADERS + b"\n" * 1_100_000)


def test_a_mail_over_100_mib_is_refused():
    with pytest.raises(Unparseable):
        parse_message(HEADERS + b"\r\n" + b"x" * (101 << 20))


def test_an_attachment_of_60_mb_is_named_without_being_decoded_and_read_whole():
    lines = (b"QUJD" * 19 + b"\r\n") * 800_000
    head = b'Content-Type: application/pdf; name="plan.pdf"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    assert parse_message(HEADERS + head + lines).attachments == ("plan.pdf",)
    (attachment,) = read_content(HEADERS + head + lines).attachments
    assert len(attachment.data) == 57 * 800_000


def test_of_200000_parts_the_first_are_read_and_nothing_is_lost():
    parts = b"--b\r\n\r\nx\r\n" * 200_000
    content = read_content(HEADERS + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + parts)
    assert content.text.startswith("x\nx\nx") and content.text.count("x") == 200_000


def test_an_attachment_that_speaks_of_mime_keeps_its_bytes():
    data = b"Content-Transfer-Encoding: base64\r\nContent-Type: message/rfc822; boundary=--\r\n=?utf-8?Q?a?="
    data += b"\r\n--\r\n " + b"=? -- \n \n\tboundary=x" * 150_000
    head = b"Content-Type: application/octet-stream\r\n\r\n"
    (attachment,) = read_content(HEADERS + head + data).attachments
    assert attachment.data == data


@pytest.mark.parametrize("charset", STRANGE_CHARSETS)
def test_a_strange_charset_is_survived(charset):
    text = "x\\n+ADw-" * 200_000
    content = read_content(f"Content-Type: text/plain; charset={charset}\r\n\r\n{text}".encode())
    assert len(content.text.encode()) >= 200_000


@pytest.mark.parametrize("boundary", ['""', '" "', '"' + "b" * 10_000 + '"', "b;" * 10_000, "-", '"unended'])
def test_a_strange_boundary_is_survived(boundary):
    edge = boundary.strip('"').encode()
    head = f"Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n".encode()
    assert parse_message(HEADERS + head + (b"--" + edge + b"\r\n\r\nHallo\r\n") * 100).subject == "Probe"


@pytest.mark.parametrize("parameter", ["; p=x", "; name*0*=x", '; name="', ";", '; "', "; name=", ";\r\n\t"])
def test_100000_parameters_are_survived(parameter):
    kind = "Content-Type: application/pdf" + parameter * 100_000
    assert len(parse_message(HEADERS + f"{kind}\r\n\r\nHallo".encode()).attachments) == 1


def test_a_file_name_of_many_semicolons_in_a_thousand_parts_is_survived():
    part = b'--b\r\nContent-Type: a/b; name="' + b";" * 10_000 + b'"\r\n\r\nx\r\n'
    raw = HEADERS + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + part * 1000
    assert parse_message(raw).attachments == (";" * 255,) * 100


@pytest.mark.parametrize(
    "line", ["begin 644 a\r\n", "begin 644 a\r\n!\r\n", "begin 644 a\r\n#86)C\r\n`\r\nend\r\n"]
)
def test_a_flood_of_uuencoded_files_is_survived(line):
    content = read_content(b"Subject: Probe\r\n\r\n" + line.encode() * 200_000)
    assert len(content.attachments) <= 100


@pytest.mark.parametrize("line", [b" 'x',", b"-" * 76, b"=?utf-8?q?a", b"boundary=x"])
def test_a_part_after_a_file_of_200000_odd_lines_is_still_found(line):
    data = b"\r\n".join([line] * 200_000)
    edge = b"\r\n--b\r\nContent-Type: text/plain;\r\n\tname*0=%b;\r\n name*1=.txt\r\n\r\n"
    raw = HEADERS + b"Content-Type: multipart/mixed; boundary=b\r\n" + edge % b"eins" + data + edge % b"zwei"
    first, second = read_content(raw + b"Hallo\r\n--b--\r\n").attachments
    assert (first.name, second.name, second.data) == ("eins.txt", "zwei.txt", b"Hallo")
    assert first.data == data


def test_random_bytes_raise_nothing_but_unparseable():
    chance = random.Random(20260302)
    for _ in range(500):
        parsed_or_refused(chance.randbytes(chance.randrange(2000)))


def test_damaged_messages_raise_nothing_but_unparseable_and_stay_storable():
    chance = random.Random(20260303)
    messages = [path.read_bytes() for path in MESSAGES]
    for _ in range(1500):
        envelope = parsed_or_refused(mutated(chance.choice(messages), chance))
        if envelope:
            json.dumps(described(envelope), ensure_ascii=False).encode()
            assert len(envelope.snippet) <= 200
