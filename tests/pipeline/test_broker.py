"""Asking, joining, claiming and ending."""

import errno
import threading
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone

from accounts import actions, grants
from accounts.models import GrantPurpose, KeyGrant
from mail.queries import account_figures
from pipeline import gate, identity, intake, jobs, runs, tasks
from pipeline.broker import PipelineBroker
from pipeline.models import AccountRun, JobEvent, PipelineJob
from tests.conftest import Mailbox
from tests.pipeline.test_sync import mail

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rings")]
broker = PipelineBroker()


@pytest.fixture
def keys(anna, account):
    return {account.pk: actions.account_key(account, anna.user_key)}


def run_of(job_id):
    return AccountRun.objects.get(jobs=job_id)


def test_a_job_without_accounts_fails_and_says_so(bert):
    report = broker.get_job_status(broker.enqueue_fetch_job(bert.user))
    assert (report.status, report.runs, report.ended) == ("failed", (), True)
    assert PipelineJob.objects.get().error_types == {"no_accounts": 1}


def test_the_ring_comes_after_the_commit(anna, account, rings, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks() as callbacks:
        job_id = broker.enqueue_fetch_job(anna.user, account)
        assert rings == []
    for callback in callbacks:
        callback()
    assert rings == [str(run_of(job_id).pk)]


def test_a_worker_syncs_with_the_jobs_grant_which_ends_with_the_run(anna, mailbox, account, keys):
    mailbox.append(mail("one"))
    job_id = broker.enqueue_fetch_job(anna.user, account, keys=keys)
    run = run_of(job_id)
    assert run.grant.purpose == GrantPurpose.JOB and grants.valid_grants().count() == 1
    broker.execute_fetch_job(run.pk)
    assert broker.get_job_status(job_id).status == "success"
    assert account_figures(account).stored == 1
    grant = KeyGrant.objects.get()
    assert grant.revoked_at and grant.sealed_key == b""


def test_without_a_key_the_run_is_skipped_and_says_what_to_do(anna, account):
    job_id = broker.enqueue_fetch_job(anna.user, account)
    broker.execute_fetch_job(run_of(job_id).pk)
    report = broker.get_job_status(job_id)
    [run] = report.runs
    assert (report.status, run.status, run.error_type) == ("failed", "skipped", "no_key")
    assert "grants" in run.next_step


def test_asking_twice_joins_the_same_run_and_widens_its_limits(anna, account):
    first = broker.enqueue_fetch_job(anna.user, account, max_mails=10, timeout_seconds=300)
    second = broker.enqueue_fetch_job(anna.user, max_mails=50, timeout_seconds=60)
    run = AccountRun.objects.get()
    assert (run.max_mails, run.timeout_seconds) == (50, 300)
    broker.enqueue_fetch_job(anna.user, account, max_mails=None)
    run.refresh_from_db()
    assert run.max_mails is None
    broker.execute_fetch_job(run.pk)
    assert {broker.get_job_status(job).ended for job in (first, second)} == {True}


def test_a_limit_out_of_range_is_refused(anna, account):
    for limits in ({"max_mails": -1}, {"timeout_seconds": 0}):
        with pytest.raises(ValueError):
            broker.enqueue_fetch_job(anna.user, account, **limits)
    assert not PipelineJob.objects.exists()


def test_nobody_fetches_another_persons_account(bert, account):
    with pytest.raises(ValueError):
        broker.enqueue_fetch_job(bert.user, account)
    assert not PipelineJob.objects.exists()


def test_a_run_is_claimed_once(anna, account):
    run = run_of(broker.enqueue_fetch_job(anna.user, account))
    first = runs.claim(run.pk)
    assert first.fence == 1 and runs.claim(run.pk) is None


def test_a_lapsed_run_is_freed_and_its_zombie_may_not_write(anna, mailbox, account, keys):
    mailbox.append(mail("one"))
    run = run_of(broker.enqueue_fetch_job(anna.user, account, keys=keys))
    zombie = runs.claim(run.pk)
    runs.free_lapsed()
    runs.hold(zombie)
    AccountRun.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    runs.free_lapsed()
    with pytest.raises(runs.LeaseLost):
        runs.hold(zombie)
    broker.execute_fetch_job(run.pk)
    with pytest.raises(runs.LeaseLost):
        runs.fail(zombie, "bug", None)
    run.refresh_from_db()
    assert (run.status, run.fence, run.attempt) == ("success", 2, 2)
    arrows = JobEvent.objects.filter(run=run).order_by("id").values_list("arrow", flat=True)
    assert list(arrows) == ["created", "claimed", "lapsed", "claimed", "succeeded"]


def test_a_zombie_that_wakes_in_the_middle_stores_nothing(anna, mailbox, account, keys, monkeypatch):
    mailbox.append(mail("one"))
    run = run_of(broker.enqueue_fetch_job(anna.user, account, keys=keys))
    parse = intake.parse_message

    def slept_through_the_lease(raw):
        AccountRun.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        runs.free_lapsed()
        runs.claim(run.pk)
        return parse(raw)

    monkeypatch.setattr(intake, "parse_message", slept_through_the_lease)
    broker.execute_fetch_job(run.pk)
    run.refresh_from_db()
    assert (run.status, run.fence) == ("running", 2)
    assert account_figures(account).stored == 0


def test_every_enqueue_frees_lapsed_runs_and_rings_for_the_forgotten(anna, account, connect, dovecot, rings):
    run = run_of(broker.enqueue_fetch_job(anna.user, account))
    other = connect(Mailbox(dovecot), name="Verein")
    forgotten = run_of(broker.enqueue_fetch_job(anna.user, other))
    runs.claim(run.pk)
    AccountRun.objects.filter(pk=run.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    AccountRun.objects.filter(pk=forgotten.pk).update(run_after=timezone.now() - timedelta(seconds=10))
    rings.clear()
    broker.enqueue_fetch_job(anna.user, other)
    assert {str(run.pk), str(forgotten.pk)} <= set(rings)


def test_a_released_run_is_free_at_once(anna, account):
    run = run_of(broker.enqueue_fetch_job(anna.user, account))
    runs.release(runs.claim(run.pk))
    assert runs.claim(run.pk).fence == 2


def test_a_job_ends_as_its_runs_did():
    success, failed = ("success", ""), ("failed", "timeout")
    no_key, paused = ("skipped", "no_key"), ("skipped", "paused")
    assert jobs.job_end([success, success]) == "success"
    assert jobs.job_end([success, failed]) == "partial_failure"
    assert jobs.job_end([success, no_key]) == "partial_failure"
    assert jobs.job_end([failed, no_key]) == "failed"
    assert jobs.job_end([success, paused]) == jobs.job_end([paused]) == "success"
    assert jobs.job_end([failed, paused]) == jobs.job_end([]) == "failed"


def test_health_and_performance_count_failures_too(anna, mailbox, account, sync):
    assert broker.get_performance_metrics(anna.user).success_rate is None
    sync(account)
    mailbox.server.set_password(mailbox.login, "another one")
    sync(account)
    [health] = broker.get_account_health(anna.user)
    assert (health.last_run.status, health.last_error_type) == ("failed", "invalid_credentials")
    assert health.last_success_at is not None
    metrics = broker.get_performance_metrics(anna.user)
    assert (metrics.attempts, metrics.success_rate) == (2, 0.5)
    assert metrics.phases["connect"].p95 >= metrics.phases["connect"].p50 > 0


def test_swapped_credentials_end_the_run_and_change_nothing(anna, mailbox, account, connect, dovecot, sync):
    other = connect(Mailbox(dovecot), name="Verein")
    account.sealed_connection, other.sealed_connection = other.sealed_connection, account.sealed_connection
    account.save()
    run = sync(account)
    assert (run.error_type, run.status) == ("no_key", "skipped")
    assert "does not open" in run.error


@pytest.mark.django_db(transaction=True)
def test_twenty_people_at_the_button_make_one_run(anna, account):
    start = threading.Barrier(20)
    jobs = []

    def press():
        start.wait()
        jobs.append(broker.enqueue_fetch_job(anna.user, account))
        connections.close_all()

    threads = [threading.Thread(target=press) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(jobs)) == 20
    assert AccountRun.objects.count() == 1
    assert AccountRun.objects.get().jobs.count() == 20


def test_a_queue_that_is_down_loses_no_job(anna, account, monkeypatch):
    def broken(task):
        raise ConnectionError("redis is away")

    monkeypatch.setattr(tasks, "enqueue", broken)
    run = run_of(broker.enqueue_fetch_job(anna.user, account))
    AccountRun.objects.filter(pk=run.pk).update(run_after=timezone.now() - timedelta(seconds=10))
    second = broker.enqueue_fetch_job(anna.user, account)
    assert run_of(second) == run


def test_a_run_that_cannot_be_ended_puts_no_words_into_the_log(
    anna, mailbox, account, keys, monkeypatch, caplog
):
    import logging

    from django.db import OperationalError

    def locked(*args, **kwargs):
        raise OperationalError("database is locked")

    mailbox.server.set_password(mailbox.login, "another one")
    run = run_of(broker.enqueue_fetch_job(anna.user, account, keys=keys))
    monkeypatch.setattr(runs, "fail", locked)
    with pytest.raises(OperationalError) as raised:
        broker.execute_fetch_job(run.pk)
    logging.getLogger("huey").error("as huey does", exc_info=raised.value)
    assert "database is locked" in caplog.text
    assert "Authentication" not in caplog.text and mailbox.login not in caplog.text


def test_a_run_taken_over_counts_what_was_stored_before(anna, mailbox, account, keys, monkeypatch):
    monkeypatch.setattr("mail.fetch.BATCH_MAILS", 2)
    for number in range(4):
        mailbox.append(mail("x" * number))  # of different sizes, so that none may be another's copy
    job_id = broker.enqueue_fetch_job(anna.user, account, keys=keys)
    run = run_of(job_id)
    from mail import store

    real, batches = store.store_batch, []

    def killed_after_the_first(*args):
        if batches:
            AccountRun.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
            runs.free_lapsed()
        batches.append(args)
        return real(*args)

    monkeypatch.setattr(store, "store_batch", killed_after_the_first)
    broker.execute_fetch_job(run.pk)
    run.refresh_from_db()
    assert (run.status, run.emails_fetched) == ("pending", 2)
    assert run.phase_seconds["fetch"] > 0, "figures know how long these mails took"
    monkeypatch.setattr(store, "store_batch", real)
    broker.execute_fetch_job(run.pk)
    assert broker.get_job_status(job_id).emails_fetched == 4


def test_one_tampered_account_does_not_stop_the_others(anna, mailbox, account, connect, dovecot):
    other = connect(Mailbox(dovecot), name="Verein")
    other.sealed_account_key = account.sealed_account_key
    other.save()
    assert actions.account_keys([account, other], anna.user_key).keys() == {account.pk}


def test_waking_ends_grants_whose_time_is_over(account, keys):
    row = grants.grant(account, keys[account.pk], GrantPurpose.BACKGROUND)
    KeyGrant.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    tasks.wake()
    row.refresh_from_db()
    assert row.sealed_key == b""


def test_a_run_whose_process_has_died_on_this_machine_is_freed_at_once(anna, account):
    import subprocess

    run = run_of(broker.enqueue_fetch_job(anna.user, account))
    runs.claim(run.pk)
    dead = subprocess.Popen(["true"])
    dead.wait()
    for owner, status in (
        (identity.this_process(), "running"),
        (f"elsewhere:pid:[1]:{dead.pid}", "running"),
        (f"{identity._machine()}:{dead.pid}", "pending"),
    ):
        AccountRun.objects.update(owner=owner)
        runs.free_lapsed()
        assert AccountRun.objects.get().status == status


def test_removing_an_account_ends_the_jobs_that_waited_for_it(anna, account, keys):
    job_id = broker.enqueue_fetch_job(anna.user, account, keys=keys)
    run = run_of(job_id)
    claim = runs.claim(run.pk)
    broker.remove_account(account)
    assert broker.get_job_status(job_id).status == "failed"
    broker.execute_fetch_job(run.pk, claim)  # what a worker that had claimed it does: nothing


@pytest.mark.django_db(transaction=True)
def test_an_account_is_removed_while_its_run_ends(anna, mailbox, account, sync, monkeypatch):
    mailbox.append(mail("one"))
    sync(account)
    run = run_of(broker.enqueue_fetch_job(anna.user, account, max_mails=None))
    claim = runs.claim(run.pk)
    runs.begin(claim)
    note_success, errors = gate.note_success, []

    def remove():
        try:
            broker.remove_account(account)
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    remover = threading.Thread(target=remove)

    def removed_meanwhile(*args):
        remover.start()
        remover.join(0.5)  # it waits for our lock, and holds none that we need
        note_success(*args)

    monkeypatch.setattr(gate, "note_success", removed_meanwhile)
    runs.succeed(claim, (None, run.timeout_seconds, None))
    remover.join()
    assert errors == [] and not AccountRun.objects.exists()


def test_a_takeover_keeps_to_the_limit(anna, mailbox, account, keys):
    for number in range(4):
        mailbox.append(mail(str(number)))
    job_id = broker.enqueue_fetch_job(anna.user, account, max_mails=2, keys=keys)
    AccountRun.objects.update(emails_fetched=1)
    broker.execute_fetch_job(run_of(job_id).pk)
    assert account_figures(account).stored == 1


def test_a_process_of_another_user_counts_as_alive(monkeypatch):
    def not_yours(pid, number):
        raise PermissionError(errno.EPERM, "not permitted")

    monkeypatch.setattr(identity.os, "kill", not_yours)
    assert not identity.has_died(f"{identity._machine()}:4242")
