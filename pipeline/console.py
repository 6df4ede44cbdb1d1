"""How jobs look on a terminal: a bar per account, or plain lines where nobody watches."""

from collections.abc import Callable
from datetime import timedelta

from django.utils import timezone
from django.utils.translation import gettext_noop as N_
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column

from accounts.advice import no_worker
from pipeline import heartbeats
from pipeline.models import RunStatus
from pipeline.queries import JobReport, RunReport

PATIENCE = timedelta(seconds=15)
MARKS = {RunStatus.SUCCESS: "✓", RunStatus.FAILED: "✗", RunStatus.SKIPPED: "–", RunStatus.CANCELLED: "–"}
PHASE_WORDS = {
    "": N_("waiting"),
    "connect": N_("connecting"),
    "folder_list": N_("comparing folders"),
    "fetch": N_("fetching"),
    "parse": N_("reading"),
    "save": N_("sealing"),
    "process": N_("sorting"),
    "disconnect": N_("closing"),
}


def megabytes(count: int) -> str:
    return f"{count / 1_000_000:.1f} MB"


def duration(seconds: float) -> str:
    """Roughly, as people say it."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{round(minutes / 60)} h"


def describe(run: RunReport) -> str:
    """One run in one line, whatever its state."""
    if run.status == RunStatus.SUCCESS:
        known = f", {run.emails_linked} known ones linked" if run.emails_linked else ""
        return f"{run.emails_fetched} mails, {megabytes(run.bytes_done)} in {run.duration:.1f} s{known}"
    if not run.active:
        return run.error
    if run.retrying:
        return f"{run.error} Retry {run.retries} in {run.seconds_to_go} s."
    if run.status == RunStatus.PENDING:
        told = no_worker()
        return f"{told.sentence} {told.next_step}" if forgotten(run) else "waiting for its turn"
    doing = PHASE_WORDS[run.phase]
    if run.mails_total:
        doing += f" {run.mails_done} of {run.mails_total} mails"
        doing += f", {megabytes(run.bytes_done)} of {megabytes(run.bytes_total or 0)}"
        doing += f", about {duration(run.seconds_left)} left" if run.seconds_left else ""
    return doing


def forgotten(run: RunReport) -> bool:
    """Whether nobody takes a run up that is due."""
    waits = run.is_due and not run.kept and timezone.now() - run.run_after > PATIENCE
    return waits and not heartbeats.ticks()


def _text(template: str, style: str = "none", ratio: int | None = None) -> TextColumn:
    """A column that folds on a narrow terminal, and takes no name for markup."""
    column = Column(overflow="fold", ratio=ratio)
    return TextColumn(template, style=style, markup=False, table_column=column)


class Bars:
    """A live bar per account."""

    def __init__(self, console: Console):
        self._progress = Progress(
            TextColumn("{task.fields[mark]}", markup=False),
            TextColumn(
                "{task.fields[name]}", style="bold", markup=False, table_column=Column(overflow="fold")
            ),
            BarColumn(bar_width=12),
            TextColumn("{task.description}", markup=False, table_column=Column(overflow="fold", ratio=1)),
            TimeElapsedColumn(),
            expand=True,
            console=console,
        )
        self._tasks = {}

    def __enter__(self):
        self._progress.start()
        return self

    def __exit__(self, *exception):
        self._progress.stop()

    def __call__(self, reports: list[JobReport]) -> None:
        for run in (run for report in reports for run in report.runs):
            if run.run_id not in self._tasks:
                self._tasks[run.run_id] = self._progress.add_task("", name=run.name, mark=" ", total=None)
            task = self._tasks[run.run_id]
            done, total = run.mails_done, run.mails_total
            if not run.active:
                total = done = max(run.mails_done, 1)
            self._progress.update(
                task,
                description=describe(run),
                completed=done,
                total=total,
                mark=MARKS.get(run.status, " "),
            )
            if not run.active:
                self._progress.stop_task(task)


class Lines:
    """A line when an account starts, changes what it does, or ends."""

    def __init__(self, write: Callable[[str], None]):
        self._write = write
        self._said: dict = {}

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    def __call__(self, reports: list[JobReport]) -> None:
        for run in (run for report in reports for run in report.runs):
            phase = run.phase if run.active and run.phase in ("connect", "folder_list") else ""
            state = run.status, phase, run.retries, forgotten(run)
            waits_here = run.kept and not run.phase and run.active and not run.retrying
            if self._said.get(run.run_id) != state and not waits_here:
                self._said[run.run_id] = state
                mark = MARKS.get(run.status)
                self._write(f"{mark + ' ' if mark else ''}{run.name}: {describe(run)}")
