"""The tick: what it starts, frees and rings, and that doubled, late or missing ticks do no harm."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections

from accounts import actions, grants
from accounts.models import GrantPurpose, KeyGrant, MailAccount
from pipeline import runs, scheduler, tasks
from pipeline.broker import PipelineBroker
from pipeline.models import AccountRun, Heartbeat, PipelineJob
from tests.conftest import Mailbox
from tests.pipeline.conftest import NOON
from tests.pipeline.test_sync import mail

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rings")]
broker = PipelineBroker()
MINUTE = timedelta(minutes=1)


@pytest.fixture
def due(anna, account):
    """An account in background sync whose time has come."""
    key = actions.account_key(account, anna.user_key)
    grants.grant(account, key, GrantPurpose.BACKGROUND)
    MailAccount.objects.update(next_due=datetime.now(UTC) - MINUTE)
    account.refresh_from_db()
    return account


def test_the_tick_syncs_an_account_that_is_due(clock, mailbox, due, rings):
    mailbox.append(mail("one"))
    tasks.beat()
    run = AccountRun.objects.get()
    assert rings == [str(run.pk)]
    assert (run.max_mails, run.timeout_seconds, run.priority, run.try_now) == (None, None, 0, False)
    tasks.run.call_local(rings[0])
    job = PipelineJob.objects.get()
    assert (job.trigger, job.status, job.emails_fetched) == ("schedule", "success", 1)


def test_an_account_is_due_again_after_its_interval_and_once_for_all_missed_times(clock, due):
    tasks.beat()
    AccountRun.objects.get()
    due.refresh_from_db()
    assert NOON < due.next_due <= NOON + 15 * MINUTE
    runs.claim(AccountRun.objects.get().pk)
    tasks.beat()
    assert PipelineJob.objects.count() == 1
    AccountRun.objects.all().delete()
    clock.shift(timedelta(days=3))
    tasks.beat()
    tasks.beat()
    assert PipelineJob.objects.filter(runs__isnull=False).count() == 1


def test_fixed_times_are_kept_in_the_persons_time_zone(clock, anna, due):
    type(anna.user).objects.update(time_zone="Europe/Berlin")
    MailAccount.objects.update(fixed_times=["09:00"])
    tasks.beat()
    due.refresh_from_db()
    assert due.next_due == datetime(2026, 3, 2, 8, tzinfo=UTC)


def test_a_new_account_is_synced_at_the_next_tick(clock, due, rings):
    MailAccount.objects.update(next_due=None)
    tasks.beat()
    assert rings == [str(AccountRun.objects.get().pk)]


def test_an_account_whose_schedule_was_changed_is_given_its_place_in_line(clock, due, rings, sync):
    sync(due)
    rings.clear()
    MailAccount.objects.update(next_due=None)
    tasks.beat()
    due.refresh_from_db()
    assert NOON < due.next_due <= NOON + 15 * MINUTE
    assert rings == []


@pytest.mark.parametrize(
    "hindrance",
    [
        lambda: MailAccount.objects.update(enabled=False),
        lambda: KeyGrant.objects.update(expires_at=NOON - MINUTE),
        lambda: grants.revoke(KeyGrant.objects.all()),
        lambda: MailAccount.objects.update(next_due=NOON + MINUTE),
    ],
    ids=["paused", "expired grant", "revoked grant", "not yet due"],
)
def test_the_tick_makes_no_run_for(hindrance, clock, due):
    hindrance()
    tasks.beat()
    assert not PipelineJob.objects.exists()


def test_a_run_that_goes_on_is_not_asked_for_again(clock, due):
    runs.claim(AccountRun.objects.get(jobs=broker.enqueue_fetch_job(due.user, due)).pk)
    tasks.beat()
    assert PipelineJob.objects.count() == 1


def test_the_tick_records_its_heartbeat(db, clock):
    tasks.beat()
    clock.shift(60)
    tasks.beat()
    assert Heartbeat.objects.get(name=Heartbeat.TICK).at >= NOON + MINUTE


def test_the_tick_rings_again_for_what_nobody_answered(clock, due, rings):
    tasks.beat()
    rings.clear()
    clock.shift(MINUTE)
    tasks.beat()
    assert rings == [str(AccountRun.objects.get().pk)]


def test_a_lapsed_run_goes_on_at_the_next_tick(clock, mailbox, due, rings):
    mailbox.append(mail("one"))
    tasks.beat()
    runs.claim(AccountRun.objects.get().pk)
    clock.shift(61)
    rings.clear()
    tasks.beat()
    for run_id in set(rings):
        tasks.run.call_local(run_id)
    assert AccountRun.objects.get().status == "success"


@pytest.mark.django_db(transaction=True)
def test_ticks_at_the_same_moment_start_one_run(due):
    start = threading.Barrier(6)

    def beat():
        start.wait()
        scheduler.start_due()
        connections.close_all()

    threads = [threading.Thread(target=beat) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert AccountRun.objects.count() == PipelineJob.objects.count() == 1


def test_a_thousand_accounts_do_not_start_together(clock, anna, due):
    key = actions.account_key(due, anna.user_key)
    template = MailAccount.objects.get()
    many = [
        MailAccount(**{**_fields(template), "label": f"box {number}", "next_due": None})
        for number in range(200)
    ]
    MailAccount.objects.bulk_create(many)
    for account in many:
        grants.grant(account, key, GrantPurpose.BACKGROUND)
    AccountRun.objects.all().delete()
    MailAccount.objects.filter(pk=due.pk).delete()
    started = []
    for _ in range(16):
        started.append(len(scheduler.start_due()))
        clock.shift(60)
    assert sum(started) == 200
    assert max(started) < 40


def _fields(account):
    skipped = ("id", "label", "next_due")
    return {f.attname: getattr(account, f.attname) for f in account._meta.fields if f.name not in skipped}


@pytest.mark.django_db(transaction=True)
def test_a_tick_over_many_accounts_goes_on_while_others_write(due, monkeypatch):
    MailAccount.objects.update(next_due=None)
    template = MailAccount.objects.get()
    many = [MailAccount(**{**_fields(template), "label": f"box {number}"}) for number in range(520)]
    MailAccount.objects.bulk_create(many)
    grant = {"worker_key": KeyGrant.objects.get().worker_key, "expires_at": datetime(2100, 1, 1, tzinfo=UTC)}
    KeyGrant.objects.bulk_create(
        KeyGrant(account=account, purpose=GrantPurpose.BACKGROUND, sealed_key=b"x", **grant)
        for account in many
    )
    start, others = scheduler._start_if_due, []

    def another_writes_first(*args):
        if not others:
            others.append(threading.Thread(target=_write))
            others[0].start()
            others[0].join()
        return start(*args)

    monkeypatch.setattr(scheduler, "_start_if_due", another_writes_first)
    scheduler.start_due()
    assert not MailAccount.objects.filter(next_due=None).exists()


def _write():
    Heartbeat.objects.update_or_create(name="another", defaults={"at": datetime.now(UTC)})
    connections.close_all()


def test_an_account_that_cannot_be_scheduled_does_not_stop_the_others(
    clock, anna, due, connect, dovecot, granted
):
    odd = granted(connect(Mailbox(dovecot), name="odd"))
    MailAccount.objects.filter(pk=odd.pk).update(
        next_due=datetime.now(UTC) - timedelta(days=1), fixed_times=["noon"]
    )
    assert [run.account for run in scheduler.start_due()] == [due]


# Rings that are lost


def test_rings_survive_a_queue_that_is_down(clock, due, monkeypatch, rings):
    def broken(task):
        raise ConnectionError("redis is away")

    with monkeypatch.context() as patch:
        patch.setattr(tasks, "enqueue", broken)
        tasks.beat()
    clock.shift(MINUTE)
    tasks.beat()
    assert rings == [str(AccountRun.objects.get().pk)]


def test_a_free_thread_rings_for_those_who_wait(clock, anna, due, connect, dovecot, rings):
    other = connect(Mailbox(dovecot), name="Verein")
    key = actions.account_key(other, anna.user_key)
    waiting = broker.enqueue_fetch_job(anna.user, other, keys={other.pk: key})
    first = broker.enqueue_fetch_job(anna.user, due)
    rings.clear()
    tasks.run.call_local(str(AccountRun.objects.get(jobs=first).pk))
    assert rings == [str(AccountRun.objects.get(jobs=waiting).pk)]


def test_threads_are_kept_for_people(clock, due, monkeypatch, rings):
    monkeypatch.setattr(tasks, "_threads", lambda: 4)
    tasks.beat()
    run = AccountRun.objects.get()
    with tasks.seats.taken(kept=2), tasks.seats.taken(kept=2):
        tasks.run.call_local(str(run.pk))
        run.refresh_from_db()
        assert run.status == "pending"
        broker.enqueue_fetch_job(due.user, due)  # a person joins
        tasks.run.call_local(str(run.pk))
    run.refresh_from_db()
    assert run.status == "success"


def test_long_runs_of_people_leave_a_thread_to_short_ones_and_the_tick(clock, due, monkeypatch):
    monkeypatch.setattr(tasks, "_threads", lambda: 2)
    long = AccountRun.objects.get(jobs=broker.enqueue_fetch_job(due.user, due, timeout_seconds=None))
    with tasks.seats.taken(kept=1):
        tasks.run.call_local(str(long.pk))
        long.refresh_from_db()
        assert long.status == "pending"
        AccountRun.objects.update(timeout_seconds=60)
        tasks.run.call_local(str(long.pk))
    long.refresh_from_db()
    assert long.status == "success"
