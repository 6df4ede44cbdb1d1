"""Mails as many programs write them, each beside what stands in it; the same number makes the same mail."""

import random
from base64 import encodebytes
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from quopri import encodestring
from urllib.parse import quote

WORDS = {
    "us-ascii": [
        "the",
        "mail",
        "of",
        "our",
        "account",
        "stands",
        "in",
        "the",
        "folder",
        "and",
        "waits",
        "for",
        "an",
        "answer",
    ],
    "utf-8": [
        "Größe",
        "Straße",
        "naïve",
        "œuvre",
        "Привет",
        "мир",
        "日本語",
        "メール",
        "ελληνικά",
        "עברית",
        "🙂",
        "Kraków",
    ],
    "iso-8859-1": ["Größe", "Straße", "Überweisung", "für", "Café", "garçon", "niño"],
    "iso-8859-15": ["Größe", "20", "€", "Straße", "œuvre", "für", "Café"],
    "windows-1252": ["Größe", "„Zitat“", "–", "20", "€", "Straße", "œuvre’s"],
    "windows-1251": ["Привет", "мир", "письмо", "счёт", "Ёлка"],
    "koi8-r": ["Привет", "мир", "письмо", "счет", "папка"],
    "iso-2022-jp": ["日本語", "メール", "会議", "資料", "添付"],
    "shift_jis": ["日本語", "メール", "会議", "資料"],
    "gb18030": ["中文", "邮件", "会议", "附件", "你好"],
    "big5": ["中文", "郵件", "會議", "附件"],
    "euc-kr": ["안녕", "메일", "회의", "첨부"],
}
NAMES = [
    "Anna Beispiel",
    "Max Muster",
    "Muster, Max",
    "J. R. Smith",
    "Vertrieb (Nord)",
    'Die "Eiche"',
    "info@",
]
FOREIGN = ["Jörg Müller", "Müller, Jörg", "Анна Петрова", "田中 太郎", "Zoë Łukasz"]
FILES = [
    "plan.pdf",
    "two words.txt",
    "Größe 1.pdf",
    "Отчёт за март.docx",
    "資料.xlsx",
    "a;b=c.bin",
    "long " * 20 + ".zip",
]
TYPES = ["application/pdf", "image/png", "application/octet-stream", "application/vnd.ms-excel", "audio/mpeg"]


@dataclass
class Generated:
    """A mail, what its writer meant, and the habits it was written with."""

    raw: bytes = b""
    habits: set[str] = field(default_factory=set)
    subject: str = ""
    sender: list[tuple[str, str]] = field(default_factory=list)
    to: list[tuple[str, str]] = field(default_factory=list)
    cc: list[tuple[str, str]] = field(default_factory=list)
    date: datetime | None = None
    text: str = ""
    html: str = ""
    files: list[tuple[str, bytes]] = field(default_factory=list)


def generate(number: int) -> Generated:
    return _Writer(number).mail


class _Writer:
    def __init__(self, number: int):
        self.chance = random.Random(number)
        self.mail = Generated()
        self.number = number
        self.boundaries = 0
        self.newline = self.one_of("\r\n", "\r\n", "\r\n", "\n").encode()
        head = [
            *self.addresses(),
            *self.subject(),
            *self.date(),
            f"Message-ID: <{number}@example.org>".encode(),
        ]
        self.chance.shuffle(head)
        lines = [*self.trace(), *head, b"MIME-Version: 1.0", *self.body()]
        self.mail.raw = self.newline.join(lines) + self.newline

    def one_of(self, *choices):
        return self.chance.choice(choices)

    def likely(self, share: float) -> bool:
        return self.chance.random() < share

    def words(self, charset: str, count: int) -> str:
        return " ".join(self.chance.choice(WORDS[charset]) for _ in range(count))

    def trace(self) -> list[bytes]:
        hop = b"Received: from mx%d.example.org ([192.0.2.%d])\tby mx.example.org; 2 Mar 2026 10:00:00 +0100"
        return [(hop % (n, n)).replace(b"\t", self.newline + b"\t") for n in range(self.chance.randrange(4))]

    def worded(self, text: str, charset: str = "utf-8") -> str:
        """The text as encoded words, none longer than 75 characters."""
        label, words, step = self.one_of(charset, charset.upper()), [], self.chance.randint(4, 9)
        for start in range(0, len(text), step):
            data = text[start : start + step].encode(charset)
            if self.likely(0.5):
                coded = "b?" + encodebytes(data).decode().replace("\n", "")
            else:
                coded = "Q?" + "".join(chr(b) if chr(b).isalnum() and b < 128 else f"={b:02X}" for b in data)
            words.append(f"=?{label}?{coded}?=")
        return self.one_of(" ", f"{self.newline.decode()} ").join(words)

    def subject(self) -> list[bytes]:
        if self.likely(0.03):
            return []
        charset = self.one_of(*WORDS)
        text = self.mail.subject = self.words(charset, self.chance.randint(1, 12))
        name = self.one_of("Subject", "Subject", "SUBJECT", "subject")
        if charset == "us-ascii":
            if self.likely(0.3):
                text = text.replace(" ", f"{self.newline.decode()} ", 3)
        elif charset == "utf-8" and self.likely(0.3):
            pass
        elif charset == "windows-1251" and self.likely(0.3):
            data = text.encode()
            cuts = [encodebytes(data[n : n + 33]).decode().strip() for n in range(0, len(data), 33)]
            text = " ".join(f"=?utf-8?B?{cut}?=" for cut in cuts)
        else:
            text = self.worded(text, charset)
        return [f"{name}: {text}".encode()]

    def addresses(self) -> list[bytes]:
        found = []
        for kind, most in (("From", 1), ("To", 5), ("Cc", 3)):
            mailboxes = [self.mailbox(kind) for _ in range(self.chance.randint(kind == "From", most))]
            setattr(self.mail, {"From": "sender"}.get(kind, kind.lower()), [pair for _, pair in mailboxes])
            written = self.one_of(", ", "," + self.newline.decode() + " ").join(one for one, _ in mailboxes)
            if kind == "To" and mailboxes and self.likely(0.1):
                written = f"Our team: {written};"
            elif kind == "To" and not mailboxes and self.likely(0.5):
                written = "undisclosed-recipients:;"
            if written:
                found.append(f"{kind}: {written}".encode())
        return found

    def mailbox(self, kind: str) -> tuple[str, tuple[str, str]]:
        email = self.one_of("anna", "max.muster", "no-reply+x", "o'neill") + f"{self.number}@example.org"
        style = self.one_of("bare", "angle", "quoted", "worded", "worded", "comment", "raw", "unquoted")
        if style == "bare":
            return email, ("", email)
        if style == "comment":
            self.mail.habits.add("name in a comment")
            return f"{email} (Anna Beispiel)", ("Anna Beispiel", email)
        if style == "angle":
            return f"Anna Beispiel <{email}>", ("Anna Beispiel", email)
        if style == "quoted":
            name = self.one_of(*NAMES)
            return '"' + name.replace('"', '\\"') + f'" <{email}>', (name, email)
        if style == "unquoted" and kind == "From":
            self.mail.habits.add("comma in a name without quotes")
            return f"Muster, Max <{email}>", ("Muster, Max", email)
        name = self.one_of("Jörg Müller", "Анна Петрова") if style == "raw" else self.one_of(*FOREIGN)
        if style == "raw":
            self.mail.habits.add("name in raw UTF-8")
            return f"{name} <{email}>", (name, email)
        self.mail.habits.add("name in several encoded words")
        return f"{self.worded(name)} <{email}>", (name, email)

    def date(self) -> list[bytes]:
        if self.likely(0.02):
            return []
        zone = timezone(timedelta(minutes=self.one_of(-480, -210, 0, 60, 120, 330, 345, 540)))
        when = datetime(2026, 1, 1, tzinfo=zone) - timedelta(seconds=self.chance.randrange(800_000_000))
        self.mail.date = when.astimezone(UTC)
        text = format_datetime(when)
        style = self.one_of("plain", "plain", "day missing", "comment", "GMT", "spaces", "two digits")
        if style == "day missing":
            text = text.partition(", ")[2]
        elif style == "comment":
            text += " (CEST)"
        elif style == "GMT":
            text = format_datetime(self.mail.date, usegmt=True)
        elif style == "spaces":
            text = text.replace(" ", "  ", 2)
        elif style == "two digits":
            text = text.replace(f" {when.year} ", f" {when.year % 100:02} ")
        return [f"Date: {text}".encode()]

    def body(self) -> list[bytes]:
        shape = self.one_of("text", "html", "alternative", "mixed", "mixed", "related", "deep")
        if shape == "text":
            return self.text_part("plain")
        if shape == "html":
            return self.text_part("html")
        alternative = self.multipart("alternative", [self.text_part("plain"), self.text_part("html")])
        if shape == "alternative":
            return alternative
        files = [
            self.message_part() if self.likely(0.1) else self.file_part()
            for _ in range(self.chance.randint(1, 3))
        ]
        if shape == "mixed":
            return self.multipart("mixed", [alternative, *files])
        if shape == "related":
            return self.multipart("related", [alternative, *files])
        inner = self.multipart("related", [alternative, files[0]])
        return self.multipart("mixed", [inner, *files[1:]])

    def multipart(self, kind: str, parts: list[list[bytes]]) -> list[bytes]:
        self.boundaries += 1
        boundary = self.one_of(
            "=_Part_%d", "b%d", "----=_NextPart_000_%04X", "_00%d_", "Mark/%d +x=", "level%d"
        )
        boundary %= self.boundaries
        if self.likely(0.1) and self.boundaries > 1:  # "=_Part_1" begins "=_Part_1x"
            boundary = self.one_of("b1x%d", "level1%d", "=_Part_1%d") % self.boundaries
        shown = f'"{boundary}"' if set(boundary) & set("=/ ") or self.likely(0.5) else boundary
        lines = [self.folded(f"Content-Type: multipart/{kind};", f"boundary={shown}"), b""]
        if self.likely(0.3):
            lines.append(b"This is a multi-part message in MIME format.")
        for part in parts:
            lines += [b"--" + boundary.encode(), *part]
        return [*lines, b"--" + boundary.encode() + b"--", b""]

    def folded(self, start: str, rest: str) -> bytes:
        return start.encode() + (self.newline + b"\t" if self.likely(0.4) else b" ") + rest.encode()

    def text_part(self, kind: str) -> list[bytes]:
        charset = self.one_of(*WORDS)
        lines = [self.words(charset, self.chance.randint(1, 14)) for _ in range(self.chance.randint(1, 9))]
        if kind == "html":
            lines = [f'<p class="x">{line}</p>' for line in lines]
        text = "\n".join(lines)
        setattr(self.mail, "html" if kind == "html" else "text", text)
        label = charset
        if charset == "windows-1252" and self.likely(0.3):
            self.mail.habits.add(f"windows-1252 declared as iso-8859-1 ({kind})")
            label = "iso-8859-1"
        shown = f'"{label}"' if self.likely(0.3) else self.one_of(label, label.upper())
        header = self.folded(f"Content-Type: text/{kind};", f"charset={shown}")
        if charset in ("us-ascii", "iso-2022-jp") and self.likely(0.5):
            return [header, b"", *text.encode(charset).split(b"\n")]
        encoding = self.one_of("base64", "quoted-printable", "8bit", "8bit")
        if encoding == "quoted-printable" and charset == "utf-8" and self.likely(0.1):
            return [header, b"Content-Transfer-Encoding: quoted-printable", b"", *text.encode().split(b"\n")]
        return [
            header,
            f"Content-Transfer-Encoding: {encoding}".encode(),
            b"",
            *self.encoded(text.encode(charset), encoding),
        ]

    def encoded(self, data: bytes, encoding: str) -> list[bytes]:
        if encoding == "base64":
            return encodebytes(data).rstrip(b"\n").split(b"\n")
        return (encodestring(data) if encoding == "quoted-printable" else data).split(b"\n")

    def file_part(self) -> list[bytes]:
        name, kind = self.one_of(*FILES), self.one_of(*TYPES)
        data = self.chance.randbytes(self.chance.randrange(600))
        encoding = "base64"
        if self.likely(0.2):
            rows = [b"Stra\xdfe_;%d = \t" % n for n in range(self.chance.randint(1, 20))]
            data, encoding = b"\n".join(rows), "quoted-printable"
        self.mail.files.append((name, data.replace(b"\n", self.newline) if encoding != "base64" else data))
        header, disposition = self.file_headers(name, kind)
        if self.likely(0.3):
            header += self.newline + b"Content-ID: <%d@example.org>" % self.number
        return [
            header,
            disposition,
            f"Content-Transfer-Encoding: {encoding}".encode(),
            b"",
            *self.encoded(data, encoding),
        ]

    def message_part(self) -> list[bytes]:
        lines = [
            b"From: eva@example.org",
            b"Subject: inside",
            b"Content-Type: text/plain",
            b"",
            b"Hello",
            b"-- ",
            b"Eva",
        ]
        self.mail.files.append(("message/rfc822", self.newline.join(lines)))
        return [b"Content-Type: message/rfc822", b"", *lines]

    def file_headers(self, name: str, kind: str) -> tuple[bytes, bytes]:
        disposition = f"Content-Disposition: {self.one_of('attachment', 'attachment', 'inline')};"
        style = self.one_of("rfc2231", "sections", "words")
        if name.isascii() and self.likely(0.6):
            style = "quoted"
        if style == "quoted":
            return f"Content-Type: {kind}".encode(), self.folded(disposition, f'filename="{name}"')
        if style == "rfc2231":
            return f"Content-Type: {kind}".encode(), self.folded(
                disposition, f"filename*=UTF-8''{quote(name, safe='')}"
            )
        if style == "sections":
            cuts = [name[start : start + 5] for start in range(0, len(name), 5)]
            coded = ["UTF-8''" + quote(cuts[0], safe=""), *(quote(cut, safe="") for cut in cuts[1:])]
            sections = f";{self.newline.decode()} ".join(
                f"filename*{n}*={cut}" for n, cut in enumerate(coded)
            )
            return f"Content-Type: {kind}".encode(), self.folded(disposition, sections)
        shown = self.worded(name)
        return f'Content-Type: {kind}; name="{shown}"'.encode(), self.folded(
            disposition, f'filename="{shown}"'
        )
