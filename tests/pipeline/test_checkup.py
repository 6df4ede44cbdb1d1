"""The health of accounts as time goes by: what runs, the tick and people do to it."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import actions, grants, rotation
from accounts.models import KeyGrant, MailAccount
from diagnostics.models import AccountHealth, HealthFlip
from mail.models import LedgerEntry
from pipeline import checkup, runs, tasks
from pipeline.broker import PipelineBroker
from pipeline.models import AccountRun, Heartbeat
from tests.conftest import Mailbox
from tests.pipeline.conftest import attempt
from tests.servers.dovecot import Dovecot

pytestmark = pytest.mark.django_db
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
broker = PipelineBroker()


@pytest.fixture(autouse=True)
def day(clock):
    """Nothing is older than the day that the clock shows."""


def report_of(account):
    [report] = [one for one in broker.get_account_health(account.user) if one.account_id == account.pk]
    return report


def flips_of(account) -> list[tuple[str, str, str]]:
    rows = HealthFlip.objects.filter(account=account).order_by("at")
    return list(rows.values_list("before", "after", "reason"))


def live(clock, minutes: int) -> None:
    """Each minute a tick, and workers that do what it rings for."""
    for _ in range(minutes):
        clock.shift(MINUTE)
        tasks.beat()
        for run in AccountRun.objects.filter(status="pending"):
            while run.status == "pending":
                clock.shift(max(0, (run.run_after - timezone.now()).total_seconds()))
                tasks.run.call_local(str(run.pk))
                run.refresh_from_db()


@pytest.fixture
def own_dovecot(tmp_path, authority):
    with Dovecot(tmp_path, authority) as server:
        yield server


def test_a_server_that_stops_degrades_an_account_then_breaks_it_and_one_that_is_back_heals_it(
    own_dovecot, connect, granted, clock, rings
):
    account = granted(connect(Mailbox(own_dovecot), security="none"))
    actions.set_schedule(account, 15, ())
    live(clock, 16)
    assert report_of(account).status == "healthy"
    own_dovecot.stop()
    live(clock, 60)
    assert report_of(account).status == "broken"
    own_dovecot.start()
    live(clock, 60)
    assert report_of(account).status == "healthy"
    assert flips_of(account) == [
        ("new", "healthy", ""),
        ("healthy", "degraded", "connection_refused"),
        ("degraded", "broken", "no_success"),
        ("broken", "degraded", "recovering"),
        ("degraded", "healthy", ""),
    ]


def test_a_change_is_written_down_once_with_its_figures_and_its_run(account, granted, sync, clock):
    granted(account)
    run = sync(account)
    [flip] = HealthFlip.objects.all()
    assert flip.run_id == run.run_id
    assert flip.facts["failures"] == 0 and flip.facts["attempts"] == 1
    checkup.look_at_all(timezone.now())
    sync(account)
    assert HealthFlip.objects.count() == 1


def test_of_two_ticks_that_see_the_same_one_writes_it_down(account, granted, sync, clock):
    granted(account)
    sync(account)
    Heartbeat.objects.create(name=Heartbeat.TICK, at=timezone.now() + timedelta(hours=2))
    row = AccountHealth.objects.get()
    clock.shift(timedelta(hours=2))
    found = checkup.assess(checkup.facts_of([account], timezone.now())[account.pk], timezone.now())
    flips = [checkup.vitals.put_down(row, found, timezone.now(), {}) for _ in range(2)]
    assert flips[0] and flips[1] is None


def test_an_account_without_background_sync_is_manual_and_says_so(account, sync, clock):
    sync(account)
    clock.shift(30 * DAY)
    report = report_of(account)
    assert (report.status, report.reason, report.next_attempt) == ("manual", "no_background", None)
    assert "Background sync is off" in report.sentence


def test_a_lapsed_grant_is_broken_and_one_taken_back_by_hand_is_manual(account, granted, sync, clock):
    granted(account)
    sync(account)
    clock.shift(90 * DAY + MINUTE)
    tasks.beat()
    report = report_of(account)
    assert (report.status, report.reason) == ("broken", "no_key")
    assert "has run out" in report.sentence
    assert not AccountRun.objects.filter(status="pending").exists()
    granted(account)
    grants.revoke(KeyGrant.objects.all())
    assert report_of(account).reason == "no_background"


def test_a_lost_worker_key_lapses_the_grants_that_were_sealed_to_it(account, granted, sync, settings):
    granted(account)
    sync(account)
    settings.MAILHELPER_WORKER_KEY_FILE.unlink()
    rotation.rotate_worker_key()
    assert (report_of(account).status, report_of(account).reason) == ("broken", "no_key")


def test_a_grant_given_anew_heals_after_two_good_syncs(account, granted, sync, clock):
    granted(account)
    sync(account)
    clock.shift(91 * DAY)
    tasks.beat()
    granted(account)
    assert report_of(account).reason == "recovering"
    sync(account)
    clock.shift(MINUTE)
    sync(account)
    assert report_of(account).status == "healthy"


def test_a_pause_is_no_trouble_and_its_end_no_alarm(account, granted, sync, clock):
    granted(account)
    sync(account)
    actions.set_enabled(account, False)
    clock.shift(3 * DAY)
    Heartbeat.objects.create(name=Heartbeat.TICK, at=timezone.now(), since=timezone.now() - 9 * DAY)
    assert report_of(account).reason == "paused"
    actions.set_enabled(account, True)
    assert report_of(account).status == "healthy"


def test_a_machine_that_was_off_blames_no_account(account, granted, sync, clock):
    granted(account)
    sync(account)
    tasks.beat()
    clock.shift(10 * DAY)
    tasks.beat()
    assert report_of(account).status == "healthy"
    clock.shift(60)
    for _ in range(60):
        clock.shift(MINUTE)
        tasks.beat()
    assert report_of(account).status == "broken"


def test_a_first_import_that_goes_on_is_not_taken_for_dead(mailbox, account, granted, clock):
    granted(account)
    tasks.beat()
    run = AccountRun.objects.get()
    runs.claim(run.pk)
    AccountRun.objects.update(phase="fetch", emails_fetched=200)
    for _ in range(60):
        clock.shift(MINUTE)
        AccountRun.objects.update(lease_until=timezone.now() + MINUTE)
        tasks.beat()
    assert report_of(account).status == "new"


def test_a_run_that_nobody_takes_up_is_overdue(account, granted, sync, clock):
    granted(account)
    sync(account)
    actions.set_schedule(account, 15, ())
    for _ in range(33):
        clock.shift(MINUTE)
        tasks.beat()
    assert (report_of(account).status, report_of(account).reason) == ("degraded", "overdue")


def test_quarantined_mails_that_stay_for_a_day_are_told(mailbox, account, granted, sync, clock):
    granted(account)
    mailbox.append(b"Subject: one\r\n\r\nbody")
    sync(account)
    LedgerEntry.objects.update(state="quarantined")
    actions.set_schedule(account, 60, ())
    sync(account)
    for _ in range(26):
        clock.shift(timedelta(hours=1))
        sync(account)
    report = report_of(account)
    assert (report.status, report.reason) == ("degraded", "quarantined")
    LedgerEntry.objects.update(state="pending", attempts=0)
    sync(account)
    assert AccountHealth.objects.get().backlog_since is None


def test_signing_in_extends_background_grants(client, anna, account, granted, clock):
    granted(account)
    clock.shift(80 * DAY)
    client.post("/sign-in/", {"email": anna.user.email, "password": anna.password})
    assert abs(KeyGrant.objects.get().expires_at - timezone.now() - 90 * DAY) < MINUTE


def test_one_persons_sign_in_extends_nobody_elses_grants(client, bert, account, granted, clock):
    granted(account)
    before = KeyGrant.objects.get().expires_at
    clock.shift(80 * DAY)
    client.post("/sign-in/", {"email": bert.user.email, "password": bert.password})
    assert KeyGrant.objects.get().expires_at == before


def test_the_health_of_many_accounts_costs_as_many_queries_as_of_one(anna, mailbox, connect, granted):
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            broker.get_account_health(anna.user)
        return len(captured)

    attempt(granted(connect(mailbox)))
    one = queries()
    for number in range(5):
        attempt(granted(connect(mailbox, name=f"box {number}")))
    assert queries() == one
    assert MailAccount.objects.count() == 6


def test_taking_stock_for_an_hour_and_linking_are_no_silence(account, granted, clock):
    granted(account)
    tasks.beat()
    run = AccountRun.objects.get()
    runs.claim(run.pk)
    AccountRun.objects.update(phase="folder_list")
    live_lease(clock, 60)
    assert report_of(account).status == "new"


def live_lease(clock, minutes: int) -> None:
    for _ in range(minutes):
        clock.shift(MINUTE)
        AccountRun.objects.update(lease_until=timezone.now() + MINUTE)
        tasks.beat()


def test_a_run_that_does_not_get_in_is_silence(account, granted, clock):
    granted(account)
    tasks.beat()
    runs.claim(AccountRun.objects.get().pk)
    AccountRun.objects.update(phase="connect")
    live_lease(clock, 60)
    assert report_of(account).reason == "no_success"


def test_a_budget_that_ended_at_midnight_raises_no_alarm(account, granted, sync, clock):
    granted(account)
    sync(account)
    actions.set_daily_budget(account, 1)
    MailAccount.objects.update(bytes_today=2_000_000, bytes_day=timezone.now().date())
    for _ in range(12 * 60 + 5):
        clock.shift(MINUTE)
        tasks.heartbeats.beat("tick")
        if timezone.now().minute % 15 == 0:
            account.refresh_from_db()
            sync(account)
    tasks.beat()
    assert "broken" not in {flip[1] for flip in flips_of(account)}


def test_a_dead_scheduler_is_not_taken_for_a_dead_account(account, granted, sync, clock):
    granted(account)
    sync(account)
    tasks.beat()
    clock.shift(timedelta(hours=10))
    assert report_of(account).reason == "overdue"


def test_new_settings_begin_a_new_life_that_is_written_down_once(anna, account, granted, sync, clock):
    granted(account)
    sync(account)
    clock.shift(DAY)
    key = actions.account_key(account, anna.user_key)
    actions.replace_connection(
        account,
        anna.user_key,
        account.port,
        account.security,
        actions.connection_of(account, key),
        actions.Filters(),
    )
    changed_at = account.connection_changed_at
    assert (report_of(account).status, report_of(account).since) == ("new", changed_at)
    clock.shift(MINUTE)
    sync(account)
    clock.shift(MINUTE)
    assert checkup.look_at_all(timezone.now()) == []
    assert flips_of(account)[1:] == [("healthy", "new", "settings_changed"), ("new", "healthy", "")]
    assert report_of(account).since == AccountHealth.objects.get().since > changed_at


def test_an_account_that_vanishes_does_not_keep_the_tick_from_the_others(
    account, connect, mailbox, granted, sync, clock, monkeypatch
):
    other = connect(mailbox, name="other")
    for one in (account, other):
        sync(granted(one))
    Heartbeat.objects.create(name=Heartbeat.TICK, at=timezone.now() + 2 * DAY)
    clock.shift(DAY)
    locked = checkup.vitals.locked

    def gone(one):
        if one.pk == min(account.pk, other.pk):
            raise AccountHealth.DoesNotExist
        return locked(one)

    monkeypatch.setattr(checkup.vitals, "locked", gone)
    assert [flip.after for flip in checkup.look_at_all(timezone.now())] == ["broken"]


def test_a_time_zone_that_the_machine_has_forgotten_stops_nobody(anna, account, granted, clock):
    type(anna.user).objects.update(time_zone="Mars/Olympus")
    granted(account)
    tasks.beat()
    assert AccountRun.objects.filter(account=account).exists()


def test_a_lapsed_grant_that_nobody_wants_back_is_manual(client, anna, account, granted, sync, clock):
    granted(account)
    sync(account)
    clock.shift(91 * DAY)
    tasks.beat()
    assert report_of(account).reason == "no_key"
    client.post("/sign-in/", {"email": anna.user.email, "password": anna.password})
    page = client.get(f"/accounts/{account.pk}/").text
    assert "Leave it off" in page
    client.post(f"/accounts/{account.pk}/background/stop/")
    assert report_of(account).reason == "no_background"


def test_one_folder_that_is_not_numbered_breaks_no_account(scripted, scripted_account, granted, clock):
    account = granted(scripted_account)
    scripted.create("", "Odd")

    def unnumbered(session, tag, rest):
        if b"Odd" not in rest:
            return False
        session.say(b"* 0 EXISTS", tag + b" OK [READ-ONLY] done")
        return True

    scripted.scripts["EXAMINE"] = unnumbered
    for _ in range(6):
        run = attempt(account)
        while run.status == "pending":
            clock.shift(10)
            tasks.run.call_local(str(run.pk))
            run.refresh_from_db()
        assert run.error_type == "protocol_error"
        clock.shift(MINUTE)
    report = report_of(account)
    assert (report.status, report.reason) == ("degraded", "protocol_error")


def test_a_fetch_without_a_key_does_not_hide_why_an_account_is_broken(connect, mailbox, granted, sync, clock):
    account = granted(connect(mailbox, secret="something else"))
    sync(account)
    clock.shift(11 * MINUTE)
    sync(account)
    grants.revoke(KeyGrant.objects.all())
    attempt(account)
    assert report_of(account).reason == "invalid_credentials"
