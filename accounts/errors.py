"""Every way in which something can fail, named once.

    MailhelperError
    ├── SyncError            a run or a mail failed: error_type, facts, and the server's words as evidence
    ├── UsageError           a person asked for something that cannot be done
    │   ├── TooManyAttempts  until when nobody's guess is looked at
    │   └── NameTaken        another account of theirs is called so
    └── VaultError
        ├── WrongPassword
        ├── PasswordTooLong
        ├── WrongRecoveryKey
        ├── SealBroken       a ciphertext does not belong where it stands
        └── PasswordMustBeRewrapped   a password set past the vault would lock its owner out

`evidence` may hold anything a server says, so it is stored sealed and never logged or printed by str().
"""

import errno
import sqlite3
from datetime import datetime
from enum import StrEnum

from django.utils import timezone
from django.utils.translation import gettext

from accounts.templatetags.moments import moment


class ErrorType(StrEnum):
    TIMEOUT = "timeout"
    CONNECTION_RESET = "connection_reset"
    TEMPORARILY_UNAVAILABLE = "temporarily_unavailable"
    THROTTLED = "throttled"
    TOO_MANY_CONNECTIONS = "too_many_connections"
    INVALID_CREDENTIALS = "invalid_credentials"
    AUTH_FAILED = "auth_failed"
    NEEDS_REAUTH = "needs_reauth"
    ACCOUNT_DISABLED = "account_disabled"
    TLS_FAILED = "tls_failed"
    DNS_FAILED = "dns_failed"
    CONNECTION_REFUSED = "connection_refused"
    PRIVATE_HOST = "private_host"
    PROTOCOL_ERROR = "protocol_error"
    MAILBOX_GONE = "mailbox_gone"
    BUDGET = "budget"
    QUOTA = "quota"
    DISK_FULL = "disk_full"
    NO_KEY = "no_key"
    NO_ACCOUNTS = "no_accounts"
    BREAKER_OPEN = "breaker_open"
    PAUSED = "paused"
    WORKER_LOST = "worker_lost"
    BUG = "bug"
    UNKNOWN = "unknown"
    # of a single mail
    UNPARSEABLE = "unparseable"
    UNFETCHABLE = "unfetchable"
    OVER_LIMIT = "over_limit"
    # of a message to a person
    DELIVERY_REFUSED = "delivery_refused"


REFUSALS = frozenset(
    {
        ErrorType.INVALID_CREDENTIALS,
        ErrorType.AUTH_FAILED,
        ErrorType.NEEDS_REAUTH,
        ErrorType.ACCOUNT_DISABLED,
    }
)


def disk_is_full(error: BaseException | None) -> bool:
    """As the system, SQLite or PostgreSQL says so, whatever it is wrapped in."""
    while error is not None:
        codes = (getattr(error, name, None) for name in ("errno", "sqlite_errorcode", "pgcode"))
        if not _FULL.isdisjoint(codes):
            return True
        error = error.__cause__
    return False


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, sqlite3.SQLITE_FULL, "53100"})


class MailhelperError(Exception):
    pass


class SyncError(MailhelperError):
    """A failure with its name. `facts` are numbers and codes that may stand in rows and logs."""

    def __init__(self, error_type: ErrorType, evidence: str = "", **facts):
        super().__init__(error_type.value)
        self.error_type = error_type
        self.evidence = evidence
        self.facts = facts


class UsageError(MailhelperError):
    pass


class TooManyAttempts(UsageError):
    def __init__(self, until: datetime):
        words = gettext("Too many attempts went wrong. Please try again after {until}.")
        super().__init__(words.format(until=moment(timezone.localtime(until))))
        self.until = until


class NameTaken(UsageError):
    def __init__(self, label: str):
        super().__init__(gettext("There is already an account named {label}.").format(label=label))


class VaultError(MailhelperError):
    pass


class WrongPassword(VaultError):
    def __init__(self):
        super().__init__(gettext("This address and password do not belong together."))


class PasswordTooLong(VaultError):
    def __init__(self):
        super().__init__(gettext("A password has at most 1,024 characters."))


class WrongRecoveryKey(VaultError):
    def __init__(self):
        super().__init__(gettext("This recovery key does not belong to this person."))


class SealBroken(VaultError):
    def __init__(self):
        super().__init__(
            gettext("A sealed value does not open here: it was changed, moved, or its key is another one.")
        )


class PasswordMustBeRewrapped(VaultError):
    def __init__(self):
        super().__init__(
            gettext(
                "A password also locks its owner's keys, so it is set only by "
                "`manage.py add_user` and `manage.py change_password`."
            )
        )
