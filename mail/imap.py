"""One IMAP session, read-only (EXAMINE, BODY.PEEK); whatever goes wrong comes out as a SyncError."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from accounts.actions import Connection
from accounts.errors import ErrorType, SyncError
from accounts.models import Security
from mail.deadline import Deadline, SocketGuard
from mail.imap_client import READ_CHUNK, Client
from mail.imap_errors import FOREIGN, translated
from mail.imap_text import (
    joined,
    listed_folder,
    quotable,
    status_messages,
    uid_and_flags,
    uid_and_metadata,
    uid_set_of,
)
from mail.parcels import FlagSurvey, ListedFolder, Metadata, Selected

CONNECT_SECONDS = 45  # nothing arrives meanwhile that would show the run alive, so less than its lease
STEP_SECONDS = 60
LOGOUT_SECONDS = 5
SLOWEST_BYTES_PER_SECOND = 20_000
UIDS_PER_COMMAND = 500  # keeps a command line under 8,192 octets (RFC 7162 section 4)


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
        """All folders that can be selected."""
        with self._step(STEP_SECONDS):
            lines = self._client.list_folders()
        listed = [listed_folder(*line) for line in lines]
        return [folder for folder in listed if not folder.flags & {"\\noselect", "\\nonexistent"}]

    def message_count(self, raw_name: bytes) -> int | None:
        """STATUS MESSAGES of a folder that is not opened; None when the server does not say."""
        if not quotable(raw_name):
            return None
        try:
            with self._step(STEP_SECONDS, refused=ErrorType.MAILBOX_GONE):
                typ, data = self._client.status(raw_name)
        except SyncError as error:
            if error.error_type != ErrorType.MAILBOX_GONE:
                raise
            return None
        return status_messages(joined(data[-1])) if typ == "OK" and data and data[-1] else None

    def examine(self, raw_name: bytes) -> Selected:
        with self._step(STEP_SECONDS, refused=ErrorType.MAILBOX_GONE):
            answer = self._client.examine(raw_name)
        numbers = {
            key: value for key, value in answer.items() if isinstance(value, int) and 0 <= value < 2**63
        }
        if not 0 < numbers.get(b"UIDVALIDITY", 0) < 2**32:
            raise SyncError(ErrorType.PROTOCOL_ERROR, missing="UIDVALIDITY")
        if b"EXISTS" not in numbers:
            raise SyncError(ErrorType.PROTOCOL_ERROR, missing="EXISTS")
        return Selected(
            exists=numbers[b"EXISTS"],
            uidvalidity=numbers[b"UIDVALIDITY"],
            uidnext=numbers.get(b"UIDNEXT"),
            highestmodseq=numbers.get(b"HIGHESTMODSEQ"),
        )

    def survey_flags(self, exists: int) -> FlagSurvey:
        """All UIDs and flags of the examined folder, which had `exists` messages."""
        if not exists:
            return FlagSurvey({}, complete=True, changed=False)
        flags = {}
        with self._step(STEP_SECONDS + exists / 1000, refused=ErrorType.MAILBOX_GONE):
            for line in self._client.fetch_lines("1:*", "(FLAGS)"):
                uid, found = uid_and_flags(line)
                if uid:
                    flags[uid] = found
            changed = self._client.changed_since(exists)
        return FlagSurvey(flags, complete=len(flags) >= exists and not changed, changed=changed)

    def metadata(self, uids: Iterable[int]) -> dict[int, Metadata]:
        uid_set = uid_set_of(uids)
        found = {}
        with self._step(STEP_SECONDS * 2, refused=ErrorType.MAILBOX_GONE):
            for line in self._client.fetch_lines(uid_set, "(RFC822.SIZE INTERNALDATE)"):
                uid, facts = uid_and_metadata(line)
                if uid:
                    found[uid] = facts
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
        except FOREIGN as error:
            named = translated(error, login, refused)
            if self._guard.fired:
                named = SyncError(ErrorType.TIMEOUT, str(error))
            self._confused = named.error_type != refused or refused == ErrorType.PROTOCOL_ERROR
            raise named from error
        except BaseException:  # somebody wants us to stop in the middle of an answer
            self._confused = True
            raise
