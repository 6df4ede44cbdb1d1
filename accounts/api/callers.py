"""Who asks through the API, what they may do, and how often."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from django.conf import settings
from django.core.cache import cache
from django.utils import timezone, translation
from ninja.security import HttpBearer
from ninja.security import SessionAuth as DjangosSession
from ninja.throttling import BaseThrottle
from redis.exceptions import RedisError

from accounts import actions, advice, grants, tokens, unlocked
from accounts.api.problems import Problem
from accounts.middleware import name_in_the_log
from accounts.models import ApiToken, MailAccount, Scope, User

WINDOW = 60  # seconds


@dataclass(frozen=True)
class Caller:
    """A person by a token, or by a session, which may be unlocked."""

    user: User
    token: ApiToken | None = None
    secret: str = field(default="", repr=False)
    user_key: bytes | None = field(default=None, repr=False)

    def __str__(self):
        return f"token {self.token.pk}" if self.token else f"session {self.user.pk}"

    def keys_of(self, accounts: Iterable[MailAccount]) -> dict[UUID, bytes]:
        """The keys of those that the caller can open."""
        if self.user_key is not None:
            return actions.account_keys(accounts, self.user_key)
        return tokens.account_keys(self.token, self.secret, accounts) if self.token else {}

    def keys_to_fetch(self, accounts: list[MailAccount]) -> dict[UUID, bytes]:
        """The same. Raises Problem where neither the caller nor the workers can open any of them."""
        keys = self.keys_of(accounts)
        if not keys and not grants.any_in_background(accounts):
            raise Problem("locked")
        return keys


class TokenAuth(HttpBearer):
    """An API token in the header Authorization."""

    def __init__(self, scope: Scope):
        super().__init__()
        self.scope = scope

    def authenticate(self, request, token: str) -> Caller:
        known = tokens.authenticate(token.strip())
        if known is None:
            raise Problem("unauthenticated", WWW_Authenticate='Bearer error="invalid_token"')
        request.user = known.user
        name_in_the_log(request, user_id=known.user.pk, token_id=str(known.pk))
        translation.activate(known.user.language)
        timezone.activate(known.user.zone)
        if not known.allows(self.scope):
            raise Problem("insufficient_scope", advice.insufficient_scope(self.scope))
        return Caller(known.user, known, token.strip())


class SessionAuth(DjangosSession):
    """A signed-in session; what changes something needs the CSRF token, too."""

    def __call__(self, request) -> Caller | None:
        return super().__call__(request) if request.user.is_authenticated else None

    def authenticate(self, request, key) -> Caller:
        return Caller(request.user, user_key=unlocked.user_key(request))


class UnlockedSessionAuth(SessionAuth):
    """A signed-in session that is unlocked: no token does."""

    def __call__(self, request) -> Caller | None:
        if request.headers.get("Authorization", "").lower().startswith("bearer"):
            raise Problem("session_only")
        return super().__call__(request)

    def authenticate(self, request, key) -> Caller:
        caller = super().authenticate(request, key)
        if caller.user_key is None:
            raise Problem("locked")
        return caller


READS = [TokenAuth(Scope.READ), SessionAuth()]
OPERATES = [TokenAuth(Scope.OPERATE), SessionAuth()]
MANAGES = [TokenAuth(Scope.MANAGE), SessionAuth()]
UNLOCKED = [UnlockedSessionAuth()]


class PerCaller(BaseThrottle):
    """So many requests of one token or session in each minute of the clock."""

    def allow_request(self, request) -> bool:
        key = f"api {request.auth} {int(time.time()) // WINDOW}".replace(" ", ":")
        try:
            cache.add(key, 0, 2 * WINDOW)
            return cache.incr(key) <= settings.MAILHELPER_API_REQUESTS_PER_MINUTE
        except (RedisError, ValueError):  # no count, or one that was evicted in between
            return True

    def wait(self) -> float:
        return WINDOW - time.time() % WINDOW
