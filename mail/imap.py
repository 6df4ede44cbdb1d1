"""One IMAP session, read-only (EXAMINE, BODY.PEEK). Every IMAP, socket and TLS error is translated here."""

import imaplib
import logging
import re
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from imapclient import IMAPClient, SocketTimeout
from imapclient.datetime_util import parse_to_datetime
from imapclient.exceptions import CapabilityError
from imapclient.imap_utf7 import decode as decode_modified_utf7

from accounts.actions import Connection
from accounts.errors import ErrorType, SyncError
from accounts.models import Security
from mail.deadline import Deadline, SocketGuard, resolve
from mail.models import SystemFlag
from mail.parcels import Flags, FlagSurvey, ListedFolder, Metadata, Selected

SILENCE_SECONDS = 30
DIAL_SECONDS = 15
STEP_SECONDS = 60
LOGOUT_SECONDS = 5
SLOWEST_BYTES_PER_SECOND = 20_000
READ_CHUNK = 256 * 1024
UIDS_PER_COMMAND = 500  # keeps a command line under 8,192 octets (RFC 7162 section 4)

_SYSTEM_FLAGS = {f"\\{flag.name.lower()}".encode(): flag.value for flag in SystemFlag}
_UID = re.compile(rb"\bUID (\d{1,10})\b", re.I)
_FLAGS = re.compile(rb"\bFLAGS \(([^)]*)\)", re.I)
_SIZE = re.compile(rb"\bRFC822\.SIZE (\d{1,18})\b", re.I)
_INTERNAL_DATE = re.compile(rb'\bINTERNALDATE "([^"]+)"', re.I)
_MESSAGES = re.compile(rb"\bMESSAGES (\d{1,10})\b", re.I)
_RESPONSE_CODE = re.compile(r"\[([A-Z-]+)")

# RFC 5530 section 3, RFC 9051 section 7.1
_BY_RESPONSE_CODE = {
    "UNAVAILABLE": ErrorType.TEMPORARILY_UNAVAILABLE,
    "INUSE": ErrorType.TEMPORARILY_UNAVAILABLE,
    "SERVERBUG": ErrorType.TEMPORARILY_UNAVAILABLE,
    "AUTHENTICATIONFAILED": ErrorType.INVALID_CREDENTIALS,
    "AUTHORIZATIONFAILED": ErrorType.ACCOUNT_DISABLED,
    "CONTACTADMIN": ErrorType.ACCOUNT_DISABLED,
    "EXPIRED": ErrorType.NEEDS_REAUTH,
    "LIMIT": ErrorType.THROTTLED,
    "OVERQUOTA": ErrorType.QUOTA,
    "NONEXISTENT": ErrorType.MAILBOX_GONE,
    "NOPERM": ErrorType.MAILBOX_GONE,
}

# What IMAPClient and imaplib are known to raise when an answer is not what they expect.
_UNREADABLE = (ValueError, TypeError, KeyError, IndexError, AttributeError, AssertionError, RecursionError)

# They log host and login at DEBUG; a filter holds whatever level somebody sets.
for _name in ("imapclient.imapclient", "imapclient.imaplib"):
    logging.getLogger(_name).addFilter(lambda record: False)


class ImapSession:
    """A connected, logged-in session. Every method raises SyncError, the server's words as its evidence."""

    def __init__(
        self,
        connection: Connection,
        port: int,
        security: str,
        *,
        deadline: Deadline,
        max_literal: int,
        on_bytes: Callable[[int], None] = lambda count: None,
    ):
        self._guard = SocketGuard(deadline)
        self._confused = False
        try:
            with self._step(STEP_SECONDS, login=False):
                self._client = _Client(connection, port, security, self._guard, max_literal, on_bytes)
                if security == Security.STARTTLS:
                    self._client.upgrade()
            with self._step(STEP_SECONDS, login=True):
                self._client.authenticate(connection.login, connection.secret)
                self.is_gmail = b"X-GM-EXT-1" in self._client.capabilities()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Say goodbye if we still understand each other, and let go of the socket in any case."""
        client = getattr(self, "_client", None)
        try:
            if client is not None and not self._confused:
                with self._step(LOGOUT_SECONDS):
                    client.logout()
        except SyncError:
            pass  # a goodbye that is not heard changes nothing
        finally:
            if client is not None:
                client.drop()
            self._guard.release()

    def list_folders(self) -> list[ListedFolder]:
        """All folders that can be selected."""
        with self._step(STEP_SECONDS):
            lines = self._client.list_folders()
        listed = [_listed(*line) for line in lines]
        return [folder for folder in listed if not folder.flags & {"\\noselect", "\\nonexistent"}]

    def message_count(self, raw_name: bytes) -> int | None:
        """STATUS MESSAGES of a folder that is not opened; None when the server does not say."""
        with self._step(STEP_SECONDS):
            typ, data = self._client.status(raw_name)
        found = _MESSAGES.search(_joined(data[-1])) if typ == "OK" and data and data[-1] else None
        return int(found[1]) if found else None

    def examine(self, raw_name: bytes) -> Selected:
        with self._step(STEP_SECONDS, refused=ErrorType.MAILBOX_GONE):
            answer = self._client.examine(raw_name)
        numbers = {
            key: value for key, value in answer.items() if isinstance(value, int) and 0 <= value < 2**63
        }
        if not 0 < numbers.get(b"UIDVALIDITY", 0) < 2**32:
            raise SyncError(ErrorType.PROTOCOL_ERROR, missing="UIDVALIDITY")
        return Selected(
            exists=numbers.get(b"EXISTS", 0),
            uidvalidity=numbers[b"UIDVALIDITY"],
            uidnext=numbers.get(b"UIDNEXT"),
            highestmodseq=numbers.get(b"HIGHESTMODSEQ"),
        )

    def survey_flags(self, exists: int) -> FlagSurvey:
        """All UIDs and flags of the examined folder, which had `exists` messages."""
        if not exists:
            return FlagSurvey({}, 0, complete=True)
        flags = {}
        with self._step(STEP_SECONDS + exists / 1000):
            for line in self._client.fetch_lines("1:*", "(FLAGS)"):
                found = _FLAGS.search(line)
                uid = _UID.search(_FLAGS.sub(b"", line))
                if uid and 0 < int(uid[1]) < 2**32:
                    flags[int(uid[1])] = _flags(found[1]) if found else None
            announced, expunged = self._client.changes()
        return FlagSurvey(flags, announced or exists, complete=len(flags) + expunged >= exists)

    def metadata(self, uids: Iterable[int]) -> dict[int, Metadata]:
        uid_set = uid_set_of(uids)
        found = {}
        with self._step(STEP_SECONDS * 2):
            for line in self._client.fetch_lines(uid_set, "(RFC822.SIZE INTERNALDATE)"):
                uid, size = _UID.search(line), _SIZE.search(line)
                if uid:
                    found[int(uid[1])] = Metadata(int(size[1]) if size else None, _internal_date(line))
        return found

    def bodies(self, uids: list[int], expected_bytes: int) -> dict[int, bytes]:
        """Raw mails by UID; one that the server withholds is missing from the answer."""
        seconds = STEP_SECONDS + expected_bytes / SLOWEST_BYTES_PER_SECOND
        # A server may be wrong about sizes; a batch that is far larger than announced is read mail by mail.
        allowance = None if len(uids) == 1 else 2 * expected_bytes + READ_CHUNK
        with self._step(seconds, refused=ErrorType.UNFETCHABLE), self._client.reading_at_most(allowance):
            answers = self._client.fetch(uids, ["BODY.PEEK[]"])
        raws = {uid: answer.get(b"BODY[]") for uid, answer in answers.items()}
        return {uid: raw for uid, raw in raws.items() if isinstance(raw, bytes)}

    @contextmanager
    def _step(
        self, seconds: float, *, login: bool = False, refused: ErrorType = ErrorType.PROTOCOL_ERROR
    ) -> Iterator[None]:
        try:
            with self._guard.within(seconds):
                yield
        except (imaplib.IMAP4.error, OSError, *_UNREADABLE) as error:
            translated = _translated(error, login, refused)
            if self._guard.fired:
                translated = SyncError(ErrorType.TIMEOUT, str(error))
            self._confused = translated.error_type != refused or refused == ErrorType.PROTOCOL_ERROR
            raise translated from error


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


class _Client(IMAPClient):
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
        addresses = resolve(self.host, self.port, DIAL_SECONDS)
        for position, (family, kind, protocol, _, address) in enumerate(addresses, 1):
            sock = socket.socket(family, kind, protocol)
            sock.settimeout(DIAL_SECONDS)
            try:
                sock.connect(address)
                break
            except OSError:
                sock.close()
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

    def authenticate(self, login: str, secret: str) -> None:
        if self._imap.state == "AUTH":
            return
        if self.has_capability("AUTH=PLAIN"):
            self.plain_login(login, secret)
        else:
            typ, data = self._imap._simple_command("LOGIN", quoted(login.encode()), quoted(secret.encode()))
            self._checkok("login", typ, data)
            self._imap.state = "AUTH"
        self._cached_capabilities = None  # a server may offer more after login

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
        if set(raw_name) & set(b"\r\n\0"):  # only a literal can carry these
            self._imap.literal = raw_name
            return self._imap._simple_command(command)
        return self._imap._simple_command(command, quoted(raw_name))

    def fetch_lines(self, uid_set: str, items: str) -> Iterator[bytes]:
        typ, data = self._imap.uid("FETCH", uid_set, items)
        self._checkok("fetch", typ, data)
        return (_joined(line) for line in data if line)

    def changes(self) -> tuple[int | None, int]:
        """The newest EXISTS and the number of EXPUNGEs that came with the last answers."""
        exists = self._imap.untagged_responses.get("EXISTS")
        expunged = self._imap.untagged_responses.get("EXPUNGE", [])
        return (int(exists[-1]) if exists else None), len(expunged)


def _joined(line: bytes | tuple[bytes, ...]) -> bytes:
    return b" ".join(line) if isinstance(line, tuple) else line


def quoted(text: bytes) -> bytes:
    return b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def uid_set_of(uids: Iterable[int]) -> str:
    """RFC 9051 sequence-set: 1,2,3,7 becomes 1:3,7."""
    ranges: list[list[int]] = []
    for uid in sorted(uids):
        if ranges and uid == ranges[-1][1] + 1:
            ranges[-1][1] = uid
        else:
            ranges.append([uid, uid])
    return ",".join(str(a) if a == b else f"{a}:{b}" for a, b in ranges)


def _listed(flags, delimiter, raw_name) -> ListedFolder:
    # IMAPClient makes a number of a name such as 2025 and None of one called NIL.
    raw = b"NIL" if raw_name is None else raw_name if isinstance(raw_name, bytes) else str(raw_name).encode()
    words = frozenset(flag.decode("ascii", "replace").lower() for flag in flags)
    return ListedFolder(raw, display_name(raw), (delimiter or b"").decode("ascii", "replace"), words)


def display_name(raw_name: bytes) -> str:
    """The name for people; what could act on a terminal is shown escaped."""
    try:
        name = decode_modified_utf7(raw_name) if raw_name.isascii() else raw_name.decode()
    except (ValueError, AttributeError, IndexError):
        name = raw_name.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def _flags(text: bytes) -> Flags:
    words = {word for word in text.split() if word.lower() != b"\\recent"}
    system = sum({_SYSTEM_FLAGS.get(word.lower(), 0) for word in words})
    keywords = {
        word.decode("utf-8", "backslashreplace") for word in words if word.lower() not in _SYSTEM_FLAGS
    }
    return Flags(system, tuple(sorted(keywords)))


def _internal_date(line: bytes) -> datetime | None:
    found = _INTERNAL_DATE.search(line)
    try:
        return parse_to_datetime(found[1], normalise=False).astimezone(UTC) if found else None
    except (ValueError, OverflowError):
        return None


def _translated(error: Exception, login: bool, refused: ErrorType) -> SyncError:
    """The error's name, by the evidence: what the socket, TLS or the server said."""
    cause = _cause(error)
    words = str(error)
    match cause:
        case TimeoutError():
            return SyncError(ErrorType.TIMEOUT, words)
        case ssl.SSLCertVerificationError():
            return SyncError(ErrorType.TLS_FAILED, words, verify_code=cause.verify_code)
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError():
            return SyncError(ErrorType.CONNECTION_RESET, words)
        case ssl.SSLError():
            return SyncError(ErrorType.TLS_FAILED, words)
        case ConnectionRefusedError():
            return SyncError(ErrorType.CONNECTION_REFUSED, words)
        case ConnectionError() | OSError():
            return SyncError(ErrorType.CONNECTION_RESET, words)
        case imaplib.IMAP4.error():
            return SyncError(_by_words(words, cause, login, refused), words)
    return SyncError(ErrorType.PROTOCOL_ERROR, words, exception=type(error).__name__)


_WRAPPED = (imaplib.IMAP4.error, OSError)


def _cause(error: BaseException) -> BaseException:
    """IMAPClient and imaplib wrap what happened: a connection lost during login comes as a LoginError."""
    while isinstance(error, imaplib.IMAP4.error) and isinstance(error.__context__, _WRAPPED):
        error = error.__context__
    return error


def _by_words(words: str, cause: BaseException, login: bool, refused: ErrorType) -> ErrorType:
    code = _RESPONSE_CODE.search(words)
    if code and code[1] in _BY_RESPONSE_CODE:
        return _BY_RESPONSE_CODE[code[1]]
    if "* BYE" in words:
        return ErrorType.TEMPORARILY_UNAVAILABLE
    if isinstance(cause, imaplib.IMAP4.abort):
        return ErrorType.CONNECTION_RESET
    if login:
        return ErrorType.PROTOCOL_ERROR if "command error: BAD" in words else ErrorType.AUTH_FAILED
    return refused
