"""A person's mails as a list, newest first: which there are is asked of the database, 50 are unsealed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from accounts import actions
from accounts.errors import SealBroken
from accounts.models import MailAccount, User
from mail.ledger import is_current
from mail.models import EntryState, Folder, LedgerEntry, Message, SystemFlag
from mail.parcels import Envelope
from mail.queries import MailOpener, folder_name

PER_PAGE = 50
ALL_FLAGS = range(sum(SystemFlag) + 1)
WHEN = Coalesce("internal_date", "stored_at")  # as the index of Message has it


@dataclass(frozen=True)
class Wanted:
    """What a reader asks to see of their mails; the empty value asks for nothing in particular.

    `stored_only_here` adds mail that no synced folder of the server has now.
    """

    account: UUID | None = None
    folder: UUID | None = None
    unread: bool = False
    flagged: bool = False
    since: date | None = None
    until: date | None = None
    at_least_bytes: int = 0
    stored_only_here: bool = False


@dataclass(frozen=True)
class Place:
    """Between two mails of the list: the page `before` it holds older mails, the page after it newer ones."""

    at: datetime
    message_id: UUID


@dataclass(frozen=True)
class Standing:
    """Where the server has a mail and with which flags; `only_here` where no synced folder has it now."""

    folders: list[str]
    only_here: bool
    unread: bool
    flagged: bool
    answered: bool


@dataclass(frozen=True)
class Line:
    """One mail of the list. Without an envelope it does not open or could not be read."""

    message: Message
    envelope: Envelope | None
    account: MailAccount
    standing: Standing

    @property
    def at(self) -> datetime:
        return self.message.internal_date or self.message.stored_at


@dataclass(frozen=True)
class Page:
    lines: list[Line]
    newer: Place | None
    older: Place | None


@dataclass(frozen=True)
class Mailboxes:
    """A person's accounts and folders, with the keys that open what is sealed of them."""

    accounts: dict[UUID, MailAccount]
    keys: dict[UUID, bytes]
    folders: dict[UUID, Folder]
    names: dict[UUID, str]


def mailboxes_of(user: User, user_key: bytes) -> Mailboxes:
    accounts = {account.pk: account for account in user.mail_accounts.all()}
    keys = actions.account_keys(accounts.values(), user_key)
    folders = {folder.pk: folder for folder in Folder.objects.filter(account__in=keys)}
    names = {pk: folder_name(folder, keys[folder.account_id]) for pk, folder in folders.items()}
    return Mailboxes(accounts, keys, folders, names)


def page_of(
    user: User,
    user_key: bytes,
    mailboxes: Mailboxes,
    wanted: Wanted,
    *,
    older_than: Place | None = None,
    newer_than: Place | None = None,
) -> Page:
    if newer_than:
        places = _places(mailboxes, wanted, newer_than, newer=True)
        if len(places) <= PER_PAGE:  # there is no page before it: show the first, whole
            return page_of(user, user_key, mailboxes, wanted)
        shown = places[:PER_PAGE][::-1]
        newer, older = shown[0], shown[-1]
    else:
        places = _places(mailboxes, wanted, older_than, newer=False)
        shown = places[:PER_PAGE]
        newer = shown[0] if older_than and shown else None
        older = shown[-1] if len(places) > PER_PAGE else None
    return Page(_lines(user, user_key, mailboxes, [place.message_id for place in shown]), newer, older)


def _places(mailboxes: Mailboxes, wanted: Wanted, edge: Place | None, newer: bool) -> list[Place]:
    """The next ones of the list after an edge, one more than a page.

    Each account is asked by itself, so that the index answers from where the page begins: bench/pages.py.
    """
    order = [WHEN.asc(), "pk"] if newer else [WHEN.desc(), "-pk"]
    folder = mailboxes.folders.get(wanted.folder)
    whose = {wanted.account, folder and folder.account_id} - {None}
    asked = [account for pk, account in mailboxes.accounts.items() if whose <= {pk}]
    parts = [
        Message.objects.filter(
            pk__in=_wanted_of(account, wanted, edge, newer).order_by(*order)[: PER_PAGE + 1]
        )
        .annotate(at=WHEN)
        .values_list("at", "pk")
        for account in asked
    ]
    if not parts:
        return []
    rows = parts[0].union(*parts[1:], all=True) if parts[1:] else parts[0]
    rows = rows.order_by("at", "pk") if newer else rows.order_by("-at", "-pk")
    return [Place(*row) for row in rows[: PER_PAGE + 1]]


def _wanted_of(account: MailAccount, wanted: Wanted, edge: Place | None, newer: bool) -> QuerySet:
    rows = Message.objects.filter(account=account).annotate(at=WHEN)
    if edge:
        beyond = Q(at__gt=edge.at) if newer else Q(at__lt=edge.at)
        rows = rows.filter(**{"at__gte" if newer else "at__lte": edge.at})
        rows = rows.filter(beyond | Q(**{"pk__gt" if newer else "pk__lt": edge.message_id}))
    if wanted.since:
        rows = rows.filter(at__gte=_midnight(wanted.since))
    if wanted.until:
        rows = rows.filter(at__lt=_midnight(wanted.until + timedelta(days=1)))
    if wanted.at_least_bytes:
        rows = rows.filter(size__gte=wanted.at_least_bytes)
    return rows.filter(*_in_the_ledger(account, wanted)).values("pk")


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min)).astimezone(UTC)


def _in_the_ledger(account: MailAccount, wanted: Wanted) -> list:
    """Flags and folder are of one row: a mail read in one folder may be unread in another."""
    rows = LedgerEntry.objects.all()
    if not wanted.stored_only_here:
        rows = rows.filter(is_current(account)).exclude(state=EntryState.GONE)
    if wanted.folder:
        # Not by an index: SQLite would go through the whole folder for each mail.
        rows = rows.alias(lies_in=Coalesce("folder", "folder")).filter(lies_in=wanted.folder)
    if wanted.unread:
        rows = rows.filter(flags__in=[flags for flags in ALL_FLAGS if not flags & SystemFlag.SEEN])
    if wanted.flagged:
        rows = rows.filter(flags__in=[flags for flags in ALL_FLAGS if flags & SystemFlag.FLAGGED])
    if wanted.unread or wanted.flagged:  # few may be: an index finds them first
        return [Q(pk__in=rows.filter(folder__account=account).values("message"))]
    if wanted.folder or not wanted.stored_only_here:
        # As a plain EXISTS it is a join to PostgreSQL, of all mails of the account.
        return [Coalesce(Exists(rows.filter(message=OuterRef("pk"))), False)]
    return []


def _lines(user: User, user_key: bytes, mailboxes: Mailboxes, ids: list[UUID]) -> list[Line]:
    messages = Message.objects.select_related("content_key").in_bulk(ids)
    entries: dict[UUID, list[LedgerEntry]] = {}
    for entry in LedgerEntry.objects.filter(message__in=ids).order_by("pk"):
        entries.setdefault(entry.message_id, []).append(entry)
    opener = _opener(user, user_key)
    found = [messages[one] for one in ids if one in messages]
    return [_line(message, opener, mailboxes, entries.get(message.pk, [])) for message in found]


def _opener(user: User, user_key: bytes) -> MailOpener | None:
    """Of envelopes alone; None where the key of all mail does not open."""
    try:
        return MailOpener(actions.mail_private_key(user, user_key), b"")
    except SealBroken:
        return None


def _line(
    message: Message, opener: MailOpener | None, mailboxes: Mailboxes, entries: list[LedgerEntry]
) -> Line:
    account = mailboxes.accounts[message.account_id]
    return Line(message, _envelope(message, opener), account, standing_of(entries, mailboxes))


def standing_of(entries: list[LedgerEntry], mailboxes: Mailboxes) -> Standing:
    """Of the rows of one mail; where the server has it no more, as it was there last."""
    live = [entry for entry in entries if _is_live(entry, mailboxes.folders)]
    told = live or entries
    names = (mailboxes.names.get(entry.folder_id) for entry in told)
    return Standing(
        folders=list(dict.fromkeys(name for name in names if name)),
        only_here=not live,
        unread=any(not entry.flags & SystemFlag.SEEN for entry in told),
        flagged=any(entry.flags & SystemFlag.FLAGGED for entry in told),
        answered=any(entry.flags & SystemFlag.ANSWERED for entry in told),
    )


def _is_live(entry: LedgerEntry, folders: Mapping[UUID, Folder]) -> bool:
    """Whether a synced folder of the server has it now, as mail.ledger.is_current asks the database."""
    folder = folders.get(entry.folder_id)
    if folder is None or folder.excluded or folder.gone_at or folder.missing_since:
        return False
    return entry.uidvalidity == folder.uidvalidity and entry.state != EntryState.GONE


def _envelope(message: Message, opener: MailOpener | None) -> Envelope | None:
    try:
        return opener and opener.envelope(message)
    except SealBroken:
        return None


def quarantined(mailboxes: Mailboxes) -> int:
    """Mails that the server did not give: they stand in no list."""
    synced = Folder.objects.filter(pk__in=mailboxes.folders, excluded=False, gone_at=None)
    rows = LedgerEntry.objects.filter(folder__in=synced, uidvalidity=F("folder__uidvalidity"))
    return rows.filter(state=EntryState.QUARANTINED, message=None).count()
