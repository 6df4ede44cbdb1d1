"""Stored mail, opened for an unlocked session alone."""

from datetime import date, datetime
from uuid import UUID

from ninja import Field, Query, Router, Schema

from accounts import cursors
from accounts.api.callers import UNLOCKED
from accounts.api.cursors import Cursor, place_in
from accounts.api.problems import Problem, answers
from mail import listing, reading
from mail.downloads import as_file
from mail.models import Message
from mail.parcels import Envelope

NOTHING = Envelope("", (), (), (), None, "", "", ())

router = Router(tags=["mail"], by_alias=False)


class Address(Schema):
    name: str
    email: str


class MailHead(Schema):
    """Its texts are empty where it does not open or could not be read. `only_here`: no folder has it now."""

    message_id: UUID
    account_id: UUID
    at: datetime
    size: int
    subject: str
    sender: list[Address]
    to: list[Address]
    cc: list[Address]
    snippet: str
    attachments: list[str]
    folders: list[str]
    only_here: bool
    unread: bool
    flagged: bool
    answered: bool


class Mails(Schema):
    """Newest first. `next` is the `cursor` of the following page; null on the last."""

    items: list[MailHead]
    next: str | None


class File(Schema):
    number: int
    name: str
    content_type: str
    size: int


class Mail(MailHead):
    """`html` is cleaned: no scripts, forms or remote images. `cut`: the text goes on, see the mail's source.
    `why_not` says why there is nothing to show."""

    text: str
    cut: bool
    html: str
    files: list[File]
    keywords: list[str]
    why_not: str


class MailQuery(Schema):
    account: UUID | None = None
    folder: UUID | None = None
    unread: bool = False
    flagged: bool = False
    since: date | None = Field(None, ge=date(1900, 1, 1), le=date(9000, 1, 1))
    until: date | None = Field(None, ge=date(1900, 1, 1), le=date(9000, 1, 1))
    at_least_bytes: int = Field(0, ge=0, le=2**31 - 1)
    stored_only_here: bool = False
    cursor: Cursor = ""


@router.get("", auth=UNLOCKED, response=answers({200: Mails}, 404, 423))
def list_mails(request, asked: Query[MailQuery]):
    """50 mails a page."""
    wanted = listing.Wanted(**asked.model_dump(exclude={"cursor"}))
    place = place_in(asked.cursor)
    mailboxes = listing.mailboxes_of(request.user, request.auth.user_key)
    _check_own(wanted, mailboxes)
    older_than = place and listing.Place(*place)
    shown = listing.page_of(request.user, request.auth.user_key, mailboxes, wanted, older_than=older_than)
    following = shown.older and cursors.write(shown.older.at, shown.older.message_id)
    return {
        "items": [_head(line.message, line.envelope, line.standing) for line in shown.lines],
        "next": following,
    }


@router.get("/{uuid:message_id}", auth=UNLOCKED, response=answers({200: Mail}, 404, 409, 423))
def read_mail(request, message_id: UUID):
    row = _own(request, message_id)
    shown = reading.page_of(row, request.auth.user_key, remote_images=False)
    if "standing" not in shown:
        raise Problem("seal_broken", shown["why_not"])
    html, why_not = shown["html"], shown["why_not"]
    return _head(row, shown["envelope"], shown["standing"]) | {
        "text": shown["text"],
        "cut": shown["cut"],
        "html": html.html if html else "",
        "files": shown["files"],
        "keywords": shown["keywords"],
        "why_not": why_not.sentence if why_not else "",
    }


@router.get(
    "/{uuid:message_id}/source",
    auth=UNLOCKED,
    response=answers({200: None}, 404, 409, 423),
    openapi_extra={"responses": {200: {"content": {"message/rfc822": {"schema": {"type": "string"}}}}}},
)
def read_mail_source(request, message_id: UUID):
    """Byte for byte what the server sent."""
    return as_file(reading.open_mail(_own(request, message_id), request.auth.user_key))


def _check_own(wanted: listing.Wanted, mailboxes: listing.Mailboxes) -> None:
    strange_account = wanted.account and wanted.account not in mailboxes.accounts
    strange_folder = wanted.folder and wanted.folder not in mailboxes.folders
    if strange_account or strange_folder:
        raise Problem("not_found")


def _own(request, message_id: UUID) -> Message:
    rows = Message.objects.select_related("account__user__vault", "content_key", "body")
    row = rows.filter(pk=message_id, account__user=request.user).first()
    if row is None:
        raise Problem("not_found")
    return row


def _head(message: Message, envelope: Envelope | None, standing: listing.Standing) -> dict:
    shown = envelope or NOTHING
    return {
        "message_id": message.pk,
        "account_id": message.account_id,
        "at": message.internal_date or message.stored_at,
        "size": message.size,
        "subject": shown.subject,
        "sender": shown.sender,
        "to": shown.to,
        "cc": shown.cc,
        "snippet": shown.snippet,
        "attachments": list(shown.attachments),
        **vars(standing),
    }
