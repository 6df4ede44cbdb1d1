"""What bounds a run: caps, budget, slices, deadlines, a person who cancels, a worker that has to stop."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connections
from django.utils import timezone

from accounts import actions
from accounts.models import MailAccount, RemoteHost
from mail.queries import account_figures
from pipeline import gate, jobs, runner, runs, scheduler, tasks
from pipeline.broker import PipelineBroker
from pipeline.budget import Budget
from pipeline.models import AccountRun, PipelineJob
from tests.conftest import Mailbox
from tests.pipeline.conftest import again
from tests.pipeline.test_errors import hang, say
from tests.pipeline.test_sync import mail

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rings")]
broker = PipelineBroker()


@pytest.fixture
def keys(anna):
    def keys(*accounts):
        return {account.pk: actions.account_key(account, anna.user_key) for account in accounts}

    return keys


@pytest.fixture
def ask(keys):
    """Ask the workers for one account: ask(account, …) gives the run."""

    def ask(account, **asked):
        job_id = broker.enqueue_fetch_job(account.user, account, keys=keys(account), **asked)
        return AccountRun.objects.get(jobs=job_id)

    return ask


@pytest.fixture
def one_mail_per_batch(monkeypatch):
    monkeypatch.setattr("mail.fetch.BATCH_MAILS", 1)


def after_bodies(server, count, then):
    """Calls `then` when so many bodies were asked for."""
    asked = []

    def script(session, tag, rest):
        if b"BODY" in rest:
            asked.append(rest)
            if len(asked) == count:
                then()
        return False

    server.scripts["FETCH"] = script
    return asked


def fill(server, count):
    for number in range(count):
        server.append("", "INBOX", mail(str(number)))


# Connections per mail server


@pytest.fixture
def three(connect, dovecot, ask):
    """The runs of three accounts on one server."""
    return [ask(connect(Mailbox(dovecot), name=f"box {number}")) for number in range(3)]


def test_no_more_runs_of_one_server_than_its_cap(three, settings):
    settings.MAILHELPER_CONNECTIONS_PER_HOST = 2
    assert [bool(runs.claim(run.pk)) for run in three] == [True, True, False]
    assert AccountRun.objects.get(pk=three[2].pk).status == "pending"
    runs.release(runs.Claim(three[0].pk, 1, three[0].account_id))
    assert runs.claim(three[2].pk)


def test_a_lapsed_lease_holds_no_connection(three, settings):
    settings.MAILHELPER_CONNECTIONS_PER_HOST = 2
    runs.claim(three[0].pk), runs.claim(three[1].pk)
    AccountRun.objects.filter(pk=three[0].pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert runs.claim(three[2].pk)


def test_accounts_of_another_server_are_not_held_up(three, settings, scripted_account, ask):
    settings.MAILHELPER_CONNECTIONS_PER_HOST = 1
    assert runs.claim(three[0].pk) and not runs.claim(three[1].pk)
    assert runs.claim(ask(scripted_account).pk)


def test_a_server_that_wants_fewer_connections_gets_fewer_and_more_again_slowly(three, scripted):
    with time_machine.travel(datetime(2026, 3, 1, tzinfo=UTC)) as clock:
        AccountRun.objects.update(run_after=timezone.now())
        claims = [runs.claim(run.pk) for run in three]
        runs.retry(claims[2], timezone.now(), "too_many_connections")
        host = RemoteHost.objects.get()
        assert gate.cap_of(host) == 2
        assert runs.claim(three[2].pk) is None
        runs.succeed(claims[0], (three[0].max_mails, three[0].timeout_seconds, None))
        assert gate.cap_of(RemoteHost.objects.get()) == 2
        clock.shift(600)
        runs.hold(claims[1])
        runs.succeed(claims[1], (three[1].max_mails, three[1].timeout_seconds, None))
        assert gate.cap_of(RemoteHost.objects.get()) == 3


@pytest.mark.django_db(transaction=True)
def test_the_cap_holds_when_all_claim_at_once(connect, dovecot, ask, settings):
    settings.MAILHELPER_CONNECTIONS_PER_HOST = 2
    asked = [ask(connect(Mailbox(dovecot), name=f"box {number}")) for number in range(6)]
    claims = in_threads(lambda run: runs.claim(run.pk), asked)
    assert sum(claim is not None for claim in claims) == 2


def in_threads(work, items):
    start, results = threading.Barrier(len(items)), []

    def one(item):
        start.wait()
        results.append(work(item))
        connections.close_all()

    threads = [threading.Thread(target=one, args=(item,)) for item in items]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == len(items)
    return results


# The daily budget


def test_a_used_up_budget_pauses_until_the_persons_midnight(
    scripted, scripted_account, ask, one_mail_per_batch
):
    fill(scripted, 4)
    long_ago = datetime(2026, 2, 1, tzinfo=UTC)
    MailAccount.objects.update(daily_budget_bytes=1, connection_changed_at=long_ago)
    with time_machine.travel(datetime(2026, 3, 1, 12, tzinfo=UTC)) as clock:
        run = ask(scripted_account)
        AccountRun.objects.update(run_after=timezone.now())
        again(run)
        # what it took to look and to open the folder counts; one batch may go over the limit
        assert (run.status, run.error_type, run.emails_fetched) == ("skipped", "budget", 1)
        assert run.retry_at == datetime(2026, 3, 2, tzinfo=UTC)
        assert PipelineJob.objects.get().status == "success"
        assert account_figures(scripted_account).pending == 3
        clock.move_to(datetime(2026, 3, 2, 0, 0, 1, tzinfo=UTC))
        MailAccount.objects.update(daily_budget_bytes=0)  # without a limit
        run = ask(scripted_account)
        AccountRun.objects.filter(status="pending").update(run_after=timezone.now())
        tasks.run.call_local(str(run.pk))
    account = MailAccount.objects.get()
    assert account_figures(account).pending == 0
    assert account.bytes_day.isoformat() == "2026-03-02" and 0 < account.bytes_today < 5_000


def test_each_day_has_its_own_budget(account):
    with time_machine.travel(datetime(2026, 3, 1, 12, tzinfo=UTC)) as clock:
        Budget.of(account).spend(70)
        Budget.of(account).spend(30)
        assert MailAccount.objects.get().bytes_today == 100
        clock.shift(timedelta(days=1))
        assert Budget.of(MailAccount.objects.get()).spent == 0
        Budget.of(account).spend(5)
        assert MailAccount.objects.get().bytes_today == 5


def test_gmail_has_a_budget_of_2500_mb_by_itself(connect, mailbox):
    assert Budget.of(connect(mailbox, host="imap.gmail.com")).limit == 2_500_000_000
    assert Budget.of(connect(mailbox, name="other")).limit is None


# Slices, joins, deadlines


def test_a_long_run_yields_after_its_slice_and_goes_on_later(
    scripted, scripted_account, ask, monkeypatch, one_mail_per_batch, rings
):
    fill(scripted, 3)
    monkeypatch.setattr("pipeline.work.SLICE_SECONDS", 0)
    run = ask(scripted_account, max_mails=None, timeout_seconds=None)
    rings.clear()
    again(run)
    assert (run.status, run.emails_fetched, run.priority) == ("pending", 1, 0)
    assert rings == [str(run.pk)]
    for _ in range(2):
        again(run)
    assert (run.status, run.emails_fetched) == ("success", 3)


def test_a_job_that_joins_as_the_run_ends_gets_what_it_asked_for(
    scripted, scripted_account, ask, monkeypatch, one_mail_per_batch
):
    fill(scripted, 3)
    run = ask(scripted_account, max_mails=1)
    succeed = runs.succeed

    def joined_at_the_last_moment(claim, *args, **facts):
        monkeypatch.setattr(runs, "succeed", succeed)
        ask(scripted_account, max_mails=None)
        return succeed(claim, *args, **facts)

    monkeypatch.setattr(runs, "succeed", joined_at_the_last_moment)
    again(run)
    assert (run.status, run.emails_fetched) == ("pending", 1)
    again(run)
    assert (run.status, run.emails_fetched) == ("success", 3)


def test_the_time_of_a_run_spans_its_attempts(scripted, scripted_account, ask):
    scripted.scripts["LIST"] = say(b"TAG NO [UNAVAILABLE] later")
    run = ask(scripted_account, timeout_seconds=30)
    tasks.run.call_local(str(run.pk))
    AccountRun.objects.update(
        run_after=timezone.now(), started_at=timezone.now() - timedelta(seconds=29.5), retries=0
    )
    again(run)
    assert (run.status, run.error_type, run.attempt) == ("failed", "temporarily_unavailable", 2)


def test_a_retry_that_runs_out_of_time_keeps_the_name_of_what_it_retried(scripted, scripted_account, ask):
    scripted.scripts["LIST"] = say(b"TAG NO [UNAVAILABLE] later")
    run = ask(scripted_account, timeout_seconds=30)
    tasks.run.call_local(str(run.pk))
    AccountRun.objects.update(run_after=timezone.now(), started_at=timezone.now() - timedelta(seconds=29.5))
    scripted.scripts["LIST"] = hang
    again(run)
    assert (run.status, run.error_type) == ("failed", "temporarily_unavailable")


def test_a_phase_that_takes_far_longer_than_it_ever_did_ends_with_timeout(
    scripted, scripted_account, sync, monkeypatch
):
    sync(scripted_account)
    monkeypatch.setattr("pipeline.pace.BOUNDS", {"connect": (20, 105), "folder_list": (0.3, 3_600)})

    def trickle(session, tag, rest):
        while not scripted.over.wait(0.05):
            session.send(b"*")
        return True

    scripted.scripts["LIST"] = trickle
    run = sync(scripted_account)
    assert (run.error_type, run.phase) == ("timeout", "folder_list")
    del scripted.scripts["LIST"]
    assert sync(scripted_account).status == "success"


# Cancelling


def test_a_job_that_waits_is_cancelled_at_once(scripted_account, ask):
    run = ask(scripted_account)
    job = PipelineJob.objects.get()
    assert broker.cancel_job(job.pk)
    run.refresh_from_db()
    assert (run.status, broker.get_job_status(job.pk).status) == ("cancelled", "cancelled")
    assert run.grant is None or run.grant.revoked_at
    assert not broker.cancel_job(job.pk)


@pytest.mark.django_db(transaction=True)
def test_a_running_job_stops_within_one_batch_and_the_next_run_goes_on(
    scripted, scripted_account, ask, one_mail_per_batch
):
    fill(scripted, 5)
    run = ask(scripted_account)

    def cancel():
        broker.cancel_job(PipelineJob.objects.get().pk)
        connections.close_all()

    bodies = after_bodies(scripted, 2, cancel)
    again(run)
    assert (run.status, run.emails_fetched) == ("cancelled", 2)
    assert len(bodies) == 2
    scripted.scripts.clear()
    run = ask(scripted_account)
    tasks.run.call_local(str(run.pk))
    assert account_figures(scripted_account).stored == 5


def test_a_run_that_another_job_waits_for_goes_on(anna, scripted_account, ask):
    run = ask(scripted_account)
    other = broker.enqueue_fetch_job(anna.user, scripted_account)
    first = PipelineJob.objects.exclude(pk=other).get()
    runs.claim(run.pk)
    broker.cancel_job(first.pk)
    run.refresh_from_db()
    assert (run.status, run.cancel_asked) == ("running", False)
    broker.cancel_job(other)
    run.refresh_from_db()
    assert run.cancel_asked


def test_joining_a_run_that_was_to_stop_lets_it_go_on(anna, scripted_account, ask):
    run = ask(scripted_account)
    runs.claim(run.pk)
    broker.cancel_job(PipelineJob.objects.get().pk)
    broker.enqueue_fetch_job(anna.user, scripted_account)
    run.refresh_from_db()
    assert (run.status, run.cancel_asked) == ("running", False)


def test_a_cancelled_job_counts_what_was_fetched(anna, scripted_account, ask):
    run = ask(scripted_account)
    AccountRun.objects.filter(pk=run.pk).update(emails_fetched=7)
    job = PipelineJob.objects.get()
    broker.cancel_job(job.pk)
    assert broker.get_job_status(job.pk).emails_fetched == 7


# Stopping a worker


def test_a_worker_that_stops_finishes_the_batch_at_hand_and_gives_the_lease_back(
    scripted, scripted_account, ask, one_mail_per_batch
):
    fill(scripted, 5)
    run = ask(scripted_account)
    stopping = threading.Event()
    after_bodies(scripted, 2, stopping.set)
    claim = runs.claim(run.pk)
    runner.execute(claim, stopping=stopping.is_set)
    run.refresh_from_db()
    assert (run.status, run.owner, run.emails_fetched, run.lapses) == ("pending", "", 2, 0)
    assert account_figures(scripted_account).stored == 2


# Jobs over several accounts


def test_a_hanging_account_delays_no_other(anna, connect, scripted, mailbox, keys):
    """The second of three hangs until its time is over; the others end as if it were not there."""
    others = [connect(Mailbox(mailbox.server), name=name) for name in ("A", "C")]
    hanging = connect(Mailbox(scripted), name="B", security="none")

    scripted.scripts["LIST"] = hang
    accounts = [others[0], hanging, others[1]]
    job_id = broker.enqueue_fetch_job(anna.user, keys=keys(*accounts), timeout_seconds=2)
    for run in AccountRun.objects.filter(account__in=others):
        tasks.run.call_local(str(run.pk))
    for run in AccountRun.objects.filter(account=hanging):
        tasks.run.call_local(str(run.pk))
    report = broker.get_job_status(job_id)
    assert report.status == "partial_failure"
    assert [(run.name, run.status, run.error_type) for run in report.runs] == [
        ("A", "success", ""),
        ("B", "failed", "timeout"),
        ("C", "success", ""),
    ]


def test_a_job_of_pauses_only_is_no_failure(anna, account):
    job = jobs.create(anna.user, [account], trigger="command")
    run = runs.join_or_create(job, account, runs.Asked())
    MailAccount.objects.update(enabled=False)
    assert runs.claim(run.pk) is None
    run.refresh_from_db()
    assert (run.status, run.error_type) == ("skipped", "paused")
    assert broker.get_job_status(job.pk).status == "success"


# Wishes that come in between


def test_a_wish_that_comes_while_a_run_stops_is_fulfilled(anna, scripted, scripted_account, ask, monkeypatch):
    run = ask(scripted_account)
    claim = runs.claim(run.pk)
    broker.cancel_job(PipelineJob.objects.get().pk)
    stop, second = runs.stop, []

    def joined_meanwhile(claim, **facts):
        second.append(broker.enqueue_fetch_job(anna.user, scripted_account))
        return stop(claim, **facts)

    monkeypatch.setattr(runs, "stop", joined_meanwhile)
    runner.execute(claim)
    run.refresh_from_db()
    assert run.status == "pending"
    assert again(run).status == "success"
    assert broker.get_job_status(second[0]).status == "success"


def test_a_server_at_its_cap_does_not_stand_in_the_others_way(three, settings, scripted_account, ask):
    settings.MAILHELPER_CONNECTIONS_PER_HOST = 1
    runs.claim(three[0].pk)
    last = ask(scripted_account)
    assert [run_id for run_id, _ in runs.waiting(limit=1)] == [last.pk]


def test_a_server_that_refuses_our_only_connection_keeps_its_cap(scripted_account, ask):
    runs.retry(runs.claim(ask(scripted_account).pk), timezone.now(), "too_many_connections")
    assert RemoteHost.objects.get().connection_cap is None


def test_a_cap_is_lowered_once_for_errors_that_come_together(three):
    claims = [runs.claim(run.pk) for run in three]
    for claim in claims:
        runs.retry(claim, timezone.now(), "too_many_connections")
    assert RemoteHost.objects.get().connection_cap == 2


def test_a_budget_that_is_lifted_lets_the_tick_go_on(scripted_account, granted):
    account = granted(scripted_account)
    Budget.of(account).spend(2_000_000)
    actions.set_daily_budget(account, 1)
    MailAccount.objects.update(next_due=timezone.now())
    assert scheduler.start_due() == []
    actions.set_daily_budget(account, 0)
    assert len(scheduler.start_due()) == 1


# Progress


@pytest.mark.django_db(transaction=True)
def test_progress_is_about_a_second_old_while_one_large_mail_comes(scripted, scripted_account, ask):
    scripted.append("", "INBOX", mail("large", "x" * 3_000_000))
    sent, seen = [0], [0]

    def in_pieces(session, tag, rest):
        if b"BODY" not in rest:
            return False
        raw = session.box.mails[1].raw
        session.send(b"* 1 FETCH (UID 1 BODY[] {%d}\r\n" % len(raw))
        for start in range(0, len(raw), 300_000):
            session.send(raw[start : start + 300_000])
            scripted.over.wait(0.25)
            sent.append(min(start + 300_000, len(raw)))
            seen.append(AccountRun.objects.get().bytes_done)
        connections.close_all()
        session.say(b")")
        session.ok(tag)
        return True

    scripted.scripts["FETCH"] = in_pieces
    assert again(ask(scripted_account)).status == "success"
    six_pieces_before = sent[:-6]  # 1.5 s: one for the rule, the rest for a busy machine
    assert all(now >= then for then, now in zip(six_pieces_before, seen[6:], strict=True))
    assert AccountRun.objects.get().bytes_total >= 3_000_000
