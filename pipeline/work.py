"""A claimed run while it is executed: its keys, its clock, its beat, and what it has come to so far."""

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from accounts import actions, vault
from accounts.errors import ErrorType, MailhelperError, SyncError
from accounts.models import MailAccount
from diagnostics.preflight import Preflight
from mail.deadline import Deadline
from mail.imap import ImapSession
from mail.models import Folder
from mail.parcels import ParsedMail, PendingMail
from mail.sealer import Sealer, place
from pipeline import runs
from pipeline.budget import Budget
from pipeline.estimate import WORK, expected_seconds, pace, pace_of
from pipeline.models import RUN_ACTIVE, AccountRun, Phase
from pipeline.pace import phase_limits

BEAT_SECONDS = 5
PROGRESS_SECONDS = 1
SLICE_SECONDS = 120
HISTORY_RUNS = 5
LITERAL_SLACK_BYTES = 1_000_000  # servers' RFC822.SIZE may be a little off


Watch = Callable[[Phase], AbstractContextManager]


class Leave(MailhelperError):
    """The run ends or pauses here without an error: along this arrow."""

    def __init__(self, arrow: str):
        super().__init__(arrow)
        self.arrow = arrow


@dataclass
class Work:
    """A claimed run and what it has come to so far. Each phase is in `watch` while it lasts."""

    run: AccountRun
    claim: runs.Claim
    stopping: Callable[[], bool] = lambda: False
    watch: Watch = nullcontext
    max_mails: int | None = field(init=False)
    folders: int = 0
    linked: int = 0
    failed: list[PendingMail] = field(default_factory=list)
    bug: Exception | None = None
    refused: SyncError | None = None
    preflight: Preflight = field(default_factory=Preflight)
    shared: set[tuple[int, datetime]] = field(default_factory=set)
    _account_key: bytes | None = None
    _beaten: float = field(default_factory=time.monotonic)
    _shown: float = 0
    _receiving: int = 0
    _unspent: int = 0
    _phase: str = ""
    _slice_end: float = float("inf")
    _expected: tuple[int, int] | None = None  # mails and bytes
    _pace: float | None = None

    def __post_init__(self):
        self.max_mails = self.run.max_mails
        elapsed = timezone.now() - self.run.started_at
        self.deadline = Deadline(self.run.timeout_seconds, elapsed.total_seconds())
        self.phase_seconds = dict.fromkeys(Phase.values, 0.0) | self.run.phase_seconds
        self.budget = Budget.of(self.account)
        self.limits = phase_limits(_history(self.run))
        # what an earlier claim of this run has stored counts too
        self.mails = self.mails_before = self.run.emails_fetched
        self.linked = self.linked_before = self.run.emails_linked
        self.byte_count = self.run.bytes_done

    @property
    def progressed(self) -> bool:
        return self.mails > self.mails_before

    @property
    def account(self) -> MailAccount:
        return self.run.account

    @property
    def patient(self) -> bool:
        """Whether nobody waits for this run."""
        return self.run.priority <= 0

    @property
    def asked(self) -> tuple[int | None, int | None, UUID | None]:
        """The limits that this run went by."""
        return self.max_mails, self.run.timeout_seconds, self.run.folder_id

    def wants(self, folder: Folder) -> bool:
        return self.run.folder_id in (None, folder.pk)

    def notes_refusal(self, error: SyncError) -> bool:
        """Keep the error of one folder for the run's end. False for one that concerns the whole mailbox."""
        if error.error_type != ErrorType.MAILBOX_GONE and "missing" not in error.facts:
            return False
        self.refused = error
        return True

    def open(self, account_key: bytes) -> None:
        self._account_key = account_key
        self.connection = actions.connection_of(self.account, account_key)
        actions.keep_host_key(self.account, self.connection)
        self.filters = actions.filters_of(self.account, account_key)
        self.sealer = Sealer.for_claim(self.account, account_key, self.connection.mail_key_digest)

    def connect(self) -> ImapSession:
        with self.preflight.named():
            return ImapSession(
                self.connection,
                self.account.port,
                self.account.security,
                deadline=self.deadline,
                max_literal=settings.MAILHELPER_MAX_MAIL_BYTES + LITERAL_SLACK_BYTES,
                on_bytes=self.received,
                on_step=self.preflight.begin,
            )

    def guard(self) -> None:
        runs.hold(self.claim)
        self._beaten = time.monotonic()

    def enter(self, phase: Phase) -> None:
        self._phase = phase
        self.show(phase=phase)

    @contextmanager
    def phase(self, phase: Phase) -> Iterator[None]:
        self.enter(phase)
        bound = self.deadline.phase(self.limits[phase]) if phase in self.limits else nullcontext()
        with self.timed(phase), bound:
            yield

    @contextmanager
    def timed(self, phase: Phase) -> Iterator[None]:
        start = time.monotonic()
        try:
            with self.watch(phase):
                yield
        finally:
            self.phase_seconds[phase] += time.monotonic() - start

    def received(self, count: int) -> None:
        """The beat: whatever arrives shows that the run is alive."""
        self._unspent += count
        if self._phase == Phase.FETCH:
            self._receiving += count
        if time.monotonic() - self._beaten > BEAT_SECONDS:
            self.guard()
            self._heed_cancel()
        self.show()

    def show(self, at_once: bool = False, **fields) -> None:
        """Write the progress, at most once a second."""
        if time.monotonic() - self._shown >= PROGRESS_SECONDS or at_once:
            self._shown = time.monotonic()
            fields = {"phase": self._phase, "seconds_left": self._seconds_left()} | fields
            if self._expected:
                fields |= {"mails_total": self._expected[0], "bytes_total": self._expected[1]}
            runs.note_progress(
                self.claim, mails_done=self.mails, bytes_done=self.byte_count + self._receiving, **fields
            )

    def expect(self, sizes: Sequence[int]) -> None:
        """Say how much is ahead before the first body comes."""
        self._phase = Phase.FETCH
        self._expected = self.mails + len(sizes), self.byte_count + sum(sizes)
        self._pace = self._pace or pace_of(self.account)
        self.show(at_once=True)

    def link(self, sizes: Sequence[int | None]) -> None:
        """So many mails are known and need not be fetched."""
        self.linked += len(sizes)
        if self._expected:
            mails, size = self._expected
            self._expected = mails - len(sizes), size - sum(known or 0 for known in sizes)

    def _seconds_left(self) -> float | None:
        """By what this run took so far, or else by what earlier ones took."""
        if self._expected is None:
            return None
        spent = sum(self.phase_seconds[phase] - self.run.phase_seconds.get(phase, 0) for phase in WORK)
        fetched = self.mails - self.mails_before, self.byte_count - self.run.bytes_done, spent
        so_far = pace([fetched]) if self.progressed else None
        mails, size = self._expected[0] - self.mails, self._expected[1] - self.byte_count
        return expected_seconds(max(0, mails), max(0, size), so_far or self._pace)

    def checkpoint(self, mails: list[ParsedMail]) -> None:
        """The guard of a batch: its count commits or rolls back together with it."""
        done = self.mails + len(mails)
        counts = {"emails_fetched": done, "mails_done": done, "bytes_done": self._bytes_with(mails)}
        counts |= {"emails_linked": self.linked, "phase_seconds": self._rounded_seconds()}
        runs.hold(self.claim, retries=0, lapses=0, **counts)
        self.spend()
        self._beaten = time.monotonic()

    def spend(self) -> None:
        """Put down what was transferred."""
        self.budget.spend(self._unspent)
        self._unspent = 0

    def stored(self, mails: list[ParsedMail]) -> None:
        self._receiving = 0
        self.byte_count = self._bytes_with(mails)
        self.mails += len(mails)

    def _bytes_with(self, mails: list[ParsedMail]) -> int:
        return self.byte_count + sum(len(mail.raw) for mail in mails)

    def heed(self) -> None:
        """Between two batches: hear what others want of this run. Raises Leave."""
        self._heed_cancel()
        if self.stopping():
            raise Leave("released")

    def _heed_cancel(self) -> None:
        row = AccountRun.objects.values("max_mails", "timeout_seconds", "cancel_asked").get(pk=self.run.pk)
        if row["cancel_asked"]:
            raise Leave("stopped")
        self.max_mails = row["max_mails"]
        self.run.timeout_seconds = row["timeout_seconds"]
        self.deadline.allow(row["timeout_seconds"])

    def begin_slice(self) -> None:
        self._slice_end = time.monotonic() + SLICE_SECONDS

    def require_turn(self) -> None:
        """Before a further batch: stay within the time, the slice and the budget. Raises SyncError, Leave."""
        self.heed()
        if self.deadline.passed():
            raise SyncError(ErrorType.TIMEOUT)
        if self.budget.is_used_up:
            raise SyncError(ErrorType.BUDGET)
        has_done_some = self.progressed or self.linked > self.linked_before
        if has_done_some and time.monotonic() > self._slice_end:
            raise Leave("yielded")

    def facts(self) -> dict:
        return {
            "phase": self._phase,
            "phase_seconds": self._rounded_seconds(),
            "mails_done": self.mails,
            "emails_fetched": self.mails,
            "emails_linked": self.linked,
            "bytes_done": self.byte_count,
            "folders": self.folders,
        }

    def _rounded_seconds(self) -> dict[str, float]:
        return {phase: round(seconds, 4) for phase, seconds in self.phase_seconds.items()}

    def sealed_evidence(self, error: Exception) -> bytes | None:
        if self._account_key is None:
            return None
        words = error.evidence if isinstance(error, SyncError) else "".join(traceback.format_exception(error))
        return vault.seal(
            self._account_key,
            words.encode(errors="backslashreplace"),
            *place(self.run, "sealed_evidence"),
        )


def _history(run: AccountRun) -> list[dict[str, float]]:
    """Seconds by phase of one attempt in the account's last runs."""
    past = run.account.runs.filter(kind=run.kind, attempt__gt=0).exclude(status__in=RUN_ACTIVE)
    rows = past.order_by("-created_at").values_list("phase_seconds", "attempt")[:HISTORY_RUNS]
    return [{phase: spent / attempt for phase, spent in seconds.items()} for seconds, attempt in rows]
