"""The edge to mail servers and web hooks: what their errors are called, and an end to waiting for them."""

import logging
import os
import smtplib
import socket
import ssl
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import requests
import urllib3

from accounts.errors import ErrorType, SyncError

LONGEST_SEND = 30  # seconds, below delivery.LEASE; a server that trickles outlives a socket's own timeout
LONGEST_HINT = 6 * 60 * 60

# They log addresses with the secrets in them; a filter holds whatever level somebody sets.
for _name in ("urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry", "apprise"):
    logging.getLogger(_name).addFilter(lambda record: False)
warnings.filterwarnings("ignore", category=urllib3.exceptions.InsecureRequestWarning)

# requests would send passwords of ~/.netrc to the addresses people give, and apprise has no setting for it.
os.environ["NETRC"] = os.devnull

_GONE = (401, 404, 410)
_PASSING = (408, 425, 429)


def refused(error_type: ErrorType = ErrorType.DELIVERY_REFUSED, *, hopeless=False, **facts) -> SyncError:
    """An error that trying again does not heal; `hopeless`: nothing else will go this way, either."""
    return SyncError(error_type, permanent=True, hopeless=hopeless, **facts)


@contextmanager
def translated() -> Iterator[None]:
    """Raises SyncError. Its facts: `permanent`, `hopeless`, `retry_after` in seconds."""
    try:
        yield
    except SyncError as error:
        if error.error_type == ErrorType.PRIVATE_HOST:
            raise refused(ErrorType.PRIVATE_HOST, hopeless=True) from error
        raise
    except smtplib.SMTPException as error:
        raise _of_smtp(error) from error
    except (OSError, ValueError, urllib3.exceptions.HTTPError) as error:  # requests' are OSErrors
        raise _of_network(error) from error


def _of_smtp(error: smtplib.SMTPException) -> SyncError:
    if isinstance(error, smtplib.SMTPAuthenticationError):  # the operator's login: not this receiver's fault
        return SyncError(ErrorType.INVALID_CREDENTIALS)
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return SyncError(ErrorType.CONNECTION_RESET)
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return SyncError(ErrorType.PROTOCOL_ERROR)
    code = _smtp_code(error)
    of_the_message = isinstance(
        error, smtplib.SMTPRecipientsRefused | smtplib.SMTPDataError | smtplib.SMTPSenderRefused
    )
    if code >= 500 and of_the_message:
        return refused(status=code)
    return SyncError(ErrorType.TEMPORARILY_UNAVAILABLE, status=code)


def _smtp_code(error: smtplib.SMTPException) -> int:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return max((code for code, _ in error.recipients.values()), default=0)
    return getattr(error, "smtp_code", 0)


_BY_CLASS = [
    (requests.exceptions.InvalidURL, ErrorType.DELIVERY_REFUSED),
    (socket.gaierror, ErrorType.DNS_FAILED),
    (ssl.SSLError, ErrorType.TLS_FAILED),
    (requests.exceptions.SSLError, ErrorType.TLS_FAILED),
    (TimeoutError, ErrorType.TIMEOUT),
    (requests.exceptions.Timeout, ErrorType.TIMEOUT),
    (ConnectionRefusedError, ErrorType.CONNECTION_REFUSED),
    (ConnectionError, ErrorType.CONNECTION_RESET),
    (urllib3.exceptions.ProtocolError, ErrorType.CONNECTION_RESET),
    (requests.exceptions.ConnectionError, ErrorType.CONNECTION_REFUSED),
    (OSError, ErrorType.CONNECTION_REFUSED),  # no route to the host
]


def _of_network(error: Exception) -> SyncError:
    causes = list(_causes(error))
    for known, error_type in _BY_CLASS:
        if any(isinstance(cause, known) for cause in causes):
            return SyncError(error_type)
    return refused()  # a ValueError: an address or a header that cannot be


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it wraps: urllib3 hides causes in `reason` and `args`."""
    seen = set()
    ahead = [error]
    while ahead:
        one = ahead.pop()
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            ahead += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]


def check_answer(status: int, retry_after: str | None = None) -> None:
    """What an HTTP status means (RFC 9110). Raises SyncError."""
    if 200 <= status < 300:
        return
    if status in (401, 403):
        raise refused(ErrorType.INVALID_CREDENTIALS, hopeless=status in _GONE, status=status)
    if status == 429:
        raise SyncError(ErrorType.THROTTLED, status=status, retry_after=_seconds(retry_after))
    if status >= 500 or status in _PASSING:
        raise SyncError(ErrorType.TEMPORARILY_UNAVAILABLE, status=status, retry_after=_seconds(retry_after))
    raise refused(hopeless=status in _GONE, status=status)


def _seconds(retry_after: str | None) -> int:
    """Nothing a server says is taken on trust; a date counts as no hint."""
    hint = retry_after.strip() if retry_after else ""
    return min(int(hint), LONGEST_HINT) if hint.isascii() and hint.isdigit() and len(hint) < 10 else 0


def within(seconds: float, send: Callable[[], None]) -> None:
    """Raises what `send` raises, or SyncError timeout; then its thread is left to its socket's timeouts."""
    ends: list[BaseException | None] = []

    def run() -> None:
        try:
            send()
        except BaseException as error:  # raised again below, in the thread that waits
            ends.append(error)
        else:
            ends.append(None)

    thread = threading.Thread(target=run, daemon=True, name="delivery")
    thread.start()
    thread.join(seconds)
    if not ends:
        raise SyncError(ErrorType.TIMEOUT)
    if ends[0]:
        raise ends[0]
