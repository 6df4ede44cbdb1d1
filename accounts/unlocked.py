"""The unlocked session: the user key lies sealed in the session, its key only in a cookie."""

import base64
import binascii

from django.conf import settings

from accounts import vault
from accounts.errors import SealBroken

COOKIE = "mailhelper_unlock"
_FIELD = "sealed_user_key"


def open_session(request, response, user_key: bytes) -> None:
    cookie_key = vault.new_key()
    sealed = vault.seal(cookie_key, user_key, *_place(request))
    request.session[_FIELD] = base64.b64encode(sealed).decode()
    response.set_cookie(
        COOKIE,
        base64.urlsafe_b64encode(cookie_key).decode(),
        max_age=settings.SESSION_COOKIE_AGE,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def user_key(request) -> bytes | None:
    """The key of the signed-in person, or None when the session is locked."""
    sealed, cookie = request.session.get(_FIELD), request.COOKIES.get(COOKIE)
    if not sealed or not cookie:
        return None
    try:
        return vault.unseal(base64.urlsafe_b64decode(cookie), base64.b64decode(sealed), *_place(request))
    except (SealBroken, binascii.Error, ValueError):
        return None


def lock(request, response) -> None:
    request.session.pop(_FIELD, None)
    response.delete_cookie(COOKIE, samesite="Lax")


def _place(request) -> tuple[object, ...]:
    return "session", request.user.pk, _FIELD
