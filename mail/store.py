"""The sealed store and the ledger: every write of a sync, each batch in one guarded transaction.

`guard` is the run's claim: called first in each transaction, it raises when the run belongs to another now.
"""

import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from uuid import UUID

import zstandard
from django.conf import settings
from django.db import connection as database
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts import vault
from accounts.errors import ErrorType, SealBroken
from accounts.models import MailAccount
from mail.fetch import MAX_ATTEMPTS
from mail.models import ContentKey, EntryState, Folder, LedgerEntry, Message, MessageBody
from mail.parcels import (
    Envelope,
    Flags,
    FlagSurvey,
    FolderPlan,
    KnownEntry,
    Metadata,
    ParsedMail,
    PendingMail,
    Selected,
    SurveyedFolder,
)

Guard = Callable[[], None]
ROWS_PER_STATEMENT = 500
ZSTD_LEVEL = 3

_one_writer = threading.Lock()


@contextmanager
def guarded(guard: Guard) -> Iterator[None]:
    """One transaction that begins with the guard; on SQLite one at a time in this process.

    Six unordered SQLite writers let a small write wait 1.7 s at the median; in line it waits 0.02 s.
    """
    with _one_writer if database.vendor == "sqlite" else nullcontext(), transaction.atomic():
        guard()
        yield


@dataclass(frozen=True)
class Sealer:
    """Seals one account's mail for one claim of a run: what it seals it cannot open again later."""

    account: MailAccount
    account_key: bytes
    content_key: bytes
    content_key_row: ContentKey

    @classmethod
    def for_claim(cls, account: MailAccount, account_key: bytes, mail_key_digest: str) -> "Sealer":
        """Raises SealBroken when the mail key in the database is not the account owner's."""
        mail_public_key = account.user.vault.mail_public_key
        if vault.digest(mail_public_key) != mail_key_digest:
            raise SealBroken
        key, row = vault.new_key(), ContentKey(account=account)
        row.sealed_key = vault.seal_to(mail_public_key, key, *place(row, "sealed_key"))
        return cls(account, account_key, key, row)

    def index(self, kind: str, value: bytes) -> bytes:
        return vault.blind_index(self.account_key, kind, value)

    def keywords_index(self, keywords: tuple[str, ...]) -> bytes | None:
        return self.index("keywords", json.dumps(keywords).encode()) if keywords else None

    def keywords(self, folder: Folder, uid: int, keywords: tuple[str, ...]) -> bytes | None:
        if not keywords:
            return None
        where = keywords_place(folder.pk, folder.uidvalidity, uid)
        return vault.seal(self.account_key, json.dumps(keywords).encode(), *where)


def place(row, field: str) -> tuple[object, ...]:
    return row._meta.db_table, row.pk, field


def keywords_place(folder_id: UUID, uidvalidity: int, uid: int) -> tuple[object, ...]:
    return LedgerEntry._meta.db_table, folder_id, uidvalidity, uid, "sealed_keywords"


def record_survey(guard: Guard, sealer: Sealer, surveyed: list[SurveyedFolder]) -> dict[bytes, Folder]:
    """The folder rows by raw name; a folder that is no longer listed is marked, its mail stays."""
    account = sealer.account
    with guarded(guard):
        known = {folder.name_index: folder for folder in account.folders.all()}
        rows = {}
        for folder in surveyed:
            index = sealer.index("folder", folder.raw_name)
            row = known.pop(index, None) or _new_folder(sealer, folder, index)
            row.special_use, row.special_use_guessed = folder.special_use, folder.guessed
            row.excluded, row.gone_at = folder.excluded, None
            rows[folder.raw_name] = row
        _upsert(rows.values(), ["special_use", "special_use_guessed", "excluded", "gone_at"])
        vanished = [row.pk for row in known.values() if row.gone_at is None]
        account.folders.filter(pk__in=vanished).update(gone_at=timezone.now())
    return rows


def _new_folder(sealer: Sealer, folder: SurveyedFolder, index: bytes) -> Folder:
    row = Folder(account=sealer.account, name_index=index)
    row.sealed_name = vault.seal(sealer.account_key, folder.raw_name, *place(row, "sealed_name"))
    return row


def record_excluded_folders(guard: Guard, server_counts: dict[Folder, int]) -> None:
    """Folders left out count their mails. Rows from a time when they were synced stay, but do not count."""
    for folder, count in server_counts.items():
        folder.server_count, folder.as_of = count, timezone.now()
    with guarded(guard):
        _upsert(server_counts, ["server_count", "as_of"])


def _upsert(folders: Iterable[Folder], fields: list[str]) -> None:
    Folder.objects.bulk_create(
        folders,
        update_conflicts=True,
        update_fields=fields,
        unique_fields=["id"],
        batch_size=ROWS_PER_STATEMENT,
    )


def adopt_uidvalidity(guard: Guard, folder: Folder, uidvalidity: int) -> None:
    """From now on the ledger speaks of this UIDVALIDITY.

    Rows from an earlier time under the same value are fetched anew: their UIDs may mean other mails now.
    """
    if folder.uidvalidity == uidvalidity:
        return
    with guarded(guard):
        folder.entries.filter(uidvalidity=uidvalidity).update(
            state=EntryState.PENDING, message=None, attempts=0, error_type="", reason=""
        )
        folder.uidvalidity = uidvalidity
        folder.uidnext = folder.highestmodseq = folder.server_count = None
        folder.save()


def known_entries(folder: Folder) -> dict[int, KnownEntry]:
    rows = folder.entries.filter(uidvalidity=folder.uidvalidity)
    values = rows.values_list("uid", "state", "flags", "keywords_index")
    return {
        uid: KnownEntry(state, flags, None if index is None else bytes(index))
        for uid, state, flags, index in values.iterator(chunk_size=5_000)
    }


def record_plan(guard: Guard, sealer: Sealer, folder: Folder, plan: FolderPlan) -> None:
    """Tombstones, returns and flags. New mails are recorded by record_new."""
    rows = folder.entries.filter(uidvalidity=folder.uidvalidity)
    for uids in chunks(plan.gone):
        with guarded(guard):
            rows.filter(uid__in=uids).update(state=EntryState.GONE)
    for uids in chunks(plan.returned):
        with guarded(guard):
            back = rows.filter(uid__in=uids)
            back.filter(message=None).update(state=EntryState.PENDING, attempts=0)
            back.exclude(message=None).update(state=EntryState.STORED)
    for changes in chunks(plan.reflagged):
        with guarded(guard):
            _reflag(sealer, folder, dict(changes))


def _reflag(sealer: Sealer, folder: Folder, changes: dict[int, Flags]) -> None:
    entries = list(folder.entries.filter(uidvalidity=folder.uidvalidity, uid__in=changes))
    for entry in entries:
        _set_flags(sealer, folder, entry, changes[entry.uid])
    _update(entries, ["flags", "sealed_keywords", "keywords_index"])


def _set_flags(sealer: Sealer, folder: Folder, entry: LedgerEntry, flags: Flags) -> None:
    entry.flags = flags.system
    entry.keywords_index = sealer.keywords_index(flags.keywords)
    entry.sealed_keywords = sealer.keywords(folder, entry.uid, flags.keywords)


def record_new(
    guard: Guard,
    sealer: Sealer,
    folder: Folder,
    uids: tuple[int, ...],
    metadata: dict[int, Metadata],
    survey: FlagSurvey,
) -> None:
    """One pending row per new UID, also where the server keeps size and date to itself."""
    entries = []
    for uid in uids:
        facts = metadata.get(uid, Metadata(None, None))
        entry = LedgerEntry(
            folder=folder,
            uidvalidity=folder.uidvalidity,
            uid=uid,
            size=facts.size,
            internal_date=facts.internal_date,
        )
        _set_flags(sealer, folder, entry, survey.flags[uid] or Flags(0, ()))
        entries.append(entry)
    with guarded(guard):
        LedgerEntry.objects.bulk_create(entries, batch_size=ROWS_PER_STATEMENT)


def apply_size_limit(guard: Guard, folder: Folder) -> None:
    """Exclude what is over the limit and admit what an earlier, smaller limit left out."""
    limit = settings.MAILHELPER_MAX_MAIL_BYTES
    rows = folder.entries.filter(uidvalidity=folder.uidvalidity)
    with guarded(guard):
        rows.filter(state=EntryState.PENDING, size__gt=limit).update(
            state=EntryState.EXCLUDED, reason=ErrorType.OVER_LIMIT
        )
        rows.filter(state=EntryState.EXCLUDED, reason=ErrorType.OVER_LIMIT, size__lte=limit).update(
            state=EntryState.PENDING, reason=""
        )


def record_count(guard: Guard, folder: Folder, selected: Selected) -> None:
    with guarded(guard):
        folder.server_count, folder.as_of = selected.exists, timezone.now()
        folder.uidnext, folder.highestmodseq = selected.uidnext, selected.highestmodseq
        folder.save()


def pending_mails(account: MailAccount) -> list[PendingMail]:
    values = _current(account, EntryState.PENDING).values_list(*_PENDING_FIELDS)
    return [PendingMail(*row) for row in values.iterator(chunk_size=5_000)]


def smallest_stored_mail(account: MailAccount, folder_ids: Iterable[UUID]) -> PendingMail | None:
    rows = _current(account, EntryState.STORED).filter(folder__in=list(folder_ids)).order_by("size")
    row = rows.values_list(*_PENDING_FIELDS).first()
    return PendingMail(*row) if row else None


_PENDING_FIELDS = ("id", "folder_id", "uid", "size", "internal_date", "attempts")


def _current(account: MailAccount, state: EntryState):
    """Ledger rows of the folders that are synced, under their present UIDVALIDITY."""
    return LedgerEntry.objects.filter(
        folder__account=account,
        folder__excluded=False,
        folder__gone_at=None,
        uidvalidity=F("folder__uidvalidity"),
        state=state,
    )


def store_batch(guard: Guard, sealer: Sealer, mails: list[ParsedMail]) -> None:
    """The checkpoint: bodies, envelopes and ledger rows of one batch, all or none.

    A mail whose raw bytes are already stored is linked, not stored again.
    """
    index_of = {mail.pending.entry_id: _raw_index(sealer, mail.raw) for mail in mails}
    by_index = {index_of[mail.pending.entry_id]: mail for mail in mails}
    ids = _stored_ids(sealer.account, by_index)
    messages, bodies = [], []
    for index, mail in by_index.items():
        if index not in ids:
            message = _sealed_message(sealer, mail, index)
            ids[index] = message.pk
            messages.append(message)
            bodies.append(_sealed_body(sealer, message, mail.raw))
    with guarded(guard):
        if messages:
            sealer.content_key_row.save()
        Message.objects.bulk_create(messages)
        MessageBody.objects.bulk_create(bodies)
        _mark_stored({entry_id: ids[index] for entry_id, index in index_of.items()})


def _raw_index(sealer: Sealer, raw: bytes) -> bytes:
    return sealer.index("raw", hashlib.sha256(raw).digest())


def _stored_ids(account: MailAccount, indexes: Iterable[bytes]) -> dict[bytes, UUID]:
    rows = account.messages.filter(raw_index__in=list(indexes)).values_list("raw_index", "id")
    return {bytes(index): message_id for index, message_id in rows}


def _sealed_message(sealer: Sealer, mail: ParsedMail, raw_index: bytes) -> Message:
    message = Message(
        account=sealer.account,
        content_key=sealer.content_key_row,
        raw_index=raw_index,
        header_index=sealer.index("header", hashlib.sha256(_header_of(mail.raw)).digest()),
        size=len(mail.raw),
        internal_date=mail.pending.internal_date,
        parsed=mail.envelope is not None,
        error_type=mail.error_type,
    )
    if mail.envelope:
        packed = pack_envelope(mail.envelope)
        message.sealed_envelope = vault.seal(sealer.content_key, packed, *place(message, "sealed_envelope"))
        if mail.envelope.message_id:
            message.message_id_index = sealer.index("message-id", mail.envelope.message_id.encode())
    return message


def _header_of(raw: bytes) -> bytes:
    return raw.partition(b"\r\n\r\n")[0]


def _sealed_body(sealer: Sealer, message: Message, raw: bytes) -> MessageBody:
    compressed = zstandard.compress(raw, ZSTD_LEVEL)
    return MessageBody(
        message=message,
        sealed_raw=vault.seal(
            sealer.content_key, compressed, MessageBody._meta.db_table, message.pk, "sealed_raw"
        ),
    )


def _mark_stored(message_ids: dict[int, UUID]) -> None:
    entries = list(LedgerEntry.objects.filter(pk__in=message_ids))
    for entry in entries:
        entry.state, entry.message_id = EntryState.STORED, message_ids[entry.pk]
        entry.error_type = entry.reason = ""
    _update(entries, ["state", "message", "error_type", "reason"])


def _update(entries: list[LedgerEntry], fields: list[str]) -> None:
    """An upsert of rows that are there: bulk_update's CASE WHEN took four times as long."""
    LedgerEntry.objects.bulk_create(
        entries, update_conflicts=True, update_fields=fields, unique_fields=["id"]
    )


def record_failed(guard: Guard, failed: list[PendingMail]) -> None:
    """Count an attempt of mails that the server did not give; after the last one they are quarantined."""
    for mails in chunks(tuple(failed)):
        rows = LedgerEntry.objects.filter(pk__in=[mail.entry_id for mail in mails])
        with guarded(guard):
            rows.update(attempts=F("attempts") + 1, error_type=ErrorType.UNFETCHABLE)
            rows.filter(attempts__gte=MAX_ATTEMPTS).update(
                state=EntryState.QUARANTINED, reason=ErrorType.UNFETCHABLE
            )


def pack_envelope(envelope: Envelope) -> bytes:
    return json.dumps(asdict(envelope), default=lambda date: date.isoformat()).encode()


def chunks(items: tuple, size: int = ROWS_PER_STATEMENT) -> Iterator[tuple]:
    return (items[start : start + size] for start in range(0, len(items), size))
