"""The API's root: its parts, its errors, and the document that describes it (OpenAPI 3.1)."""

from collections.abc import Callable

from django.db import OperationalError
from django.http import Http404, HttpResponse
from django.http.request import RawPostDataException
from django.utils.cache import add_never_cache_headers
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, Throttled, ValidationError

from accounts import advice
from accounts.api import problems
from accounts.api.callers import READS, PerCaller
from accounts.api.problems import FieldError, Problem
from accounts.errors import ErrorType, SealBroken, UsageError
from diagnostics.api import router as notifications
from mail.api import router as mail
from pipeline.api.accounts import router as accounts
from pipeline.api.figures import router as figures
from pipeline.api.jobs import router as jobs
from pipeline.models import PipelineJob

DESCRIPTION = """\
Fetch mail, follow jobs and read the health of accounts from a script. Send an API token (made under Settings)
as `Authorization: Bearer …`, or a session's cookies, with `X-CSRFToken` where something changes. Each
operation says which scope a token needs. Errors are problem details (RFC 9457)."""
_SEAL_BROKEN = {"reason": "seal_broken"}
MOST_ERRORS = 20


class Api(NinjaAPI):
    def get_openapi_schema(self, **options):
        """Says besides what ninja says which scope a token needs, and that errors are problem details."""
        document = super().get_openapi_schema(**options)
        scopes = {
            self.get_openapi_operation_id(operation): operation
            for router in self._get_bound_routers()
            for view in router.path_operations.values()
            for operation in view.operations
        }
        for path in document["paths"].values():
            for details in path.values():
                _complete(details, scopes[details["operationId"]])
        return document

    def get_openapi_operation_id(self, operation) -> str:
        return operation.view_func.__name__


def _complete(details: dict, operation) -> None:
    for status, response in details["responses"].items():
        if status >= 400 and "content" in response:
            response["content"] = {problems.MEDIA_TYPE: response["content"].pop("application/json")}
    needed = next((auth.scope for auth in operation.auth_callbacks if hasattr(auth, "scope")), None)
    words = f"A token needs the scope `{needed.value}`." if needed else "By an unlocked session alone."
    details["description"] = f"{details.get('description', '')}\n\n{words}".strip()


api = Api(
    title="mailhelper",
    version="1",
    description=DESCRIPTION,
    auth=READS,
    throttle=PerCaller(),
    urls_namespace="api",
)
api.add_router("/jobs", jobs)
api.add_router("/accounts", accounts)
api.add_router("", figures)
api.add_router("/notifications", notifications)
api.add_router("/mail", mail)


def _says(error_class: type[Exception], problem_of: Callable[[Exception], Problem]) -> None:
    api.add_exception_handler(error_class, lambda request, error: problems.answer(problem_of(error)))


@api.exception_handler(ValidationError)
def _invalid(request, error):
    return problems.answer(Problem("invalid", errors=map(_field_error, error.errors[:MOST_ERRORS])))


def _field_error(found: dict) -> FieldError:
    where, *field = found["loc"]
    field = field[1:] if where == "body" else field  # our function's name for all of it
    return FieldError(field=".".join(map(str, (where, *field))), detail=found["msg"])


_says(Problem, lambda error: error)
_says(Http404, lambda error: Problem("not_found"))
_says(PipelineJob.DoesNotExist, lambda error: Problem("not_found"))  # deleted meanwhile
_says(RawPostDataException, lambda error: Problem("malformed"))  # a form, read as one to find its CSRF token
_says(AuthenticationError, lambda error: Problem("unauthenticated", WWW_Authenticate="Bearer"))
_says(Throttled, lambda error: Problem("too_many_requests"))
_says(HttpError, lambda error: Problem("malformed" if error.status_code == 400 else "csrf"))
_says(UsageError, lambda error: Problem("refused", advice.refused(str(error))))
_says(
    SealBroken,
    lambda error: Problem("seal_broken", advice.advise(ErrorType.NO_KEY, _SEAL_BROKEN)),
)
api.add_exception_handler(OperationalError, problems.out_of_order)


def problems_only(get_response):
    """Middleware: what Django answers by itself under /api/ is a problem, too. Nobody keeps an answer."""

    def answer(request):
        response = get_response(request)
        if not request.path.startswith("/api/"):
            return response
        if response.status_code >= 400 and not _is_told(response):
            response = _told(response)
        add_never_cache_headers(response)
        return response

    return answer


def _is_told(response: HttpResponse) -> bool:
    return response.headers.get("Content-Type", "").startswith((problems.MEDIA_TYPE, "application/json"))


def _told(response: HttpResponse) -> HttpResponse:
    problem = problems.answer(problems.of_status(response.status_code))
    if "Allow" in response.headers:
        problem.headers["Allow"] = response.headers["Allow"]
    problem._has_been_logged = getattr(response, "_has_been_logged", False)  # or Django logs it twice
    return problem
