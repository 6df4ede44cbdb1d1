"""The page that shows every account with its figures, and fetches on request."""

from functools import wraps

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts import actions, grants, unlocked
from accounts.models import GrantPurpose, MailAccount
from pipeline.broker import PipelineBroker
from pipeline.cards import overview_of
from pipeline.models import JOB_OPEN


def signed_in(view):
    """Sends others to sign in: the whole page, also when only the panel asked."""

    @wraps(view)
    def guarded(request, *args, **kwargs):
        if request.user.is_authenticated:
            return view(request, *args, **kwargs)
        return _go(request, f"{reverse('sign_in')}?next={reverse('overview')}")

    return guarded


@never_cache
@signed_in
@require_GET
def overview(request):
    return render(request, "pipeline/overview.html", overview_of(request.user))


@never_cache
@signed_in
@require_GET
def panel(request):
    """The part of the overview that changes."""
    return render(request, "pipeline/_panel.html", overview_of(request.user))


@signed_in
@require_POST
def fetch_all(request):
    return _fetch(request, None)


@signed_in
@require_POST
def fetch_account(request, account_id):
    return _fetch(request, get_object_or_404(MailAccount, pk=account_id, user=request.user))


@signed_in
@require_POST
def stop_all(request):
    """Cancel what this person asked for; what was fetched stays."""
    for job in request.user.jobs.filter(status__in=JOB_OPEN):
        PipelineBroker().cancel_job(job.pk)
    return _panel_or_overview(request)


def _fetch(request, account: MailAccount | None):
    accounts = [account] if account else list(request.user.mail_accounts.filter(enabled=True))
    user_key = unlocked.user_key(request)
    if user_key is None and not _all_in_background(accounts):
        return _go(request, f"{reverse('unlock')}?next={reverse('overview')}")
    keys = actions.account_keys(accounts, user_key) if user_key else None
    PipelineBroker().enqueue_fetch_job(
        request.user, account, max_mails=None, keys=keys, first_import_whole=True
    )
    return _panel_or_overview(request)


def _panel_or_overview(request):
    if not request.htmx:
        return redirect("overview")
    return render(request, "pipeline/_panel.html", overview_of(request.user))


def _all_in_background(accounts: list[MailAccount]) -> bool:
    granted = grants.valid_grants().filter(purpose=GrantPurpose.BACKGROUND, account__in=accounts)
    return granted.count() == len(accounts)


def _go(request, url: str):
    return HttpResponse(headers={"HX-Redirect": url}) if request.htmx else redirect(url)
