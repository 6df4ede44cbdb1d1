"""A connection that logs in and opens folders for reading."""

import base64

from accounts.errors import ErrorType, SyncError
from accounts.models import Security
from diagnostics.probing.line import Line
from mail.imap_errors import password_trouble
from mail.imap_text import examined, flat


class Dialogue(Line):
    """`offers` are the capabilities named last, `opened` is the folder at hand."""

    offers: frozenset[bytes] = frozenset()
    opened: bytes | None = None
    read_only = False

    def learn_capabilities(self) -> None:
        words = b" ".join(
            text[11:] for text in map(flat, self.ask(b"CAPABILITY")) if text[:11].upper() == b"CAPABILITY "
        )
        self.offers = frozenset(words.upper().split())
        if not self.offers:
            raise SyncError(ErrorType.PROTOCOL_ERROR, missing="CAPABILITY")

    def start_tls(self) -> None:
        if b"STARTTLS" not in self.offers:
            raise SyncError(ErrorType.TLS_FAILED, reason="no_starttls")
        self.ask(b"STARTTLS", refused=ErrorType.TLS_FAILED)
        self.offers = frozenset()
        self.encrypt()

    def log_in(self) -> None:
        """Never without the TLS that was asked for."""
        if self.security != Security.NONE and not self.verified:
            raise SyncError(ErrorType.TLS_FAILED)
        if trouble := password_trouble(self.offers):
            raise trouble
        login, secret = self._connection.login, self._connection.secret
        if b"AUTH=PLAIN" in self.offers:
            message = base64.b64encode(f"\0{login}\0{secret}".encode())
            self.converse(b"AUTHENTICATE PLAIN", message, login=True)
        else:
            self.ask(b"LOGIN ", login.encode(), b" ", secret.encode(), login=True)
        self.logged_in = True

    def open(self, address: tuple) -> None:
        """All steps, up to being logged in."""
        self.dial(address)
        if self.security == Security.TLS:
            self.encrypt()
        if self.greet()[:4].upper() != b"* OK":
            raise SyncError(ErrorType.TEMPORARILY_UNAVAILABLE)
        self.learn_capabilities()
        if self.security == Security.STARTTLS:
            self.start_tls()
            self.learn_capabilities()
        self.log_in()
        self.learn_capabilities()

    def examine(self, raw_name: bytes, how: bytes = b"") -> dict[str, int]:
        """What EXAMINE tells in numbers: exists, uidvalidity, uidnext, highestmodseq; what is missing is."""
        self.opened = None
        answers = self.ask(b"EXAMINE ", raw_name, how, refused=ErrorType.MAILBOX_GONE)
        self.opened, self.read_only = raw_name, b"[READ-ONLY]" in self._wire.end.upper()
        return dict(filter(None, (examined(flat(answer)) for answer in answers)))

    def idle(self) -> None:
        """Enter IDLE (RFC 2177) and leave it at once."""
        self.converse(b"IDLE", b"DONE")
