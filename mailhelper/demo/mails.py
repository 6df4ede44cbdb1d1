"""Builds the demo's mails from their texts: three mailboxes, the same every time apart from the dates."""

import html
import math
import random
import re
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr

from mailhelper.demo.texts import LETTER_BOXES, Attachment, Invitation, Letter, LetterBox, Pdf, Picture, Table

CENTRAL_EUROPE = timezone(timedelta(hours=1))
FLAGS = {"S": r"\Seen", "A": r"\Answered", "F": r"\Flagged", "D": r"\Draft"}
WEEKDAYS = {
    "de": ["Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"],
    "en": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
}
MONTHS = {
    "de": [
        "Januar",
        "Februar",
        "März",
        "April",
        "Mai",
        "Juni",
        "Juli",
        "August",
        "September",
        "Oktober",
        "November",
        "Dezember",
    ],
    "en": [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ],
}
DAY_MARK = re.compile(r"<<(-?\d+)(?: (\.|en|month))?>>")
HEADING = re.compile(r"^# ", re.MULTILINE)
LINK = re.compile(r"https://\S+")


@dataclass(frozen=True)
class DemoMail:
    raw: bytes
    date: datetime
    flags: tuple[str, ...]


@dataclass(frozen=True)
class DemoFolder:
    name: str
    mails: tuple[DemoMail, ...]


@dataclass(frozen=True)
class DemoMailbox:
    name: str
    login: str
    folders: tuple[DemoFolder, ...]


def mailboxes(now: datetime) -> tuple[DemoMailbox, ...]:
    local_now = now.astimezone(CENTRAL_EUROPE)
    parents = {letter.key: letter for letter in _all_letters()}
    return tuple(_mailbox(box, local_now, parents) for box in LETTER_BOXES)


def _all_letters() -> Iterable[Letter]:
    for box in LETTER_BOXES:
        for _, letters in box.folders:
            yield from letters


def _mailbox(box: LetterBox, now: datetime, parents: dict[str, Letter]) -> DemoMailbox:
    return DemoMailbox(box.name, box.login, tuple(_folder(*folder, now, parents) for folder in box.folders))


def _folder(name: str, letters: tuple[Letter, ...], now: datetime, parents: dict[str, Letter]) -> DemoFolder:
    mails = (_mail(letter, now, parents) for letter in letters)
    return DemoFolder(name, tuple(sorted(mails, key=lambda mail: mail.date)))


def _mail(letter: Letter, now: datetime, parents: dict[str, Letter]) -> DemoMail:
    flags = tuple(FLAGS[initial] for initial in letter.flags)
    return DemoMail(_message(letter, now, parents).as_bytes(), _sent_at(letter, now), flags)


def _message(letter: Letter, now: datetime, parents: dict[str, Letter]) -> EmailMessage:
    message = EmailMessage(policy=policy.SMTP)
    _add_headers(message, letter, now)
    _add_thread(message, letter, parents)
    _add_content(message, letter, now)
    for attachment in letter.files:
        if not (letter.style == "inline" and isinstance(attachment, Picture)):
            _attach(message, attachment, now)
    _fix_boundaries(message, letter.key)
    return message


def _add_headers(message: EmailMessage, letter: Letter, now: datetime) -> None:
    message["From"] = letter.sender
    message["To"] = letter.to
    if letter.cc:
        message["Cc"] = letter.cc
    message["Subject"] = _with_days(letter.subject, now)
    message["Date"] = format_datetime(_sent_at(letter, now))
    message["Message-ID"] = _message_id(letter)
    if letter.style == "newsletter":
        message["List-Unsubscribe"] = f"<mailto:{parseaddr(letter.sender)[1]}?subject=unsubscribe>"
        message["Precedence"] = "bulk"


def _add_thread(message: EmailMessage, letter: Letter, parents: dict[str, Letter]) -> None:
    references: list[str] = []
    while letter.reply:
        letter = parents[letter.reply]
        references.insert(0, _message_id(letter))
    if references:
        message["In-Reply-To"] = references[-1]
        message["References"] = " ".join(references)


def _add_content(message: EmailMessage, letter: Letter, now: datetime) -> None:
    text = _with_days(letter.text, now)
    if letter.style == "html_only":
        message.set_content(_html(text, letter.style), subtype="html", cte=letter.cte)
        return
    message.set_content(HEADING.sub("", text), charset=letter.charset, cte=letter.cte)
    if letter.style == "plain":
        return
    message.add_alternative(_html(text, letter.style), subtype="html", cte=letter.cte)
    if letter.style == "inline":
        picture = letter.files[0]
        alternative = message.get_payload()[-1]
        alternative.add_related(_png(picture), "image", "png", cid="<picture>", filename=picture.name)


def _sent_at(letter: Letter, now: datetime) -> datetime:
    hour, minute = letter.clock.split(":")
    day = now - timedelta(days=letter.days_ago)
    return day.replace(hour=int(hour), minute=int(minute), second=len(letter.text) % 60, microsecond=0)


def _message_id(letter: Letter) -> str:
    return f"<{letter.key}@{parseaddr(letter.sender)[1].partition('@')[2]}>"


def _with_days(text: str, now: datetime) -> str:
    return DAY_MARK.sub(lambda mark: _day_text(now - timedelta(days=int(mark[1])), mark[2]), text)


def _day_text(day: datetime, style: str | None) -> str:
    if style == ".":
        return f"{day:%d.%m.%Y}"
    if style == "month":
        return f"{MONTHS['de'][day.month - 1]} {day.year}"
    if style == "en":
        return f"{WEEKDAYS['en'][day.weekday()]}, {day.day} {MONTHS['en'][day.month - 1]}"
    return f"{WEEKDAYS['de'][day.weekday()]}, {day.day}. {MONTHS['de'][day.month - 1]}"


def _fix_boundaries(message: EmailMessage, key: str) -> None:
    multiparts = (part for part in message.walk() if part.is_multipart())
    for number, part in enumerate(multiparts):
        part.set_boundary(f"=_{key}_{number}")


def _html(text: str, style: str) -> str:
    blocks = "\n".join(_html_block(block) for block in text.strip().split("\n\n"))
    if style == "newsletter":
        blocks += '\n<hr><p style="color:#777;font-size:12px">Abmelden / unsubscribe: one line is enough.</p>'
    if style == "inline":
        blocks += '\n<p><img src="cid:picture" alt=""></p>'
    return (
        '<!doctype html>\n<html><head><meta charset="utf-8"></head>\n'
        '<body style="font-family:Georgia,serif;max-width:34em;margin:2em auto;color:#222">\n'
        f"{blocks}\n</body></html>\n"
    )


def _html_block(block: str) -> str:
    if block.startswith("# "):
        return f'<h2 style="color:#7a4a1e">{html.escape(block[2:])}</h2>'
    if block.startswith("* "):
        items = "\n".join(f"<li>{_with_links(item)}</li>" for item in block[2:].split("\n* "))
        return f"<ul>\n{items}\n</ul>"
    return f"<p>{_with_links(block)}</p>"


def _with_links(text: str) -> str:
    return LINK.sub(lambda link: f'<a href="{link[0]}">{link[0]}</a>', html.escape(text))


def _attach(message: EmailMessage, attachment: Attachment, now: datetime) -> None:
    match attachment:
        case Pdf(name, lines):
            content = _pdf([_with_days(line, now) for line in lines])
            message.add_attachment(content, "application", "pdf", filename=name)
        case Picture(name):
            message.add_attachment(_png(attachment), "image", "png", filename=name)
        case Invitation(name):
            method = {"method": "REQUEST"}
            message.add_attachment(_ics(attachment, now), "calendar", filename=name, params=method)
        case Table(name, rows):
            message.add_attachment(_with_days(rows, now), "csv", filename=name)


def _pdf(lines: list[str]) -> bytes:
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> >> >>",
        _pdf_stream(lines),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    return _pdf_file(objects)


def _pdf_stream(lines: list[str]) -> bytes:
    escaped = (re.sub(r"([\\()])", r"\\\1", line) for line in lines)
    shown = "".join(f"({line}) Tj T*\n" for line in escaped)
    drawing = f"BT /F1 13 Tf 20 TL 70 770 Td\n{shown}ET".encode("cp1252")
    return b"<< /Length %d >>\nstream\n%b\nendstream" % (len(drawing), drawing)


def _pdf_file(objects: list[bytes]) -> bytes:
    content = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(content))
        content += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    entries = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    table = b"xref\n0 %d\n0000000000 65535 f \n%b" % (size, entries)
    trailer = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, len(content))
    return content + table + trailer


def _png(picture: Picture) -> bytes:
    header = struct.pack(">IIBBBBB", picture.width, picture.height, 8, 2, 0, 0, 0)
    pixels = b"".join(_png_rows(picture))
    return (
        b"\x89PNG\r\n\x1a\n"
        + _png_chunk(b"IHDR", header)
        + _png_chunk(b"IDAT", zlib.compress(pixels))
        + _png_chunk(b"IEND", b"")
    )


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _png_rows(picture: Picture) -> Iterable[bytes]:
    """An evening sky over hills; the grain keeps the file from shrinking to nothing."""
    chance = random.Random(picture.seed)
    width, height = picture.width, picture.height
    ridge = [height * (0.62 + 0.12 * math.sin(picture.seed + 7 * x / width)) for x in range(width)]
    for y in range(height):
        sky = (90 + 150 * y // height, 110 + 70 * y // height, 200 - 90 * y // height)
        hill = (30, 70 + picture.seed % 40, 60)
        row = bytearray(b"".join(bytes(hill if y > ridge[x] else sky) for x in range(width)))
        for place, grain in enumerate(chance.randbytes(len(row))):
            row[place] += grain & 7
        yield b"\0" + bytes(row)


def _ics(invitation: Invitation, now: datetime) -> str:
    start = now - timedelta(days=invitation.days_ago)
    start = start.replace(hour=invitation.hour, minute=0, second=0, microsecond=0).astimezone(UTC)
    lines = (
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//example.org//demo//DE",
        "METHOD:REQUEST",
        "BEGIN:VEVENT",
        f"UID:{invitation.name}-{invitation.hour}@example.org",
        f"DTSTAMP:{now.astimezone(UTC):%Y%m%dT%H%M%SZ}",
        f"DTSTART:{start:%Y%m%dT%H%M%SZ}",
        f"DTEND:{start + timedelta(hours=1):%Y%m%dT%H%M%SZ}",
        f"SUMMARY:{_ics_text(invitation.summary)}",
        f"LOCATION:{_ics_text(invitation.place)}",
        "END:VEVENT",
        "END:VCALENDAR",
    )
    return "\r\n".join(lines) + "\r\n"


def _ics_text(text: str) -> str:
    return re.sub(r"([\\;,])", r"\\\1", text)
