from diagnostics.alerting import alerts


def unread_alerts(request):
    """How many notifications the person has not read."""
    user = getattr(request, "user", None)
    signed_in = user is not None and user.is_authenticated
    return {"unread_alerts": alerts.unread_count(user) if signed_in else 0}
