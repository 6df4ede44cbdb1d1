"""The page that shows every account with its figures, and fetches on request."""

from dataclasses import dataclass

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts import actions, advice, grants, unlocked
from accounts.models import GrantPurpose, MailAccount
from mail.queries import AccountFigures, account_figures
from pipeline.broker import PipelineBroker
from pipeline.console import PHASE_WORDS, megabytes
from pipeline.models import RunStatus
from pipeline.queries import HealthReport


@dataclass(frozen=True)
class Card:
    account: MailAccount
    health: HealthReport
    figures: AccountFigures
    notice: str

    @property
    def run(self):
        return self.health.last_run

    @property
    def state(self) -> str:
        """The one word that the card's badge shows."""
        if self.run is None:
            return "new"
        if self.run.active:
            return "syncing"
        return "ok" if self.run.status == RunStatus.SUCCESS else "failed"

    @property
    def doing(self) -> str:
        if self.run.status == RunStatus.PENDING:
            return "Waiting for a worker"
        words = PHASE_WORDS[self.run.phase].capitalize()
        if self.run.mails_total is None:
            return words
        sizes = f"{megabytes(self.run.bytes_done)} of {megabytes(self.run.bytes_total or 0)}"
        return f"{words}: {self.run.mails_done} of {self.run.mails_total} mails · {sizes}"

    @property
    def accounted(self) -> int:
        return self.figures.on_server - max(self.figures.unexplained, 0)


@never_cache
@login_required
@require_GET
def overview(request):
    return render(request, "pipeline/overview.html", _context(request.user))


@never_cache
@login_required
@require_GET
def panel(request):
    """The part of the overview that changes."""
    return render(request, "pipeline/_panel.html", _context(request.user))


@login_required
@require_POST
def fetch_all(request):
    return _fetch(request, None)


@login_required
@require_POST
def fetch_account(request, account_id):
    return _fetch(request, get_object_or_404(MailAccount, pk=account_id, user=request.user))


def _fetch(request, account: MailAccount | None):
    accounts = [account] if account else list(request.user.mail_accounts.filter(enabled=True))
    user_key = unlocked.user_key(request)
    if user_key is None and not _all_in_background(accounts):
        return _go(request, f"{reverse('unlock')}?next={reverse('overview')}")
    keys = actions.account_keys(accounts, user_key) if user_key else None
    PipelineBroker().enqueue_fetch_job(request.user, account, keys=keys)
    return panel_after(request) if request.htmx else redirect("overview")


def panel_after(request):
    return render(request, "pipeline/_panel.html", _context(request.user))


def _all_in_background(accounts: list[MailAccount]) -> bool:
    granted = grants.valid_grants().filter(purpose=GrantPurpose.BACKGROUND, account__in=accounts)
    return granted.count() == len(accounts)


def _go(request, url: str):
    return HttpResponse(headers={"HX-Redirect": url}) if request.htmx else redirect(url)


def _context(user) -> dict:
    reports = {report.account_id: report for report in PipelineBroker().get_account_health(user)}
    cards = [
        Card(account, reports[account.pk], account_figures(account), _notice(account))
        for account in user.mail_accounts.all()
    ]
    failed = [card for card in cards if card.state == "failed"]
    figures = [card.figures for card in cards]
    return {
        "cards": cards,
        "failed": failed,
        "busy": any(card.state == "syncing" for card in cards),
        "accounted": sum(card.accounted for card in cards),
        "on_server": sum(f.on_server for f in figures),
        "waiting": sum(f.pending for f in figures),
    }


def _notice(account: MailAccount) -> str:
    return advice.GMAIL_ARCHIVE if account.provider == "gmail" else ""
