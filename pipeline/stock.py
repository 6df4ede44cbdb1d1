"""Taking stock: which folders there are, and what changed in each since the last look.

list → [ cheapest question → visit: compare, re-link what moved, record ]… → filters
"""

from dataclasses import replace
from uuid import UUID

from django.utils import timezone

from accounts.errors import ErrorType, SyncError
from mail import folders, ledger
from mail.fetch import Fetcher
from mail.imap import ImapSession
from mail.models import Folder
from mail.parcels import FolderStatus, SurveyedFolder
from mail.reconcile import Look, look_needed
from mail.survey import survey
from pipeline.visit import Visit
from pipeline.work import Work

Folders = dict[UUID, tuple[bytes, Folder]]  # by the row's id: the name for the server, and the row
Wanted = list[tuple[SurveyedFolder, Folder]]


def take_stock(work: Work, fetcher: Fetcher) -> Folders:
    """Survey the folders and reconcile each with the ledger. Returns those that can be fetched from."""
    wanted = _wanted(work, fetcher.session)
    statuses = _statuses(work, fetcher.session, wanted)
    live = ledger.live_counts(work.account)
    fetchable, unopened = {}, []
    for folder, row in wanted:
        status, mails = statuses[folder.raw_name], live.get(row.pk, 0)
        look = _look(work, fetcher.session, row, status, mails)
        if look != Look.NOTHING:
            visit = Visit(work, fetcher.session, folder.raw_name, row, mails)
            fetches = _visit_or_note(work, fetcher, visit, look)
        else:
            fetches = not row.excluded
            unopened += [row] if _counts(row, status) else []
        if fetches:
            fetchable[row.pk] = folder.raw_name, row
    folders.record_counts(work.guard, unopened)
    ledger.apply_filters(work.guard, work.account, work.filters)
    return fetchable


def _wanted(work: Work, session: ImapSession) -> Wanted:
    with work.preflight.named():
        listed = session.list_folders()
        if not listed:
            raise SyncError(ErrorType.PROTOCOL_ERROR, missing="LIST")
    surveyed = survey(listed, work.filters, all_mail=session.gmail)
    rows = folders.record_survey(work.guard, work.sealer, surveyed, work.run.started_at)
    work.folders = len(surveyed)
    wanted = [(folder, rows[folder.raw_name]) for folder in surveyed if work.wants(rows[folder.raw_name])]
    if not wanted:
        raise SyncError(ErrorType.MAILBOX_GONE, reason="not_listed")
    return wanted


def _statuses(work: Work, session: ImapSession, wanted: Wanted) -> dict[bytes, FolderStatus]:
    """What the list told; where it did not and it helps, what STATUS tells."""
    told = {folder.raw_name: folder.status for folder, _ in wanted}
    compares = session.has_changes or work.patient
    helps = [
        folder.raw_name
        for folder, row in wanted
        if folder.status == FolderStatus() and (row.excluded or (compares and row.looked_at))
    ]
    return told | session.statuses(helps)


def _look(work: Work, session: ImapSession, row: Folder, status: FolderStatus, live: int) -> Look:
    if row.excluded:
        return Look.NOTHING
    now = timezone.now()
    return look_needed(row, status, live, now, has_changes=session.has_changes, patient=work.patient)


def _counts(row: Folder, status: FolderStatus) -> bool:
    """Put down what the server counts in a folder that stays closed; False when it does not say."""
    if status.messages is None:
        return False
    row.server_count, row.as_of = status.messages, timezone.now()
    return True


def _visit_or_note(work: Work, fetcher: Fetcher, visit: Visit, look: Look) -> bool:
    """Whether the folder can be fetched from.

    One that refuses to open, or breaks the connection, does not stop the others; the run ends with its error.
    """
    work.heed()
    try:
        return (look == Look.CHANGES and visit.take_changes()) or visit.take_whole()
    except SyncError as error:
        if work.notes_refusal(error):
            return False
        fetcher.recover(error)
    try:
        return replace(visit, session=fetcher.session, cautious=True).take_whole()
    except SyncError as error:
        if not work.notes_refusal(error):
            fetcher.recover(error)
            work.refused = error
        return False
