"""In what batches mails come, and how one that cannot be had is told from the others."""

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

from accounts.errors import ErrorType, SyncError
from mail.deadline import Deadline
from mail.imap import ImapSession
from mail.parcels import FetchedBatch, PendingMail

BATCH_MAILS = 200
BATCH_BYTES = 8_000_000
WINDOW_MAILS = 1_000
MAX_ATTEMPTS = 5
MAX_RECONNECTS = 3

# After these the session is of no use, but the server may well answer for other mails and folders.
_ONE_MAY_BE_THE_CAUSE = (ErrorType.PROTOCOL_ERROR, ErrorType.CONNECTION_RESET, ErrorType.TIMEOUT)


def batches(pending: list[PendingMail]) -> Iterator[list[PendingMail]]:
    """Batches of one folder each, bounded by count and bytes; a mail that failed before stands alone."""
    for start in range(0, len(pending), WINDOW_MAILS):
        window = sorted(pending[start : start + WINDOW_MAILS], key=_company)
        for _, mails in groupby(window, key=_company):
            yield from _bounded(mails)


def by_folder(mails: list[PendingMail]) -> list[list[PendingMail]]:
    """Of mails that are sorted by folder, those of each."""
    return [list(group) for _, group in groupby(mails, key=lambda mail: mail.folder_id)]


def _company(mail: PendingMail):
    return mail.attempts > 0, mail.folder_id


def _bounded(mails: Iterable[PendingMail]) -> Iterator[list[PendingMail]]:
    batch: list[PendingMail] = []
    for mail in mails:
        full = len(batch) >= BATCH_MAILS or bytes_of([*batch, mail]) > BATCH_BYTES
        if batch and (full or mail.attempts or batch[-1].attempts):
            yield batch
            batch = []
        batch.append(mail)
    if batch:
        yield batch


def bytes_of(mails: Iterable[PendingMail]) -> int:
    """What is known to come; a mail of unknown size counts as a full batch, so that it is fetched alone."""
    return sum(BATCH_BYTES if mail.size is None else mail.size for mail in mails)


class Fetcher:
    """Fetches batches over one session, which it replaces when a mail breaks it."""

    def __init__(self, session: ImapSession, connect: Callable[[], ImapSession], deadline: Deadline):
        self.session = session
        self._connect, self._deadline = connect, deadline
        self._reconnects = 0
        self._lost: SyncError | None = None

    def fetch(self, raw_name: bytes, uidvalidity: int, batch: list[PendingMail]) -> FetchedBatch:
        """Raises SyncError when the server is the trouble, not one of these mails."""
        self.require_server()
        try:
            raws = self._bodies(raw_name, uidvalidity, batch)
        except SyncError as error:
            self.recover(error)
            return self._one_by_one(raw_name, uidvalidity, batch)
        missing = [mail for mail in batch if mail.uid not in raws]
        if missing and len(batch) > 1:
            again = self._one_by_one(raw_name, uidvalidity, missing)
            return FetchedBatch(_found(batch, raws) + again.mails, again.failed)
        return FetchedBatch(_found(batch, raws), tuple(missing))

    def headers(self, raw_name: bytes, uidvalidity: int, uids: list[int]) -> dict[int, bytes]:
        """By UID, those that could be had. Raises SyncError when the server is the trouble."""
        self.require_server()
        try:
            self._examine(raw_name, uidvalidity)
            return self.session.headers(uids)
        except SyncError as error:
            self.recover(error)
        alone = [self.headers(raw_name, uidvalidity, [uid]) for uid in uids] if len(uids) > 1 else []
        return {uid: header for found in alone for uid, header in found.items()}

    def require_server(self) -> None:
        """Raises the error by which the server was lost, if it was."""
        if self._lost:
            raise self._lost

    def _one_by_one(self, raw_name: bytes, uidvalidity: int, batch: list[PendingMail]) -> FetchedBatch:
        """What was had and what failed before the server itself was lost, which the next call raises."""
        found, failed = [], []
        for mail in batch:
            try:
                raws = self._bodies(raw_name, uidvalidity, [mail])
            except SyncError as error:
                try:
                    self.recover(error)
                except SyncError as lost:
                    self._lost = None if lost.error_type == ErrorType.MAILBOX_GONE else lost
                    break
                raws = {}
            found += _found([mail], raws)
            failed += [] if raws else [mail]
        return FetchedBatch(tuple(found), tuple(failed))

    def _bodies(self, raw_name: bytes, uidvalidity: int, batch: list[PendingMail]) -> dict[int, bytes]:
        self._examine(raw_name, uidvalidity)
        raws = self.session.bodies([mail.uid for mail in batch], bytes_of(batch))
        truly_empty = {mail.uid for mail in batch if mail.size == 0}
        return {uid: raw for uid, raw in raws.items() if raw or uid in truly_empty}

    def recover(self, error: SyncError) -> None:
        """Have a usable session again, or raise `error`: then no mail and no folder is to blame."""
        if error.error_type == ErrorType.UNFETCHABLE:
            return
        one_may_be_the_cause = error.error_type in _ONE_MAY_BE_THE_CAUSE
        if not one_may_be_the_cause or self._deadline.passed() or self._reconnects >= MAX_RECONNECTS:
            raise error
        self._reconnects += 1
        self.session.close()
        self.session = self._connect()

    def _examine(self, raw_name: bytes, uidvalidity: int) -> None:
        if self.session.opened == (raw_name, uidvalidity):
            return
        if self.session.examine(raw_name).uidvalidity != uidvalidity:
            raise SyncError(ErrorType.MAILBOX_GONE, reason="uidvalidity_changed")


def _found(batch: list[PendingMail], raws: dict[int, bytes]) -> tuple[tuple[PendingMail, bytes], ...]:
    return tuple((mail, raws[mail.uid]) for mail in batch if mail.uid in raws)
