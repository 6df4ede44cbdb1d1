"""What the overview shows of an account: its state in a word, its figures, what to do."""

import shlex
from dataclasses import dataclass

from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import Q
from django.utils import timezone

from accounts.advice import Advice, advise, finding, no_scheduler, no_worker, unexplained
from accounts.errors import ErrorType
from accounts.models import MailAccount
from diagnostics.models import Status
from mail import findings
from mail.queries import AccountFigures, account_figures
from pipeline import heartbeats
from pipeline.broker import PipelineBroker
from pipeline.console import PATIENCE, PHASE_WORDS, duration, megabytes
from pipeline.estimate import Estimate, estimate
from pipeline.models import JobType, RunStatus
from pipeline.queries import HealthReport

NEEDS_A_PERSON = ("broken", "failed", "skipped", "unexplained", "doubted", "degraded", "stuck")
WORDS = {
    "new": "New",
    "syncing": "Syncing",
    "stuck": "Waiting",
    "retrying": "Retrying",
    "pausing": "Paused",
    "ok": "OK",
    "broken": "Broken",
    "degraded": "Degraded",
    "unexplained": "Check",
    "doubted": "Check",
    "failed": "Failed",
    "skipped": "Skipped",
    "cancelled": "Stopped",
}
WORDS_FOR_SKIPPED = {"no_key": "No key", "breaker_open": "Resting"}
PAUSES = ("budget", "paused")
PHASES = {
    "connect": "Connect",
    "folder_list": "Compare folders",
    "fetch": "Fetch",
    "parse": "Read",
    "save": "Seal",
}


@dataclass(frozen=True)
class Card:
    account: MailAccount
    health: HealthReport
    figures: AccountFigures
    findings: list[Advice]
    estimate: Estimate
    stuck: bool

    @property
    def run(self):
        return self.health.last_run

    @property
    def state(self) -> str:
        """What the badge shows, as a key of WORDS."""
        if not self.account.enabled and not (self.run and self.run.active):
            return "pausing"
        if self.run is None:
            return "broken" if self.health.status == Status.BROKEN else "new"
        if self.run.retrying:
            return "retrying"
        if self.run.active:
            return "stuck" if self.stuck else "syncing"
        if self.run.error_type in PAUSES:
            return "pausing"
        if self.health.status == Status.BROKEN:
            return "broken"
        if self.run.status != RunStatus.SUCCESS:
            return self.run.status
        if self.figures.unexplained:
            return "unexplained"
        if self.findings:
            return "doubted"
        return "degraded" if self.health.status == Status.DEGRADED else "ok"

    @property
    def word(self) -> str:
        if not self.account.enabled:
            return WORDS[self.state]
        return WORDS_FOR_SKIPPED.get(self.run.error_type if self.run else "", WORDS[self.state])

    @property
    def advice(self) -> Advice | None:
        if self.state == "stuck":
            return no_worker()
        if self.state in ("broken", "degraded"):
            return Advice(self.health.sentence, self.health.next_step)
        if self.state == "unexplained":
            return unexplained(self.figures.unexplained)
        if self.state == "doubted":
            return self.findings[0]
        if self.state == "retrying":
            return Advice(self.run.error, f"It is tried again in {self.run.seconds_to_go} s.")
        if not self.account.enabled:
            return advise(ErrorType.PAUSED)
        told = self.state in (*NEEDS_A_PERSON, "pausing")
        return Advice(self.run.error, self.run.next_step) if told else None

    @property
    def doing(self) -> str:
        if self.run.status == RunStatus.PENDING:
            return "Waiting for its turn"
        return PHASE_WORDS[self.run.phase].capitalize()

    @property
    def sizes(self) -> str:
        return f"{self.run.bytes_done / 1_000_000:.1f} of {megabytes(self.run.bytes_total or 0)}"

    @property
    def left(self) -> str:
        """How long the fetch goes on, or would take."""
        seconds = self.run.seconds_left if self.run and self.run.active else self.estimate.seconds
        return f"about {duration(seconds)}" if seconds else ""

    @property
    def accounted(self) -> int:
        return self.figures.on_server - max(self.figures.unexplained, 0)

    @property
    def took(self) -> str:
        return _seconds(self.run.duration) if self.run and self.run.duration is not None else ""

    @property
    def phases(self) -> list[tuple[str, str]]:
        spent = self.run.phases
        return [(word, _seconds(spent[phase])) for phase, word in PHASES.items() if phase in spent]


def overview_of(user) -> dict:
    """Everything the overview shows of one person's accounts."""
    reports = {report.account_id: report for report in PipelineBroker().get_account_health(user)}
    stuck = _stuck_accounts(user)
    cards = [
        Card(
            account,
            reports[account.pk],
            account_figures(account),
            [finding(row.kind, row.facts) for row in findings.doubts(account)],
            estimate(account),
            account.pk in stuck,
        )
        for account in user.mail_accounts.all()
    ]
    return {
        "cards": cards,
        "scheduler": _scheduler(cards),
        "headline": _headline(cards),
        "needy": [card for card in cards if card.state in NEEDS_A_PERSON],
        "syncing": any(card.state == "syncing" for card in cards),
        "polling": any(card.run and card.run.active for card in cards),
        "accounted": sum(card.accounted for card in cards),
        "on_server": sum(card.figures.on_server for card in cards),
        "pending": sum(card.figures.pending for card in cards),
        "address": shlex.quote(user.email),
    }


def _scheduler(cards: list[Card]) -> Advice | None:
    """What to say where accounts wait to be synced by themselves, and nothing does it."""
    waits = any(card.health.next_attempt for card in cards)
    return no_scheduler() if waits and not heartbeats.ticks() else None


def _stuck_accounts(user) -> set:
    """Accounts whose run no worker has taken up, or whose worker is gone."""
    now = timezone.now()
    fetch = Q(runs__kind=JobType.FETCH)
    due = Q(runs__status=RunStatus.PENDING, runs__owner="", runs__run_after__lt=now - PATIENCE)
    waiting = Q(pk=None) if heartbeats.ticks() else due
    abandoned = Q(runs__status=RunStatus.RUNNING, runs__lease_until__lt=now - PATIENCE)
    return set(user.mail_accounts.filter(fetch & (waiting | abandoned)).values_list("pk", flat=True))


def _headline(cards: list[Card]) -> str:
    """In plain words, whether all is well."""
    states = [card.state for card in cards]
    needy = sum(state in NEEDS_A_PERSON for state in states)
    pending = sum(card.figures.pending for card in cards)
    if not cards:
        return "No account yet"
    if "syncing" in states:
        return "Syncing…"
    if needy:
        return _accounts(needy, len(cards), "needs you", "need you")
    if "new" in states:
        return _accounts(states.count("new"), len(cards), "is new", "are new")
    if pending:
        return f"{intcomma(pending)} {'mails are' if pending > 1 else 'mail is'} still to fetch"
    return _accounts(len(cards), len(cards), "is in sync", "are in sync")


def _accounts(count: int, total: int, one: str, several: str) -> str:
    if total == 1:
        return f"Your account {one}"
    if count == total:
        return f"All {total} accounts {several}"
    return f"One of {total} accounts {one}" if count == 1 else f"{count} of {total} accounts {several}"


def _seconds(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"
