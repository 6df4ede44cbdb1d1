"""Fetching what is pending: [ link what is stored already → fetch → parse → seal and store ]…"""

from accounts.errors import ErrorType, SyncError
from mail import ledger, relink, store
from mail.fetch import WINDOW_MAILS, Fetcher, batches, by_folder
from mail.guard import chunks
from mail.imap import HEADERS_AT_ONCE
from mail.models import SystemFlag
from mail.parcels import ParsedMail, PendingMail, Suspect
from mail.parse import Unparseable, parse_message
from pipeline.models import Phase
from pipeline.stock import Folders
from pipeline.work import Work


def fetch_pending(work: Work, fetcher: Fetcher, folders: Folders) -> None:
    """Fetch what is pending; a mail that failed has it counted only if the server gives others."""
    try:
        _fetch_within_limits(work, fetcher, folders)
    finally:
        if work.failed and work.progressed:
            ledger.record_failed(work.guard, work.failed)
    if work.failed and not work.progressed:
        _require_another_mail(work, fetcher, folders)
        ledger.record_failed(work.guard, work.failed)
    if work.max_mails != 0:
        _keep_headers(work, fetcher, folders)


def _require_another_mail(work: Work, fetcher: Fetcher, folders: Folders) -> None:
    """No mail came in this run: see whether the server still gives one that we have. Raises SyncError."""
    known = ledger.smallest_stored_mail(work.account, folders)
    if known:
        raw_name, folder = folders[known.folder_id]
        if fetcher.fetch(raw_name, folder.uidvalidity, [known]).mails:
            return
    raise work.refused or SyncError(ErrorType.PROTOCOL_ERROR, reason="no_mail_given")


def _fetch_within_limits(work: Work, fetcher: Fetcher, folders: Folders) -> None:
    """Fetch, parse and store, newest first, until nothing is left or a limit is reached."""
    order = ledger.pending_order(work.account, folders)
    work.shared = ledger.shared_sizes_and_dates(work.account) if order.entry_ids else set()
    start, tried = 0, work.mails_before
    work.begin_slice()
    while start < len(order.entry_ids) and (work.max_mails is None or tried < work.max_mails):
        end = len(order.entry_ids) if work.max_mails is None else start + work.max_mails - tried
        work.expect(order.sizes[start:end])
        window = order.entry_ids[start : min(end, start + WINDOW_MAILS)]
        for batch in batches(ledger.pending_mails(window)):
            work.require_turn()
            tried += _take_batch(work, fetcher, folders, batch)
        start += len(window)
        work.heed()
    fetcher.require_server()


def _take_batch(work: Work, fetcher: Fetcher, folders: Folders, batch: list[PendingMail]) -> int:
    """Returns how many mails were asked for."""
    batch, twins = _without_twins(work, batch)
    asked = _take_different(work, fetcher, folders, batch)
    return asked + (_take_batch(work, fetcher, folders, twins) if twins else 0)


def _without_twins(work: Work, batch: list[PendingMail]) -> tuple[list[PendingMail], list[PendingMail]]:
    """Mails that may be one another's copies are taken one after the other."""
    seen, different, twins = set(), [], []
    for mail in batch:
        same = mail.object_id_index or (mail.size, mail.internal_date)
        may_be_a_copy = mail.object_id_index or same in work.shared
        (twins if may_be_a_copy and same in seen else different).append(mail)
        seen.add(same)
    return different, twins


def _take_different(work: Work, fetcher: Fetcher, folders: Folders, batch: list[PendingMail]) -> int:
    raw_name, folder = folders[batch[0].folder_id]
    try:
        with work.phase(Phase.FETCH):
            batch = _without_stored(work, fetcher, folders, batch)
            if not batch:
                return 0
            fetched = fetcher.fetch(raw_name, folder.uidvalidity, batch)
    except SyncError as error:
        if not work.notes_refusal(error):
            raise
        return len(batch)
    work.failed += fetched.failed
    with work.phase(Phase.PARSE):
        parsed = [_parsed(work, mail, raw) for mail, raw in fetched.mails]
    if parsed:
        with work.phase(Phase.SAVE):
            store.store_batch(lambda: work.checkpoint(parsed), work.sealer, parsed)
        work.stored(parsed)
    return len(batch)


def _without_stored(
    work: Work, fetcher: Fetcher, folders: Folders, batch: list[PendingMail]
) -> list[PendingMail]:
    """Link the mails that another folder gave meanwhile; return those that are to be fetched."""
    raw_name, folder = folders[batch[0].folder_id]
    suspects = [_suspect(mail) for mail in batch]
    known = relink.by_object_id(work.account, suspects)
    shared = [s for s in suspects if s.uid not in known and (s.size, s.internal_date) in work.shared]
    if likely := relink.likely(work.account, shared):
        headers = fetcher.headers(raw_name, folder.uidvalidity, likely)
        known |= relink.by_header(work.sealer, shared, headers)
    ledger.link(work.guard, {mail.entry_id: known[mail.uid] for mail in batch if mail.uid in known})
    work.link([mail.size for mail in batch if mail.uid in known])
    return [mail for mail in batch if mail.uid not in known]


def _suspect(mail: PendingMail) -> Suspect:
    draft = bool(mail.flags & SystemFlag.DRAFT)
    return Suspect(mail.uid, mail.size, mail.internal_date, mail.object_id_index, draft)


def _keep_headers(work: Work, fetcher: Fetcher, folders: Folders) -> None:
    """Of a mail over the size limit the header is kept."""
    for entry_ids in chunks(ledger.mails_without_header(work.account, folders), HEADERS_AT_ONCE):
        for batch in by_folder(ledger.pending_mails(entry_ids)):
            work.require_turn()
            _keep_headers_of(work, fetcher, folders, batch)


def _keep_headers_of(work: Work, fetcher: Fetcher, folders: Folders, batch: list[PendingMail]) -> None:
    raw_name, folder = folders[batch[0].folder_id]
    try:
        with work.phase(Phase.FETCH):
            headers = fetcher.headers(raw_name, folder.uidvalidity, [mail.uid for mail in batch])
    except SyncError as error:
        if not work.notes_refusal(error):
            raise
        return
    got = [_parsed(work, mail, headers[mail.uid], True) for mail in batch if mail.uid in headers]
    if got:
        store.store_batch(work.guard, work.sealer, got)
    ledger.record_failed(work.guard, [mail for mail in batch if mail.uid not in headers])


def _parsed(work: Work, mail: PendingMail, raw: bytes, header_only: bool = False) -> ParsedMail:
    """A mail that cannot be parsed is kept raw and marked; a bug of ours does not cost the mail either."""
    try:
        return ParsedMail(mail, raw, parse_message(raw), header_only=header_only)
    except Unparseable:
        return ParsedMail(mail, raw, None, ErrorType.UNPARSEABLE, header_only)
    except Exception as error:
        work.bug = error
        return ParsedMail(mail, raw, None, ErrorType.BUG, header_only)
