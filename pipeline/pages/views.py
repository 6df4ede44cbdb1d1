"""The pages of accounts: all of them with their figures, and one with its health and its diagnosis."""

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts import actions, grants, unlocked
from accounts.models import GrantPurpose, MailAccount
from accounts.pages import go, keys_for, signed_in, unlock_first
from pipeline.broker import PipelineBroker
from pipeline.models import JOB_OPEN, RUN_ACTIVE
from pipeline.pages.account_page import diagnosis_of, page_of, support_text
from pipeline.pages.account_views import says_broken_seals
from pipeline.pages.overview import overview_of
from pipeline.pages.progress import Progress
from pipeline.pages.pulse import pulse_of, watched
from pipeline.queries import newest_runs, run_report


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


@never_cache
@signed_in
@require_GET
def pulse(request):
    """What the overview asks again and again: nothing new, the progress of runs, or that all has changed."""
    now = pulse_of(request.user)
    seen = request.GET.get("seen", "")
    if seen == now.seen:
        return HttpResponse(status=204)
    if not seen.startswith(now.beat):
        return HttpResponse(status=204, headers={"HX-Trigger": "changed"})
    runs = [Progress(run_report(run)) for run in now.active]
    return render(request, "pipeline/_pulse.html", {"pulse": now, "runs": runs})


@signed_in
@require_POST
def fetch_all(request):
    return _fetch(request, None)


@signed_in
@require_POST
def fetch_account(request, account_id):
    return _fetch(request, _own(request, account_id))


@signed_in
@require_POST
def stop_all(request):
    """Cancel what this person asked for; what was fetched stays."""
    for job in request.user.jobs.filter(status__in=JOB_OPEN):
        PipelineBroker().cancel_job(job.pk)
    return _panel_or_overview(request)


def _fetch(request, account: MailAccount | None):
    accounts = [account] if account else list(request.user.mail_accounts.filter(enabled=True))
    keys = keys_for(request, accounts, reverse("overview"))
    PipelineBroker().enqueue_fetch_job(
        request.user, account, max_mails=None, keys=keys, first_import_whole=True
    )
    if account and request.POST.get("next") == reverse("account", args=[account.pk]):
        return redirect("account", account.pk)
    return _panel_or_overview(request)


@never_cache
@signed_in
@require_GET
def account(request, account_id):
    own = _own(request, account_id)
    return render(
        request, "pipeline/account.html", page_of(own, unlocked.user_key(request), _report_id(request))
    )


@never_cache
@signed_in
@require_GET
def account_progress(request, account_id):
    """How far the account's sync is; when it has ended, the whole page is shown anew."""
    own = _own(request, account_id)
    run = newest_runs([own]).get(own.pk)
    if run is None or run.status not in RUN_ACTIVE:
        return go(request, reverse("account", args=[own.pk]))
    context = {"account": own, "running": Progress(run_report(run))}
    return render(request, "pipeline/_account_progress.html", context)


@never_cache
@signed_in
@require_GET
def diagnosis(request, account_id):
    """The part of an account's page that changes while the mailbox is examined."""
    return _diagnosis(request, _own(request, account_id))


@signed_in
@require_POST
def diagnose(request, account_id):
    own = _own(request, account_id)
    keys = keys_for(request, [own], reverse("account", args=[own.pk]))
    PipelineBroker().enqueue_diagnostics_job(request.user, own, keys)
    return _diagnosis(request, own) if request.htmx else redirect("account", own.pk)


@never_cache
@signed_in
@require_GET
def report_text(request, account_id, report_id):
    """To download: redacted, with the server's words only from an unlocked session."""
    report = get_object_or_404(_own(request, account_id).reports, pk=report_id)
    text = support_text(report, unlocked.user_key(request))
    name = f"mailhelper-diagnostics-{report.at:%Y-%m-%d-%H%M}.txt"
    disposition = f'attachment; filename="{name}"'
    return HttpResponse(text, "text/plain; charset=utf-8", headers={"Content-Disposition": disposition})


@signed_in
@require_POST
def retry_quarantined(request, account_id):
    own = _own(request, account_id)
    keys = keys_for(request, [own], reverse("account", args=[own.pk]))
    PipelineBroker().retry_quarantined(own, keys=keys)
    return redirect("account", own.pk)


@signed_in
@says_broken_seals
@require_POST
def allow_background(request, account_id):
    own = _own(request, account_id)
    if (user_key := unlocked.user_key(request)) is None:
        return unlock_first(request, reverse("account", args=[own.pk]))
    grants.grant(own, actions.account_key(own, user_key), GrantPurpose.BACKGROUND)
    return _back(request, own)


@signed_in
@require_POST
def stop_background(request, account_id):
    own = _own(request, account_id)
    grants.stop_background([own])
    return _back(request, own)


def _back(request, own: MailAccount):
    """To the page of its settings, where that asked; else to its own."""
    return redirect("edit_account" if request.POST.get("next") == "edit_account" else "account", own.pk)


def _own(request, account_id) -> MailAccount:
    return get_object_or_404(watched(request.user.mail_accounts), pk=account_id)


def _diagnosis(request, own: MailAccount):
    return render(request, "pipeline/_diagnosis.html", diagnosis_of(own, unlocked.user_key(request)))


def _report_id(request) -> UUID | None:
    """Of the report that is asked for; of what is none, as if none was asked for."""
    try:
        return UUID(request.GET.get("report", ""))
    except ValueError:
        return None


def _panel_or_overview(request):
    if not request.htmx:
        return redirect("overview")
    return render(request, "pipeline/_panel.html", overview_of(request.user))
