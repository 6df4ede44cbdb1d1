"""The ledger's writes: folders, and a row per UID that says what became of the mail.

The size of a mail, its date and its flags decide by the account's filters whether it is fetched.
"""

from array import array
from collections.abc import Iterable
from datetime import UTC, datetime, time
from uuid import UUID

from django.conf import settings
from django.db.models import Case, Count, F, Q, When
from django.utils import timezone

from accounts import vault
from accounts.actions import Filters
from accounts.errors import ErrorType
from accounts.models import MailAccount
from mail import findings
from mail.fetch import MAX_ATTEMPTS
from mail.guard import ROWS_PER_STATEMENT, Guard, chunks, guarded, upsert
from mail.models import EntryState, FindingKind, Folder, LedgerEntry, SystemFlag
from mail.parcels import (
    Flags,
    FolderPlan,
    KnownEntry,
    Metadata,
    PendingMail,
    PendingOrder,
    Selected,
    SurveyedFolder,
    Suspect,
)
from mail.sealer import Sealer, entry_place, place

SINCE, UNREAD_ONLY = "since", "unread_only"
FILTER_REASONS = (ErrorType.OVER_LIMIT, SINCE, UNREAD_ONLY)


def record_survey(
    guard: Guard, sealer: Sealer, surveyed: list[SurveyedFolder], run_started: datetime
) -> dict[bytes, Folder]:
    """The folder rows by raw name.

    A folder that is no longer listed is missing at first; when a later run does not find it listed either,
    it is gone, and its mail stays.
    """
    account = sealer.account
    known = {folder.name_index: folder for folder in account.folders.all()}
    rows, changed, found_again, left_out = {}, [], [], []
    for folder in surveyed:
        index = sealer.index("folder", folder.raw_name)
        row = known.pop(index, None) or _new_folder(sealer, folder, index)
        found_again += [row] if row.missing_since else []
        left_out += [row] if folder.excluded and not row.excluded else []
        if _describe(row, folder) or row._state.adding:
            changed.append(row)
        rows[folder.raw_name] = row
    missing = [row for row in known.values() if row.gone_at is None]
    with guarded(guard):
        upsert(changed, ["special_use", "special_use_guessed", "excluded", "missing_since", "gone_at"])
        for row in found_again:
            findings.end(row, FindingKind.FOLDER_MISSING)
        for row in left_out:
            findings.end(row, *FindingKind)
        for row in missing:
            _miss(row, run_started)
    return rows


def _new_folder(sealer: Sealer, folder: SurveyedFolder, index: bytes) -> Folder:
    row = Folder(account=sealer.account, name_index=index)
    row.sealed_name = vault.seal(sealer.account_key, folder.raw_name, *place(row, "sealed_name"))
    return row


def _describe(row: Folder, folder: SurveyedFolder) -> bool:
    """Whether this changed the row."""
    before = row.special_use, row.special_use_guessed, row.excluded, row.missing_since, row.gone_at
    after = folder.special_use, folder.guessed, folder.excluded, None, None
    row.special_use, row.special_use_guessed, row.excluded, row.missing_since, row.gone_at = after
    return before != after


def _miss(row: Folder, run_started: datetime) -> None:
    if row.missing_since is None:
        row.missing_since = timezone.now()
        findings.note(row, FindingKind.FOLDER_MISSING)
    elif row.missing_since < run_started:
        row.gone_at, row.emptied_at = timezone.now(), None
        findings.end(row, *FindingKind)
    row.save(update_fields=["missing_since", "gone_at", "emptied_at"])


def record_counts(guard: Guard, folders: Iterable[Folder]) -> None:
    """Of folders that were not opened: what the server counts, as of now.

    Rows from a time when a folder was synced that is left out now stay, but do not count.
    """
    with guarded(guard):
        upsert(list(folders), ["server_count", "as_of"])


def adopt_uidvalidity(guard: Guard, folder: Folder, uidvalidity: int) -> None:
    """From now on the ledger speaks of this UIDVALIDITY.

    Rows from before the last value are forgotten, also those of an earlier time under this one: their UIDs
    may mean other mails now. What is stored is found again by its id or header.
    """
    if folder.uidvalidity == uidvalidity:
        return
    with guarded(guard):
        if folder.uidvalidity is not None:
            findings.note_event(folder, FindingKind.UIDVALIDITY_CHANGED)
        folder.entries.exclude(uidvalidity=folder.uidvalidity).delete()
        folder.uidvalidity = uidvalidity
        folder.uidnext = folder.highestmodseq = folder.server_count = folder.emptied_at = None
        folder.save(update_fields=["uidvalidity", "uidnext", "highestmodseq", "server_count", "emptied_at"])


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
        _filter(_rows(folder).filter(uid__in=[mail.uid for mail in mails]), filters)


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
        _filter(_rows(folder).filter(uid__in=list(by_uid)), filters)


def apply_filters(guard: Guard, account: MailAccount, filters: Filters) -> None:
    """Exclude what the filters leave out, and admit what earlier ones left out."""
    with guarded(guard):
        _filter(LedgerEntry.objects.filter(is_current(account)), filters)


def _filter(rows, filters: Filters) -> None:
    why = _why_excluded(filters)
    for reason in FILTER_REASONS:
        left_out = rows.filter(state=EntryState.EXCLUDED, reason=reason)
        admitted = left_out.exclude(why[reason]) if reason in why else left_out
        admitted.update(state=EntryState.PENDING, reason="")
    unknown = Q(message=None) | Q(message__header_only=True)  # what was stored once is not left out
    for reason, condition in why.items():
        pending = rows.filter(condition, unknown, state=EntryState.PENDING)
        pending.update(state=EntryState.EXCLUDED, reason=reason)


def _why_excluded(filters: Filters) -> dict[str, Q]:
    most = settings.MAILHELPER_MAX_MAIL_BYTES
    limit = min(most, filters.max_mail_bytes or most)
    why: dict[str, Q] = {}
    if filters.since:
        start = datetime.combine(filters.since, time.min, UTC)
        why[SINCE] = Q(internal_date__isnull=False, internal_date__lt=start)
    if filters.unread_before:
        read = Q(flags__in=[flags for flags in range(2 ** len(SystemFlag)) if flags & SystemFlag.SEEN])
        earlier = Q(internal_date__isnull=False, internal_date__lt=filters.unread_before)
        why[UNREAD_ONLY] = read & earlier
    why[ErrorType.OVER_LIMIT] = Q(size__isnull=False, size__gt=limit)
    return why


def record_look(
    guard: Guard, folder: Folder, selected: Selected, over: FindingKind, whole: bool = False
) -> None:
    """The end of a look into a folder: from now on only what changes after it is of interest.

    `over` is the finding that such a look ends.
    """
    now = timezone.now()
    folder.server_count, folder.as_of = selected.exists, now
    folder.uidnext, folder.highestmodseq = selected.uidnext, selected.highestmodseq
    folder.emptied_at = None
    if whole:
        folder.looked_at = now
    with guarded(guard):
        folder.save(update_fields=_LOOK_FIELDS)
        findings.end(folder, over)
        if whole:  # unless another reset was asked for meanwhile
            rows = Folder.objects.filter(pk=folder.pk, reset_asked_at=folder.reset_asked_at)
            rows.update(reset_asked_at=None)


_LOOK_FIELDS = ["server_count", "as_of", "uidnext", "highestmodseq", "emptied_at", "looked_at"]


def doubt_emptiness(guard: Guard, folder: Folder, count: int) -> None:
    """All mails of a folder are gone at once: nothing is believed before a later run sees the same."""
    with guarded(guard):
        if folder.emptied_at is None:
            folder.emptied_at = timezone.now()
            folder.save(update_fields=["emptied_at"])
        findings.note(folder, FindingKind.FOLDER_EMPTIED, mails=count)


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
    """What mails of several folders have in common, where the server has no id: one may lie twice."""
    rows = LedgerEntry.objects.filter(is_current(account), state__in=[EntryState.PENDING, EntryState.STORED])
    rows = rows.filter(object_id_index=None)
    pairs = rows.exclude(size=None).exclude(internal_date=None).values("size", "internal_date")
    shared = pairs.annotate(folders=Count("folder", distinct=True)).filter(folders__gt=1)
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


def ask_for_reset(folder: Folder) -> None:
    """The next look at this folder looks up every mail anew; nothing is deleted."""
    folder.reset_asked_at = timezone.now()
    folder.save(update_fields=["reset_asked_at"])


def release_quarantined(account: MailAccount, folder_id: UUID | None = None) -> int:
    """Have mails tried again that were given up, and those read again that our parser had a bug for."""
    rows = LedgerEntry.objects.filter(is_current(account))
    rows = rows.filter(folder=folder_id) if folder_id else rows
    given_up = Q(state=EntryState.QUARANTINED)
    misread = Q(state=EntryState.STORED, message__error_type=ErrorType.BUG)
    afresh = {"state": EntryState.PENDING, "attempts": 0, "error_type": "", "reason": ""}
    return rows.filter(given_up | misread).update(**afresh)
