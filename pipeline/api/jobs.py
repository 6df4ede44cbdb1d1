"""Jobs: asked for, followed, stopped and asked for again."""

from functools import partial
from typing import Annotated
from uuid import UUID

from django.http import HttpResponse, StreamingHttpResponse
from django.urls import reverse
from ninja import Header, Query, Router, Schema, Status

from accounts import advice
from accounts.api.callers import OPERATES, READS
from accounts.api.cursors import Cursor, Limit, page
from accounts.api.problems import Problem, answers
from accounts.errors import ErrorType
from accounts.models import MailAccount
from pipeline.api import events
from pipeline.api.owned import account_of, job_of
from pipeline.api.shapes import DiagnosticsWish, FetchWish, Job, Jobs, Moment
from pipeline.broker import PipelineBroker
from pipeline.idempotency import KeyReused, once
from pipeline.models import JobStatus, JobType, Trigger
from pipeline.queries import JobReport, job_reports, retryable

router = Router(tags=["jobs"], by_alias=False)
IdempotencyKey = Annotated[
    str | None,
    Header(alias="Idempotency-Key", min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$"),
]


class HistoryQuery(Schema):
    account: UUID | None = None
    status: JobStatus | None = None
    type: JobType | None = None
    trigger: Trigger | None = None
    since: Moment | None = None
    until: Moment | None = None
    cursor: Cursor = ""
    limit: Limit = 50

    def narrowing(self) -> dict:
        """What is left out narrows nothing."""
        bounds = {"accounts": self.account, "created_at__gte": self.since, "created_at__lt": self.until}
        asked = bounds | {"status": self.status, "type": self.type, "trigger": self.trigger}
        return {name: value for name, value in asked.items() if value is not None}


@router.post("/fetch", auth=OPERATES, response=answers({202: Job}, 400, 404, 423))
def fetch(request, wish: FetchWish, response: HttpResponse, idempotency_key: IdempotencyKey = None):
    """Have one account fetched, or all that are not paused. The answer does not wait for the mails."""
    accounts = _asked_for(request, wish.account)
    ask = partial(
        PipelineBroker().enqueue_fetch_job,
        request.user,
        accounts[0] if wish.account else None,
        wish.max_mails,
        wish.timeout_seconds,
        trigger=Trigger.API,
    )
    return _accepted(request, response, idempotency_key, wish, accounts, ask)


@router.post("/diagnostics", auth=OPERATES, response=answers({202: Job}, 400, 404, 423))
def diagnose(request, wish: DiagnosticsWish, response: HttpResponse, idempotency_key: IdempotencyKey = None):
    """Have one account examined step by step; the report is among the account's diagnostics."""
    accounts = _asked_for(request, wish.account)
    ask = partial(PipelineBroker().enqueue_diagnostics_job, request.user, accounts[0], trigger=Trigger.API)
    return _accepted(request, response, idempotency_key, wish, accounts, ask)


@router.get("/history", auth=READS, response=answers({200: Jobs}, 404))
def job_history(request, asked: Query[HistoryQuery]):
    """Jobs of every kind, newest first, whichever way they were asked for."""
    if asked.account:
        account_of(request, asked.account)
    jobs = request.user.jobs.filter(**asked.narrowing()).select_related("user")
    shown, following = page(jobs, "created_at", asked.cursor, asked.limit)
    return {"items": job_reports(shown), "next": following}


@router.get("/{uuid:job_id}", auth=READS, response=answers({200: Job}, 404))
def read_job(request, job_id: UUID):
    return _report(job_of(request, job_id).pk)


@router.post("/{uuid:job_id}/cancel", auth=OPERATES, response=answers({200: Job}, 404))
def cancel_job(request, job_id: UUID):
    """Runs that no other job waits for stop within one batch; what was fetched stays."""
    PipelineBroker().cancel_job(job_of(request, job_id).pk)
    return _report(job_id)


@router.post("/{uuid:job_id}/retry", auth=OPERATES, response=answers({202: Job}, 404, 409, 423))
def retry_job(request, job_id: UUID, response: HttpResponse, idempotency_key: IdempotencyKey = None):
    """A new job for the accounts of which this one got nothing."""
    accounts = retryable(job_of(request, job_id))
    if not accounts:
        raise Problem("nothing_to_retry")
    ask = partial(PipelineBroker().retry_accounts, request.user, accounts, trigger=Trigger.API)
    return _accepted(request, response, idempotency_key, f"retry {job_id}", accounts, ask)


@router.get(
    "/{uuid:job_id}/events",
    auth=READS,
    response=answers({200: None, 204: None}, 404),
    openapi_extra={"responses": {200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}}},
)
def job_events(request, job_id: UUID, last_event_id: Annotated[str, Header(alias="Last-Event-ID")] = ""):
    """The job as a server-sent event `job` at each change, until it has ended, five minutes at most.

    Who comes again with the id of the last event of an ended job is told by 204 that there is no more.
    """
    job = job_of(request, job_id)
    if events.is_over(job.pk, last_event_id):
        return HttpResponse(status=204)
    told = events.follow(job, last_event_id)
    headers = {"X-Accel-Buffering": "no"}
    return StreamingHttpResponse(told, content_type="text/event-stream", headers=headers)


def _accepted(
    request, response, key: str | None, wish, accounts: list[MailAccount], ask
) -> Status[JobReport]:
    """The job that the caller's keys make of this wish, or made of it before."""
    try:
        job_id = once(request.user, key, wish, lambda: ask(keys=request.auth.keys_to_fetch(accounts)))
    except KeyReused:
        raise Problem("key_reused") from None
    response["Location"] = reverse("api:read_job", args=[job_id])
    return Status(202, _report(job_id))


def _asked_for(request, account_id: UUID | None) -> list[MailAccount]:
    if account_id:
        return [account_of(request, account_id)]
    accounts = list(request.user.mail_accounts.filter(enabled=True))
    if not accounts:
        raise Problem("no_accounts", advice.advise(ErrorType.NO_ACCOUNTS))
    return accounts


def _report(job_id: UUID) -> JobReport:
    return PipelineBroker().get_job_status(job_id)
