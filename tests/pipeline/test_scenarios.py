"""Many accounts at once, as ratios within one run: what is slow or broken delays nobody else."""

import json
from contextlib import ExitStack
from io import StringIO

import pytest
from django.core.management import call_command

from accounts import actions, grants
from accounts.models import GrantPurpose
from mail.queries import account_figures
from pipeline.broker import PipelineBroker
from pipeline.foreground import Foreground
from pipeline.models import AccountRun
from tests.conftest import Mailbox
from tests.pipeline.test_errors import hang
from tests.pipeline.test_sync import mail
from tests.servers.dovecot import Dovecot
from tests.servers.ports import free_port
from tests.servers.proxy import Proxy
from tests.servers.scripted import ScriptedImap

pytestmark = pytest.mark.django_db(transaction=True)
LATENCY = 0.06
MORE_THAN_ALONE = 1.3


@pytest.fixture
def together(anna):
    """Sync accounts side by side in one job: together(accounts, …) gives the job's report."""

    def together(accounts, threads=20, **limits):
        keys = actions.account_keys(accounts, anna.user_key)
        job = PipelineBroker().create_fetch_job_here(anna.user, accounts, **limits)
        [report] = Foreground(threads, keys).execute([job], lambda reports: None)
        return report

    return together


def seconds(report) -> float:
    return (report.ended_at - report.started_at).total_seconds()


@pytest.fixture
def far_away(connect, dovecot):
    """Three mailboxes behind added latency."""
    with Proxy(dovecot.imaps_port, delay=LATENCY) as proxy:
        boxes = [Mailbox(dovecot) for _ in range(3)]
        for box in boxes:
            for number in range(5):
                box.append(mail(str(number)))
        yield [connect(box, name=name, port=proxy.port) for box, name in zip(boxes, "ABC", strict=True)]


def test_three_accounts_take_little_longer_than_the_slowest_alone(far_away, together):
    alone = max(seconds(together([account])) for account in far_away)
    assert seconds(together(far_away)) <= MORE_THAN_ALONE * alone


def test_a_hanging_account_delays_no_other(far_away, together, connect):
    first, third = far_away[0], far_away[2]
    alone = seconds(together([first, third]))
    with ScriptedImap() as server:
        server.scripts["LIST"] = hang
        second = connect(Mailbox(server), name="B2", security="none")
        report = together([first, second, third], timeout_seconds=round(4 * alone) + 1)
    ends = {run.name: run for run in report.runs}
    assert report.status == "partial_failure"
    assert (ends["B2"].status, ends["B2"].error_type) == ("failed", "timeout")
    for name in "AC":
        assert ends[name].status == "success"
        assert (ends[name].ended_at - report.started_at).total_seconds() <= MORE_THAN_ALONE * alone


def test_an_account_that_waits_for_a_connection_holds_no_thread(connect, mailbox, together, settings):
    settings.MAILHELPER_CONNECTIONS_PER_HOST = 1
    with ScriptedImap() as server:
        server.scripts["LIST"] = hang
        waiting = [connect(Mailbox(server), name=name, security="none") for name in ("A", "B")]
        report = together([*waiting, connect(mailbox, name="C")], threads=2, timeout_seconds=3)
    ends = {run.name: run for run in report.runs}
    assert ends["C"].status == "success"
    assert ends["C"].ended_at < min(ends["A"].ended_at, ends["B"].ended_at)


def test_a_connection_that_is_dropped_now_and_then_loses_and_doubles_nothing(
    connect, dovecot, together, monkeypatch
):
    monkeypatch.setattr("mail.fetch.BATCH_MAILS", 2)
    monkeypatch.setattr("mail.fetch.MAX_RECONNECTS", 0)
    box = Mailbox(dovecot)
    for number in range(12):
        box.append(mail(str(number), "x" * 3_000))
    with Proxy(dovecot.imap_port, drop_after=12_000) as proxy:
        account = connect(box, security="none", port=proxy.port)
        [run] = together([account]).runs
    assert run.status == "success" and AccountRun.objects.get().attempt > 2
    figures = account_figures(account)
    assert (figures.stored, figures.pending, account.messages.count()) == (12, 0, 12)


@pytest.fixture
def five_ways_to_break(connect, dovecot, authority, tmp_path):
    """Accounts that fail, each in its own way, by the error_type they should get."""
    certificate, key = authority.issue("odd", expired=True)
    with ExitStack() as running:
        settings = f"ssl_cert = <{certificate}\nssl_key = <{key}"
        expired = running.enter_context(Dovecot(tmp_path, authority, settings=settings))
        hanging = running.enter_context(ScriptedImap())
        hanging.scripts["LIST"] = hang
        well = Mailbox(dovecot)
        yield {
            "invalid_credentials": connect(well, name="invalid_credentials", secret="something else"),
            "dns_failed": connect(well, name="dns_failed", host="no-such-host.invalid"),
            "connection_refused": connect(well, name="connection_refused", port=free_port()),
            "tls_failed": connect(Mailbox(expired), name="tls_failed"),
            "timeout": connect(Mailbox(hanging), name="timeout", security="none"),
        }


def test_sync_all_on_twenty_accounts_of_which_five_are_broken(anna, connect, dovecot, five_ways_to_break):
    for number in range(15):
        box = Mailbox(dovecot)
        box.append(mail(str(number)))
        connect(box, name=f"well {number}")
    for account in anna.user.mail_accounts.all():
        grants.grant(account, actions.account_key(account, anna.user_key), GrantPurpose.BACKGROUND)
    out = StringIO()
    with pytest.raises(SystemExit) as stopped:
        call_command("sync_all", "--jobs", "20", "--timeout", "8", "--json", stdout=out)
    assert stopped.value.code == 1
    answer = json.loads(out.getvalue())
    ends = {account["name"]: account for account in answer["accounts"]}
    assert answer["status"] == "partial_failure"
    assert sum(end["status"] == "success" for end in ends.values()) == 15
    for error_type in five_ways_to_break:
        end = ends[error_type]
        assert (end["status"], end["error_type"]) == ("failed", error_type)
        assert end["error"].count(".") >= 2  # what happened, and what to do
    job = PipelineBroker().get_job_status(answer["jobs"][0]["job_id"])
    assert seconds(job) <= MORE_THAN_ALONE * max(end["duration"] for end in ends.values())
