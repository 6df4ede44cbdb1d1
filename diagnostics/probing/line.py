"""One connection to a mail server, opened step by step; whatever goes wrong comes out as a SyncError."""

import re
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

from accounts.actions import Connection
from accounts.errors import ErrorType, SyncError
from mail.deadline import Deadline, SocketGuard
from mail.imap_client import BYTES_BEFORE_LOGIN, SILENCE_SECONDS, BoundedImap4, connected, expiry_of
from mail.imap_errors import FOREIGN, translated
from mail.imap_text import is_fetch
from mail.wire import MAX_EVIDENCE, Answer, Refused, Wire

STEP_SECONDS = 45  # a server that trickles is not heard meanwhile, so less than a run's lease
HANDSHAKE_SECONDS = 15
ANSWER_BYTES = 32_000_000
MOST_ANSWERS = 100_000
HEARD_LINES, HEARD_BYTES = 30, 4_000  # a name that is cut through is not known again

_QUOTED = re.compile(rb'"(?:[^"\\]++|\\.)*+"')
_ABOUT_THE_SERVER = re.compile(rb'"(name|version|vendor|os|os-version)" ("[^"]{0,100}")', re.I)  # RFC 2971
_LIST_FLAGS = re.compile(rb'\([^)]{0,200}\)(?: (?:NIL|"[^"]{0,4}"))?')


class _Imap(BoundedImap4):
    """imaplib that says and asks nothing by itself."""

    def _connect(self):
        self.tagpre = b"P"

    def switch_to(self, sock: ssl.SSLSocket) -> None:
        """What was read before and not yet used may be forged; it is forgotten."""
        self.sock, self.file = sock, sock.makefile("rb")


class Line:
    """What the server says goes to `heard`, as evidence, while `quiet` is not set."""

    def __init__(
        self,
        connection: Connection,
        security: str,
        *,
        deadline: Deadline,
        max_literal: int,
        on_bytes: Callable[[int], None],
        heard: list[str],
    ):
        self._connection, self.security = connection, security
        self._max_literal, self._on_bytes = max_literal, on_bytes
        self._guard = SocketGuard(deadline)
        self._sock: socket.socket | None = None
        self._imap: _Imap | None = None
        self.broken = False
        self.verified = False
        self.logged_in = False
        self.quiet = False
        self.heard = heard

    @property
    def certificate_expires_at(self) -> datetime | None:
        return expiry_of(self._sock)

    @property
    def tls_version(self) -> str:
        return self._sock.version() if self.verified else ""

    @contextmanager
    def step(
        self,
        seconds: float = STEP_SECONDS,
        *,
        login: bool = False,
        refused: ErrorType = ErrorType.PROTOCOL_ERROR,
    ) -> Iterator[None]:
        """Within so many seconds and the time that the probe at hand has; what fails is named."""
        try:
            with self._guard.within(seconds):
                yield
        except FOREIGN as error:
            self.broken = self.broken or not isinstance(error, Refused)
            if self._guard.fired:
                raise SyncError(ErrorType.TIMEOUT) from error
            raise translated(error, login, refused) from error
        if self._guard.fired:  # a socket that is shut reads as one whose other side has hung up
            self.broken = True
            raise SyncError(ErrorType.TIMEOUT)

    def dial(self, address: tuple, seconds: float = SILENCE_SECONDS) -> None:
        """`address` as getaddrinfo gives it."""
        family, kind, protocol, _, place = address
        with self.step():
            self._sock = connected(family, kind, protocol, place, self._guard.at_most(seconds))
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sock.settimeout(SILENCE_SECONDS)
            self._guard.watch(self._sock)

    def encrypt(self) -> None:
        """A handshake that verifies chain and name. Nothing is said over a connection that fails it."""
        context = ssl.create_default_context(cadata=self._connection.ca_pem or None)
        with self.step(HANDSHAKE_SECONDS):
            self._sock = context.wrap_socket(self._sock, server_hostname=self._connection.host)
            self.verified = True
            if self._imap:
                self._imap.switch_to(self._sock)

    def greet(self, seconds: float = SILENCE_SECONDS) -> bytes:
        """The first line, whatever it is; empty when the server hangs up."""
        with self.step(seconds):
            self._imap = _Imap("", 0, lambda: self._sock, self._max_literal, self._on_bytes)
            self._wire = Wire(self._imap)
            line = self._imap.readline().rstrip(b"\r\n")
        self._hear(line)
        return line

    def ask(
        self, *command: bytes, login: bool = False, refused: ErrorType = ErrorType.PROTOCOL_ERROR
    ) -> list[Answer]:
        """The untagged answers to one command, text and names in turn as Wire takes them."""
        answers: list[Answer] = []
        with self.step(login=login, refused=refused):
            self._limit()
            for answer in self._wire.ask(*command):
                answers.append(answer)
                self._hear(answer[0])
                if len(answers) > MOST_ANSWERS:
                    raise ValueError("more answers than there can be")
            self._imap.report_rest()
        return answers

    def _limit(self) -> None:
        self._imap.allowance = ANSWER_BYTES if self.logged_in else BYTES_BEFORE_LOGIN

    def converse(self, command: bytes, answer: bytes, *, login: bool = False) -> None:
        """A command that the server answers with "+", what is said to that, and the end."""
        with self.step(login=login):
            self._limit()
            tag = self._imap._new_tag()
            self._imap.send(tag + b" " + command + b"\r\n")
            self._await(tag, b"+")
            self._imap.send(answer + b"\r\n")
            self._await(tag, tag + b" ")

    def _await(self, tag: bytes, wanted: bytes) -> bytes:
        while True:
            line = self._wire._line()
            self._hear(line)
            if line.startswith(tag + b" ") and line.split(b" ")[1:2] != [b"OK"]:
                raise Refused(f"refused: {_words(line.partition(b' ')[2])}")
            if line.startswith(wanted):
                return line
            if line[:5].upper() == b"* BYE":
                raise self._imap.abort(_words(line))
            if not line.startswith(b"* "):
                raise self._imap.abort("unexpected answer")

    def exchange_raw(self, said: bytes, heard_enough: Callable[[bytes], bool], limit: int = 65_536) -> bytes:
        """Say bytes and read until it is enough; the conversation is over after that."""
        with self.step():
            self.broken = True
            self._imap.send(said)
            heard = b""
            while not heard_enough(heard) and len(heard) < limit:
                if not (piece := self._imap.file.read1(4096)):
                    raise self._imap.abort("socket error: EOF")
                heard += piece
        return heard

    def close(self) -> None:
        """Without a goodbye that could hang."""
        self._guard.release()
        with suppress(OSError):
            if self._imap and not self.broken:
                self._sock.settimeout(1)
                self._imap.send(b"PX LOGOUT\r\n")
        with suppress(OSError):
            if self._sock:
                self._sock.shutdown(socket.SHUT_RDWR)
        for part in (self._imap and self._imap.file, self._sock):
            with suppress(OSError):
                if part:
                    part.close()

    def _hear(self, line: bytes) -> None:
        if not self.quiet and len(self.heard) < HEARD_LINES and (line := _without_names(line)):
            self.heard.append(line[:HEARD_BYTES].decode("utf-8", "backslashreplace"))


def _without_names(line: bytes) -> bytes:
    """What a server says, without the names of folders and keywords, which are a person's."""
    text = line.removeprefix(b"* ")
    word = text[:16].upper()
    if word.startswith((b"FLAGS ", b"OK [PERMANENTFLA")) or is_fetch(text):
        return b""
    if word.startswith((b"LIST ", b"LSUB ")):
        return text[:5] + (found[0] if (found := _LIST_FLAGS.match(text, 5)) else b"") + b" <folder>"
    if word.startswith(b"NAMESPACE "):
        return _QUOTED.sub(b'"<folder>"', text)
    if word.startswith(b"ID "):
        return b"ID " + b" ".join(b"%s %s" % pair for pair in _ABOUT_THE_SERVER.findall(text))
    return b"STATUS <folder> " + text[text.rfind(b"(") :] if word.startswith(b"STATUS ") else line


def _words(line: bytes) -> str:
    return line[:MAX_EVIDENCE].decode("utf-8", "backslashreplace")
