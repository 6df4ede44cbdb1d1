"""What one account's page shows: how it is and was, and what the last examination found."""

from dataclasses import dataclass

from accounts import actions, advice, grants
from accounts.errors import ErrorType, SealBroken
from accounts.models import GrantPurpose, MailAccount
from diagnostics import reports
from diagnostics.models import DiagnosticReport, HealthFlip
from diagnostics.probing import troubled
from diagnostics.probing.probe import Verdict
from diagnostics.screen import MARKS, folder_lines, told
from mail.queries import folder_names
from pipeline.models import RUN_ACTIVE, JobType
from pipeline.queries import health_report, run_report

FLIPS_SHOWN = 50
REPORTS_SHOWN = 20


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


def page_of(account: MailAccount, user_key: bytes | None, report_id=None) -> dict:
    flips = account.flips.order_by("-at")[:FLIPS_SHOWN]
    health = health_report(account)
    return {
        "account": account,
        "health": health,
        "word": advice.status_word(health.status),
        "background": _background(account),
        "lapsed": health.reason == ErrorType.NO_KEY and _background(account) is None,
        "changes": [_change(flip) for flip in flips],
    } | diagnosis_of(account, user_key, report_id)


def _background(account: MailAccount):
    return grants.valid_grants().filter(account=account, purpose=GrantPurpose.BACKGROUND).first()


def _change(flip: HealthFlip) -> Change:
    return Change(
        flip, advice.status_word(flip.before), advice.status_word(flip.after), advice.health(flip.reason)
    )


def diagnosis_of(account: MailAccount, user_key: bytes | None, report_id=None) -> dict:
    """The report asked for, or the newest, and the examination that is under way."""
    kept = list(account.reports.order_by("-at")[:REPORTS_SHOWN])
    shown = next((report for report in kept if report_id in (None, report.pk)), None)
    steps = _steps(shown, user_key) if shown else []
    run = account.runs.filter(kind=JobType.DIAGNOSTICS).order_by("-created_at").first()
    return {
        "account": account,
        "examining": run_report(run) if run and run.status in RUN_ACTIVE else None,
        "failed_run": run_report(run) if run and run.error_type and run.status not in RUN_ACTIVE else None,
        "report": shown,
        "steps": [step for step in steps if step.verdict != Verdict.SKIPPED],
        "not_asked": [step for step in steps if step.verdict == Verdict.SKIPPED],
        "differences": _differences(shown) if shown else [],
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


def _folder_names(report: DiagnosticReport, user_key: bytes | None) -> dict[str, str] | None:
    """By the id of their row; None while the session is locked, or where a seal does not open."""
    if user_key is None or not any(troubled.has_any(probe["facts"]) for probe in report.probes):
        return None
    try:
        names = folder_names(report.account, actions.account_key(report.account, user_key))
    except SealBroken:
        return None
    return {str(folder_id): name for folder_id, name in names.items()}


def _steps(report: DiagnosticReport, user_key: bytes | None) -> list[Step]:
    evidence, names = _evidence(report, user_key), _folder_names(report, user_key)
    return [_step(probe, evidence.get(probe["name"], ""), names) for probe in report.probes]


def _step(probe: dict, evidence: str, names: dict[str, str] | None) -> Step:
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


def _differences(report: DiagnosticReport) -> list[str]:
    before = reports.last_passed_before(report)
    changes = reports.compare(before, report) if before else []
    return [advice.change(one.probe, one.what, one.before, one.after) for one in changes]


def support_text(report: DiagnosticReport, user_key: bytes | None) -> str:
    return reports.as_text(report, _evidence(report, user_key))
