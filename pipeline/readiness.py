"""What monitors ask: whether this process answers, and whether work gets done. Neither speaks IMAP."""

from django.db import DatabaseError
from django.http import HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from huey.contrib.djhuey import HUEY

from pipeline import heartbeats


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
