"""What monitors ask: whether this process answers, whether work gets done, and how much. None speaks IMAP."""

from django.db import DatabaseError, OperationalError
from django.http import HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from huey.contrib.djhuey import HUEY
from prometheus_client.exposition import choose_encoder

from accounts.api.callers import TokenAuth
from accounts.api.problems import Problem, answer, out_of_order
from accounts.models import Scope
from pipeline import heartbeats, metrics

_scraper = TokenAuth(Scope.METRICS)


@never_cache
@require_safe
def healthz(request):
    return HttpResponse("ok\n", content_type="text/plain")


@never_cache
@require_safe
def readyz(request):
    """200 when database and queue answer and the tick is alive, else 503; each with its own word."""
    try:
        found = heartbeats.machinery()
    except DatabaseError:
        return JsonResponse({"ready": False, "database": "unreachable"}, status=503)
    queue = queue_state()
    ready = found.ticks and queue == "ok"
    told = {
        "ready": ready,
        "database": "ok",
        "queue": queue,
        "tick": "ok" if found.ticks else "late" if found.tick_at else "never",
        "tick_at": found.tick_at,
        "workers": found.workers,
        "oldest_due": found.oldest_due,
    }
    return JsonResponse(told, status=200 if ready else 503)


def queue_state() -> str:
    try:
        HUEY.pending_count()
    except Exception:  # whatever the queue's storage raises
        return "unreachable"
    return "ok"


@never_cache
@require_safe
def figures(request):
    """For Prometheus, in the format that it asks for."""
    try:
        if _scraper(request) is None:
            raise Problem("unauthenticated", WWW_Authenticate="Bearer")
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return HttpResponse(encode(metrics.registry()), content_type=content_type)
    except Problem as problem:
        return answer(problem)
    except OperationalError as error:
        return out_of_order(request, error)
