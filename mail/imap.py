"""One IMAP session, read-only (EXAMINE, BODY.PEEK); whatever goes wrong comes out as a SyncError."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from accounts.actions import Connection
from accounts.errors import ErrorType, SyncError
from accounts.models import Security
from mail.deadline import Deadline, SocketGuard
from mail.guard import chunks
from mail.imap_client import BYTES_BEFORE_LOGIN, READ_CHUNK, Client
from mail.imap_errors import FOREIGN, translated
from mail.imap_text import (
    enables_qresync,
    examined,
    flat,
    folder_status,
    forget_words,
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
from mail.uid_set import MAX_UID, UidSet
from mail.wire import Answer, Refused, Wire

CONNECT_SECONDS = 45  # nothing arrives meanwhile that would show the run alive, so less than its lease
STEP_SECONDS = 60
LIST_SECONDS = 600  # a server may have to open thousands of folders for their STATUS
LOGOUT_SECONDS = 5
SLOWEST_BYTES_PER_SECOND = 20_000
ANSWER_BYTES = 64_000_000
FLAGS_BYTES = 1_000  # of one mail, with keywords and labels
SURPLUS_MAILS = 1_000  # that may come while flags are read
COMMANDS_AT_ONCE = 50
HEADERS_AT_ONCE = 500
MAX_HEADER = 65_536
MOST_REFUSALS = 20  # of one folder's mails, before the folder itself is the trouble


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
        on_step: Callable[[str], None] = lambda name: None,
    ):
        self._on_step = on_step
        self._guard = SocketGuard(deadline)
        self._max_literal = max_literal
        self._confused = False
        self.opened: tuple[bytes, int] | None = None  # name and UIDVALIDITY
        self._qresync = False
        try:
            with self._step(CONNECT_SECONDS):
                self._client = Client(connection, port, security, self._guard, max_literal, on_bytes, on_step)
                if security == Security.STARTTLS:
                    self._client.upgrade()
            with self._step(STEP_SECONDS, login=True, allowance=BYTES_BEFORE_LOGIN):
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
            forget_words()
            self._guard.release()

    def list_folders(self) -> list[ListedFolder]:
        """All folders that can be selected, each with its STATUS where LIST-STATUS (RFC 5819) gives it.

        QRESYNC is enabled by the way: that is allowed only before a folder is opened (RFC 5161).
        """
        self._on_step("folder_list")
        asked = [(b"ENABLE QRESYNC",)] if self._offers(b"QRESYNC") and not self.gmail else []
        if self._offers(b"LIST-STATUS"):
            use = "SPECIAL-USE " if self._offers(b"SPECIAL-USE") else ""
            asked += [(f'LIST "" "*" RETURN ({use}STATUS ({self._status_items()}))'.encode(),)]
        folders = self._listed(self._wire.ask_all(asked))
        return folders or self._listed(self._wire.ask(b'LIST "" "*"'))

    def _status_items(self) -> str:
        return "MESSAGES UIDNEXT UIDVALIDITY" + (" HIGHESTMODSEQ" if self._offers(b"CONDSTORE") else "")

    def _listed(self, answers: Iterator[Answer]) -> list[ListedFolder]:
        listed, statuses = [], {}
        with self._step(LIST_SECONDS):
            for text in map(flat, answers):
                self._qresync |= enables_qresync(text)
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
            with self._step(LIST_SECONDS):
                answers = [folder_status(flat(answer)) for answer in self._wire.ask_all(ask)]
            found |= dict(filter(None, answers))
        return found

    def survey_flags(self, raw_name: bytes) -> tuple[Selected, FlagSurvey]:
        """Open a folder and read all its UIDs and flags."""
        selected = None
        if self.has_changes:  # Dovecot counts the MODSEQs of a folder from the first time it is asked
            with _refusable():
                selected, _ = self._examine(raw_name, " (CONDSTORE)")
        selected = selected or self.examine(raw_name)
        if not selected.exists:
            return selected, FlagSurvey({}, complete=True, changed=False)
        told = self._fetch_flags(f"UID FETCH 1:* ({self._flag_items})", selected)
        known = len(told.flags) == selected.exists and max(told.flags) < (selected.uidnext or MAX_UID + 1)
        return selected, replace(told, complete=told.complete and known and not told.changed)

    def changes(self, raw_name: bytes, uidvalidity: int, modseq: int) -> Changes | None:
        """Open a folder and read what changed since this MODSEQ, by QRESYNC or else CONDSTORE (RFC 7162).

        Under another UIDVALIDITY than this one the answer tells nothing. None when the server refuses it.
        """
        with _refusable():
            if self._qresync:
                selected, answers = self._examine(raw_name, f" (QRESYNC ({uidvalidity} {modseq}))")
                with self._step(STEP_SECONDS):
                    gone = UidSet.joined(filter(None, map(vanished, answers)))
                return Changes(selected, _flags_in(answers), gone)
            selected, _ = self._examine(raw_name, " (CONDSTORE)")
            command = f"UID FETCH 1:* ({self._flag_items}) (CHANGEDSINCE {modseq})"
            told = self._fetch_flags(command, selected) if selected.exists else FlagSurvey({}, True, False)
            return Changes(selected, told.flags, None) if told.complete else None
        return None

    @property
    def has_changes(self) -> bool:
        """Whether folders may have MODSEQs, and so tell what changed since one."""
        return self._offers(b"CONDSTORE")

    def uids(self) -> UidSet | None:
        """All UIDs of the opened folder, if the server can say so in short (ESEARCH, RFC 4731)."""
        answers = []
        if self._offers(b"ESEARCH"):
            with _refusable(), self._step(STEP_SECONDS, refused=ErrorType.MAILBOX_GONE):
                asked = self._wire.ask(b"UID SEARCH RETURN (ALL) ALL")
                answers = [searched(flat(answer)) for answer in asked]
        return next((uids for uids in answers if uids is not None), None)

    def metadata(self, uids: Sequence[int]) -> dict[int, Metadata]:
        """Size, date and id by UID; without the mails for which the server refuses to tell."""
        found: dict[int, Metadata] = {}
        asked, refusals = [tuple(uids)], 0
        while asked:
            some = asked.pop()
            try:
                self._learn_metadata(some, found)
            except SyncError as error:
                refusals += 1
                if error.error_type != ErrorType.MAILBOX_GONE or refusals > MOST_REFUSALS:
                    raise
                missing = tuple(uid for uid in some if uid not in found)
                half = len(missing) // 2
                asked += [missing[half:], missing[:half]] if half else []
        return {uid: found[uid] for uid in uids if uid in found}

    def _learn_metadata(self, uids: Sequence[int], found: dict[int, Metadata]) -> None:
        for uid_set in uid_sets(uids):
            command = f"UID FETCH {uid_set} ({self._metadata_items})"
            with self._step(STEP_SECONDS * 2, refused=ErrorType.MAILBOX_GONE):
                for text in map(flat, self._wire.ask(command.encode())):
                    uid, facts = uid_and_metadata(text)
                    if uid and is_fetch(text) and facts != Metadata():  # others may change flags meanwhile
                        found[uid] = facts

    def headers(self, uids: Sequence[int]) -> dict[int, bytes]:
        """The header of each mail as it stands there, up to MAX_HEADER bytes; one withheld is missing."""
        found = {}
        for some in chunks(list(uids), HEADERS_AT_ONCE):
            size = len(some) * MAX_HEADER
            found |= self._sections(some, f"HEADER]<0.{MAX_HEADER}>", b"HEADER", STEP_SECONDS * 2, size)
        return {uid: header for uid, header in found.items() if len(header) <= MAX_HEADER}

    def bodies(self, uids: list[int], expected_bytes: int) -> dict[int, bytes]:
        """Raw mails by UID; one that the server withholds is missing from the answer."""
        seconds = STEP_SECONDS + expected_bytes / SLOWEST_BYTES_PER_SECOND
        # A server may be wrong about sizes; a batch that is far larger than announced is read mail by mail.
        size = self._max_literal if len(uids) == 1 else 2 * expected_bytes
        return self._sections(uids, "]", b"", seconds, size)

    def _sections(
        self, uids: list[int], asked: str, section: bytes, seconds: float, size: int
    ) -> dict[int, bytes]:
        found, wanted = {}, set(uids)
        for uid_set in uid_sets(uids):
            command = f"UID FETCH {uid_set} (BODY.PEEK[{asked})".encode()
            with self._step(seconds, refused=ErrorType.UNFETCHABLE, allowance=size + READ_CHUNK):
                for answer in self._wire.ask(command):
                    uid, content = uid_and_section(answer, section)
                    if uid in wanted and content is not None:
                        found[uid] = content
        return found

    def examine(self, raw_name: bytes) -> Selected:
        return self._examine(raw_name)[0]

    def _examine(self, raw_name: bytes, how: str = "") -> tuple[Selected, list[bytes]]:
        """What the answers say in numbers, and the answers."""
        self.opened = None
        answers: list[bytes] = []
        with self._step(STEP_SECONDS * 2, refused=ErrorType.MAILBOX_GONE):
            for text in map(flat, self._wire.ask(b"EXAMINE ", raw_name, how.encode())):
                if text.upper().startswith(b"OK [CLOSED]"):
                    answers.clear()  # what came before is of the folder before
                elif examined(text) or is_fetch(text) or text.upper().startswith(b"VANISHED "):
                    answers.append(text)
        told = dict(filter(None, map(examined, answers)))
        if not 0 < told.get("uidvalidity", 0) < 2**32:
            raise SyncError(ErrorType.PROTOCOL_ERROR, missing="UIDVALIDITY")
        if "exists" not in told:
            raise SyncError(ErrorType.PROTOCOL_ERROR, missing="EXISTS")
        self.opened = raw_name, told["uidvalidity"]
        modseq = told.get("highestmodseq") or None
        return Selected(told["exists"], told["uidvalidity"], told.get("uidnext"), modseq), answers

    def _fetch_flags(self, command: str, selected: Selected) -> FlagSurvey:
        """Incomplete where the server refuses after it told some."""
        flags: dict[int, Flags | None] = {}
        changed, complete = False, True
        seconds, size = STEP_SECONDS + selected.exists / 1000, ANSWER_BYTES + selected.exists * FLAGS_BYTES
        try:
            with self._step(seconds, refused=ErrorType.MAILBOX_GONE, allowance=size):
                for text in map(flat, self._wire.ask(command.encode())):
                    if not is_fetch(text):
                        changed |= _tells_of_change(text, selected.exists)
                        continue
                    uid, found = uid_and_flags(text)
                    flags |= {uid: found} if uid else {}
                    if len(flags) > selected.exists + SURPLUS_MAILS:
                        raise ValueError("flags of more mails than there are")
        except SyncError as error:
            if error.error_type != ErrorType.MAILBOX_GONE or not flags:
                raise
            complete = False
        return FlagSurvey(flags, complete, changed)

    @property
    def certificate_expires_at(self) -> datetime | None:
        """Until when the server's certificate is valid; None without TLS."""
        return self._client.certificate_expires_at

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
        self,
        seconds: float,
        *,
        login: bool = False,
        refused: ErrorType = ErrorType.PROTOCOL_ERROR,
        allowance: int | None = None,
    ) -> Iterator[None]:
        """Within so many seconds and bytes; what fails is named, `refused` if the server says NO."""
        try:
            with self._guard.within(seconds):
                if client := getattr(self, "_client", None):
                    client.read_at_most(allowance or ANSWER_BYTES)
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


@contextmanager
def _refusable() -> Iterator[None]:
    """For what a server may offer and yet refuse; whoever asks has another way."""
    try:
        yield
    except SyncError as error:
        if error.error_type != ErrorType.MAILBOX_GONE or not isinstance(error.__cause__, Refused):
            raise


def _flags_in(answers: list[bytes]) -> dict[int, Flags | None]:
    found = [uid_and_flags(text) for text in answers if is_fetch(text)]
    return {uid: flags for uid, flags in found if uid}


def _tells_of_change(text: bytes, exists: int) -> bool:
    if text.upper().endswith(b" EXPUNGE") or text.upper().startswith(b"VANISHED "):  # RFC 7162 section 3.2.10
        return True
    told = examined(text)
    return told is not None and told[0] == "exists" and told[1] != exists
