"""Errors of the API as problem details (RFC 9457): the error_type, sentence and next step of everywhere."""

from collections.abc import Iterable
from http import HTTPStatus

from django.db import OperationalError
from django.http import HttpResponse, JsonResponse
from django.utils.log import log_response
from ninja import Schema

from accounts.advice import Advice, problem
from accounts.errors import MailhelperError, disk_is_full

MEDIA_TYPE = "application/problem+json"
STATUS = {
    "malformed": 400,
    "unauthenticated": 401,
    "insufficient_scope": 403,
    "session_only": 403,
    "csrf": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "seal_broken": 409,
    "nothing_to_retry": 409,
    "invalid": 422,
    "refused": 422,
    "no_accounts": 422,
    "key_reused": 422,
    "locked": 423,
    "too_many_requests": 429,
    "too_many_streams": 429,
    "bug": 500,
    "unavailable": 503,
    "disk_full": 507,
}
ALWAYS = (401, 403, 422, 429)
_BY_STATUS = {status: code for code, status in reversed(STATUS.items())}


class FieldError(Schema):
    """Where in the request something is wrong, as in "body.max_mails", and what."""

    field: str
    detail: str


class ProblemDetails(Schema):
    """`type` is an URN of the error_type; `detail` and `next_step` are sentences in the caller's language."""

    type: str
    title: str
    status: int
    detail: str
    error_type: str
    next_step: str
    errors: list[FieldError] = []


class Problem(MailhelperError):
    """`words` take the place of those that belong to the error_type."""

    def __init__(
        self,
        error_type: str,
        words: Advice | None = None,
        errors: Iterable[FieldError] = (),
        **headers: str,
    ):
        super().__init__(error_type)
        self.error_type, self.words, self.headers = error_type, words, headers
        self.errors = list(errors)


def answer(problem_found: Problem) -> HttpResponse:
    status = STATUS[problem_found.error_type]
    words = problem_found.words or problem(problem_found.error_type)
    body = ProblemDetails(
        type=f"urn:mailhelper:problem:{problem_found.error_type}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=words.sentence,
        error_type=problem_found.error_type,
        next_step=words.next_step,
        errors=problem_found.errors,
    )
    headers = {name.replace("_", "-"): value for name, value in problem_found.headers.items()}
    return JsonResponse(body.model_dump(), status=status, content_type=MEDIA_TYPE, headers=headers)


def out_of_order(request, error: OperationalError) -> HttpResponse:
    """The database does not do its part. How is for the log alone."""
    told = answer(Problem("disk_full" if disk_is_full(error) else "unavailable"))
    log_response("%s", request.path, response=told, request=request, exception=error)
    return told


def of_status(status: int) -> Problem:
    """What stands for an answer that Django gave by itself."""
    return Problem(_BY_STATUS.get(status, "bug" if status >= 500 else "invalid"))


def answers(good: dict, *problems: int) -> dict:
    """The `response` of an operation: what it gives, and which problems it may have beside those of all."""
    return good | dict.fromkeys(sorted({*ALWAYS, *problems}), ProblemDetails)
