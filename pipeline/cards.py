"""What the overview shows of an account: its state in a word, its figures, what to do."""

import shlex
from dataclasses import dataclass

from django.db.models import Q
from django.template.defaultfilters import floatformat
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as N_

from accounts.advice import Advice, advise, finding, next_try, no_scheduler, no_worker, unexplained
from accounts.errors import ErrorType
from accounts.models import MailAccount
from diagnostics.models import Status
from mail import findings
from mail.queries import AccountFigures, account_figures
from pipeline import heartbeats
from pipeline.broker import PipelineBroker
from pipeline.console import PATIENCE, PHASE_WORDS, duration
from pipeline.estimate import Estimate, estimate
from pipeline.headlines import headline
from pipeline.models import JobType, RunStatus
from pipeline.queries import HealthReport

NEEDS_A_PERSON = ("broken", "failed", "skipped", "unexplained", "doubted", "degraded", "stuck")
WORDS = {
    "new": N_("New"),
    "syncing": N_("Syncing"),
    "stuck": N_("Waiting"),
    "retrying": N_("Retrying"),
    "pausing": N_("Paused"),
    "ok": N_("OK"),
    "broken": N_("Broken"),
    "degraded": N_("Degraded"),
    "unexplained": N_("Check"),
    "doubted": N_("Check"),
    "failed": N_("Failed"),
    "skipped": N_("Skipped"),
    "cancelled": N_("Stopped"),
}
WORDS_FOR_SKIPPED = {"no_key": N_("No key"), "breaker_open": N_("Resting")}
PAUSES = ("budget", "paused")
PHASES = {
    "connect": N_("Connect"),
    "folder_list": N_("Compare folders"),
    "fetch": N_("Fetch"),
    "parse": N_("Read"),
    "save": N_("Seal"),
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
        word = WORDS[self.state]
        if self.account.enabled and self.run:
            word = WORDS_FOR_SKIPPED.get(self.run.error_type, word)
        return gettext(word)

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
            return Advice(self.run.error, next_try(self.run.seconds_to_go))
        if not self.account.enabled:
            return advise(ErrorType.PAUSED)
        told = self.state in (*NEEDS_A_PERSON, "pausing")
        return Advice(self.run.error, self.run.next_step) if told else None

    @property
    def doing(self) -> str:
        if self.run.status == RunStatus.PENDING:
            return gettext("Waiting for its turn")
        words = gettext(PHASE_WORDS[self.run.phase])
        return words[0].upper() + words[1:]

    @property
    def sizes(self) -> str:
        done, total = (
            floatformat(count / 1_000_000, 1) for count in (self.run.bytes_done, self.run.bytes_total or 0)
        )
        return gettext("{done} of {total} MB").format(done=done, total=total)

    @property
    def left(self) -> str:
        """How long the fetch goes on, or would take."""
        seconds = self.run.seconds_left if self.run and self.run.active else self.estimate.seconds
        return gettext("about {duration}").format(duration=duration(seconds)) if seconds else ""

    @property
    def accounted(self) -> int:
        return self.figures.on_server - max(self.figures.unexplained, 0)

    @property
    def took(self) -> str:
        return _seconds(self.run.duration) if self.run and self.run.duration is not None else ""

    @property
    def phases(self) -> list[tuple[str, str]]:
        spent = self.run.phases
        return [(gettext(word), _seconds(spent[phase])) for phase, word in PHASES.items() if phase in spent]


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
    needy = [card for card in cards if card.state in NEEDS_A_PERSON]
    pending = sum(card.figures.pending for card in cards)
    return {
        "cards": cards,
        "scheduler": _scheduler(cards),
        "headline": headline([card.state for card in cards], len(needy), pending),
        "needy": needy,
        "syncing": any(card.state == "syncing" for card in cards),
        "polling": any(card.run and card.run.active for card in cards),
        "accounted": sum(card.accounted for card in cards),
        "on_server": sum(card.figures.on_server for card in cards),
        "pending": pending,
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


def _seconds(seconds: float) -> str:
    if seconds < 60:
        return f"{floatformat(seconds, 2 if seconds < 1 else 1)} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"
