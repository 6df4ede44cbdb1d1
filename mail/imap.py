"""One IMAP session, read-only (EXAMINE, BODY.PEEK); whatever goes wrong comes out as a SyncError."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from accounts.actions import Connection
from accounts.errors import ErrorType, SyncError
from accounts.models import Security
from mail.deadline import Deadline, SocketGuard
from mail.guard import chunks
from mail.imap_client import READ_CHUNK, Client
from mail.imap_errors import FOREIGN, translated
from mail.imap_text import (
    examined,
    flat,
    folder_status,
    is_fetch,
    listed_folder,
    quotable,
    searched,
    uid_and_flags,
    uid_and_metadata,
    uid_and_section,
    uid_sets,
    vanished,
)
from mail.parcels import Changes, Flags, FlagSurvey, FolderStatus, ListedFolder, Metadata, Selected
from mail.uid_set import UidSet
from mail.wire import Refused, Wire

CONNECT_SECONDS = 45  # nothing arrives meanwhile that would show the run alive, so less than its lease
STEP_SECONDS = 60
LOGOUT_SECONDS = 5
SLOWEST_BYTES_PER_SECOND = 20_000
COMMANDS_AT_ONCE = 50
MAX_HEADER = 65_536


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
        self.opened: tuple[bytes, int] | None = None  # name and UIDVALIDITY
        self._qresync: bool | None = None
        try:
            with self._step(CONNECT_SECONDS):
                self._client = Client(connection, port, security, self._guard, max_literal, on_bytes)
                if security == Security.STARTTLS:
                    self._client.upgrade()
            with self._step(STEP_SECONDS, login=True):
                self._client.authenticate(connection.login, connection.secret)
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
        """All folders that can be selected, each with its STATUS where LIST-STATUS (RFC 5819) gives it."""
        if self._offers(b"LIST-STATUS"):
            try:
                return self._list(f'LIST "" "*" RETURN ({self._list_options()})'.encode())
            except SyncError as error:
                if not isinstance(error.__cause__, Refused):
                    raise
        return self._list(b'LIST "" "*"')

    def _list_options(self) -> str:
        use = "SPECIAL-USE " if self._offers(b"SPECIAL-USE") else ""
        return f"{use}STATUS ({self._status_items()})"

    def _status_items(self) -> str:
        return "MESSAGES UIDNEXT UIDVALIDITY" + (" HIGHESTMODSEQ" if self._offers(b"CONDSTORE") else "")

    def _list(self, command: bytes) -> list[ListedFolder]:
        listed, statuses = [], {}
        with self._step(STEP_SECONDS):
            for text in map(flat, self._wire.ask(command)):
                if folder := listed_folder(text):
                    listed.append(folder)
                elif status := folder_status(text):
                    statuses[status[0]] = status[1]
        folders = [folder for folder in listed if not folder.flags & {"\\noselect", "\\nonexistent"}]
        return [replace(f, status=statuses.get(f.raw_name, f.status)) for f in folders]

    def statuses(self, raw_names: list[bytes]) -> dict[bytes, FolderStatus]:
        """STATUS of folders that are not opened, many at once. One that is refused is missing."""
        found = {}
        for names in chunks(tuple(name for name in raw_names if quotable(name)), COMMANDS_AT_ONCE):
            ask = [(b"STATUS ", name, f" ({self._status_items()})".encode()) for name in names]
            with self._step(STEP_SECONDS):
                answers = [folder_status(flat(answer)) for answer in self._wire.ask_all(ask)]
            found |= dict(filter(None, answers))
        return found

    def survey_flags(self, raw_name: bytes) -> tuple[Selected, FlagSurvey]:
        """Open a folder and read all its UIDs and flags."""
        # Dovecot counts MODSEQs of a folder only from the first time it is asked for them.
        selected, _ = self._examine(raw_name, " (CONDSTORE)" if self.has_changes else "")
        if not selected.exists:
            return selected, FlagSurvey({}, complete=True, changed=False)
        flags, news = self._fetch_flags(f"UID FETCH 1:* ({self._flag_items})", selected.exists)
        changed = any(_tells_of_change(text, selected.exists) for text in news)
        return selected, FlagSurvey(flags, len(flags) >= selected.exists and not changed, changed)

    def changes(self, raw_name: bytes, uidvalidity: int, modseq: int) -> Changes:
        """Open a folder and read what changed since this MODSEQ, by QRESYNC or else CONDSTORE (RFC 7162).

        Under another UIDVALIDITY than this one the answer tells nothing.
        """
        if self._offers(b"QRESYNC") and self._enables_qresync() and not self.gmail:
            selected, answers = self._examine(raw_name, f" (QRESYNC ({uidvalidity} {modseq}))")
            gone = [uids for uids in map(vanished, answers) if uids]
            return Changes(selected, _flags_in(answers), UidSet.joined(gone))
        selected, _ = self._examine(raw_name, " (CONDSTORE)")
        command = f"UID FETCH 1:* ({self._flag_items}) (CHANGEDSINCE {modseq})"
        flags, _ = self._fetch_flags(command, selected.exists) if selected.exists else ({}, [])
        return Changes(selected, flags, None)

    @property
    def has_changes(self) -> bool:
        """Whether folders may have MODSEQs, and so tell what changed since one."""
        return self._offers(b"CONDSTORE")

    def uids(self) -> UidSet | None:
        """All UIDs of the opened folder, if the server can say so in short (ESEARCH, RFC 4731)."""
        if not self._offers(b"ESEARCH"):
            return None
        with self._step(STEP_SECONDS, refused=ErrorType.MAILBOX_GONE):
            answers = [searched(flat(answer)) for answer in self._wire.ask(b"UID SEARCH RETURN (ALL) ALL")]
        return next((uids for uids in answers if uids is not None), None)

    def metadata(self, uids: Iterable[int]) -> dict[int, Metadata]:
        found = {}
        for uid_set in uid_sets(uids):
            command = f"UID FETCH {uid_set} ({self._metadata_items})"
            with self._step(STEP_SECONDS * 2, refused=ErrorType.MAILBOX_GONE):
                for text in map(flat, self._wire.ask(command.encode())):
                    uid, facts = uid_and_metadata(text)
                    if uid and is_fetch(text):
                        found[uid] = facts
        return found

    def headers(self, uids: Iterable[int]) -> dict[int, bytes]:
        """The header of each mail as it stands there, up to MAX_HEADER bytes; one withheld is missing."""
        return self._sections(list(uids), f"HEADER]<0.{MAX_HEADER}>", b"HEADER", STEP_SECONDS * 2)

    def bodies(self, uids: list[int], expected_bytes: int) -> dict[int, bytes]:
        """Raw mails by UID; one that the server withholds is missing from the answer."""
        seconds = STEP_SECONDS + expected_bytes / SLOWEST_BYTES_PER_SECOND
        # A server may be wrong about sizes; a batch that is far larger than announced is read mail by mail.
        allowance = None if len(uids) == 1 else 2 * expected_bytes + READ_CHUNK
        with self._client.reading_at_most(allowance):
            return self._sections(uids, "]", b"", seconds)

    def _sections(self, uids: list[int], asked: str, section: bytes, seconds: float) -> dict[int, bytes]:
        found = {}
        for uid_set in uid_sets(uids):
            command = f"UID FETCH {uid_set} (BODY.PEEK[{asked})".encode()
            with self._step(seconds, refused=ErrorType.UNFETCHABLE):
                for answer in self._wire.ask(command):
                    uid, content = uid_and_section(answer, section)
                    if uid and content is not None:
                        found[uid] = content
        return found

    def examine(self, raw_name: bytes) -> Selected:
        return self._examine(raw_name)[0]

    def _examine(self, raw_name: bytes, how: str = "") -> tuple[Selected, list[bytes]]:
        """What the answers say in numbers, and the answers."""
        self.opened = None
        with self._step(STEP_SECONDS * 2, refused=ErrorType.MAILBOX_GONE):
            answers = [flat(answer) for answer in self._wire.ask(b"EXAMINE ", raw_name, how.encode())]
        closed = [place for place, text in enumerate(answers) if text.upper().startswith(b"OK [CLOSED]")]
        answers = answers[closed[-1] :] if closed else answers  # what came before is of the folder before
        told = dict(filter(None, map(examined, answers)))
        if not 0 < told.get("uidvalidity", 0) < 2**32:
            raise SyncError(ErrorType.PROTOCOL_ERROR, missing="UIDVALIDITY")
        if "exists" not in told:
            raise SyncError(ErrorType.PROTOCOL_ERROR, missing="EXISTS")
        self.opened = raw_name, told["uidvalidity"]
        modseq = told.get("highestmodseq") or None
        return Selected(told["exists"], told["uidvalidity"], told.get("uidnext"), modseq), answers

    def _fetch_flags(self, command: str, exists: int) -> tuple[dict[int, Flags | None], list[bytes]]:
        """Flags by UID, and the answers that tell of something else."""
        flags, others = {}, []
        with self._step(STEP_SECONDS + exists / 1000, refused=ErrorType.MAILBOX_GONE):
            for text in map(flat, self._wire.ask(command.encode())):
                uid, found = uid_and_flags(text)
                if uid and is_fetch(text):
                    flags[uid] = found
                elif not is_fetch(text):
                    others.append(text)
        return flags, others

    def _enables_qresync(self) -> bool:
        if self._qresync is None:
            with self._step(STEP_SECONDS):
                answers = [flat(answer).upper() for answer in self._wire.ask(b"ENABLE QRESYNC")]
            self._qresync = any(text.startswith(b"ENABLED") and b"QRESYNC" in text for text in answers)
        return self._qresync

    @property
    def gmail(self) -> bool:
        """Whether the server has Gmail's labels and its one id per mail (X-GM-EXT-1)."""
        return self._offers(b"X-GM-EXT-1")

    @property
    def _flag_items(self) -> str:
        return "FLAGS X-GM-LABELS" if self.gmail else "FLAGS"

    @property
    def _metadata_items(self) -> str:
        object_id = " X-GM-MSGID" if self.gmail else " EMAILID" if self._offers(b"OBJECTID") else ""
        return f"RFC822.SIZE INTERNALDATE{object_id}"

    def _offers(self, capability: bytes) -> bool:
        return capability in self._client.offers

    @property
    def _wire(self) -> Wire:
        return self._client.wire

    @contextmanager
    def _step(
        self, seconds: float, *, login: bool = False, refused: ErrorType = ErrorType.PROTOCOL_ERROR
    ) -> Iterator[None]:
        try:
            with self._guard.within(seconds):
                yield
                if client := getattr(self, "_client", None):
                    client.report_rest()
        except FOREIGN as error:
            named = translated(error, login, refused)
            if self._guard.fired:
                named = SyncError(ErrorType.TIMEOUT, str(error))
            self._confused = not isinstance(error, Refused)
            raise named from error
        except BaseException:  # somebody wants us to stop in the middle of an answer
            self._confused = True
            raise


def _flags_in(answers: list[bytes]) -> dict[int, Flags | None]:
    found = [uid_and_flags(text) for text in answers if is_fetch(text)]
    return {uid: flags for uid, flags in found if uid}


def _tells_of_change(text: bytes, exists: int) -> bool:
    if vanished(text):  # what EXPUNGE is called once QRESYNC is enabled
        return True
    if text.upper().endswith(b" EXPUNGE"):
        return True
    told = examined(text)
    return told is not None and told[0] == "exists" and told[1] != exists
