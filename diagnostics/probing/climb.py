"""What the probes of one examination share: connections to the server, and what was learned so far."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from django.conf import settings

from accounts.actions import Connection, Filters
from accounts.errors import ErrorType, SyncError
from accounts.models import MailAccount
from diagnostics.probing.dialogue import Dialogue
from diagnostics.probing.line import Line
from diagnostics.probing.redact import Redactor
from mail.deadline import Deadline
from mail.parcels import SurveyedFolder

AnyLine = TypeVar("AnyLine", bound=Line)
RECONNECTS = 8
LITERAL_SLACK_BYTES = 1_000_000


@dataclass
class Climb:
    connection: Connection
    account: MailAccount
    account_key: bytes
    filters: Filters
    deadline: Deadline
    on_bytes: Callable[[int], None]
    redact: Redactor
    ask_connections: bool = False
    syncing: Callable[[], bool] = lambda: False  # whether another connection of ours is at the mailbox
    addresses: list[tuple] = field(default_factory=list)
    address: tuple | None = None  # the first that answered
    line: Dialogue | None = None
    greeting: bytes = b""
    offers_before: frozenset[bytes] = frozenset()
    offers: frozenset[bytes] = frozenset()
    folders: list[SurveyedFolder] = field(default_factory=list)
    figures: dict[bytes, dict[str, int]] = field(default_factory=dict)  # what EXAMINE told, by folder
    heard: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict, repr=False)  # of folders in trouble, by reference
    reconnects: int = 0
    lost: int = 0  # times in a row that no new connection could be had
    _lines: list[Line] = field(default_factory=list)
    _quiet: bool = False

    @property
    def security(self) -> str:
        return self.account.security

    def new_line(self, kind: type[AnyLine] = Dialogue) -> AnyLine:
        line = kind(
            self.connection,
            self.security,
            deadline=self.deadline,
            max_literal=settings.MAILHELPER_MAX_MAIL_BYTES + LITERAL_SLACK_BYTES,
            on_bytes=self.on_bytes,
            heard=self.heard,
        )
        line.quiet = self._quiet
        self._lines.append(line)
        return line

    def another(self) -> Dialogue:
        """A further connection, logged in."""
        line = self.new_line()
        line.open(self.address)
        return line

    def session(self) -> Dialogue:
        """The connection at hand, or a new one where it broke."""
        if self.line is None or self.line.broken:
            if self.reconnects >= RECONNECTS:
                raise SyncError(ErrorType.CONNECTION_RESET, reason="broke_too_often")
            self.reconnects += 1
            self._reconnect()
        return self.line

    def _reconnect(self) -> None:
        self._let_go()
        self.lost += 1
        self.line = self.another()
        self.lost = 0

    def _let_go(self) -> None:
        if self.line is not None:
            self.line.close()
            self.line = None

    def unselected(self) -> Dialogue:
        """The connection with no folder opened, as ENABLE asks for (RFC 5161)."""
        if self.session().opened is not None:
            self._let_go()
        return self.session()

    def opened(self, raw_name: bytes) -> Dialogue:
        line = self.session()
        if line.opened != raw_name:
            line.examine(raw_name)
        return line

    def folder_with_mail(self) -> bytes | None:
        """INBOX, if it holds any; else another folder."""
        filled = [name for name, told in self.figures.items() if told.get("exists")]
        return b"INBOX" if b"INBOX" in filled else next(iter(filled), None)

    @contextmanager
    def probing(self, seconds: float, quiet: bool) -> Iterator[None]:
        """One probe's time; connections that it opened beside the one at hand are closed after it."""
        self._quiet = quiet
        if self.line:
            self.line.quiet = quiet
        try:
            with self.deadline.phase(seconds):
                yield
        finally:
            for line in self._lines:
                if line is not self.line:
                    line.close()
            self._lines = [self.line] if self.line else []

    def take_heard(self) -> str:
        """What the server said since the last time."""
        words = "\n".join(self.heard)
        self.heard.clear()
        return words

    def take_names(self) -> dict[str, str]:
        names, self.names = self.names, {}
        return names

    def close(self) -> None:
        for line in self._lines:
            line.close()
