"""IMAPClient for connecting and logging in: bounded reads, a dial and a socket that we watch."""

import imaplib
import logging
import socket
import ssl
from contextlib import suppress
from datetime import UTC, datetime

from imapclient import IMAPClient, SocketTimeout
from imapclient.exceptions import CapabilityError

from accounts.errors import ErrorType, SyncError
from accounts.models import Security
from mail.deadline import resolve
from mail.imap_errors import password_trouble
from mail.imap_text import quoted
from mail.private_hosts import refuse_private
from mail.wire import Wire

SILENCE_SECONDS = 30
DIAL_SECONDS = 15
READ_CHUNK = 256 * 1024
BYTES_BEFORE_LOGIN = 1_000_000
MAX_LINE = 16_000_000  # VANISHED or ESEARCH of 1.6 million scattered UIDs
REPORTED_BYTES = 4_096

# They log host and login at DEBUG; a filter holds whatever level somebody sets.
for _name in ("imapclient.imapclient", "imapclient.imaplib"):
    logging.getLogger(_name).addFilter(lambda record: False)


class BoundedImap4(imaplib.IMAP4):
    """imaplib on a socket that we dial, read in pieces, and refuse to read past a limit."""

    def __init__(self, host, port, dial, max_literal, on_bytes, on_step=lambda name: None):
        self._dial, self._max_literal, self._on_bytes, self._on_step = dial, max_literal, on_bytes, on_step
        self.allowance = BYTES_BEFORE_LOGIN
        self._unreported = 0
        super().__init__(host, port)

    def _create_socket(self, timeout):
        return self._dial()

    def _get_capabilities(self):
        self._on_step("capability")
        super()._get_capabilities()

    def read(self, size):
        if size > min(self._max_literal, self.allowance):
            raise ValueError(f"a literal of {size} bytes is over the limit")
        self.allowance -= size
        pieces = []
        while size > 0 and (piece := self.file.read1(min(size, READ_CHUNK))):
            pieces.append(piece)
            size -= len(piece)
            self._report(len(piece))
        return b"".join(pieces)

    def readline(self):
        limit = min(MAX_LINE, self.allowance)
        line = self.file.readline(limit + 1)
        if len(line) > limit:
            raise ValueError("more bytes than an answer may have")
        self.allowance -= len(line)
        self._report(len(line))
        return line

    def _report(self, count: int) -> None:
        """Not each of 100,000 short lines by itself."""
        self._unreported += count
        if self._unreported >= REPORTED_BYTES:
            self.report_rest()

    def report_rest(self) -> None:
        count, self._unreported = self._unreported, 0
        self._on_bytes(count)


class Client(IMAPClient):
    """Connects and logs in; what follows goes over `wire`. `offers` are the capabilities after the login."""

    def __init__(self, connection, port, security, guard, max_literal, on_bytes, on_step):
        self._connection, self._guard, self._on_step = connection, guard, on_step
        self._limits = max_literal, on_bytes, on_step
        self._context = ssl.create_default_context(cadata=connection.ca_pem or None)
        tls = security == Security.TLS
        super().__init__(connection.host, port, ssl=tls, timeout=SocketTimeout(DIAL_SECONDS, SILENCE_SECONDS))
        self._imap.debug = 0  # IMAPClient's 5 formats every literal twice: 2.6 x the time
        self.wire = Wire(self._imap)
        self.offers: frozenset[bytes] = frozenset()

    def _create_IMAP4(self):
        return BoundedImap4(self.host, self.port, self._dial, *self._limits)

    def _dial(self):
        self._on_step("dns")
        addresses = resolve(self.host, self.port, self._guard.at_most(DIAL_SECONDS))
        self._on_step("tcp")
        for position, (family, kind, protocol, _, address) in enumerate(addresses, 1):
            limit = self._guard.at_most(DIAL_SECONDS)
            try:
                sock = connected(family, kind, protocol, address, limit)
                break
            except OSError:
                if position == len(addresses):
                    raise
        self._guard.watch(sock)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # AUTHENTICATE would wait 40 ms for an ACK
        sock.settimeout(SILENCE_SECONDS)
        if self.ssl:
            self._on_step("tls")
            sock = self._context.wrap_socket(sock, server_hostname=self.host)
        self._on_step("greeting")
        return sock

    def read_at_most(self, allowance: int) -> None:
        """From now on, whatever a server sends; then the answer is not understood."""
        self._imap.allowance = allowance

    @property
    def certificate_expires_at(self) -> datetime | None:
        return expiry_of(self._imap.sock)

    def upgrade(self):
        self._on_step("tls")
        if self._imap.state != "NONAUTH":
            raise ssl.SSLError("the server skips authentication, so TLS cannot be asked for")
        try:
            self.starttls(self._context)
        except CapabilityError as error:
            raise SyncError(ErrorType.TLS_FAILED, str(error), reason="no_starttls") from error
        self._imap.untagged_responses = {}  # what came before TLS may be forged

    def authenticate(self, login: str, secret: str) -> None:
        self._on_step("login")
        if self._imap.state != "AUTH":
            self._imap.untagged_responses = {}
            if trouble := password_trouble(self._named()):
                raise trouble
            if self.has_capability("AUTH=PLAIN"):
                self.plain_login(login, secret)
            else:
                typ, data = self._imap._simple_command(
                    "LOGIN", quoted(login.encode()), quoted(secret.encode())
                )
                self._checkok("login", typ, data)
                self._imap.state = "AUTH"
        self._cached_capabilities = None
        self.offers = self._named()

    def _named(self) -> frozenset[bytes]:
        return frozenset(word.upper() for word in self.capabilities())

    def drop(self) -> None:
        with suppress(OSError):  # it may be gone already
            self.shutdown()

    def report_rest(self) -> None:
        self._imap.report_rest()


def expiry_of(sock: socket.socket) -> datetime | None:
    """Until when the certificate of the other side is valid; None without TLS or a verified certificate."""
    certificate = sock.getpeercert() if isinstance(sock, ssl.SSLSocket) else None
    if not certificate:
        return None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)


def connected(family, kind, protocol, address, seconds: float) -> socket.socket:
    """The only way to a mail server. `address` is numeric, so that none but what was checked is reached."""
    refuse_private(address[0])
    sock = socket.socket(family, kind, protocol)
    try:
        sock.settimeout(seconds)
        sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock
