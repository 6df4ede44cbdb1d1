"""From the name to an encrypted connection that greets."""

import math
import re

from django.utils import timezone

from accounts import vault
from accounts.errors import ErrorType, SyncError
from accounts.models import Security
from diagnostics.probing.climb import Climb
from diagnostics.probing.dialogue import Dialogue
from diagnostics.probing.probe import Told, ok, skipped, warning
from diagnostics.probing.scout import Scout
from mail.deadline import resolve

MOST_ADDRESSES = 8
SECONDS_PER_ADDRESS = 6
WARN_DAYS = 14
HELLO_SECONDS = 5
SILENCE_BEFORE_GREETING = 10

_SPEAKS = (
    (re.compile(rb"\* (OK|PREAUTH|BYE)\b", re.I), "imap"),
    (re.compile(rb"HTTP/|<(!doctype|html)", re.I), "http"),
    (re.compile(rb"\+OK|-ERR", re.I), "pop3"),
    (re.compile(rb"(220|421|554)[ -]"), "smtp"),
    (re.compile(rb"SSH-"), "ssh"),
    (re.compile(rb"[\x15\x16]\x03"), "tls"),
)


def dns(climb: Climb) -> Told:
    addresses = resolve(climb.connection.host, climb.account.port, climb.deadline.remaining())
    climb.addresses = list({address[4]: address for address in addresses}.values())
    six = sum(":" in address[4][0] for address in climb.addresses)
    return ok(a=len(climb.addresses) - six, aaaa=six)


def tcp(climb: Climb) -> Told:
    """Each address; the first that answers carries what follows."""
    refusals: list[SyncError] = []
    for address in climb.addresses[:MOST_ADDRESSES]:
        try:
            _dial(climb, address)
        except SyncError as error:
            if error.error_type == ErrorType.PRIVATE_HOST:
                raise
            refusals.append(error)
    tried = len(climb.addresses[:MOST_ADDRESSES])
    counts = {"addresses": len(climb.addresses), "open": tried - len(refusals)}
    if climb.line is None:
        raise SyncError(refusals[0].error_type, refusals[0].evidence, **refusals[0].facts, **counts)
    # A machine without IPv6 loses no time with an IPv6 address.
    serious = [error for error in refusals if error.facts.get("reason") != "unreachable"]
    return warning("some_addresses_silent", **counts) if serious else ok(**counts)


def _dial(climb: Climb, address: tuple) -> None:
    line = climb.new_line()
    line.dial(address, SECONDS_PER_ADDRESS)
    if climb.line is None:
        climb.line, climb.address = line, address


def tls(climb: Climb) -> Told:
    if climb.security == Security.NONE:
        return skipped("security_none")
    try:
        _encrypt(climb, climb.line)
    except SyncError as error:
        raise _why(climb, error) from error
    expires_at = climb.line.certificate_expires_at
    facts = {"version": climb.line.tls_version, "chain": "verified", "name": "matches"}
    facts["days_left"] = _days_left(expires_at)
    return warning("certificate_expires_soon", **facts) if facts["days_left"] < WARN_DAYS else ok(**facts)


def _encrypt(climb: Climb, line: Dialogue) -> None:
    if climb.security == Security.TLS:
        line.encrypt()
        return
    line.learn_capabilities()
    line.start_tls()


def _days_left(expires_at) -> int:
    return math.floor((expires_at - timezone.now()).total_seconds() / 86_400)


def _why(climb: Climb, error: SyncError) -> SyncError:
    """The same error with what a second look adds: what speaks there, or until when its certificate says."""
    facts = dict(error.facts)
    if facts.get("reason") == "no_starttls":
        return error
    if facts.get("verify_code"):
        if (days := _days_of_certificate(climb)) is not None:
            facts["days_left"] = days
    elif climb.security == Security.TLS:
        facts |= _about_what_speaks(_what_speaks(climb))
    return SyncError(error.error_type, error.evidence, **facts)


def _about_what_speaks(speaks: str) -> dict:
    if speaks in ("", "tls"):
        return {}
    return {"reason": "no_tls"} if speaks == "imap" else {"reason": "not_imap", "speaks": speaks}


def _what_speaks(climb: Climb) -> str:
    """Empty where nothing answers, or nothing that we know."""
    scout = climb.new_line(Scout)
    try:
        scout.dial(climb.address, HELLO_SECONDS)
        first = scout.peer_says_to_a_hello(HELLO_SECONDS)
    except SyncError:
        return ""
    return speaks(first) or ("something" if first else "")


def speaks(first: bytes) -> str:
    """Which protocol begins like this; empty for one that we do not know. Pure."""
    return next((name for pattern, name in _SPEAKS if pattern.match(first)), "")


def _days_of_certificate(climb: Climb) -> int | None:
    scout = climb.new_line(Scout)
    try:
        scout.dial(climb.address, HELLO_SECONDS)
        if climb.security == Security.STARTTLS:
            scout.greet()
            scout.ask(b"STARTTLS")
        expires_at = vault.certificate_expiry(scout.unverified_certificate() or b"")
    except SyncError:
        return None
    return None if expires_at is None else _days_left(expires_at)


def greeting(climb: Climb) -> Told:
    first = _first_line(climb)
    if first[:5].upper() == b"* BYE":
        raise SyncError(ErrorType.TEMPORARILY_UNAVAILABLE, reason="bye")
    if first[:4].upper() == b"* OK":
        return ok()
    if first[:9].upper() == b"* PREAUTH":
        raise SyncError(ErrorType.PROTOCOL_ERROR, reason="preauth")
    raise SyncError(ErrorType.PROTOCOL_ERROR, reason="not_imap", speaks=speaks(first) or "something")


def _first_line(climb: Climb) -> bytes:
    """Raises SyncError when there is none."""
    try:
        first = climb.line.greet(SILENCE_BEFORE_GREETING)
        silence = None if first else SyncError(ErrorType.CONNECTION_RESET)
    except SyncError as error:
        if error.error_type != ErrorType.TIMEOUT:
            raise
        silence = error
    if silence:
        raise silence if climb.line.verified else _silent(climb, silence)
    return first


def _silent(climb: Climb, silence: SyncError) -> SyncError:
    """A server that waits for our handshake says nothing; one that is no mail server may wait as well."""
    found = _what_speaks(climb)
    if found == "tls":
        return SyncError(ErrorType.TLS_FAILED, reason="speaks_tls")
    if found in ("", "imap", "something"):
        return silence
    return SyncError(ErrorType.PROTOCOL_ERROR, reason="not_imap", speaks=found)
