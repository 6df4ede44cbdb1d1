"""Three people and a real Dovecot."""

import io
import json
import logging
import os
import secrets
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import hypothesis
import pytest

from tests.servers.certificates import make_ca
from tests.servers.dovecot import Dovecot
from tests.servers.pymap import Pymap

# In `make test` the same examples each time; `make histories` looks for others.
hypothesis.settings.register_profile(
    "test", derandomize=True, deadline=None, max_examples=10, stateful_step_count=15, database=None
)
hypothesis.settings.register_profile(
    "campaign", deadline=None, max_examples=200, stateful_step_count=40, print_blob=True
)
hypothesis.settings.load_profile("test")


def pytest_configure(config):
    config.addinivalue_line("markers", "engines: touches the engines by other ways than Django's fixtures")
    config.addinivalue_line("markers", "once: knows the embedded engine only")


def pytest_collection_modifyitems(config, items):
    """Under tests/on_servers.py, leave out what touches neither rows nor the queue; of the rest, the pages
    (modules with "page" in their name), which stand on the same rows, and what is marked `once`.
    """
    if "MAILHELPER_TEST_DATABASE_URL" in os.environ:
        config.hook.pytest_deselected(items=[item for item in items if not _runs_again(item)])
        items[:] = [item for item in items if _runs_again(item)]


def _runs_again(item) -> bool:
    touches = {"engines", "django_db"} & {mark.name for mark in item.iter_markers()}
    once = item.get_closest_marker("once") or "page" in item.path.name
    return not once and (touches or "db" in item.fixturenames)


@dataclass
class Person:
    user: object
    password: str
    user_key: bytes
    recovery_key: str


@dataclass
class Mailbox:
    """One login on a server of this test process, mostly the Dovecot."""

    server: Dovecot
    login: str = field(default_factory=lambda: f"box-{secrets.token_hex(6)}")
    password: str = field(default_factory=lambda: secrets.token_urlsafe(12))

    def __post_init__(self):
        self.server.add_user(self.login, self.password)

    def append(self, raw: bytes, folder: str = "INBOX", **options) -> int:
        return self.server.append(self.login, folder, raw, **options)

    def create(self, folder: str) -> None:
        self.server.create(self.login, folder)

    def served(self, folder: str = "INBOX") -> dict[int, bytes]:
        return self.server.served(self.login, folder)


def make_person(email: str) -> Person:
    from accounts import actions

    password = f"{secrets.token_urlsafe(12)} for {email.partition('@')[0][::-1]}"
    new = actions.add_person(email, password)
    return Person(new.user, password, actions.unlock(new.user, password), new.recovery_key)


@pytest.fixture
def anna(db):
    """The owner."""
    return make_person("anna@example.org")


@pytest.fixture
def bert(db):
    """Another person."""
    return make_person("bert@example.org")


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return make_ca(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="session")
def dovecot(tmp_path_factory, authority):
    with Dovecot(tmp_path_factory.mktemp("dovecot"), authority) as server:
        yield server


@pytest.fixture(scope="session")
def pymap():
    with Pymap() as server:
        yield server


@pytest.fixture
def mailbox(dovecot):
    return Mailbox(dovecot)


@pytest.fixture
def connect(anna, dovecot):
    """Connect a mailbox to a person: connect(mailbox, name=…, owner=…, security=…, **connection)."""
    from accounts import actions

    def connect(box: Mailbox, name="GMX", owner=anna, security="tls", port=None, filters=None, **changes):
        ports = {"tls": box.server.imaps_port, "starttls": box.server.imap_port, "none": box.server.imap_port}
        details = {
            "host": box.server.host,
            "login": box.login,
            "secret": box.password,
            "ca_pem": Path(box.server.ca_file).read_text() if box.server.ca_file else "",
        }
        return actions.add_account(
            owner.user,
            owner.user_key,
            name,
            port or ports[security],
            security,
            actions.Connection(**details | changes),
            filters or actions.Filters(),
        )

    return connect


@pytest.fixture
def account(connect, mailbox):
    """Anna's account GMX on `mailbox`."""
    return connect(mailbox)


@pytest.fixture
def sync(anna):
    """Sync an account in this process and thread, retries at once: sync(account, max_mails=…) reports."""
    from accounts import actions
    from pipeline.broker import PipelineBroker

    def sync(account, owner=anna, **asked):
        broker = PipelineBroker()
        job = broker.create_fetch_job_here(owner.user, [account], **asked)
        [run_id] = job.run_ids
        account_key = actions.account_key(account, owner.user_key)
        while broker.execute_fetch_job(run_id, account_key):
            let_time_pass_until_retry(run_id)
        return broker.get_job_status(job.job_id).runs[0]

    return sync


def let_time_pass_until_retry(run_id) -> None:
    """Bring a waiting retry forward: what it waited for is another test's matter."""
    from django.utils import timezone

    from pipeline.models import AccountRun, RunStatus

    AccountRun.objects.filter(pk=run_id, status=RunStatus.PENDING).update(run_after=timezone.now())


class Logged(io.StringIO):
    """The log as machines read it."""

    @property
    def text(self) -> str:
        return self.getvalue()

    @property
    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self.text.splitlines()]

    def of(self, event: str) -> list[dict]:
        return [line for line in self.lines if line["event"] == event]


@pytest.fixture
def logged():
    """Everything that is logged, of every logger and level."""
    from mailhelper.logs import formatter

    written = Logged()
    handler = logging.StreamHandler(written)
    handler.setFormatter(formatter(readable=False))
    named = map(logging.getLogger, list(logging.root.manager.loggerDict))
    with ExitStack() as undo:
        for logger in [logging.root, *named]:
            undo.callback(logger.setLevel, logger.level)
            logger.setLevel(logging.DEBUG)
            if logger is logging.root or not logger.propagate:
                logger.addHandler(handler)
                undo.callback(logger.removeHandler, handler)
        yield written
