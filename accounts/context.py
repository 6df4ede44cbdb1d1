from accounts import unlocked


def vault_state(request):
    """Whether the session can open its person's keys."""
    signed_in = getattr(request, "user", None) is not None and request.user.is_authenticated
    return {"unlocked": signed_in and unlocked.user_key(request) is not None}
