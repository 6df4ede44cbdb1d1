"""IMAPClient with our habits: byte names, bounded reads, a dial and a socket that we watch."""

import imaplib
import logging
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from imapclient import IMAPClient, SocketTimeout
from imapclient.exceptions import CapabilityError

from accounts.models import Security
from mail.deadline import resolve
from mail.imap_text import joined, quotable, quoted

SILENCE_SECONDS = 30
DIAL_SECONDS = 15
READ_CHUNK = 256 * 1024

# They log host and login at DEBUG; a filter holds whatever level somebody sets.
for _name in ("imapclient.imapclient", "imapclient.imaplib"):
    logging.getLogger(_name).addFilter(lambda record: False)


class _Imap4(imaplib.IMAP4):
    """imaplib on a socket that we dial, read in pieces, and refuse to read past a limit."""

    def __init__(self, host, port, dial, max_literal, on_bytes):
        self._dial, self._max_literal, self._on_bytes = dial, max_literal, on_bytes
        self.allowance: int | None = None
        super().__init__(host, port)

    def _create_socket(self, timeout):
        return self._dial()

    def read(self, size):
        if size > self._max_literal or (self.allowance is not None and size > self.allowance):
            raise ValueError(f"a literal of {size} bytes is over the limit")
        if self.allowance is not None:
            self.allowance -= size
        pieces = []
        while size > 0 and (piece := self.file.read1(min(size, READ_CHUNK))):
            pieces.append(piece)
            size -= len(piece)
            self._on_bytes(len(piece))
        return b"".join(pieces)

    def readline(self):
        try:
            line = super().readline()
        except self.error as error:  # a line over a million bytes: what follows cannot be read
            raise ValueError(str(error)) from error
        self._on_bytes(len(line))
        return line


class Client(IMAPClient):
    """IMAPClient with byte names (one name that is no modified UTF-7 would spoil the whole list)."""

    def __init__(self, connection, port, security, guard, max_literal, on_bytes):
        self._connection, self._guard = connection, guard
        self._limits = max_literal, on_bytes
        self._context = ssl.create_default_context(cadata=connection.ca_pem or None)
        tls = security == Security.TLS
        super().__init__(connection.host, port, ssl=tls, timeout=SocketTimeout(DIAL_SECONDS, SILENCE_SECONDS))
        self.folder_encode = False
        self._imap.debug = 0  # IMAPClient's 5 formats every literal twice: 2.6 x the time

    def _create_IMAP4(self):
        return _Imap4(self.host, self.port, self._dial, *self._limits)

    def _dial(self):
        addresses = resolve(self.host, self.port, self._guard.at_most(DIAL_SECONDS))
        for position, (family, kind, protocol, _, address) in enumerate(addresses, 1):
            limit = self._guard.at_most(DIAL_SECONDS)
            try:
                sock = _connected(family, kind, protocol, address, limit)
                break
            except OSError:
                if position == len(addresses):
                    raise
        self._guard.watch(sock)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # AUTHENTICATE would wait 40 ms for an ACK
        sock.settimeout(SILENCE_SECONDS)
        return self._context.wrap_socket(sock, server_hostname=self.host) if self.ssl else sock

    @contextmanager
    def reading_at_most(self, allowance: int | None) -> Iterator[None]:
        """Bound the sum of the literals of one answer."""
        self._imap.allowance = allowance
        try:
            yield
        finally:
            self._imap.allowance = None

    def upgrade(self):
        if self._imap.state != "NONAUTH":
            raise ssl.SSLError("the server skips authentication, so TLS cannot be asked for")
        try:
            self.starttls(self._context)
        except CapabilityError as error:
            raise ssl.SSLError("the server offers no STARTTLS") from error
        self._imap.untagged_responses = {}  # what came before TLS may be forged

    def authenticate(self, login: str, secret: str) -> None:
        if self._imap.state == "AUTH":
            return
        if self.has_capability("AUTH=PLAIN"):
            self.plain_login(login, secret)
        else:
            typ, data = self._imap._simple_command("LOGIN", quoted(login.encode()), quoted(secret.encode()))
            self._checkok("login", typ, data)
            self._imap.state = "AUTH"
        self._cached_capabilities = None
        self._imap.untagged_responses = {}

    def drop(self) -> None:
        with suppress(OSError):  # it may be gone already
            self.shutdown()

    def _normalise_folder(self, folder_name):
        return quoted(folder_name.encode() if isinstance(folder_name, str) else folder_name)

    def examine(self, raw_name: bytes) -> dict:
        self._imap.untagged_responses = {}
        self._imap.is_readonly = True
        typ, data = self._named("EXAMINE", raw_name)
        self._checkok("examine", typ, data)
        self._imap.state = "SELECTED"
        return self._process_select_response(self._imap.untagged_responses)

    def status(self, raw_name: bytes):
        typ, data = self._imap._simple_command("STATUS", quoted(raw_name), "(MESSAGES)")
        return self._imap._untagged_response(typ, data, "STATUS")

    def _named(self, command: str, raw_name: bytes):
        if not quotable(raw_name):
            self._imap.literal = raw_name
            return self._imap._simple_command(command)
        return self._imap._simple_command(command, quoted(raw_name))

    def fetch_lines(self, uid_set: str, items: str) -> Iterator[bytes]:
        typ, data = self._imap.uid("FETCH", uid_set, items)
        self._checkok("fetch", typ, data)
        return (joined(line) for line in data if line)

    def changed_since(self, exists: int) -> bool:
        """Whether the server spoke of mails that came or went, beside the last answers."""
        announced = self._imap.untagged_responses.get("EXISTS")
        return bool(announced and int(announced[-1]) != exists) or "EXPUNGE" in self._imap.untagged_responses


def _connected(family, kind, protocol, address, seconds: float) -> socket.socket:
    sock = socket.socket(family, kind, protocol)
    try:
        sock.settimeout(seconds)
        sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock
