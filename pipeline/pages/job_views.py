"""The pages of jobs: one with its runs, and the history of them all."""

from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accounts import unlocked
from accounts.pages import keys_for, signed_in
from pipeline.broker import PipelineBroker
from pipeline.models import PipelineJob
from pipeline.pages.history import HistoryFilter, history_of
from pipeline.pages.job_page import page_of
from pipeline.queries import own_job, retryable

STOP_POLLING = 286


@never_cache
@signed_in
@require_GET
def history(request):
    asked = HistoryFilter(request.user, request.GET)
    page = history_of(request.user, asked, request.GET.get("before", ""))
    query = request.GET.copy()
    query.pop("before", None)
    status = 200 if asked.is_valid() else 422
    context = {"asked": asked, "page": page, "query": query.urlencode()}
    return render(request, "pipeline/history.html", context, status=status)


@never_cache
@signed_in
@require_GET
def job(request, job_id):
    return render(request, "pipeline/job.html", page_of(_own(request, job_id), unlocked.user_key(request)))


@never_cache
@signed_in
@require_GET
def job_news(request, job_id):
    """The part of a job's page that changes, until the job has ended."""
    shown = page_of(_own(request, job_id), unlocked.user_key(request))
    if shown["open"] and request.GET.get("seen") == shown["seen"]:
        return HttpResponse(status=204)
    return render(request, "pipeline/_job.html", shown, status=200 if shown["open"] else STOP_POLLING)


@signed_in
@require_POST
def cancel_job(request, job_id):
    PipelineBroker().cancel_job(_own(request, job_id).pk)
    return redirect("job", job_id)


@signed_in
@require_POST
def retry_job(request, job_id):
    """A new job for the accounts of which this one got nothing."""
    accounts = retryable(_own(request, job_id))
    if not accounts:
        return redirect("job", job_id)
    keys = keys_for(request, accounts, reverse("job", args=[job_id]))
    return redirect("job", PipelineBroker().retry_accounts(request.user, accounts, keys))


def _own(request, job_id) -> PipelineJob:
    if (found := own_job(request.user, job_id)) is None:
        raise Http404
    return found
