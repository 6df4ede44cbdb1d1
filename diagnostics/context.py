from django.utils.functional import SimpleLazyObject

from diagnostics.alerting import alerts


def unread_alerts(request):
    """How many notifications the person has not read; a part of a page does not ask."""
    return {"unread_alerts": SimpleLazyObject(lambda: _count(getattr(request, "user", None)))}


def _count(user) -> int:
    return alerts.unread_count(user) if user is not None and user.is_authenticated else 0
