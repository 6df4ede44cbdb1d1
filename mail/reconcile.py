"""What the ledger has to learn from the server's list of UIDs and flags. Pure."""

from collections.abc import Callable

from mail.models import EntryState
from mail.parcels import Flags, FlagSurvey, FolderPlan, KnownEntry


def plan_folder(
    survey: FlagSurvey,
    known: dict[int, KnownEntry],
    keywords_index: Callable[[tuple[str, ...]], bytes | None],
) -> FolderPlan:
    """Compare one folder under one UIDVALIDITY. An incomplete survey marks nothing as gone."""
    here, there = survey.flags.keys(), known.keys()
    vanished = there - here if survey.complete else set()
    both = here & there
    return FolderPlan(
        new=tuple(sorted(here - there)),
        gone=tuple(sorted(uid for uid in vanished if known[uid].state != EntryState.GONE)),
        returned=tuple(sorted(uid for uid in both if known[uid].state == EntryState.GONE)),
        reflagged=tuple(
            (uid, survey.flags[uid])
            for uid in sorted(both)
            if _differs(survey.flags[uid], known[uid], keywords_index)
        ),
    )


def _differs(flags: Flags | None, known: KnownEntry, keywords_index) -> bool:
    if flags is None:
        return False
    return (flags.system, keywords_index(flags.keywords)) != (known.system_flags, known.keywords_index)
