"""A claimed run while it is executed: its keys, its clock, its beat, and what it has come to so far."""

import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.conf import settings

from accounts import actions, vault
from accounts.errors import SyncError
from accounts.models import MailAccount
from mail import store
from mail.deadline import Deadline
from mail.imap import ImapSession
from mail.parcels import ParsedMail, PendingMail
from pipeline import runs
from pipeline.models import AccountRun, Phase

BEAT_SECONDS = 5
PROGRESS_SECONDS = 1
LITERAL_SLACK_BYTES = 1_000_000  # servers' RFC822.SIZE may be a little off


@dataclass
class Work:
    """A claimed run and what it has come to so far."""

    run: AccountRun
    claim: runs.Claim
    phase_seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(Phase.values, 0.0))
    folders: int = 0
    failed: list[PendingMail] = field(default_factory=list)
    bug: Exception | None = None
    refused: SyncError | None = None
    _account_key: bytes | None = None
    _beaten: float = field(default_factory=time.monotonic)
    _shown: float = 0
    _receiving: int = 0
    _phase: str = ""

    def __post_init__(self):
        self.deadline = Deadline(self.run.timeout_seconds)
        # what an earlier claim of this run has stored counts too
        self.mails = self.mails_before = self.run.emails_fetched
        self.byte_count = self.run.bytes_done

    @property
    def progressed(self) -> bool:
        return self.mails > self.mails_before

    @property
    def account(self) -> MailAccount:
        return self.run.account

    def open(self, account_key: bytes) -> None:
        self._account_key = account_key
        self.connection = actions.connection_of(self.account, account_key)
        self.rules = actions.folder_rules_of(self.account, account_key)
        self.sealer = store.Sealer.for_claim(self.account, account_key, self.connection.mail_key_digest)

    def connect(self) -> ImapSession:
        return ImapSession(
            self.connection,
            self.account.port,
            self.account.security,
            deadline=self.deadline,
            max_literal=settings.MAILHELPER_MAX_MAIL_BYTES + LITERAL_SLACK_BYTES,
            on_bytes=self.received,
        )

    def guard(self) -> None:
        runs.hold(self.claim)
        self._beaten = time.monotonic()

    @contextmanager
    def phase(self, phase: Phase) -> Iterator[None]:
        self._phase = phase
        self.show(phase=phase)
        with self.timed(phase):
            yield

    @contextmanager
    def timed(self, phase: Phase) -> Iterator[None]:
        start = time.monotonic()
        try:
            yield
        finally:
            self.phase_seconds[phase] += time.monotonic() - start

    def received(self, count: int) -> None:
        """The beat: whatever arrives shows that the run is alive."""
        if self._phase == Phase.FETCH:
            self._receiving += count
        if time.monotonic() - self._beaten > BEAT_SECONDS:
            self.guard()
        self.show()

    def show(self, **fields) -> None:
        """Write the progress, at most once a second."""
        if time.monotonic() - self._shown >= PROGRESS_SECONDS or "mails_total" in fields:
            self._shown = time.monotonic()
            fields = {"phase": self._phase} | fields
            runs.note_progress(
                self.claim, mails_done=self.mails, bytes_done=self.byte_count + self._receiving, **fields
            )

    def expect(self, mails: list[PendingMail]) -> None:
        """Say how much is ahead before the first body comes."""
        self._phase = Phase.FETCH
        total_bytes = self.byte_count + sum(mail.size or 0 for mail in mails)
        self.show(mails_total=self.mails + len(mails), bytes_total=total_bytes)

    def checkpoint(self, mails: list[ParsedMail]) -> None:
        """The guard of a batch: its count commits or rolls back together with it."""
        done = self.mails + len(mails)
        runs.hold(self.claim, emails_fetched=done, mails_done=done, bytes_done=self._bytes_with(mails))
        self._beaten = time.monotonic()

    def stored(self, mails: list[ParsedMail]) -> None:
        self._receiving = 0
        self.byte_count = self._bytes_with(mails)
        self.mails += len(mails)

    def _bytes_with(self, mails: list[ParsedMail]) -> int:
        return self.byte_count + sum(len(mail.raw) for mail in mails)

    def limits(self) -> int | None:
        """max_mails as it is now: a job that joined may have raised it, and the time with it."""
        row = AccountRun.objects.values("max_mails", "timeout_seconds").get(pk=self.run.pk)
        self.deadline.allow(row["timeout_seconds"])
        return row["max_mails"]

    def facts(self) -> dict:
        return {
            "phase": self._phase,
            "phase_seconds": {phase: round(seconds, 4) for phase, seconds in self.phase_seconds.items()},
            "mails_done": self.mails,
            "emails_fetched": self.mails,
            "bytes_done": self.byte_count,
            "folders": self.folders,
        }

    def sealed_evidence(self, error: Exception) -> bytes | None:
        if self._account_key is None:
            return None
        words = error.evidence if isinstance(error, SyncError) else "".join(traceback.format_exception(error))
        return vault.seal(
            self._account_key,
            words.encode(errors="backslashreplace"),
            *store.place(self.run, "sealed_evidence"),
        )
