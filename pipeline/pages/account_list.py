"""What the pages of accounts show: the list, and how a trial goes."""

from dataclasses import dataclass
from datetime import datetime

from accounts import advice, grants
from accounts.models import MailAccount, User
from accounts.providers import provider_named
from diagnostics.probing.probe import Verdict
from pipeline import connection_trials
from pipeline.models import ConnectionTrial
from pipeline.pages.account_page import step_in_words
from pipeline.queries import HealthReport, health_reports


@dataclass(frozen=True)
class AccountRow:
    """`until` is when background sync ends; None where there is none."""

    account: MailAccount
    provider: str
    health: HealthReport
    word: str
    until: datetime | None


def account_rows(user: User) -> list[AccountRow]:
    accounts = list(user.mail_accounts.select_related("user"))
    ends = grants.background_ends(accounts)
    return [
        AccountRow(
            account,
            _title(account.provider),
            health,
            advice.status_word(health.status),
            ends.get(account.pk),
        )
        for account, health in zip(accounts, health_reports(accounts), strict=True)
    ]


def _title(provider: str) -> str:
    known = provider_named(provider)
    return known.title if known else ""


def background_until(account: MailAccount) -> datetime | None:
    return grants.background_ends([account]).get(account.pk)


def trial_page(trial: ConnectionTrial, user_key: bytes) -> dict:
    words = connection_trials.evidence_in(trial, user_key)
    steps = [step_in_words(step, words.get(step["name"], ""), {}) for step in trial.steps]
    return {
        "trial": trial,
        "running": connection_trials.is_running(trial),
        "interrupted": not connection_trials.is_running(trial) and trial.passed is None,
        "can_be_kept": connection_trials.can_be_kept(trial),
        "at_hand": advice.probe_label(trial.step) if trial.step else "",
        "steps": [step for step in steps if step.verdict != Verdict.SKIPPED],
        "not_asked": [step for step in steps if step.verdict == Verdict.SKIPPED],
    }
