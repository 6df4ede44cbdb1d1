"""What follows a failure: a retry in the same run, a later run of its own, a breaker that opens."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError

from accounts import actions
from accounts.models import MailAccount, RemoteHost
from diagnostics import vitals
from pipeline import gate, runs, scheduler, tasks
from pipeline.breaker import State
from pipeline.broker import PipelineBroker
from pipeline.models import AccountRun, PipelineJob
from tests.conftest import Mailbox
from tests.pipeline.conftest import again, attempt
from tests.pipeline.test_errors import drop, hang, say
from tests.pipeline.test_sync import mail
from tests.servers.ports import free_port

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock", "rings")]
broker = PipelineBroker()
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def test_a_failure_that_may_heal_waits_in_the_same_run_and_then_succeeds(
    scripted, scripted_account, granted, clock, rings
):
    scripted.scripts["LIST"] = drop
    run = attempt(granted(scripted_account))
    assert (run.status, run.error_type, run.retries) == ("pending", "connection_reset", 1)
    assert 0.7 < (run.run_after - datetime.now(UTC)).total_seconds() <= 1.25
    assert PipelineJob.objects.get().status == "retrying"
    assert rings.at[str(run.pk)] == run.run_after.replace(tzinfo=None)
    assert runs.claim(run.pk) is None
    del scripted.scripts["LIST"]
    clock.shift(2)
    again(run)
    assert (run.status, run.error_type, run.attempt) == ("success", "", 2)
    assert PipelineJob.objects.get().status == "success"


def test_after_three_retries_the_run_ends_failed(scripted, scripted_account, granted, clock):
    scripted.scripts["LIST"] = drop
    run = attempt(granted(scripted_account))
    for retries in (1, 2, 3):
        assert (run.status, run.retries) == ("pending", retries)
        clock.shift(6)
        again(run)
    assert (run.status, run.error_type, run.attempt) == ("failed", "connection_reset", 4)
    assert PipelineJob.objects.get().status == "failed"


def test_the_retry_is_in_the_rows_when_the_ring_is_lost(scripted, scripted_account, granted, clock, rings):
    scripted.scripts["LIST"] = drop
    run = attempt(granted(scripted_account))
    rings.clear()
    clock.shift(MINUTE)
    tasks.wake()
    assert rings == [str(run.pk)]


def test_a_retry_that_does_not_fit_into_the_runs_time_is_not_made(scripted, scripted_account, granted, clock):
    scripted.scripts["LIST"] = drop
    run = attempt(granted(scripted_account), timeout_seconds=3)
    clock.shift(1.5)
    again(run)
    assert (run.status, run.attempt) == ("failed", 2)


def test_try_now_does_not_wait_for_a_retrys_time(scripted, scripted_account, granted):
    scripted.scripts["LIST"] = drop
    waiting = attempt(granted(scripted_account))
    del scripted.scripts["LIST"]
    run = attempt(scripted_account)
    assert (run.pk, run.status) == (waiting.pk, "success")
    assert PipelineJob.objects.filter(status="success").count() == 2


def test_fetch_all_leaves_a_retrys_waiting_time_alone(anna, scripted, scripted_account, granted):
    scripted.scripts["LIST"] = say(b"TAG NO Request is throttled. Suggested Backoff Time: 90000 milliseconds")
    waiting = attempt(granted(scripted_account), timeout_seconds=None)
    broker.enqueue_fetch_job(anna.user)
    assert runs.claim(waiting.pk) is None


def test_a_stored_batch_gives_new_retries(scripted, scripted_account, granted, clock, monkeypatch):
    monkeypatch.setattr("mail.fetch.BATCH_MAILS", 1)
    monkeypatch.setattr("mail.fetch.MAX_RECONNECTS", 0)
    for number in range(6):
        scripted.append("", "INBOX", mail(str(number)))

    def drop_after_one(session, tag, rest):
        if b"BODY" in rest and any(b"BODY" in line for line in session.asked):
            drop(session, tag, rest)
        session.asked.append(rest)
        return False

    scripted.scripts["FETCH"] = drop_after_one
    run = attempt(granted(scripted_account))
    for _ in range(6):
        clock.shift(6)
        again(run)
    assert (run.status, run.emails_fetched, run.attempt) == ("success", 6, 6)


def test_a_servers_hint_is_kept_to(scripted, scripted_account, granted):
    scripted.scripts["LOGIN"] = say(
        b"TAG BAD Request is throttled. Suggested Backoff Time: 299904 milliseconds"
    )
    run = attempt(granted(scripted_account), timeout_seconds=None)
    assert (run.status, run.error_type) == ("pending", "throttled")
    assert 299 < (run.run_after - datetime.now(UTC)).total_seconds() < 300


def test_a_hint_that_does_not_fit_moves_the_next_scheduled_run(scripted, scripted_account, granted, clock):
    scripted.scripts["LOGIN"] = say(
        b"TAG NO Request is throttled. Suggested Backoff Time: 3000000 milliseconds"
    )
    run = attempt(granted(scripted_account))
    assert run.status == "failed" and 49 * MINUTE < run.retry_at - run.ended_at <= 50 * MINUTE
    scripted.scripts.clear()
    clock.shift(49 * MINUTE)
    assert scheduler.start_due() == []
    clock.shift(2 * MINUTE)
    assert len(scheduler.start_due()) == 1


def test_a_bug_is_shown_at_once_and_never_retried(scripted, scripted_account, granted, monkeypatch):
    def broken(*args):
        return len(None)

    monkeypatch.setattr("pipeline.runner.take_stock", broken)
    run = attempt(granted(scripted_account))
    assert (run.status, run.error_type, run.attempt) == ("failed", "bug", 1)
    assert run.error_facts["exception"] == "TypeError"
    assert "TypeError" in broker.get_account_health(scripted_account.user)[0].last_run.error


# A refused password


def test_a_refused_password_is_confirmed_by_the_tick_after_ten_minutes(
    anna, mailbox, connect, granted, clock
):
    account = granted(connect(mailbox, secret="something else"))
    run = attempt(account)
    assert (run.status, run.error_type) == ("failed", "invalid_credentials")
    assert timedelta(0) <= run.ended_at - (run.retry_at - 10 * MINUTE) < timedelta(seconds=1)
    assert broker.get_account_health(anna.user)[0].status == "degraded"
    clock.shift(9 * MINUTE)
    assert scheduler.start_due() == []
    clock.shift(2 * MINUTE)
    [probe] = scheduler.start_due()
    assert probe.pk != run.pk
    tasks.run.call_local(str(probe.pk))
    report = broker.get_account_health(anna.user)[0]
    assert (report.status, report.reason) == ("broken", "invalid_credentials")
    assert gate.of_account(account).state(datetime.now(UTC)) == State.OPEN
    clock.shift(10 * MINUTE)
    assert scheduler.start_due() == []


def test_a_refused_password_without_a_grant_is_not_tried_by_itself(mailbox, connect, sync, clock):
    assert sync(connect(mailbox, secret="something else")).status == "failed"
    clock.shift(HOUR)
    assert scheduler.start_due() == []


def test_an_impatient_person_does_not_confirm_a_refusal(anna, mailbox, connect, granted, clock):
    account = granted(connect(mailbox, secret="something else"))
    first = attempt(account)
    clock.shift(MINUTE)
    second = attempt(account)
    assert abs(second.retry_at - first.retry_at) < timedelta(seconds=5)
    assert broker.get_account_health(anna.user)[0].status == "degraded"


def test_new_credentials_close_the_breaker_at_once(anna, mailbox, connect, granted, clock):
    account = granted(connect(mailbox, secret="something else"))
    attempt(account)
    clock.shift(11 * MINUTE)
    attempt(account)
    assert broker.get_account_health(anna.user)[0].status == "broken"
    details = actions.connection_of(account, actions.account_key(account, anna.user_key))
    right = replace(details, secret=mailbox.password)
    filters = actions.Filters()
    clock.shift(1)
    actions.replace_connection(account, anna.user_key, account.port, account.security, right, filters)
    assert broker.get_account_health(anna.user)[0].status == "new"
    [run] = scheduler.start_due()
    again(run)
    assert run.status == "success"
    assert broker.get_account_health(anna.user)[0].status == "healthy"


# The circuit breaker


def fail_runs(account, count, clock, gap=MINUTE):
    for _ in range(count):
        run = attempt(account)
        while run.status == "pending":
            clock.shift(6)
            again(run)
        clock.shift(gap)
    return run


@pytest.fixture
def failing(scripted, scripted_account, granted):
    scripted.scripts["EXAMINE"] = drop  # after login: the account's own trouble
    return granted(scripted_account)


def test_five_failed_runs_open_the_accounts_breaker(anna, failing, clock):
    fail_runs(failing, 4, clock)
    assert broker.get_account_health(anna.user)[0].status == "degraded"
    last = fail_runs(failing, 1, clock)
    report = broker.get_account_health(anna.user)[0]
    assert (report.status, report.reason) == ("broken", "connection_reset")
    assert last.retry_at == report.next_attempt
    assert not RemoteHost.objects.get().failures


def test_fetch_all_leaves_an_open_breaker_alone_and_one_accounts_button_tries(anna, failing, scripted, clock):
    fail_runs(failing, 5, clock)
    scripted.commands.clear()
    job_id = broker.enqueue_fetch_job(anna.user)
    run = AccountRun.objects.get(jobs=job_id)
    tasks.run.call_local(str(run.pk))
    report = broker.get_job_status(job_id)
    assert (report.status, report.runs[0].status, report.runs[0].error_type) == (
        "failed",
        "skipped",
        "breaker_open",
    )
    assert report.runs[0].retry_at and not scripted.commands
    assert "broke off" in report.runs[0].error and "rests" in report.runs[0].error
    scripted.scripts.clear()
    assert attempt(failing).status == "success"
    report = broker.get_account_health(anna.user)[0]
    assert (report.status, report.reason) == ("degraded", "recovering")
    assert attempt(failing).status == "success"
    assert broker.get_account_health(anna.user)[0].status == "healthy"


def test_the_tick_probes_an_open_breaker_slower_each_time(failing, clock):
    fail_runs(failing, 5, clock)
    for wait in (15, 30, 60):
        facts = vitals.vitals_of(failing)
        assert facts.probe_at - facts.last_failure_at == wait * MINUTE
        clock.move_to(facts.probe_at - timedelta(seconds=1))
        assert scheduler.start_due() == []
        clock.move_to(facts.probe_at)
        [probe] = scheduler.start_due()
        for _ in range(4):
            tasks.run.call_local(str(probe.pk))
            clock.shift(6)


def test_a_persons_failed_attempt_does_not_slow_the_probes(failing, clock):
    fail_runs(failing, 5, clock)
    before = vitals.vitals_of(failing).probe_at
    fail_runs(failing, 3, clock)
    assert vitals.vitals_of(failing).probe_at == before


def test_a_folder_that_refuses_to_open_is_no_reason_to_rest(scripted, scripted_account, granted, clock):
    scripted.create("", "Odd")
    scripted.scripts["EXAMINE"] = lambda session, tag, rest: (
        b"Odd" in rest and say(b"TAG NO [NOPERM] no")(session, tag, rest)
    )
    fail_runs(granted(scripted_account), 6, clock)
    assert gate.of_account(scripted_account).opened_at is None


def test_an_outage_of_a_server_costs_one_probe_and_not_one_per_account(
    anna, dovecot, connect, granted, clock
):
    port = free_port()
    accounts = [granted(connect(Mailbox(dovecot), name=f"box {n}", port=port)) for n in range(6)]
    for account in accounts[:5]:
        fail_runs(account, 1, clock)
    assert gate.breaker_of(RemoteHost.objects.get()).state(datetime.now(UTC)) == State.OPEN
    assert all(gate.of_account(account).opened_at is None for account in accounts)
    MailAccount.objects.update(next_due=datetime.now(UTC))
    assert scheduler.start_due() == []
    broker.enqueue_fetch_job(anna.user)
    for run in AccountRun.objects.filter(status="pending"):
        tasks.run.call_local(str(run.pk))
    assert AccountRun.objects.filter(error_type="breaker_open", status="skipped").count() == 6
    clock.move_to(RemoteHost.objects.get().probe_at)
    [probe] = scheduler.start_due()
    tasks.run.call_local(str(probe.pk))
    assert AccountRun.objects.get(pk=probe.pk).attempt == 1
    assert scheduler.start_due() == []


def outage(server, connect, granted, clock) -> list[MailAccount]:
    """Six accounts of a server that drops every login, which has opened its breaker."""
    server.scripts["LOGIN"] = drop
    accounts = [granted(connect(Mailbox(server), name=f"box {n}", security="none")) for n in range(6)]
    for account in accounts[:5]:
        fail_runs(account, 1, clock)
    assert RemoteHost.objects.get().breaker_opened_at
    return accounts


def test_the_success_of_one_probe_lets_all_accounts_of_a_server_go_on(scripted, connect, granted, clock):
    outage(scripted, connect, granted, clock)
    scripted.scripts.clear()
    clock.move_to(RemoteHost.objects.get().probe_at)
    MailAccount.objects.update(next_due=datetime.now(UTC))
    [probe] = scheduler.start_due()
    tasks.run.call_local(str(probe.pk))
    assert RemoteHost.objects.get().breaker_opened_at is None
    assert len(scheduler.start_due()) == 5


def test_a_persons_failed_attempt_does_not_slow_a_servers_probes(scripted, connect, granted, clock):
    account = outage(scripted, connect, granted, clock)[5]
    before = RemoteHost.objects.get().probe_at
    fail_runs(account, 2, clock)
    assert RemoteHost.objects.get().probe_at == before


def test_wrong_passwords_are_no_outage(dovecot, connect, granted, clock):
    for number in range(6):
        attempt(granted(connect(Mailbox(dovecot), name=f"box {number}", secret="something else")))
    assert RemoteHost.objects.get().failures == []


def test_one_account_that_fails_alone_does_not_stop_its_neighbours(dovecot, connect, granted, clock, mailbox):
    granted(connect(mailbox, name="well"))
    ill = granted(connect(Mailbox(dovecot), name="ill"))
    for _ in range(6):
        run = AccountRun(account=ill, phase="connect", kind="fetch")
        gate.note_failure(run, datetime.now(UTC), "timeout", None)
        clock.shift(MINUTE)
    host = RemoteHost.objects.get()
    assert gate.breaker_of(host).state(datetime.now(UTC)) == State.CLOSED
    assert gate.of_account(ill).state(datetime.now(UTC)) == State.OPEN


def test_a_success_forgets_failures(scripted, failing, clock):
    fail_runs(failing, 4, clock)
    scripted.scripts.clear()
    assert attempt(failing).status == "success"
    scripted.scripts["EXAMINE"] = drop
    fail_runs(failing, 4, clock)
    assert gate.of_account(failing).opened_at is None


# Workers that vanish


def test_three_lapses_without_a_stored_batch_lose_the_run(anna, account, granted, clock):
    run = AccountRun.objects.get(jobs=broker.enqueue_fetch_job(anna.user, granted(account)))
    for status in ("pending", "pending", "failed"):
        runs.claim(run.pk)
        clock.shift(61)
        runs.free_lapsed()
        run.refresh_from_db()
        assert run.status == status
    assert run.error_type == "worker_lost"
    report = broker.get_job_status(PipelineJob.objects.get().pk)
    assert report.status == "failed" and report.runs[0].next_step


def test_a_stored_batch_forgets_lapses(anna, mailbox, account, granted, clock):
    run = AccountRun.objects.get(jobs=broker.enqueue_fetch_job(anna.user, granted(account)))
    for _ in range(4):
        claim = runs.claim(run.pk)
        runs.hold(claim, lapses=0)  # as a checkpoint does
        clock.shift(61)
        runs.free_lapsed()
    run.refresh_from_db()
    assert run.status == "pending"


@pytest.mark.parametrize("kept", [True, False])
def test_between_attempts_a_run_stays_with_the_process_that_holds_its_key(kept, account, monkeypatch):
    run = AccountRun.objects.get(jobs=broker.enqueue_fetch_job(account.user, account))
    runs.retry(runs.claim(run.pk, kept=kept), datetime.now(UTC), "timeout")
    monkeypatch.setattr(runs, "this_process", lambda: "elsewhere:pid:[1]:1")
    assert (runs.claim(run.pk) is None) == kept


# Probes


def test_a_probe_may_retry_and_then_slows_the_next_one(scripted, connect, granted, clock):
    outage(scripted, connect, granted, clock)
    MailAccount.objects.update(next_due=datetime.now(UTC))
    for failed_probes in (1, 2):
        clock.move_to(RemoteHost.objects.get().probe_at)
        [probe] = scheduler.start_due()
        for _ in range(4):
            again(probe)
            clock.shift(6)
        assert (probe.status, probe.error_type, probe.attempt) == ("failed", "connection_reset", 4)
        assert RemoteHost.objects.get().failed_probes == failed_probes


def test_a_probe_that_yields_goes_on_and_closes_the_breaker(
    scripted, scripted_account, granted, clock, monkeypatch
):
    monkeypatch.setattr("mail.fetch.BATCH_MAILS", 1)
    monkeypatch.setattr("pipeline.work.SLICE_SECONDS", 0)
    for number in range(3):
        scripted.append("", "INBOX", mail(str(number)))
    now = datetime.now(UTC)
    account = granted(scripted_account)
    RemoteHost.objects.create(host_key=account.host_key, breaker_opened_at=now - HOUR, probe_at=now)
    MailAccount.objects.update(next_due=now)
    [probe] = scheduler.start_due()
    for _ in range(3):
        again(probe)
    assert (probe.status, probe.emails_fetched) == ("success", 3)
    assert RemoteHost.objects.get().breaker_opened_at is None


@pytest.mark.parametrize("before", ["a refused login", "an open breaker"])
def test_a_probe_that_finds_one_odd_folder_shows_that_the_account_works(
    before, scripted, scripted_account, granted, clock
):
    account = granted(scripted_account)
    refusal = say(b"TAG NO [AUTHENTICATIONFAILED] no")
    scripted.scripts = {"LOGIN": refusal} if before == "a refused login" else {"EXAMINE": drop}
    fail_runs(account, 1 if before == "a refused login" else 5, clock)
    scripted.create("", "Odd")
    scripted.scripts = {
        "EXAMINE": lambda session, tag, rest: (
            b"Odd" in rest and say(b"TAG NO [NOPERM] no")(session, tag, rest)
        )
    }
    clock.move_to(vitals.vitals_of(account).probe_at)
    [probe] = scheduler.start_due()
    assert again(probe).error_type == "mailbox_gone"
    MailAccount.objects.update(next_due=datetime.now(UTC) + HOUR)  # its own place may be within the minute
    clock.shift(MINUTE)
    assert scheduler.start_due() == []
    report = broker.get_account_health(account.user)[0]
    assert (report.status, report.reason) == ("degraded", "mailbox_gone")


def test_a_probe_that_a_person_stops_does_not_come_back_each_minute(failing, clock):
    fail_runs(failing, 5, clock)
    clock.move_to(vitals.vitals_of(failing).probe_at)
    [probe] = scheduler.start_due()
    runs.claim(probe.pk)
    broker.cancel_job(PipelineJob.objects.get(runs=probe).pk)
    runs.release_own(probe.pk)
    runs.ask_to_stop(probe.pk)
    probe.refresh_from_db()
    assert probe.status == "cancelled"
    MailAccount.objects.update(next_due=datetime.now(UTC) + HOUR)
    clock.shift(MINUTE)
    assert scheduler.start_due() == []


def test_a_failure_after_login_shows_that_the_server_is_up(scripted, connect, granted, clock):
    outage(scripted, connect, granted, clock)
    scripted.scripts = {"EXAMINE": drop}
    clock.move_to(RemoteHost.objects.get().probe_at)
    MailAccount.objects.update(next_due=datetime.now(UTC))
    [probe] = scheduler.start_due()
    for _ in range(4):
        again(probe)
        clock.shift(6)
    assert probe.status == "failed"
    assert RemoteHost.objects.get().breaker_opened_at is None


def test_our_own_database_trouble_is_not_the_servers(scripted_account, granted, clock, monkeypatch):
    def broken(*args):
        raise OperationalError("database is locked")

    monkeypatch.setattr("accounts.grants.open_account_key", broken)
    assert fail_runs(granted(scripted_account), 1, clock).error_type == "unknown"
    assert not RemoteHost.objects.get().failures


def test_a_hint_that_is_longer_than_the_breakers_wait_is_kept(scripted, scripted_account, granted, clock):
    scripted.scripts["EXAMINE"] = say(
        b"TAG NO Request is throttled. Suggested Backoff Time: 7200000 milliseconds"
    )
    fail_runs(granted(scripted_account), 5, clock, gap=timedelta(0))
    probe_at = vitals.vitals_of(scripted_account).probe_at
    assert probe_at - datetime.now(UTC) > 119 * MINUTE


def test_a_refusal_of_replaced_credentials_is_not_held_against_the_new_ones(
    anna, mailbox, connect, granted, clock, monkeypatch
):
    account = granted(connect(mailbox, secret="something else"))
    attempt(account)
    clock.shift(11 * MINUTE)
    fail = runs.fail

    def replaced_meanwhile(*args, **facts):
        details = actions.connection_of(account, actions.account_key(account, anna.user_key))
        right = replace(details, secret=mailbox.password)
        filters = actions.Filters()
        actions.replace_connection(account, anna.user_key, account.port, account.security, right, filters)
        clock.shift(1)
        return fail(*args, **facts)

    monkeypatch.setattr(runs, "fail", replaced_meanwhile)
    [probe] = scheduler.start_due()
    assert again(probe).status == "failed"
    assert broker.get_account_health(anna.user)[0].status == "new"
    [run] = scheduler.start_due()
    assert again(run).status == "success"


# A run's own time


def test_a_run_whose_time_passed_while_it_waited_is_nobodys_failure(connect, dovecot, granted, clock):
    for number in range(5):
        account = granted(connect(Mailbox(dovecot), name=f"box {number}"))
        run = AccountRun.objects.get(jobs=broker.enqueue_fetch_job(account.user, account))
        claim = runs.claim(run.pk)
        runs.begin(claim)
        runs.release(claim)  # SIGTERM
    clock.shift(150)
    for run in AccountRun.objects.all():
        assert again(run).error_type == "timeout"
    assert not RemoteHost.objects.get().failures
    assert gate.of_account(account).failures == ()


def test_a_run_that_stored_mail_before_its_time_passed_in_line_is_a_success(
    scripted, scripted_account, granted, clock, monkeypatch
):
    monkeypatch.setattr("mail.fetch.BATCH_MAILS", 1)
    monkeypatch.setattr("pipeline.work.SLICE_SECONDS", 0)
    for number in range(3):
        scripted.append("", "INBOX", mail(str(number)))
    run = attempt(granted(scripted_account), timeout_seconds=300)
    clock.shift(301)
    again(run)
    assert (run.status, run.emails_fetched) == ("success", 1)


def test_try_now_gives_a_run_that_began_long_ago_its_time_anew(scripted, scripted_account, granted, clock):
    account = granted(scripted_account)
    run = AccountRun.objects.get(jobs=broker.enqueue_fetch_job(account.user, account))
    claim = runs.claim(run.pk)
    runs.begin(claim)
    runs.release(claim)
    clock.shift(HOUR)
    joined = attempt(account)
    assert (joined.pk, joined.status) == (run.pk, "success")


def test_a_run_that_is_too_short_for_its_mailbox_opens_no_breaker(scripted, scripted_account, granted, clock):
    scripted.scripts["LIST"] = hang
    for _ in range(5):
        assert attempt(granted(scripted_account), timeout_seconds=1).error_type == "timeout"
        clock.shift(MINUTE)
    assert gate.of_account(scripted_account).opened_at is None
