"""What the tests of the broker share: a server that does what a script says, a clock, the rings."""

from datetime import UTC, datetime

import pytest
import time_machine

from accounts import actions, grants
from accounts.models import GrantPurpose
from pipeline import tasks
from pipeline.broker import PipelineBroker
from pipeline.models import AccountRun
from tests.conftest import Mailbox
from tests.servers.scripted import ScriptedImap

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Rings(list):
    """The ids of the runs that were rung for; `at` is when each is to be heard."""

    def __init__(self):
        super().__init__()
        self.at: dict[str, datetime | None] = {}

    def hear(self, task) -> None:
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
