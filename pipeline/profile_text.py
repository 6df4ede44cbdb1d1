"""A profile for people: tables with colours on a terminal, plain ones elsewhere."""

from collections.abc import Iterable

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.console import MARKS, megabytes
from pipeline.figures import LEAST_MAILS, Grade

PLAIN_WIDTH = 110
NAME_WIDTH = 70
COLOURS = {Grade.TARGET: "green", Grade.ACCEPTABLE: "cyan", Grade.SLOW: "yellow", Grade.CRITICAL: "bold red"}
GRADE_WORDS = {
    Grade.TARGET: "on target",
    Grade.ACCEPTABLE: "acceptable",
    Grade.SLOW: "slow",
    Grade.CRITICAL: "critical",
}
OPERATION_WORDS = {
    "connect": "connect",
    "folder_list": "folder list",
    "fetch_50_mails": "fetch, 50 mails",
    "parse_save_50_mails": "parse + save, 50 mails",
    "total_100_mails": "total, 100 mails",
}
GROUP_WORDS = {
    "network": "network (with TLS's decryption)",
    "tls": "TLS (its handshake)",
    "sealing": "sealing",
    "zstd": "compressing (zstd)",
    "database": "database",
    "parsing": "parsing mails",
    "imap": "IMAP",
    "other": "everything else",
}


class ProfileText:
    def __init__(self, file, top: int):
        self._on_terminal = file.isatty()
        width = None if self._on_terminal else PLAIN_WIDTH
        self._console = Console(file=file, width=width, highlight=False, markup=False, emoji=False)
        self._top = top

    def show(self, profiles: list[dict]) -> None:
        for profile in profiles:
            self._account(profile)
        if len(profiles) > 1:
            self._accounts(profiles)

    def _account(self, profile: dict) -> None:
        name = f"{MARKS.get(profile['status'], ' ')} {profile['name']}: "
        self._say(Text.assemble((name, "bold"), _outcome(profile)))
        if not profile["profiled"]:
            return self._say("Nothing was done here, so there is nothing to profile.")
        if profile["operations"]:
            self._operations(profile["operations"])
            if profile["emails_fetched"] < LEAST_MAILS:
                self._say(_left_out(profile["emails_fetched"]))
        self._phases(profile["phases"])
        self._say(_memory_and_speed(profile))
        self._groups(profile["groups"])
        self._functions(profile["functions"], "own_seconds", "by own time")
        self._functions(profile["functions"], "cumulative_seconds", "by time with all they called")
        self._say(f"Being profiled took about {profile['profiler_seconds']:.2f} s of this.\n")

    def _operations(self, operations: dict) -> None:
        table = self._table("operation", "seconds", "grade", "target", "acceptable", "critical")
        for name, found in operations.items():
            grade = Grade(found["grade"])
            limits = f"< {found['target']} s", f"< {found['acceptable']} s", f"> {found['critical']} s"
            seconds = f"{found['seconds']:.3f}"
            words = [Text(text, COLOURS[grade]) for text in (seconds, GRADE_WORDS[grade])]
            table.add_row(OPERATION_WORDS[name], *words, *limits)
        self._print(table)

    def _phases(self, phases: dict) -> None:
        table = self._table("phase", "seconds", "CPU", "waiting")
        for phase, found in phases.items():
            seconds = (f"{found[kind]:.3f}" for kind in ("seconds", "cpu", "waiting"))
            table.add_row(phase, *seconds)
        self._print(table)

    def _groups(self, groups: dict) -> None:
        whole = sum(groups.values()) or 1
        table = self._table("where the time went", "seconds", "share")
        for name, seconds in groups.items():
            table.add_row(GROUP_WORDS[name], f"{seconds:.3f}", f"{100 * seconds / whole:.0f} %")
        self._print(table)

    def _functions(self, functions: list[dict], by: str, words: str) -> None:
        table = self._table(f"functions {words}", "calls", "own", "with all called")
        for spot in sorted(functions, key=lambda spot: -spot[by])[: self._top]:
            times = (f"{spot[kind]:.3f}" for kind in ("own_seconds", "cumulative_seconds"))
            table.add_row(_shortened(spot["function"]), f"{spot['calls']:,}", *times)
        self._print(table)

    def _accounts(self, profiles: list[dict]) -> None:
        table = self._table("account", "seconds", "mails", "mails/s", "peak memory", "worst operation")
        for profile in profiles:
            speed = profile["mails_per_second"]
            table.add_row(
                profile["name"],
                f"{profile['duration'] or 0:.1f}",
                f"{profile['emails_fetched']}",
                f"{speed:.0f}" if speed else "",
                megabytes(profile["peak_bytes"]),
                _worst(profile["operations"].values()),
            )
        self._print(table)

    def _print(self, table: Table) -> None:
        self._console.print(table)
        if not self._on_terminal:
            self._console.print()

    def _table(self, name: str, *columns: str) -> Table:
        table = Table(box=SIMPLE if self._on_terminal else None, pad_edge=False, header_style="bold")
        table.add_column(name, overflow="fold")
        for column in columns:
            table.add_column(column, justify="right", no_wrap=True)
        return table

    def _say(self, words: str | Text) -> None:
        self._console.print(words, soft_wrap=True)


def _outcome(profile: dict) -> str:
    size, linked = megabytes(profile["bytes"]), profile["emails_linked"]
    known = f", {linked} known ones linked" if linked else ""
    done = f"{profile['emails_fetched']} mails, {size} in {profile['duration'] or 0:.1f} s{known}."
    return f"{done} {profile['error']}" if profile["error"] else done


def _left_out(mails: int) -> str:
    few = f"{mails} mails are too few" if mails else "Nothing was there to fetch"
    return f"{few}, so fetching, parsing and saving are not judged (that takes {LEAST_MAILS}).\n"


def _memory_and_speed(profile: dict) -> str:
    before, peak = megabytes(profile["peak_bytes_before"]), megabytes(profile["peak_bytes"])
    memory = f"Peak memory {peak}, of which {before} were there before the sync began.\n"
    if not profile["mails_per_second"]:
        return memory
    speed = f"{profile['mails_per_second']:.0f} mails/s, {megabytes(profile['bytes_per_second'])}/s"
    return f"{memory}{speed} while fetching, parsing and saving.\n"


def _worst(operations: Iterable[dict]) -> Text:
    grades = [Grade(found["grade"]) for found in operations]
    if not grades:
        return Text("")
    worst = max(grades, key=list(Grade).index)
    return Text(GRADE_WORDS[worst], COLOURS[worst])


def _shortened(name: str) -> str:
    return name if len(name) <= NAME_WIDTH else f"{name[: NAME_WIDTH - 1]}…"
