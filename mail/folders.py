"""An account's folders as the server has them: what is listed, its UIDVALIDITY, up to where it was seen."""

from collections.abc import Iterable
from datetime import datetime

from django.utils import timezone

from accounts import vault
from mail import findings
from mail.guard import Guard, guarded, upsert
from mail.models import FindingKind, Folder
from mail.parcels import Selected, SurveyedFolder
from mail.sealer import Sealer, place


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


def ask_for_reset(folder: Folder) -> None:
    """The next look at this folder looks up every mail anew; nothing is deleted."""
    folder.reset_asked_at = timezone.now()
    folder.save(update_fields=["reset_asked_at"])
