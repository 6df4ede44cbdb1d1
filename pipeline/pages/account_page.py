"""What one account's page shows: how it is and was, and what the last examination found."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from accounts import actions, advice
from accounts.errors import SealBroken
from accounts.models import MailAccount
from diagnostics import reports
from diagnostics.models import DiagnosticReport, HealthFlip
from diagnostics.probing.probe import Verdict
from diagnostics.screen import MARKS, folder_lines, told
from mail.ledger import is_current
from mail.models import EntryState, Folder, LedgerEntry
from mail.queries import FolderFigures, counted, current_folders, figures_of_folder, folder_name
from pipeline.budget import Budget
from pipeline.models import RUN_ACTIVE, AccountRun, JobType
from pipeline.pages.cures import cures_of
from pipeline.pages.health_days import DAYS, HealthDay, health_days
from pipeline.pages.progress import Progress
from pipeline.pages.pulse import known_of
from pipeline.pages.trend import DAYS_OF_A_TREND, in_words, tallies_of_days, trend
from pipeline.pages.words import use_word
from pipeline.queries import HealthReport, health_reports, newest_by_kind, run_report

FLIPS_SHOWN = 20
FLIPS_READ = 2000
QUARANTINED_SHOWN = 100


@dataclass(frozen=True)
class Step:
    """One probe of a report in words.

    Where the session is unlocked, `folders` names those in trouble, and `evidence` is the server's own words.
    """

    label: str
    verdict: str
    mark: str
    word: str
    detail: str
    seconds: float
    decides: bool
    help: advice.Advice | None
    folders: list[str]
    evidence: str


@dataclass(frozen=True)
class Change:
    """One line of the history of an account's health."""

    flip: HealthFlip
    before: str
    after: str
    words: advice.Advice | None


@dataclass(frozen=True)
class FolderLine:
    """A folder with its figures; its name only in an unlocked session."""

    name: str
    figures: FolderFigures

    @property
    def accounted(self) -> int:
        return self.figures.on_server - max(self.figures.unexplained, 0)


@dataclass(frozen=True)
class Quarantined:
    """A mail that was set aside."""

    folder: str
    entry: LedgerEntry
    why: str


def page_of(account: MailAccount, user_key: bytes | None, report_id=None) -> dict:
    """Of an account as pulse.watched reads it."""
    runs = newest_by_kind(account)
    fetched = {account.pk: runs[JobType.FETCH]} if JobType.FETCH in runs else {}
    [health] = health_reports([account], known_of([account], fetched))
    since = timezone.now() - timedelta(days=DAYS)
    flips = list(account.flips.filter(at__gt=since).order_by("-at")[:FLIPS_READ])
    rows = list(counted(current_folders(account)))
    folders, names = [figures_of_folder(row) for row in rows], _names(account, user_key, rows)
    tallies = tallies_of_days([account], DAYS_OF_A_TREND)
    return {
        "account": account,
        "health": health,
        "word": advice.status_word(health.status),
        "cures": cures_of(account, health.status, health.reason),
        "running": Progress(health.last_run) if health.last_run and health.last_run.active else None,
        "changes": [_change(flip) for flip in flips[:FLIPS_SHOWN]],
        "days": _days(account, health, flips),
        "days_words": in_words(_days(account, health, flips)),
        "trend": trend(tallies),
        "folders": sorted((_folder_line(one, names) for one in folders), key=_by_name),
        "quarantined": _quarantined(account, names) if any(one.quarantined for one in folders) else [],
        "budget": Budget.of(account),
    } | _diagnosis(account, runs.get(JobType.DIAGNOSTICS), user_key, names, report_id)


def _days(account: MailAccount, health: HealthReport, flips: list[HealthFlip]) -> list[HealthDay]:
    zone = account.user.zone
    changes = [(flip.at.astimezone(zone), flip.before, flip.after) for flip in reversed(flips)]
    now = timezone.now().astimezone(zone)
    return health_days(changes, account.created_at.astimezone(zone), health.status, now)


def _names(account: MailAccount, user_key: bytes | None, rows: Iterable[Folder]) -> dict[UUID, str]:
    """By the id of their row; none while the session is locked, or where a seal does not open."""
    if user_key is None:
        return {}
    try:
        key = actions.account_key(account, user_key)
        return {row.pk: folder_name(row, key) for row in rows}
    except SealBroken:
        return {}


def _folder_line(figures: FolderFigures, names: dict[UUID, str]) -> FolderLine:
    return FolderLine(names.get(figures.folder_id) or use_word(figures.special_use), figures)


def _by_name(line: FolderLine) -> tuple:
    return line.figures.left_out, line.name != "INBOX", line.name.casefold()


def _quarantined(account: MailAccount, names: dict[UUID, str]) -> list[Quarantined]:
    rows = LedgerEntry.objects.filter(is_current(account), state=EntryState.QUARANTINED)
    return [
        Quarantined(names.get(row.folder_id, ""), row, advice.advise(row.error_type).sentence)
        for row in rows.order_by("-internal_date")[:QUARANTINED_SHOWN]
    ]


def _change(flip: HealthFlip) -> Change:
    return Change(
        flip, advice.status_word(flip.before), advice.status_word(flip.after), advice.health(flip.reason)
    )


def diagnosis_of(account: MailAccount, user_key: bytes | None) -> dict:
    """The newest report, and the examination that is under way."""
    run = newest_by_kind(account).get(JobType.DIAGNOSTICS)
    return _diagnosis(account, run, user_key, _names(account, user_key, current_folders(account)))


def _diagnosis(account: MailAccount, run: AccountRun | None, user_key, names, report_id=None) -> dict:
    """Of the report asked for, or the newest."""
    kept = list(account.reports.order_by("-at"))
    shown = next((report for report in kept if report_id in (None, report.pk)), None)
    steps = _steps(shown, user_key, names) if shown else []
    return {
        "account": account,
        "examining": run_report(run) if run and run.status in RUN_ACTIVE else None,
        "failed_run": run_report(run) if run and run.error_type and run.status not in RUN_ACTIVE else None,
        "report": shown,
        "steps": [step for step in steps if step.verdict != Verdict.SKIPPED],
        "not_asked": [step for step in steps if step.verdict == Verdict.SKIPPED],
        "differences": _differences(shown, kept) if shown else [],
        "reports": kept,
    }


def _evidence(report: DiagnosticReport | None, user_key: bytes | None) -> dict[str, str]:
    """Empty while the session is locked, or where the seal does not open."""
    if report is None or user_key is None:
        return {}
    try:
        return reports.open_evidence(report, actions.account_key(report.account, user_key))
    except SealBroken:
        return {}


def _steps(report: DiagnosticReport, user_key: bytes | None, names: dict[UUID, str]) -> list[Step]:
    evidence = _evidence(report, user_key)
    names = {str(folder_id): name for folder_id, name in names.items()} or None
    return [step_in_words(probe, evidence.get(probe["name"], ""), names) for probe in report.probes]


def step_in_words(probe: dict, evidence: str, names: dict[str, str] | None) -> Step:
    skipped = probe["verdict"] == Verdict.SKIPPED
    return Step(
        label=advice.probe_label(probe["name"]),
        verdict=probe["verdict"],
        mark=MARKS[probe["verdict"]],
        word=advice.verdict_word(probe["verdict"]),
        detail=advice.why_skipped(probe["facts"]["because"]) if skipped else told(probe["facts"]),
        seconds=probe["seconds"],
        decides=probe["decides"],
        help=advice.probe_advice(probe["name"], probe["error_type"], probe["facts"]),
        folders=[] if names is None else folder_lines(probe["facts"], names),
        evidence=evidence,
    )


def _differences(report: DiagnosticReport, kept: list[DiagnosticReport]) -> list[str]:
    """From the last one that passed before; `kept` has the newest first."""
    before = next((one for one in kept if one.passed and one.at < report.at), None)
    changes = reports.compare(before, report) if before else []
    return [advice.change(one.probe, one.what, one.before, one.after) for one in changes]


def support_text(report: DiagnosticReport, user_key: bytes | None) -> str:
    return reports.as_text(report, _evidence(report, user_key))
