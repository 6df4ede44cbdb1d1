"""What the tests of the broker share: a server that does what a script says, a clock, the rings."""

from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import cache

import pytest
import time_machine

from accounts import actions, grants
from accounts.models import GrantPurpose
from mail.queries import MailOpener, folder_names, stored_mails
from pipeline import tasks
from pipeline.broker import PipelineBroker
from pipeline.models import AccountRun
from tests.conftest import Mailbox
from tests.servers.dovecot import Dovecot, without
from tests.servers.meter import Meter
from tests.servers.scripted import ScriptedImap

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Rings(list):
    """The ids of the runs that were rung for; `at` is when each is to be heard.

    Apart from them the channels that were rung for, and how often for alerts, the ping and pruning.
    """

    def __init__(self):
        super().__init__()
        self.at: dict[str, datetime | None] = {}
        self.channels: list[str] = []
        self.for_alerts = self.for_ping = self.for_pruning = 0

    def hear(self, task) -> None:
        match task.name:
            case "mailhelper.deliver":
                self.for_alerts += 1
            case "mailhelper.deliver_channel":
                self.channels.append(task.args[0])
            case "mailhelper.ping":
                self.for_ping += 1
            case "mailhelper.prune":
                self.for_pruning += 1
            case _:
                self.append(task.args[0])
                self.at[task.args[0]] = task.eta


@pytest.fixture
def rings(monkeypatch):
    """The rings that reached huey."""
    heard = Rings()
    monkeypatch.setattr(tasks, "enqueue", heard.hear)
    return heard


@pytest.fixture
def clock():
    """A day on which a test may move."""
    with time_machine.travel(NOON) as clock:
        yield clock


@pytest.fixture
def scripted():
    with ScriptedImap() as server:
        yield server


@pytest.fixture
def scripted_account(connect, scripted):
    return connect(Mailbox(scripted), security="none")


@pytest.fixture
def granted(anna):
    """Allow background sync: granted(account)."""

    def granted(account):
        grants.grant(account, actions.account_key(account, anna.user_key), GrantPurpose.BACKGROUND)
        return account

    return granted


def attempt(account, **asked) -> AccountRun:
    """One attempt of a run asked for now: the workers' part, without their queue."""
    job_id = PipelineBroker().enqueue_fetch_job(account.user, account, **asked)
    return again(AccountRun.objects.get(jobs=job_id))


def again(run: AccountRun) -> AccountRun:
    """A ring for the run is heard."""
    tasks.run.call_local(str(run.pk))
    run.refresh_from_db()
    return run


@pytest.fixture(scope="session")
def dovecot_without(tmp_path_factory, authority):
    """dovecot_without("CONDSTORE"): one for all tests, started when first asked for."""
    with ExitStack() as stack:

        @cache
        def dovecot_without(name):
            return stack.enter_context(
                Dovecot(tmp_path_factory.mktemp(f"no-{name}"), authority, settings=without(name))
            )

        yield dovecot_without


EXTENSIONS = ["QRESYNC", "CONDSTORE", "LIST-STATUS", "ESEARCH", "SPECIAL-USE"]


@pytest.fixture(params=["dovecot", "scripted", "pymap", *EXTENSIONS])
def any_mailbox(request):
    """On every kind of server, and on a Dovecot that hides one extension."""
    if request.param in EXTENSIONS:
        yield Mailbox(request.getfixturevalue("dovecot_without")(request.param))
    elif request.param != "scripted":
        yield Mailbox(request.getfixturevalue(request.param))
    else:
        with ScriptedImap() as server:
            yield Mailbox(server)


@pytest.fixture
def any_account(connect, any_mailbox):
    return connect(any_mailbox, security="none")


@pytest.fixture
def folders(anna):
    """What is stored now: folders(account) gives {folder name: {uid: StoredMail}}."""

    def folders(account):
        key = actions.account_key(account, anna.user_key)
        opener = MailOpener(actions.mail_private_key(anna.user, anna.user_key), key)
        names = folder_names(account, key)
        return {
            names[folder.pk]: {stored.uid: stored for stored in stored_mails(folder, opener)}
            for folder in account.folders.filter(gone_at=None)
        }

    return folders


WAYS = {
    "QRESYNC": (),
    "CONDSTORE": ("QRESYNC",),
    "CONDSTORE without ESEARCH": ("QRESYNC", "ESEARCH"),
    "all flags": ("CONDSTORE",),
    "STATUS by STATUS": ("LIST-STATUS",),
    "plain IMAP4rev1": ("CONDSTORE", "LIST-STATUS", "ESEARCH", "SPECIAL-USE", "MOVE"),
}


class Metered:
    """An account that is synced through a meter."""

    def __init__(self, box, account, meter, sync):
        self.box, self.account, self._meter, self._sync = box, account, meter, sync

    def sync(self, **asked):
        """Round trips, bytes and commands stand in figures and commands."""
        self._meter.reset()
        run = self._sync(self.account, **asked)
        assert run.status == "success", run.error
        self.figures, self.commands = self._meter.figures, self._meter.commands
        return run

    def asked_for(self, word: bytes) -> list[bytes]:
        return [command for command in self.commands if word in command]


@pytest.fixture
def metered(connect, sync, tmp_path, authority):
    """metered(way) starts a Dovecot of which this way is left."""

    @contextmanager
    def metered(way="QRESYNC"):
        hidden = without(*WAYS[way]) if WAYS[way] else ""
        with Dovecot(tmp_path, authority, settings=hidden) as server, Meter(server.imap_port) as meter:
            box = Mailbox(server)
            yield Metered(box, connect(box, security="none", port=meter.port), meter, sync)

    return metered
