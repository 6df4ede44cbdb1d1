"""One mail opened for its reader: what it says, its files, and why something of it is missing."""

import mimetypes
import re
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import PurePosixPath

from accounts import actions, advice
from accounts.errors import ErrorType, SealBroken
from mail.cleanroom import SafeHtml, sanitised
from mail.export import safe_name
from mail.html import readable
from mail.listing import mailboxes_of, standing_of
from mail.models import Message
from mail.parcels import Attachment, Content, Envelope
from mail.parse import Unparseable, read_content
from mail.queries import MailOpener
from mail.sanitise import PICTURES

MAX_TEXT = 200_000  # characters: what nobody reads on a page, and a browser labours over
# Browsers show these without running anything in them; whatever else it is called, it is bytes.
HARMLESS = (*PICTURES, "application/pdf", "text/plain")

_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,10}")
MAX_STEM = 100


@dataclass(frozen=True)
class File:
    """An attachment as it is offered: `name` is fit for any disk, `content_type` for any browser."""

    number: int
    name: str
    content_type: str
    size: int


@dataclass
class OpenMail:
    """Parts are unsealed and taken apart when they are asked for."""

    message: Message
    opener: MailOpener = field(repr=False)

    @cached_property
    def raw(self) -> bytes:
        return self.opener.raw(self.message)

    @cached_property
    def envelope(self) -> Envelope | None:
        return self.opener.envelope(self.message)

    @cached_property
    def content(self) -> Content | None:
        """None where there is nothing to take apart, or it cannot be."""
        try:
            return None if self.message.header_only else read_content(self.raw)
        except Unparseable:
            return None

    @property
    def files(self) -> list[File]:
        attachments = self.content.attachments if self.content else ()
        return [_file(number, one) for number, one in enumerate(attachments, 1)]

    @property
    def has_html(self) -> bool:
        return bool(self.content and self.content.html.strip())

    def html(self, remote_images: bool) -> SafeHtml | None:
        """None where there is none, or none that can be shown safely."""
        if not self.has_html:
            return None
        return sanitised(self.content.html, self.content.attachments, remote_images)

    @property
    def trouble(self) -> str:
        """Why there is no content: an error_type."""
        if self.content:
            return ""
        return ErrorType.OVER_LIMIT if self.message.header_only else ErrorType.UNPARSEABLE


def open_mail(message: Message, user_key: bytes) -> OpenMail:
    """Raises SealBroken."""
    private_key = actions.mail_private_key(message.account.user, user_key)
    return OpenMail(message, MailOpener(private_key, actions.account_key(message.account, user_key)))


def page_of(message: Message, user_key: bytes, remote_images: bool) -> dict:
    """What the page of one mail shows."""
    try:
        mail = open_mail(message, user_key)
        return {"message": message} | _opened(mail, remote_images) | _where(mail, user_key)
    except SealBroken:
        return {"message": message, "why_not": advice.not_shown(advice.SEAL_BROKEN)}


def _opened(mail: OpenMail, remote_images: bool) -> dict:
    html = mail.html(remote_images)
    tangled = mail.has_html and html is None
    text = mail.content.text.strip() if mail.content else ""
    if tangled and not text:
        text = readable(mail.content.html).strip()
    return {
        "envelope": mail.envelope,
        "at": _at(mail),
        "text": text[:MAX_TEXT],
        "cut": len(text) > MAX_TEXT,
        "html": html,
        "tangled": tangled,
        "remote": remote_images,
        "files": mail.files,
        "why_not": advice.not_shown(mail.trouble),
    }


def _at(mail: OpenMail) -> datetime:
    written = mail.envelope.date if mail.envelope else None
    return written or mail.message.internal_date or mail.message.stored_at


def _where(mail: OpenMail, user_key: bytes) -> dict:
    entries = list(mail.message.entries.order_by("pk"))
    words = (word for entry in entries for word in (*mail.opener.keywords(entry), *mail.opener.labels(entry)))
    mailboxes = mailboxes_of(mail.message.account.user, user_key)
    return {"standing": standing_of(entries, mailboxes), "keywords": list(dict.fromkeys(words))}


def _file(number: int, attachment: Attachment) -> File:
    kind = attachment.content_type if attachment.content_type in HARMLESS else "application/octet-stream"
    return File(number, file_name(attachment, number), kind, len(attachment.data))


def file_name(attachment: Attachment, number: int) -> str:
    """The last part of the name that it was sent with, or one by its number."""
    if attachment.name == attachment.content_type:
        suffix = mimetypes.guess_extension(attachment.content_type) or ""
        return f"attachment-{number}{suffix}"
    name = re.split(r"[/\\]", attachment.name)[-1]
    suffix = PurePosixPath(name).suffix
    suffix = suffix if _SUFFIX.fullmatch(suffix) else ""
    stem = safe_name(name.removesuffix(suffix))[:MAX_STEM]
    return f"attachment-{number}{suffix}" if stem == "_" else stem + suffix
