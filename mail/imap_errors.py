"""What an IMAP, socket or TLS error is called here, by the evidence."""

import errno
import imaplib
import re
import ssl

from accounts.errors import ErrorType, SyncError

# What IMAPClient and imaplib are known to raise, the later ones when an answer is not what they expect.
FOREIGN = (
    imaplib.IMAP4.error,
    OSError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    AssertionError,
    RecursionError,
)

# RFC 5530 section 3, RFC 9051 section 7.1
_BY_RESPONSE_CODE = {
    "UNAVAILABLE": ErrorType.TEMPORARILY_UNAVAILABLE,
    "INUSE": ErrorType.TEMPORARILY_UNAVAILABLE,
    "SERVERBUG": ErrorType.TEMPORARILY_UNAVAILABLE,
    "LIMIT": ErrorType.THROTTLED,
    "OVERQUOTA": ErrorType.QUOTA,
    "NONEXISTENT": ErrorType.MAILBOX_GONE,
    "NOPERM": ErrorType.MAILBOX_GONE,
}
# After a login they speak of something else.
_BY_RESPONSE_CODE_AT_LOGIN = _BY_RESPONSE_CODE | {
    "AUTHENTICATIONFAILED": ErrorType.INVALID_CREDENTIALS,
    "AUTHORIZATIONFAILED": ErrorType.ACCOUNT_DISABLED,
    "CONTACTADMIN": ErrorType.ACCOUNT_DISABLED,
    "EXPIRED": ErrorType.NEEDS_REAUTH,
}

# What Gmail, Microsoft, Dovecot, Yahoo and others say where they send no code, or one that means less. After
# the login a folder's name may stand in the words, so only whole phrases count.
_BY_WORDS = [
    (
        r"too many (simultaneous |concurrent |open )*connections|maximum number of connections"
        r"|connection limit (reached|exceeded)",
        ErrorType.TOO_MANY_CONNECTIONS,
        {},
    ),
    (
        r"suggested backoff time|request is throttled|command or bandwidth limits"
        r"|authenticated but not connected|rate limit (hit|exceeded)",
        ErrorType.THROTTLED,
        {},
    ),
]
_BY_WORDS_AT_LOGIN = [
    *_BY_WORDS,
    (r"throttl|rate limit|too many (login|request|command|failed)", ErrorType.THROTTLED, {}),
    (r"\[WEBALERT|web login required|via your web browser", ErrorType.NEEDS_REAUTH, {"reason": "web_login"}),
    (r"application-specific password", ErrorType.INVALID_CREDENTIALS, {"reason": "app_password"}),
    (r"basic ?auth", ErrorType.ACCOUNT_DISABLED, {"reason": "oauth2_only"}),
    (
        r"not enabled for imap|imap (access )?(is )?(disabled|not enabled)",
        ErrorType.ACCOUNT_DISABLED,
        {"reason": "imap_off"},
    ),
    (r"account.{0,30}(blocked|locked|suspended|disabled)", ErrorType.ACCOUNT_DISABLED, {}),
]
# An outage must not be taken for a wrong password.
_OUTAGE_AT_LOGIN = re.compile(
    r"temporar|try (again )?later|timed? ?out|could not connect|SYS/TEMP|internal authentication"
    r"|(service|server|system|internal|backend|database|ldap).{0,30}"
    r"(busy|unavailable|not available|down|fail|error)",
    re.I,
)
_BACKOFF = re.compile(r"backoff time:? *(\d{1,9}) *milliseconds", re.I)
_NO_WAY_THERE = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN)

_BY_VERIFY_CODE = {
    2: "unknown_ca",
    9: "certificate_not_yet_valid",
    10: "certificate_expired",
    18: "self_signed",
    19: "unknown_ca",
    20: "unknown_ca",
    21: "unknown_ca",
    62: "other_name",
    64: "other_name",
}

# Said of one mail or one folder, they say nothing of the others.
_OF_ONE_THING = ("UNAVAILABLE", "INUSE", "SERVERBUG")
_OF_ONE_FOLDER = ("NONEXISTENT", "NOPERM")
_ONE_THING = (ErrorType.UNFETCHABLE, ErrorType.MAILBOX_GONE)
MAX_WORDS = 4_000
_RESPONSE_CODE = re.compile(r"\[([A-Z-]+)")


def translated(error: Exception, login: bool, refused: ErrorType) -> SyncError:
    """The error's name, by the evidence: what the socket, TLS or the server said."""
    words = str(error)[:MAX_WORDS]
    match error:
        case TimeoutError():
            return SyncError(ErrorType.TIMEOUT, words)
        case ssl.SSLCertVerificationError():
            return SyncError(ErrorType.TLS_FAILED, words, **certificate_facts(error.verify_code))
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError():
            return SyncError(ErrorType.CONNECTION_RESET, words)
        case ssl.SSLError(reason="WRONG_VERSION_NUMBER" | "HTTP_REQUEST" | "PACKET_LENGTH_TOO_LONG"):
            return SyncError(ErrorType.TLS_FAILED, words, reason="no_tls")
        case ssl.SSLError():
            return SyncError(ErrorType.TLS_FAILED, words)
        case ConnectionRefusedError():
            return SyncError(ErrorType.CONNECTION_REFUSED, words)
        case OSError() if error.errno in _NO_WAY_THERE:
            return SyncError(ErrorType.CONNECTION_REFUSED, words, reason="unreachable")
        case ConnectionError() | OSError():
            return SyncError(ErrorType.CONNECTION_RESET, words)
        case imaplib.IMAP4.error():
            error_type, facts = _by_words(words, error, login, refused)
            return SyncError(error_type, words, **facts)
    return SyncError(ErrorType.PROTOCOL_ERROR, words, exception=type(error).__name__)


def certificate_facts(verify_code: int) -> dict:
    """What OpenSSL has against a certificate (X509_V_ERR_… in x509_vfy.h), and our word for it."""
    reason = _BY_VERIFY_CODE.get(verify_code)
    return {"verify_code": verify_code} | ({"reason": reason} if reason else {})


def password_trouble(offers: frozenset[bytes]) -> SyncError | None:
    """Why these capabilities forbid to send a password (RFC 9051 section 6.2.3); None when they do not."""
    if b"AUTH=PLAIN" in offers or b"LOGINDISABLED" not in offers:
        return None
    if offers & {b"AUTH=XOAUTH2", b"AUTH=OAUTHBEARER"}:
        return SyncError(ErrorType.ACCOUNT_DISABLED, reason="oauth2_only")
    return SyncError(ErrorType.AUTH_FAILED, reason="login_disabled")


def _by_words(words: str, error: Exception, login: bool, refused: ErrorType) -> tuple[ErrorType, dict]:
    code = _response_code(words)
    if code in _OF_ONE_FOLDER:
        return _BY_RESPONSE_CODE[code], {}
    for pattern, error_type, facts in _BY_WORDS_AT_LOGIN if login else _BY_WORDS:
        if re.search(pattern, words, re.I):
            return error_type, facts | _hint(words)
    return _by_code(code, words, error, login, refused), {}


def _response_code(words: str) -> str:
    found = _RESPONSE_CODE.search(words)
    return found[1] if found else ""


def _hint(words: str) -> dict[str, float]:
    """For how long the server asks us to stay away."""
    found = _BACKOFF.search(words)
    return {"backoff_seconds": int(found[1]) / 1000} if found else {}


def _by_code(code: str, words: str, error: Exception, login: bool, refused: ErrorType) -> ErrorType:
    if code in _OF_ONE_THING and refused in _ONE_THING and not _is_farewell(words, error):
        return refused
    known = _BY_RESPONSE_CODE_AT_LOGIN if login else _BY_RESPONSE_CODE
    if code in known:
        return known[code]
    if isinstance(error, imaplib.IMAP4.abort):
        return _by_abort(words)
    if "* BYE" in words or (login and _OUTAGE_AT_LOGIN.search(words)):
        return ErrorType.TEMPORARILY_UNAVAILABLE
    if login:
        return ErrorType.PROTOCOL_ERROR if "command error: BAD" in words else ErrorType.AUTH_FAILED
    return refused


def _is_farewell(words: str, error: Exception) -> bool:
    return "* BYE" in words or isinstance(error, imaplib.IMAP4.abort)


def _by_abort(words: str) -> ErrorType:
    """imaplib aborts at a lost socket, at an answer out of place, and at BYE, whose words it passes on."""
    if "socket error" in words:
        return ErrorType.CONNECTION_RESET
    return ErrorType.PROTOCOL_ERROR if "unexpected" in words else ErrorType.TEMPORARILY_UNAVAILABLE
