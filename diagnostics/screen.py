"""How an examination looks on a terminal as it goes on, and as JSON."""

from collections.abc import Callable, Mapping
from itertools import groupby

from rich.console import Console
from rich.markup import escape

from accounts import advice
from diagnostics.models import DiagnosticReport
from diagnostics.probing import troubled
from diagnostics.probing.probe import NOTHING_TO_ASK, ProbeResult, Verdict
from diagnostics.reports import Change

MARKS = {"ok": "✓", "warning": "!", "failed": "✗", "not_offered": "·", "skipped": "–"}
STYLES = {"ok": "green", "warning": "yellow", "failed": "bold red", "not_offered": "dim", "skipped": "dim"}


def headline(result: ProbeResult) -> str:
    verdict = advice.verdict_word(result.verdict)
    if result.verdict == "skipped":
        verdict += f": {advice.why_skipped(result.facts['because'])}"
    elif facts := told(result.facts):
        verdict += f" ({facts})"
    return f"{MARKS[result.verdict]} {advice.probe_label(result.name)}: {verdict}, {result.seconds:.3f} s"


def told(facts: dict) -> str:
    """The figures, those that are 0 left out."""
    shown = {
        name: value for name, value in facts.items() if advice.fact_label(name) and value not in (0, None)
    }
    return ", ".join(
        f"{advice.fact_label(name)} {advice.fact_value(value)}"
        for name, value in shown.items()
        if not isinstance(value, list)
    )


def folder_lines(facts: dict, names: Mapping[str, str]) -> list[str]:
    """Which folders are in trouble, a line per kind; `names` by what the facts refer to them by."""
    kinds = groupby(troubled.named(facts, names), key=lambda one: one["kind"])
    return [advice.folders(kind, list(map(_folder, found))) for kind, found in kinds]


def _folder(one: dict) -> str:
    shown = advice.folder(one["name"]) if "name" in one else advice.folder_at(one["place"])
    figures = told({name: one.get(name) for name in ("only_server", "only_here")})
    return f"{shown} ({figures})" if figures else shown


def is_told(result: ProbeResult) -> bool:
    """Not what was skipped for another probe's sake: it would bury that one's cause."""
    return result.verdict != Verdict.SKIPPED or result.facts.get("because") in NOTHING_TO_ASK


def remedy(result: ProbeResult) -> advice.Advice | None:
    return advice.probe_advice(result.name, result.error_type, result.facts)


class PlainLadder:
    """A line per probe; cause and cure below those that need them."""

    def __init__(self, write: Callable[[str], None], evidence: bool):
        self._write, self._evidence = write, evidence
        self._untold = 0

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    def begin(self, name: str) -> None:
        pass

    def show(self, result: ProbeResult) -> None:
        if not is_told(result):
            self._untold += 1
            return
        self._say(headline(result), STYLES[result.verdict])
        if help_for := remedy(result):
            self._say(f"    {help_for.sentence}")
            self._say(f"    → {help_for.next_step}")
        for line in folder_lines(result.facts, result.folder_names):
            self._say(f"    {line}")
        for line in result.evidence.splitlines() if self._evidence else ():
            self._say(f"    | {line}", "dim")

    def end(self, report: DiagnosticReport, changes: list[Change]) -> None:
        for one in changes:
            self._say(f"Since it last passed: {advice.change(one.probe, one.what, one.before, one.after)}")
        if self._untold:
            self._say(f"{MARKS['skipped']} {self._untold} further questions would tell nothing now.", "dim")
        if failed := [probe["name"] for probe in report.probes if probe["verdict"] == Verdict.FAILED]:
            self._say(f"Failed: {', '.join(map(advice.probe_label, failed))}.", "bold")
        word, style = ("Passed", "bold green") if report.passed else ("Not passed", "bold red")
        self._say(f"{word} in {report.seconds:.1f} s.", style)

    def _say(self, line: str, style: str = "") -> None:
        self._write(line)


class LiveLadder(PlainLadder):
    """The same in colours, with the probe at hand below; NO_COLOR takes the colours away."""

    def __init__(self, console: Console, evidence: bool):
        self._console = console
        self._status = self._console.status("")
        super().__init__(self._console.print, evidence)

    def __enter__(self):
        self._status.start()
        return self

    def __exit__(self, *exception):
        self._status.stop()

    def begin(self, name: str) -> None:
        self._status.update(f"{advice.probe_label(name)} …")

    def _say(self, line: str, style: str = "") -> None:
        self._console.print(escape(line), style=style or None)


def as_json(
    report: DiagnosticReport,
    changes: list[Change],
    evidence: dict[str, str] | None,
    folder_names: Mapping[str, str],
) -> dict:
    """One report for programs; the server's words only where `evidence` is given."""
    return {
        "report_id": report.pk,
        "account": report.account.label,
        "at": report.at.isoformat(),
        "passed": report.passed,
        "seconds": report.seconds,
        "probes": [_probe_json(probe, evidence, folder_names) for probe in report.probes],
        "changes": [vars(one) for one in changes],
    }


def _probe_json(probe: dict, evidence: dict[str, str] | None, names: Mapping[str, str]) -> dict:
    found = advice.probe_advice(probe["name"], probe["error_type"], probe["facts"])
    words = {"cause": found.sentence if found else "", "cure": found.next_step if found else ""}
    if folders := troubled.named(probe["facts"], names):
        words["folders"] = folders
    return probe | words | ({} if evidence is None else {"evidence": evidence.get(probe["name"], "")})
