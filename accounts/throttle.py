"""Guessing is slowed down: whoever fails too often waits (django-axes counts)."""

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from axes.attempts import get_cool_off_threshold
from axes.backends import AxesStandaloneBackend
from axes.handlers.database import AxesDatabaseHandler
from axes.handlers.proxy import AxesProxyHandler
from axes.helpers import get_cool_off, get_credentials
from axes.models import AccessAttempt
from django.conf import settings
from django.db.models import Max, Sum
from django.http import HttpRequest

from accounts import vault
from accounts.actions import address_of
from accounts.errors import TooManyAttempts, WrongPassword, WrongRecoveryKey

WHERE_FROM = ("REMOTE_ADDR", "HTTP_X_FORWARDED_FOR")
NOWHERE = "0.0.0.0"  # who comes through a socket file has no address
BITS_OF_ONE_NETWORK = 64  # each customer of a provider has 2^64 addresses of IPv6 to come from


@contextmanager
def guessing(request, address: str) -> Iterator[None]:
    """Round a try: a wrong secret counts, a right one ends the count. Raises TooManyAttempts."""
    person = get_credentials(address)
    AxesProxyHandler.update_request(request)
    if until := locked_until(request, person):
        raise TooManyAttempts(until)
    try:
        yield
    except (WrongPassword, WrongRecoveryKey):
        AxesProxyHandler.user_login_failed(__name__, person, request)
        raise
    AxesProxyHandler.reset_attempts(ip_address=request.axes_ip_address, username=blind_name(request, person))


def locked_until(request, credentials) -> datetime | None:
    """Nobody is locked out by a stranger elsewhere: failures count for who comes from the same place."""
    recent = AccessAttempt.objects.filter(
        ip_address=request.axes_ip_address, attempt_time__gt=get_cool_off_threshold(request)
    )
    of_this_person = recent.filter(username=blind_name(request, credentials))
    limits = (
        (of_this_person, settings.AXES_FAILURE_LIMIT),
        (recent, settings.MAILHELPER_FAILURES_PER_CLIENT),
    )
    for attempts, limit in limits:
        found = attempts.aggregate(failures=Sum("failures_since_start"), last=Max("attempt_time"))
        if (found["failures"] or 0) >= limit:
            return found["last"] + get_cool_off(request)
    return None


def forget(address: str) -> None:
    """What was tried for this person."""
    AccessAttempt.objects.filter(username=blind_name(None, get_credentials(address))).delete()


def blind_name(request, credentials) -> str:
    """The address as axes stores it: people also type their password into its field."""
    address = address_of((credentials or {}).get(settings.AXES_USERNAME_FORM_FIELD) or "")
    return vault.blind_index(settings.SECRET_KEY.encode(), "who tried to sign in", address.encode()).hex()


def client_address(request) -> str:
    """Who asks. Behind proxies of ours it is what the outermost one saw: the client can write the rest."""
    address, passed = (request.META.get(name, "") for name in WHERE_FROM)
    hops = [hop.strip() for hop in passed.split(",") if hop.strip()]
    if 0 < settings.MAILHELPER_PROXIES <= len(hops):
        address = hops[-settings.MAILHELPER_PROXIES]
    return _network_of(address)


def _network_of(address: str) -> str:
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return NOWHERE
    known = getattr(known, "ipv4_mapped", None) or known
    if known.version == 6:
        known = ipaddress.ip_network((known.packed, BITS_OF_ONE_NETWORK), strict=False).network_address
    return str(known)


class Handler(AxesDatabaseHandler):
    """Counts for Django's own forms, too."""

    def is_locked(self, request, credentials=None) -> bool:
        return locked_until(request, credentials) is not None

    def user_login_failed(self, sender, credentials, request=None, **kwargs) -> None:
        if request is not None:
            super().user_login_failed(sender, credentials, _bare(request), **kwargs)


def _bare(request) -> HttpRequest:
    """Where a request comes from and nothing else of it: axes would store its fields and headers."""
    bare = HttpRequest()
    bare.META = {name: request.META[name] for name in WHERE_FROM if name in request.META}
    AxesProxyHandler.update_request(bare)
    return bare


class Backend(AxesStandaloneBackend):
    """Stops Django's own forms; where there is no request, nobody is asking from outside."""

    def authenticate(self, request, **credentials):
        return super().authenticate(request, **credentials) if request is not None else None
