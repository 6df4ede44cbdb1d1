"""The standard library judges how we read mails: they agree, or a table says where and why ours is right."""

from datetime import UTC
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from mail.parse import parse_message, read_content
from tests.mail.generated import generate

MESSAGES = sorted((Path(__file__).parents[1] / "messages").glob("*.eml"))
GENERATED, CHUNKS = 10_000, 40
FIELDS = ("subject", "sender", "to", "cc", "date", "text", "html", "files")


def ours(raw: bytes) -> dict:
    envelope, content = parse_message(raw), read_content(raw)
    found = {
        name: [(one.name, one.email) for one in getattr(envelope, name)] for name in ("sender", "to", "cc")
    }
    return found | {
        "subject": envelope.subject,
        "date": envelope.date,
        "text": content.text.strip(),
        "html": content.html.strip(),
        "files": [(attachment.name, attachment.data) for attachment in content.attachments],
    }


def standards(raw: bytes) -> dict:
    mail = message_from_bytes(raw, policy=policy.default.clone(linesep="\r\n" if b"\r\n" in raw else "\n"))
    files, texts = [], {"plain": [], "html": []}
    for part in leaves(mail):
        name = part.get_filename("")
        if part.get_content_type() in ("text/plain", "text/html") and not part.is_attachment() and not name:
            texts[part.get_content_subtype()].append(part.get_content().replace("\r\n", "\n"))
        else:
            files.append((" ".join(name.split()) or part.get_content_type(), data_of(part)))
    return {
        "subject": " ".join(str(mail["subject"] or "").split()),
        "sender": mailboxes(mail["from"]),
        "to": mailboxes(mail["to"]),
        "cc": mailboxes(mail["cc"]),
        "date": instant(mail["date"]),
        "text": "\n".join(texts["plain"]).strip(),
        "html": "\n".join(texts["html"]).strip(),
        "files": files,
    }


def leaves(part):
    if part.get_content_maintype() == "multipart" and part.is_multipart():
        for child in part.get_payload():
            yield from leaves(child)
    else:
        yield part


def data_of(part) -> bytes:
    if part.get_content_type() != "message/rfc822":
        return part.get_payload(decode=True) or b""
    return part.get_payload(0).as_bytes()


def mailboxes(header) -> list[tuple[str, str]]:
    return [(one.display_name, one.addr_spec) for one in header.addresses] if header else []


def instant(header):
    if not header or not header.datetime:
        return None
    return header.datetime.replace(tzinfo=header.datetime.tzinfo or UTC).astimezone(UTC)


PEOPLE = ("sender", "to", "cc")
# What the standard library reads otherwise in generated mails: the writer's habit, fields, why ours is right.
HABITS = {
    "name in several encoded words": (
        PEOPLE,
        "RFC 2047 section 6.2: the space between two words is not shown",
    ),
    "name in a comment": (PEOPLE, "RFC 5322 section 3.4: old programs put the name into a comment"),
    "name in raw UTF-8": (
        PEOPLE,
        "RFC 6532 allows it; the library leaves surrogates, which cannot be stored",
    ),
    "comma in a name without quotes": (PEOPLE, "a part without @ is no mailbox but half a name"),
    "windows-1252 declared as iso-8859-1 (plain)": (
        ("text",),
        "the bytes 80 to 9F are no text in ISO 8859-1",
    ),
    "windows-1252 declared as iso-8859-1 (html)": (
        ("html",),
        "WHATWG Encoding section 4.2 reads the label so",
    ),
}
# The same for tests/messages.
BY_MESSAGE = {
    "address-broken": (("to", "cc"), "what has no @ is no address"),
    "address-comments": (("to",), "RFC 5322 section 3.4: old programs put the name into a comment"),
    "address-is-its-own-name": (("to",), "the brackets are part of the name; the library loses the address"),
    "address-nul-and-escapes": (("to", "cc"), "NUL is no text, and the space between two words is not shown"),
    "address-raw-8bit": (("sender", "to"), "the library leaves surrogates, which cannot be stored"),
    "address-semicolons": (
        ("to",),
        "Outlook separates with semicolons; the library loses the second mailbox",
    ),
    "address-unquoted-comma": (("to",), "a part without @ is no mailbox but half a name"),
    "bom-at-start": (("subject", "sender", "to", "date", "text"), "the byte order mark is no header"),
    "charset-missing-utf8": (("text",), "without a charset, text that is valid UTF-8 is UTF-8"),
    "charset-unknown": (FIELDS, "the library raises LookupError"),
    "date-leap-second-and-unknown-zone": (("date",), "RFC 5322 section 3.3 allows second 60"),
    "date-year-out-of-range": (FIELDS, "the library raises OverflowError"),
    "delivery-failure": (("sender", "files"), "a name in a comment; a report's bytes are worth keeping"),
    "filename-rfc2047-and-quoting": (("files",), "a raw ISO 8859-1 name can be read"),
    "lines-cr-only": (("text",), "a lone CR ends a line as well"),
    "message-attached": (("files",), "RFC 2046 section 5.2.1 forbids base64 there, but senders use it"),
    "multipart-without-boundary": (("text", "files"), "nothing says where parts begin, so it is one text"),
    "report-read-receipt": (("files",), "a report's bytes are worth keeping"),
    "subject-broken-words": (("subject",), "the words that are whole are decoded"),
    "subject-gb2312": (("text",), "what is called gb2312 is GBK everywhere"),
    "subject-nul-and-controls": (("subject",), "control characters are not shown"),
    "subject-raw-latin1": (("subject",), "it is no UTF-8, so it is Windows-1252"),
    "subject-very-long": (("subject",), "an Envelope ends a subject after 998 characters"),
    "text-latin1-that-is-windows-1252": (("text",), "the bytes 80 to 9F are no text in ISO 8859-1"),
    "uuencoded-inside-text": (("text", "files"), "a file written into the text is a file"),
}


def differing(mine: dict, other: dict) -> set[str]:
    return {name for name in FIELDS if mine[name] != other[name]}


def judged(raw: bytes) -> set[str]:
    try:
        return differing(ours(raw), standards(raw))
    except (LookupError, OverflowError):
        return set(FIELDS)


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_generated_mails_are_read_as_written_and_as_the_standard_library_reads_them(chunk):
    allowed, used = {habit: set(fields) for habit, (fields, _) in HABITS.items()}, set()
    for number in range(chunk, GENERATED, CHUNKS):
        mail = generate(number)
        mine = ours(mail.raw)
        assert differing(mine, vars(mail)) == set(), number
        differences = differing(mine, standards(mail.raw))
        used |= {habit for habit in mail.habits if allowed[habit] & differences}
        assert differences <= set().union(*(allowed[habit] for habit in mail.habits)), number
    assert used == set(HABITS)


def test_ten_thousand_different_mails_are_generated():
    numbers = [number for chunk in range(CHUNKS) for number in range(chunk, GENERATED, CHUNKS)]
    assert sorted(numbers) == list(range(10_000))
    assert len({generate(number).raw for number in numbers}) == 10_000


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_a_message_is_read_as_the_standard_library_reads_it_or_the_table_says_why_not(path):
    fields, _ = BY_MESSAGE.get(path.stem, ((), ""))
    assert judged(path.read_bytes()) == set(fields)


def test_the_table_names_only_messages_that_exist():
    assert set(BY_MESSAGE) <= {path.stem for path in MESSAGES}


@pytest.mark.parametrize("field", FIELDS)
def test_the_judge_notices_one_wrong_field(field):
    mail = next(mail for mail in map(generate, range(1000)) if all(vars(mail).values()))
    mine = ours(mail.raw)
    spoilt = mine["date"].replace(microsecond=1) if field == "date" else mine[field][:-1]
    assert differing(mine | {field: spoilt}, vars(mail)) == {field}


def test_the_judge_notices_one_wrong_byte_of_an_attachment():
    mail = next(mail for mail in map(generate, range(1000)) if mail.files)
    (name, data), *others = ours(mail.raw)["files"]
    spoilt = ours(mail.raw) | {"files": [(name, data[:-1] + bytes([data[-1] ^ 1])), *others]}
    assert differing(spoilt, vars(mail)) == {"files"}
