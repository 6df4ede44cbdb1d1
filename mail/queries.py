"""Read-only selections of the ledger and the sealed store."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import zstandard
from django.db.models import Count, Exists, F, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from accounts import vault
from accounts.models import MailAccount
from mail.imap_text import display_name
from mail.ledger import is_current
from mail.models import EntryState, Folder, LedgerEntry, Message, SystemFlag
from mail.parcels import Address, Envelope
from mail.sealer import entry_place, place


@dataclass(frozen=True)
class FolderFigures:
    """What became of every mail the server counts in one folder. `on_server` is the server's own count.

    `excluded_by` counts the excluded by what left them out: folder, over_limit, since, unread_only.
    """

    folder_id: UUID
    special_use: str
    guessed: bool
    left_out: bool
    on_server: int
    stored: int
    excluded: int
    quarantined: int
    pending: int
    gone: int
    as_of: datetime | None
    excluded_by: dict[str, int]

    @property
    def unexplained(self) -> int:
        return self.on_server - self.stored - self.excluded - self.quarantined - self.pending


@dataclass(frozen=True)
class AccountFigures:
    """The sums over an account's folders."""

    on_server: int = 0
    stored: int = 0
    excluded: int = 0
    quarantined: int = 0
    pending: int = 0
    gone: int = 0
    unexplained: int = 0
    as_of: datetime | None = None


@dataclass(frozen=True)
class StoredMail:
    """A mail of the current state of a folder, opened."""

    uid: int
    raw: bytes
    flags: frozenset[SystemFlag]
    keywords: tuple[str, ...]
    labels: tuple[str, ...]
    internal_date: datetime | None


def current_folders(account: MailAccount):
    return account.folders.filter(gone_at=None)


def folder_figures(account: MailAccount) -> list[FolderFigures]:
    reasons = _excluded_by(account)
    return [figures_of_folder(row, reasons.get(row.pk)) for row in counted(current_folders(account))]


def counted(folders: QuerySet[Folder]) -> QuerySet[Folder]:
    """Each with its ledger's rows by state, counted from the index alone."""
    rows = LedgerEntry.objects.filter(folder=OuterRef("pk"), uidvalidity=OuterRef("uidvalidity")).order_by()
    return folders.annotate(**{f"{state}_entries": _count(rows.filter(state=state)) for state in EntryState})


def _count(rows):
    return Coalesce(Subquery(rows.values("folder").annotate(count=Count("pk")).values("count")), 0)


def _excluded_by(account: MailAccount) -> dict[UUID, dict[str, int]]:
    rows = LedgerEntry.objects.filter(
        folder__account=account, uidvalidity=F("folder__uidvalidity"), state=EntryState.EXCLUDED
    )
    found: dict[UUID, dict[str, int]] = {}
    for folder, reason, count in rows.values_list("folder", "reason").annotate(Count("pk")).order_by():
        found.setdefault(folder, {})[reason] = count
    return found


def figures_of_folder(folder: Folder, excluded_by: dict[str, int] | None = None) -> FolderFigures:
    """Of a counted one."""
    on_server = folder.server_count or 0
    counted = {state: getattr(folder, f"{state}_entries") for state in EntryState.values}
    if folder.excluded:
        counted = dict.fromkeys(EntryState.values, 0) | {EntryState.EXCLUDED: on_server}
        excluded_by = {"folder": on_server} if on_server else {}
    return FolderFigures(
        folder_id=folder.pk,
        special_use=folder.special_use,
        guessed=folder.special_use_guessed,
        left_out=folder.excluded,
        on_server=on_server,
        as_of=folder.as_of,
        excluded_by=excluded_by or {},
        **counted,
    )


def account_figures(account: MailAccount) -> AccountFigures:
    return figures_of([account])[account.pk]


def figures_of(accounts: Iterable[MailAccount]) -> dict[UUID, AccountFigures]:
    """In one query, whatever the number of accounts."""
    by_account: dict[UUID, list[FolderFigures]] = {account.pk: [] for account in accounts}
    for folder in counted(Folder.objects.filter(account__in=by_account, gone_at=None)):
        by_account[folder.account_id].append(figures_of_folder(folder))
    return {account_id: _sum(folders) for account_id, folders in by_account.items()}


def _sum(folders: list[FolderFigures]) -> AccountFigures:
    names = ("on_server", "stored", "excluded", "quarantined", "pending", "gone")
    sums = {name: sum(getattr(folder, name) for folder in folders) for name in names}
    unexplained = sum(abs(folder.unexplained) for folder in folders)  # or one folder hides another's
    return AccountFigures(
        **sums, unexplained=unexplained, as_of=min((f.as_of for f in folders if f.as_of), default=None)
    )


def pending_size(account: MailAccount) -> tuple[int, int]:
    """Mails and bytes that are still to fetch; a mail whose size the server does not say counts as none."""
    rows = LedgerEntry.objects.filter(is_current(account), state=EntryState.PENDING)
    sums = rows.aggregate(mails=Count("pk"), bytes=Sum("size"))
    return sums["mails"], sums["bytes"] or 0


def backlog(account: MailAccount) -> tuple[int, int]:
    """Mails that are still to fetch, and mails that are quarantined."""
    rows = LedgerEntry.objects.filter(
        is_current(account), state__in=[EntryState.PENDING, EntryState.QUARANTINED]
    )
    counts = dict(rows.values_list("state").annotate(Count("pk")).order_by())
    return counts.get(EntryState.PENDING, 0), counts.get(EntryState.QUARANTINED, 0)


def folder_names(account: MailAccount, account_key: bytes) -> dict[UUID, str]:
    """Also of folders that are gone from the server."""
    return {folder.pk: folder_name(folder, account_key) for folder in account.folders.all()}


def folder_name(folder: Folder, account_key: bytes) -> str:
    return display_name(vault.unseal(account_key, folder.sealed_name, *place(folder, "sealed_name")))


def folder_named(account: MailAccount, account_key: bytes, name: str) -> Folder | None:
    """By the name that people see; in another case only if one alone is meant."""
    names = folder_names(account, account_key)
    exact = [folder_id for folder_id, known in names.items() if known == name]
    similar = [folder_id for folder_id, known in names.items() if known.casefold() == name.casefold()]
    wanted = exact or similar
    return account.folders.get(pk=wanted[0]) if len(wanted) == 1 else None


class MailOpener:
    """Opens what a person's mail key was sealed to; keeps the content keys it has opened."""

    def __init__(self, mail_private_key: bytes, account_key: bytes):
        self._private, self._account_key = mail_private_key, account_key
        self._content_keys: dict[UUID, bytes] = {}

    def raw(self, message: Message) -> bytes:
        sealed = message.body.sealed_raw
        where = (message.body._meta.db_table, message.pk, "sealed_raw")
        return zstandard.decompress(vault.unseal(self._content_key(message), sealed, *where))

    def envelope(self, message: Message) -> Envelope | None:
        if message.sealed_envelope is None:
            return None
        where = place(message, "sealed_envelope")
        return unpack_envelope(vault.unseal(self._content_key(message), message.sealed_envelope, *where))

    def keywords(self, entry: LedgerEntry) -> tuple[str, ...]:
        return self._words(entry, "sealed_keywords")

    def labels(self, entry: LedgerEntry) -> tuple[str, ...]:
        return self._words(entry, "sealed_labels")

    def _words(self, entry: LedgerEntry, field: str) -> tuple[str, ...]:
        sealed = getattr(entry, field)
        if sealed is None:
            return ()
        where = entry_place(entry.folder_id, entry.uidvalidity, entry.uid, field)
        return tuple(json.loads(vault.unseal(self._account_key, sealed, *where)))

    def _content_key(self, message: Message) -> bytes:
        row = message.content_key
        if row.pk not in self._content_keys:
            key = vault.unseal_with(self._private, row.sealed_key, *place(row, "sealed_key"))
            self._content_keys[row.pk] = key
        return self._content_keys[row.pk]


def unpack_envelope(packed: bytes) -> Envelope:
    fields = json.loads(packed)
    for header in ("sender", "to", "cc"):
        fields[header] = tuple(Address(**address) for address in fields[header])
    fields["date"] = datetime.fromisoformat(fields["date"]) if fields["date"] else None
    fields["attachments"] = tuple(fields["attachments"])
    return Envelope(**fields)


def stored_only_here(account: MailAccount):
    """Whole mails that no synced folder of the server has now: gone from it, or in folders left out."""
    current = LedgerEntry.objects.filter(is_current(account), state=EntryState.STORED)
    return account.messages.filter(header_only=False).exclude(Exists(current.filter(message=OuterRef("pk"))))


def mails_stored_only_here(account: MailAccount, opener: MailOpener) -> Iterator[StoredMail]:
    """One mail in memory at a time; their flags went with their folders."""
    messages = stored_only_here(account).select_related("body", "content_key").order_by("internal_date", "pk")
    for number, message in enumerate(messages.iterator(chunk_size=20), 1):
        yield StoredMail(number, opener.raw(message), frozenset(), (), (), message.internal_date)


def stored_mails(folder: Folder, opener: MailOpener) -> Iterator[StoredMail]:
    """The folder as it is now, in UID order, one mail in memory at a time."""
    entries = folder.entries.filter(uidvalidity=folder.uidvalidity, state=EntryState.STORED).order_by("uid")
    for entry in entries.select_related("message__body", "message__content_key").iterator(chunk_size=20):
        yield StoredMail(
            uid=entry.uid,
            raw=opener.raw(entry.message),
            flags=frozenset(flag for flag in SystemFlag if entry.flags & flag),
            keywords=opener.keywords(entry),
            labels=opener.labels(entry),
            internal_date=entry.internal_date,
        )
