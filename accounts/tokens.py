"""What scripts sign their requests with: what a token may do, for how long, and which accounts it opens.

The secret is shown once. Here lie its digest and, sealed under the secret, the keys of accounts that it may
have fetched: without the secret neither the database nor a worker's key opens them.
"""

import re
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext

from accounts import vault
from accounts.actions.keys import place
from accounts.errors import SealBroken, UsageError
from accounts.models import ApiToken, MailAccount, Scope, TokenKey, User

PREFIX = "mailhelper_"  # so that a scanner of repositories knows it
SECRET_BYTES = 32
LIFETIMES = (30, 90, 365)  # days
USE_IS_NOTED_EVERY = timedelta(minutes=1)
MOST_TOKENS = 50

_SECRET = re.compile(PREFIX + r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True)
class NewToken:
    token: ApiToken
    secret: str

    def __repr__(self):
        return f"NewToken({self.token!r}, …)"


def make(user: User, name: str, scope: str, days: int, keys: Mapping[UUID, bytes] | None = None) -> NewToken:
    """A token that can have the accounts fetched whose `keys` are given. Raises UsageError."""
    token = ApiToken(user=user, name=_checked_name(name), scope=_checked_scope(user, scope, keys))
    token.expires_at = timezone.now() + _checked_lifetime(days)
    if user.api_tokens.count() >= MOST_TOKENS:
        raise UsageError(gettext("There are very many tokens. Revoke one that is not used any more."))
    secret = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    token.digest = vault.digest(secret.encode())
    try:
        with transaction.atomic():
            token.save(force_insert=True)
            TokenKey.objects.bulk_create(_sealed(token, secret, pk, key) for pk, key in (keys or {}).items())
    except IntegrityError as error:
        taken = gettext("There is already a token named {name}.").format(name=token.name)
        raise UsageError(taken) from error
    return NewToken(token, secret)


def _checked_name(name: str) -> str:
    name = " ".join(name.split())
    if not name or len(name) > 100 or not name.isprintable():
        raise UsageError(
            gettext("A token needs a name of 1 to 100 characters, none of them a control character.")
        )
    return name


def _checked_scope(user: User, scope: str, keys: Mapping | None) -> str:
    if scope not in Scope.values:
        raise UsageError(gettext("A token's scope is one of {known}.").format(known=", ".join(Scope.values)))
    if scope == Scope.METRICS and not user.is_staff:
        raise UsageError(gettext("The figures of all people together are for who runs this mailhelper."))
    if keys and not Scope(scope).includes(Scope.OPERATE):
        raise UsageError(gettext("Only a token that may operate can have accounts fetched."))
    return scope


def _checked_lifetime(days: int) -> timedelta:
    if days not in LIFETIMES:
        known = ", ".join(map(str, LIFETIMES))
        raise UsageError(gettext("A token lasts one of {known} days.").format(known=known))
    return timedelta(days=days)


def _sealed(token: ApiToken, secret: str, account_id: UUID, account_key: bytes) -> TokenKey:
    row = TokenKey(token=token, account_id=account_id)
    row.sealed_account_key = vault.seal(_wrapping_key(secret), account_key, *_place(row))
    return row


def _wrapping_key(secret: str) -> bytes:
    return vault.subkey(secret.encode(), "api token")


def _place(row: TokenKey) -> tuple[object, ...]:
    return *place(row, "sealed_account_key"), row.token_id, row.account_id


def authenticate(secret: str) -> ApiToken | None:
    """The valid token of an active person, with its person. Its use is noted if it can be."""
    if not _SECRET.fullmatch(secret):
        return None
    now = timezone.now()
    valid = ApiToken.objects.filter(expires_at__gt=now, user__is_active=True)
    token = valid.filter(digest=vault.digest(secret.encode())).select_related("user__vault").first()
    if token is None or (token.scope == Scope.METRICS and not token.user.is_staff):
        return None
    if token.last_used_at is None or now - token.last_used_at > USE_IS_NOTED_EVERY:
        with suppress(DatabaseError):  # a full disk can be read of
            ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    return token


def account_keys(token: ApiToken, secret: str, accounts: Iterable[MailAccount]) -> dict[UUID, bytes]:
    """The keys of those among the accounts that the token opens."""
    keys = {}
    for row in token.keys.filter(account__in=accounts):
        with suppress(SealBroken):
            keys[row.account_id] = vault.unseal(_wrapping_key(secret), row.sealed_account_key, *_place(row))
    return keys


def those_of(user: User) -> QuerySet[ApiToken]:
    return user.api_tokens.prefetch_related("keys__account").order_by("-created_at")


def revoke(user: User, name: str) -> None:
    """Raises UsageError where there is none of this name."""
    if not user.api_tokens.filter(name__iexact=name).delete()[0]:
        raise UsageError(gettext("There is no token named {name}.").format(name=name))
