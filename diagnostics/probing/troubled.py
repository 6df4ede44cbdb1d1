"""Folders in trouble. Facts stand in clear, so they hold what a folder is referred to by, never its name.

That is its row's id, or its place in the list (from 1, INBOX first) where it has no row yet.
"""

from collections.abc import Iterable, Mapping

from diagnostics.probing.climb import Climb
from mail.models import Folder
from mail.parcels import SurveyedFolder

KINDS = ("refusing", "unnumbered", "differing")  # facts: lists of references, or figures by reference
MOST_TOLD = 50
FIGURES = ("both", "only_server", "only_here")


def reference(climb: Climb, folder: SurveyedFolder, row: Folder | None) -> str:
    """What stands for this folder; its name stays with the climb."""
    found = str(row.pk) if row else str(climb.folders.index(folder) + 1)
    climb.names[found] = folder.name
    return found


def note(facts: dict, kind: str, reference: str) -> None:
    found = facts.setdefault(kind, [])
    if len(found) < MOST_TOLD:
        found.append(reference)


def has_any(facts: dict) -> bool:
    return any(facts.get(kind) for kind in KINDS)


def without(facts: dict) -> dict:
    return {name: value for name, value in facts.items() if name not in KINDS}


def named(facts: dict, names: Mapping[str, str]) -> list[dict]:
    """{"kind", "name"} or, without a name, {"kind", "place"}; FIGURES where it differs. Pure."""
    return [one for kind in KINDS for one in _of_kind(kind, facts.get(kind, ()), names)]


def _of_kind(kind: str, found: list[str] | dict[str, list[int]], names: Mapping[str, str]) -> Iterable[dict]:
    for ref in found:
        figures = dict(zip(FIGURES, found[ref], strict=True)) if isinstance(found, dict) else {}
        if ref in names:
            yield {"kind": kind, "name": names[ref], **figures}
        elif ref.isdigit():
            yield {"kind": kind, "place": int(ref), **figures}
