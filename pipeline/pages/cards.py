"""What the overview shows of an account: its state in a word, its figures, what to do."""

from dataclasses import dataclass

from django.template.defaultfilters import floatformat
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as N_

from accounts.advice import Advice, advise, next_try, no_worker, status_word, unexplained
from accounts.errors import ErrorType
from accounts.models import MailAccount
from diagnostics.models import Status
from mail.queries import AccountFigures
from pipeline.budget import Budget
from pipeline.models import RunStatus
from pipeline.pages.cures import Cure, cures_of
from pipeline.pages.progress import Progress
from pipeline.pages.trend import Day, in_words
from pipeline.queries import HealthReport, RunReport

NEEDS_A_PERSON = ("broken", "failed", "skipped", "unexplained", "doubted", "degraded", "stuck")
WORDS = {
    "syncing": N_("Syncing"),
    "stuck": N_("Waiting"),
    "retrying": N_("Retrying"),
    "pausing": N_("Paused"),
    "unexplained": N_("Check"),
    "doubted": N_("Check"),
    "failed": N_("Failed"),
    "skipped": N_("Skipped"),
}
WORDS_FOR_SKIPPED = {"no_key": N_("No key"), "breaker_open": N_("Resting")}
PAUSES = ("budget", "paused")


@dataclass(frozen=True)
class Card:
    account: MailAccount
    health: HealthReport
    figures: AccountFigures
    findings: list[Advice]
    days: list[Day]
    stuck: bool

    @property
    def run(self) -> RunReport | None:
        return self.health.last_run

    @property
    def state(self) -> str:
        """What the badge shows: what is going on, else the account's health, and what is odd beside it."""
        if self.run and self.run.active:
            return "stuck" if self.stuck else "retrying" if self.run.retrying else "syncing"
        if not self.account.enabled or (self.run and self.run.error_type in PAUSES):
            return "pausing"
        if self.health.status in (Status.BROKEN, Status.DEGRADED):
            return self.health.status
        if self.figures.unexplained:
            return "unexplained"
        if self.findings:
            return "doubted"
        if self.health.status != Status.HEALTHY and self._ended_badly:
            return self.run.status
        return self.health.status

    @property
    def _ended_badly(self) -> bool:
        """The last run, of an account that is not tried again by itself."""
        bad = (RunStatus.FAILED, RunStatus.SKIPPED)
        return self.run is not None and self.run.status in bad and self.run.error_type not in PAUSES

    @property
    def needs_a_person(self) -> bool:
        return self.state in NEEDS_A_PERSON

    @property
    def word(self) -> str:
        if self.state == "skipped":
            return gettext(WORDS_FOR_SKIPPED.get(self.run.error_type, WORDS["skipped"]))
        return gettext(WORDS[self.state]) if self.state in WORDS else status_word(self.state)

    @property
    def advice(self) -> Advice | None:
        match self.state:
            case "stuck":
                return no_worker()
            case "retrying":
                return Advice(self.run.error, next_try(self.run.seconds_to_go))
            case "syncing":
                return None
            case "pausing" if not self.account.enabled:
                return advise(ErrorType.PAUSED)
            case "unexplained":
                return unexplained(self.figures.unexplained)
            case "doubted":
                return self.findings[0]
            case "failed" | "skipped" | "pausing":
                return Advice(self.run.error, self.run.next_step)
        return Advice(self.health.sentence, self.health.next_step) if self.health.sentence else None

    @property
    def remark(self) -> Advice | None:
        """What went wrong last, where the account is well all the same."""
        bad = self.state == Status.HEALTHY and self._ended_badly
        return Advice(self.run.error, self.run.next_step) if bad else None

    @property
    def is_behind(self) -> bool:
        return self.state in ("retrying", "pausing") or self.remark is not None

    @property
    def cures(self) -> list[Cure]:
        return cures_of(self.account, self.state, self._error_type)

    @property
    def _error_type(self) -> str:
        return self.run.error_type if self.state in ("failed", "skipped") else self.health.reason

    @property
    def spent_today(self) -> str:
        """Of a day's budget, where the account has one."""
        budget = Budget.of(self.account)
        if budget.limit is None:
            return ""
        spent, limit = (floatformat(count / 1_000_000, "0g") for count in (budget.spent, budget.limit))
        return gettext("{done} of {total} MB").format(done=spent, total=limit)

    @property
    def days_words(self) -> str:
        return in_words(self.days)

    @property
    def progress(self) -> Progress:
        return Progress(self.run)

    @property
    def accounted(self) -> int:
        return self.figures.on_server - max(self.figures.unexplained, 0)
