"""The ledger: a row per UID that says what became of the mail, and the reads that a sync goes by."""

from array import array
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db.models import Case, Count, F, Q, When

from accounts.actions import Filters
from accounts.errors import ErrorType
from accounts.models import MailAccount
from mail.fetch import MAX_ATTEMPTS
from mail.filters import apply
from mail.guard import ROWS_PER_STATEMENT, Guard, chunks, guarded, upsert
from mail.models import EntryState, Folder, LedgerEntry, SystemFlag
from mail.parcels import (
    Flags,
    FolderPlan,
    KnownEntry,
    Metadata,
    PendingMail,
    PendingOrder,
    Suspect,
)
from mail.sealer import Sealer, entry_place

FEW_TWINS = 5


def live_counts(account: MailAccount) -> dict[UUID, int]:
    """By folder: how many mails the ledger believes to be on the server."""
    rows = LedgerEntry.objects.filter(folder__account=account, uidvalidity=F("folder__uidvalidity"))
    counted = rows.exclude(state=EntryState.GONE).values("folder").annotate(count=Count("pk"))
    return dict(counted.values_list("folder", "count"))


def live_uids(folder: Folder) -> list[int]:
    return list(_rows(folder).exclude(state=EntryState.GONE).values_list("uid", flat=True))


def known_entries(folder: Folder, uids: Iterable[int] | None = None) -> dict[int, KnownEntry]:
    """All rows of the present UIDVALIDITY, or those of these UIDs."""
    if uids is None:
        return _known(_rows(folder))
    known: dict[int, KnownEntry] = {}
    for some in chunks(tuple(uids)):
        known |= _known(_rows(folder).filter(uid__in=some))
    return known


def _known(rows) -> dict[int, KnownEntry]:
    values = rows.values_list("uid", "state", "flags", "keywords_index", "labels_index")
    shared: dict[tuple, KnownEntry] = {}  # few differ: 100,000 of their own took 40 MB
    return {
        uid: shared.setdefault(facts, KnownEntry(*facts))
        for uid, *rest in values.iterator(chunk_size=5_000)
        if (facts := tuple(bytes(fact) if isinstance(fact, memoryview) else fact for fact in rest))
    }


def _rows(folder: Folder):
    return folder.entries.filter(uidvalidity=folder.uidvalidity)


def record_plan(guard: Guard, sealer: Sealer, folder: Folder, plan: FolderPlan) -> None:
    """Tombstones, returns and flags. New mails are recorded by record_new."""
    rows = _rows(folder)
    for uids in chunks(plan.gone):
        with guarded(guard):
            rows.filter(uid__in=uids).update(state=EntryState.GONE)
    for uids in chunks(plan.returned):
        with guarded(guard):
            back = rows.filter(uid__in=uids)
            whole = Q(message__isnull=False, message__header_only=False)
            back.exclude(whole).update(state=EntryState.PENDING, attempts=0)
            back.filter(whole).update(state=EntryState.STORED)
    for changes in chunks(plan.reflagged):
        with guarded(guard):
            _reflag(sealer, folder, dict(changes))


def _reflag(sealer: Sealer, folder: Folder, changes: dict[int, Flags]) -> None:
    entries = list(_rows(folder).filter(uid__in=changes))
    for entry in entries:
        _set_flags(sealer, entry, changes[entry.uid])
    upsert(entries, _FLAG_FIELDS)


_FLAG_FIELDS = ["flags", "sealed_keywords", "keywords_index", "sealed_labels", "labels_index"]


def _set_flags(sealer: Sealer, entry: LedgerEntry, flags: Flags) -> None:
    where = entry.folder_id, entry.uidvalidity, entry.uid
    entry.flags = flags.system
    entry.keywords_index = sealer.words_index("keywords", flags.keywords)
    entry.sealed_keywords = sealer.sealed_words(flags.keywords, entry_place(*where, "sealed_keywords"))
    if flags.labels is not None:
        entry.labels_index = sealer.words_index("labels", flags.labels)
        entry.sealed_labels = sealer.sealed_words(flags.labels, entry_place(*where, "sealed_labels"))


def suspects(
    sealer: Sealer, uids: Iterable[int], metadata: dict[int, Metadata], flags: dict[int, Flags | None]
) -> list[Suspect]:
    """What a stored mail has to be like to be taken for one of these."""
    return [_suspect(sealer, uid, metadata.get(uid, Metadata()), flags.get(uid)) for uid in uids]


def _suspect(sealer: Sealer, uid: int, facts: Metadata, flags: Flags | None) -> Suspect:
    index = sealer.index("object-id", facts.object_id.encode()) if facts.object_id else None
    draft = bool(flags and flags.system & SystemFlag.DRAFT)
    return Suspect(uid, facts.size, facts.internal_date, index, draft)


def record_new(
    guard: Guard,
    sealer: Sealer,
    folder: Folder,
    mails: list[Suspect],
    flags: dict[int, Flags | None],
    links: dict[int, UUID],
    filters: Filters,
) -> None:
    """One row per new UID, also where the server keeps size and date to itself.

    `links` are the mails that are stored already; of the others the filters leave out what they do not admit.
    """
    entries = []
    for mail in mails:
        entry = LedgerEntry(folder=folder, uidvalidity=folder.uidvalidity, uid=mail.uid)
        entry.size, entry.internal_date = mail.size, mail.internal_date
        entry.object_id_index = mail.object_id_index
        entry.message_id = links.get(mail.uid)
        entry.state = EntryState.STORED if entry.message_id else EntryState.PENDING
        _set_flags(sealer, entry, flags[mail.uid] or Flags(0, ()))
        entries.append(entry)
    with guarded(guard):
        LedgerEntry.objects.bulk_create(entries, batch_size=ROWS_PER_STATEMENT)
        apply(filters, _rows(folder).filter(uid__in=[mail.uid for mail in mails]))


def record_again(
    guard: Guard, folder: Folder, mails: list[Suspect], links: dict[int, UUID], filters: Filters
) -> None:
    """After a reset: each row speaks of the mail that was found for it, or is fetched again."""
    with guarded(guard):
        entries = list(_rows(folder).filter(uid__in=[mail.uid for mail in mails]))
        by_uid = {mail.uid: mail for mail in mails}
        for entry in entries:
            mail = by_uid[entry.uid]
            entry.size, entry.internal_date = mail.size, mail.internal_date
            entry.object_id_index = mail.object_id_index
            entry.message_id = links.get(entry.uid, entry.message_id)  # the old one until the new one is here
            entry.state = EntryState.STORED if entry.uid in links else EntryState.PENDING
            entry.attempts, entry.error_type, entry.reason = 0, "", ""
        fields = ["size", "internal_date", "object_id_index", "message", "state"]
        upsert(entries, [*fields, "attempts", "error_type", "reason"])
        apply(filters, _rows(folder).filter(uid__in=list(by_uid)))


def apply_filters(guard: Guard, account: MailAccount, filters: Filters) -> None:
    """Exclude what the filters leave out, and admit what earlier ones left out."""
    with guarded(guard):
        apply(filters, LedgerEntry.objects.filter(is_current(account)))


def pending_order(account: MailAccount, folder_ids: Iterable[UUID]) -> PendingOrder:
    """What failed before comes last; of the rest the newest comes first, wherever it lies."""
    rows = LedgerEntry.objects.filter(is_current(account), state=EntryState.PENDING)
    rows = rows.filter(folder__in=list(folder_ids))
    failed_before = Case(When(attempts__gt=0, then=1), default=0)
    newest = F("internal_date").desc(nulls_last=True)
    order = PendingOrder(array("q"), array("q"))
    rows = rows.order_by(failed_before, newest, "-uid", "pk")
    for entry_id, size in rows.values_list("pk", "size").iterator():
        order.entry_ids.append(entry_id)
        order.sizes.append(size or 0)
    return order


def shared_sizes_and_dates(account: MailAccount) -> set[tuple[int, datetime]]:
    """What mails have in common of which one may lie twice, where the server has no id for them.

    Many of one size and second in one folder are others: the folder was filled at once.
    """
    rows = LedgerEntry.objects.filter(is_current(account), state__in=[EntryState.PENDING, EntryState.STORED])
    rows = rows.filter(object_id_index=None)
    pairs = rows.exclude(size=None).exclude(internal_date=None).values("size", "internal_date")
    counted = pairs.annotate(folders=Count("folder", distinct=True), mails=Count("pk"))
    shared = counted.filter(Q(folders__gt=1) | Q(mails__range=(2, FEW_TWINS)))
    return set(shared.values_list("size", "internal_date"))


def pending_mails(entry_ids: Iterable[int]) -> list[PendingMail]:
    """In the order given."""
    ids = list(entry_ids)
    by_id = {mail.entry_id: mail for mail in _mails(LedgerEntry.objects.filter(pk__in=ids))}
    return [by_id[entry_id] for entry_id in ids if entry_id in by_id]


def mails_without_header(account: MailAccount, folder_ids: Iterable[UUID]) -> array:
    """Rows of mails over the size limit of which not even the header is here, and was not refused before."""
    rows = LedgerEntry.objects.filter(is_current(account), state=EntryState.EXCLUDED, message=None)
    rows = rows.filter(reason=ErrorType.OVER_LIMIT, attempts=0, folder__in=list(folder_ids))
    return array("q", rows.order_by("folder", "pk").values_list("pk", flat=True).iterator())


def smallest_stored_mail(account: MailAccount, folder_ids: Iterable[UUID]) -> PendingMail | None:
    rows = LedgerEntry.objects.filter(
        is_current(account), state=EntryState.STORED, folder__in=list(folder_ids)
    )
    return next(iter(_mails(rows.order_by("size")[:1])), None)


def _mails(rows) -> list[PendingMail]:
    values = rows.values_list(*_PENDING_FIELDS)
    return [PendingMail(*row, index and bytes(index)) for *row, index in values]


_PENDING_FIELDS = (
    "id",
    "folder_id",
    "uid",
    "size",
    "internal_date",
    "attempts",
    "flags",
    "object_id_index",
)


def is_current(account: MailAccount) -> Q:
    """Ledger rows of the folders that are synced, under their present UIDVALIDITY."""
    return Q(
        folder__in=account.folders.filter(excluded=False, gone_at=None, missing_since=None),
        uidvalidity=F("folder__uidvalidity"),
    )


def record_failed(guard: Guard, failed: list[PendingMail]) -> None:
    """Count an attempt of mails that the server did not give; after the last one they are quarantined.

    Of mails over the size limit it is the header that was not given, and one attempt is enough.
    """
    for mails in chunks(tuple(failed)):
        rows = LedgerEntry.objects.filter(pk__in=[mail.entry_id for mail in mails])
        with guarded(guard):
            rows.update(attempts=F("attempts") + 1, error_type=ErrorType.UNFETCHABLE)
            waiting = rows.filter(state=EntryState.PENDING, attempts__gte=MAX_ATTEMPTS)
            waiting.update(state=EntryState.QUARANTINED, reason=ErrorType.UNFETCHABLE)


def link(guard: Guard, links: dict[int, UUID]) -> None:
    """Ledger rows, by id, whose mail is stored already."""
    for entry_ids in chunks(tuple(links)):
        with guarded(guard):
            mark_stored({entry_id: links[entry_id] for entry_id in entry_ids})


def mark_stored(message_ids: dict[int, UUID], state: EntryState = EntryState.STORED) -> None:
    """`state` is excluded where the header alone is kept."""
    entries = list(LedgerEntry.objects.filter(pk__in=message_ids))
    for entry in entries:
        entry.state, entry.message_id = state, message_ids[entry.pk]
        entry.error_type = ""
        entry.reason = entry.reason if state == EntryState.EXCLUDED else ""
    upsert(entries, ["state", "message", "error_type", "reason"])


def release_quarantined(account: MailAccount, folder_id: UUID | None = None) -> int:
    """Have mails tried again that were given up, and those read again that our parser had a bug for."""
    rows = LedgerEntry.objects.filter(is_current(account))
    rows = rows.filter(folder=folder_id) if folder_id else rows
    given_up = Q(state=EntryState.QUARANTINED)
    misread = Q(state=EntryState.STORED, message__error_type=ErrorType.BUG)
    afresh = {"state": EntryState.PENDING, "attempts": 0, "error_type": "", "reason": ""}
    return rows.filter(given_up | misread).update(**afresh)
