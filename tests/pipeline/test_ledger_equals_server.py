"""Whatever happens to a mailbox, in whatever order and with syncs in between, some of them killed: the ledger
equals the server, no mail is lost or doubled, and none is fetched twice.

A longer campaign: make histories.
"""

import itertools
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from django.utils import timezone
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from mail.models import SystemFlag
from mail.queries import account_figures
from pipeline import runs
from pipeline.models import AccountRun
from tests.conftest import Mailbox
from tests.pipeline.conftest import WAYS
from tests.servers.dovecot import Dovecot, without

pytestmark = pytest.mark.django_db
SYSTEM_FLAGS = ["\\Seen", "\\Answered", "\\Flagged"]
FLAGS = st.sets(st.sampled_from([*SYSTEM_FLAGS, "$Work", "$Later"]))
SOME = st.lists(st.integers(0, 30), min_size=1, max_size=4)
NUMBER = st.integers(0, 30)
_numbers = itertools.count()
START = datetime(2026, 1, 1, tzinfo=UTC)


class Killed(BaseException):
    """As kill -9: what was not committed is lost, and nobody ends the run."""


class History(RuleBasedStateMachine):
    """`parts` are the fixtures it works with; each example has an account of its own."""

    parts: SimpleNamespace

    def __init__(self):
        super().__init__()
        self.server = self.parts.server
        self.box = Mailbox(self.server)
        self.account = self.parts.connect(self.box, name=f"Box {next(_numbers)}", security="none")
        self.folders = ["INBOX"]
        self.appended = self.appended_bytes = 0

    def teardown(self):
        self.account.delete()

    def _folder(self, number: int) -> str:
        return self.folders[number % len(self.folders)]

    def _some(self, folder: str, numbers: list[int]) -> set[int]:
        uids = sorted(self.server.uids(self.box.login, folder))
        return {uids[number % len(uids)] for number in numbers} if uids else set()

    @initialize(count=st.integers(0, 6))
    def begin(self, count):
        for _ in range(count):
            self.append(0, 200, set())

    # What happens to the mailbox

    @rule(number=NUMBER, size=st.integers(0, 3_000), flags=FLAGS)
    def append(self, number, size, flags):
        name = next(_numbers)
        head = f"Subject: mail {name}\r\nMessage-ID: <{name}@example.org>\r\n\r\n"
        raw = head.encode() + b"x" * size + b"\r\n"
        date = START + timedelta(seconds=name % 5)
        self.box.append(raw, folder=self._folder(number), flags=sorted(flags), date=date)
        self.appended += 1
        self.appended_bytes += len(raw)

    @rule(number=NUMBER, numbers=SOME)
    def expunge(self, number, numbers):
        folder = self._folder(number)
        self.server.expunge(self.box.login, folder, self._some(folder, numbers))

    @rule(number=NUMBER, into=NUMBER, numbers=SOME)
    def move(self, number, into, numbers):
        self._transfer(self.server.move, number, into, numbers)

    @rule(number=NUMBER, into=NUMBER, numbers=SOME)
    def copy(self, number, into, numbers):
        self._transfer(self.server.copy, number, into, numbers)

    def _transfer(self, how, number, into, numbers):
        source, target = self._folder(number), self._folder(into)
        if source != target and (uids := self._some(source, numbers)):
            how(self.box.login, source, uids, target)

    @rule(number=NUMBER, numbers=SOME, flags=FLAGS)
    def flag(self, number, numbers, flags):
        folder = self._folder(number)
        for uid in self._some(folder, numbers):
            self.server.set_flags(self.box.login, folder, uid, sorted(flags))

    @precondition(lambda self: len(self.folders) < 4)
    @rule()
    def create(self):
        self.folders.append(f"Folder {next(_numbers)}")
        self.box.create(self.folders[-1])

    @precondition(lambda self: len(self.folders) > 1)
    @rule(number=NUMBER)
    def rename(self, number):
        place = 1 + number % (len(self.folders) - 1)
        new = f"Renamed {next(_numbers)}"
        self.server.rename(self.box.login, self.folders[place], new)
        self.folders[place] = new

    @precondition(lambda self: len(self.folders) > 1)
    @rule(number=NUMBER)
    def delete_folder(self, number):
        self.server.delete_folder(self.box.login, self.folders.pop(1 + number % (len(self.folders) - 1)))

    @precondition(lambda self: hasattr(self.server, "set_uidvalidity"))
    @rule(number=NUMBER, value=st.integers(1, 2**31))
    def reset_uidvalidity(self, number, value):
        self.server.set_uidvalidity(self.box.login, self._folder(number), value)

    @precondition(lambda self: hasattr(self.server, "doveadm"))
    @rule()
    def restart(self):
        self.server.restart()

    # What we do

    @rule()
    def sync(self):
        assert self.parts.sync(self.account).status == "success"

    @rule(writes=st.integers(1, 12))
    def sync_and_be_killed(self, writes):
        with self.parts.monkeypatch.context() as patch:
            _kill_after(writes, patch)
            try:
                self.parts.sync(self.account)
            except Killed:
                _let_the_lease_lapse()

    @rule()
    def compare(self):
        """The second sync confirms what was too surprising to be believed."""
        self.sync()
        self.sync()
        stored = self.parts.folders(self.account)
        assert stored.keys() == set(self.folders)
        for folder in self.folders:
            self._compare(folder, stored[folder])
        figures = account_figures(self.account)
        assert (figures.unexplained, figures.pending, figures.quarantined) == (0, 0, 0)
        assert not self.account.findings.filter(ended_at=None).exists()
        fetched = AccountRun.objects.filter(account=self.account).values_list("emails_fetched", "bytes_done")
        mails, sizes = zip(*fetched, strict=True)
        assert sum(mails) <= self.appended and sum(sizes) <= self.appended_bytes

    def _compare(self, folder, stored):
        served, flags = self.server.served(self.box.login, folder), self.server.flags(self.box.login, folder)
        assert {uid: one.raw for uid, one in stored.items()} == served
        assert {uid: _words(one) for uid, one in stored.items()} == flags


def _words(stored) -> set[str]:
    return {f"\\{SystemFlag(flag).name.capitalize()}" for flag in stored.flags} | set(stored.keywords)


def _kill_after(writes: int, patch) -> None:
    real, count = runs.hold, itertools.count(1)

    def hold(*args, **fields):
        if next(count) > writes:
            raise Killed
        real(*args, **fields)

    patch.setattr(runs, "hold", hold)


def _let_the_lease_lapse() -> None:
    past = timezone.now() - timedelta(seconds=1)
    AccountRun.objects.filter(status="running").update(lease_until=past)
    runs.free_lapsed()


@pytest.fixture(params=["QRESYNC", "CONDSTORE", "all flags", "plain IMAP4rev1", "pymap"])
def server(request, tmp_path, authority):
    if request.param == "pymap":
        yield request.getfixturevalue("pymap")
    else:
        hidden = without(*WAYS[request.param]) if WAYS[request.param] else ""
        with Dovecot(tmp_path, authority, settings=hidden) as dovecot:
            yield dovecot


def test_the_ledger_equals_the_server_whatever_happens(server, connect, sync, folders, monkeypatch):
    parts = SimpleNamespace(
        server=server, connect=connect, sync=sync, folders=folders, monkeypatch=monkeypatch
    )
    machine = type("History", (History,), {"parts": parts})
    run_state_machine_as_test(machine, settings=settings())
