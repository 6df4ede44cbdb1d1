"""What to ask a server about a folder, and what the ledger has to learn from the answer. Pure."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from enum import StrEnum

from mail.models import EntryState, Folder
from mail.parcels import Flags, FlagSurvey, FolderPlan, FolderStatus, KnownEntry

WHOLE_LOOK_AFTER = timedelta(days=1)  # a server may be wrong about its MODSEQs
FLAGS_AFTER = timedelta(hours=1)

Blind = Callable[[str, tuple[str, ...] | None], bytes | None]


class Look(StrEnum):
    """From the cheapest question to the dearest."""

    NOTHING = "nothing"  # LIST-STATUS or STATUS told that all is as before
    CHANGES = "changes"  # what changed since the MODSEQ we know
    WHOLE = "whole"  # all UIDs and flags


def look_needed(
    folder: Folder, status: FolderStatus, live: int, now: datetime, *, has_changes: bool, patient: bool
) -> Look:
    """The cheapest question that leaves nothing out. `live` is how many mails the ledger has there.

    Without MODSEQs, STATUS shows neither \\Flagged nor keywords, so flags are read each time; a `patient`
    run, for which nobody waits, reads those of a folder that is otherwise unchanged once an hour.
    """
    if _needs_whole_look(folder, now):
        return Look.WHOLE
    unchanged = _numbers(status) == (folder.uidvalidity, folder.uidnext, live)
    if folder.highestmodseq is None or not has_changes:
        fresh = now - folder.looked_at < FLAGS_AFTER
        return Look.NOTHING if unchanged and fresh and patient else Look.WHOLE
    if unchanged and status.highestmodseq == folder.highestmodseq:
        return Look.NOTHING
    went_down = status.highestmodseq is not None and status.highestmodseq < folder.highestmodseq
    return Look.WHOLE if went_down or _other_life(folder, status) else Look.CHANGES


def _needs_whole_look(folder: Folder, now: datetime) -> bool:
    never = folder.uidvalidity is None or folder.looked_at is None or folder.as_of is None
    doubted = folder.emptied_at is not None or folder.reset_asked_at is not None
    return never or doubted or now - folder.looked_at > WHOLE_LOOK_AFTER


def _numbers(status: FolderStatus) -> tuple[int | None, int | None, int | None]:
    return status.uidvalidity, status.uidnext, status.messages


def _other_life(folder: Folder, status: FolderStatus) -> bool:
    return status.uidvalidity not in (None, folder.uidvalidity)


def vanished_from(survey: FlagSurvey, known: dict[int, KnownEntry]) -> list[int]:
    """Of what the ledger has; what an incomplete survey does not show may still be there."""
    if not survey.complete:
        return []
    return [uid for uid, entry in known.items() if uid not in survey.flags and entry.state != EntryState.GONE]


def plan_folder(
    flags: dict[int, Flags | None], known: dict[int, KnownEntry], vanished: Iterable[int], blind: Blind
) -> FolderPlan:
    """Compare what was told of a folder under one UIDVALIDITY with the ledger's rows of those UIDs."""
    here, there = flags.keys(), known.keys()
    both = here & there
    return FolderPlan(
        new=tuple(sorted(here - there)),
        gone=tuple(sorted(vanished)),
        returned=tuple(sorted(uid for uid in both if known[uid].state == EntryState.GONE)),
        reflagged=tuple((uid, flags[uid]) for uid in sorted(both) if _differs(flags[uid], known[uid], blind)),
    )


def _differs(flags: Flags | None, known: KnownEntry, blind: Blind) -> bool:
    if flags is None:
        return False
    labels = known.labels_index if flags.labels is None else blind("labels", flags.labels)
    told = flags.system, blind("keywords", flags.keywords), labels
    return told != (known.system_flags, known.keywords_index, known.labels_index)


def adds_up(live: int, plan: FolderPlan, exists: int) -> bool:
    """Whether the ledger will hold as many mails as the server counts."""
    return live - len(plan.gone) + len(plan.new) + len(plan.returned) == exists
