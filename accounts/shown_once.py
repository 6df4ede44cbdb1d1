"""A new recovery key between its making and its owner's word that it is kept: sealed under the user key."""

import base64
import binascii
from contextlib import suppress

from accounts import vault
from accounts.errors import SealBroken

_FIELD = "sealed_recovery_key"


def keep(request, user_key: bytes, recovery_key: str) -> None:
    sealed = vault.seal(user_key, recovery_key.encode(), *_place(request))
    request.session[_FIELD] = base64.b64encode(sealed).decode()


def waits(request) -> bool:
    return _FIELD in request.session


def kept(request, user_key: bytes) -> str | None:
    with suppress(SealBroken, binascii.Error):
        sealed = base64.b64decode(request.session.get(_FIELD, ""))
        return vault.unseal(user_key, sealed, *_place(request)).decode()
    return None


def forget(request) -> None:
    request.session.pop(_FIELD, None)


def _place(request) -> tuple[object, ...]:
    return "session", request.user.pk, _FIELD
