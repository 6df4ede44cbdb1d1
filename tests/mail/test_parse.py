"""Mails as they arrive: each message of tests/messages beside the Envelope a person expects of it."""

import json
import random
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import pytest

from mail.parse import Unparseable, parse_message

MESSAGES = sorted((Path(__file__).parents[1] / "messages").glob("*.eml"))
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
    assert len(MESSAGES) >= 32


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
