"""Rollups: each attempt and each run counted once, whatever becomes of it, and figures without a run read."""

import threading
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections, transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import MailAccount
from pipeline import jobs, rollups, runs, tasks
from pipeline.broker import PipelineBroker
from pipeline.figures import bucket, operations_of
from pipeline.models import AccountRun, JobEvent, JobType, PipelineJob, Rollup, Trigger
from tests.conftest import Mailbox
from tests.pipeline.conftest import NOON
from tests.pipeline.test_sync import mail

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rings")]
broker = PipelineBroker()
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SPENT = {"connect": 0.4, "folder_list": 0.0, "fetch": 4.0, "parse": 1.0, "save": 1.0}


class Story:
    """One run of an account, led along arrows of our choice."""

    def __init__(self, account):
        job = jobs.create(account.user, [account], trigger=Trigger.COMMAND)
        self.run = runs.join_or_create(job, account, runs.Asked(try_now=True))
        self.facts = {}

    def tell(self, arrow, error_type="timeout", **facts):
        """Claim it if it is not claimed, and take the arrow. `facts` are those of the whole run so far."""
        self.facts |= facts
        claim = runs.claim(self.run.pk)
        runs.begin(claim)
        getattr(self, "_" + arrow)(claim, error_type)
        self.run.refresh_from_db()
        return self

    @property
    def ended(self):
        return self.run.ended_at is not None

    def _succeeded(self, claim, error_type):
        runs.succeed(claim, (None, None, None), **self.facts)

    def _failed(self, claim, error_type):
        runs.fail(claim, error_type, None, **self.facts)

    def _skipped(self, claim, error_type):
        runs.skip(claim, error_type, **self.facts)

    def _retried(self, claim, error_type):
        runs.retry(claim, timezone.now(), error_type, **self.facts)

    def _yielded(self, claim, error_type):
        runs.give_turn(claim, **self.facts)

    def _released(self, claim, error_type):
        runs.release(claim, **self.facts)

    def _stopped(self, claim, error_type):
        AccountRun.objects.filter(pk=claim.run_id).update(cancel_asked=True)
        runs.stop(claim, **self.facts)

    def _withdrawn(self, claim, error_type):
        runs.release(claim, **self.facts)
        PipelineJob.objects.all().delete()
        runs.ask_to_stop(claim.run_id)

    def _lapsed(self, claim, error_type):
        runs.note_progress(claim, lease_until=timezone.now() - timedelta(seconds=1))
        runs.free_lapsed()

    def _lost(self, claim, error_type):
        runs.note_progress(claim, lapses=runs.LAPSES_THAT_LOSE - 1)
        self._lapsed(claim, error_type)


def test_a_sync_is_counted_with_its_mails_and_bytes(anna, mailbox, account, sync):
    raws = [mail(f"number {number}") for number in range(12)]
    for raw in raws:
        mailbox.append(raw)
    sync(account)
    metrics = broker.get_performance_metrics(anna.user)
    assert (metrics.attempts, metrics.success_rate, metrics.error_rates) == (1, 1, {})
    assert (metrics.mails, metrics.bytes) == (12, sum(map(len, raws)))
    assert metrics.mails_per_second > 0 and metrics.bytes_per_second > metrics.mails_per_second
    happened = {"connect", "folder_list", "fetch", "parse", "save", "disconnect"}
    assert {phase for phase, found in metrics.phases.items() if found.count} == happened
    assert {found.count for found in metrics.operations.values()} == {1}
    assert metrics.operations["connect"].grade == "target"


def test_each_retried_attempt_counts_as_a_failed_one_and_the_run_once(clock, anna, account):
    story = Story(account).tell("retried", "timeout", emails_fetched=50, phase_seconds={"connect": 1.0})
    story.tell("retried", "connection_reset", phase_seconds={"connect": 2.0})
    story.tell("succeeded", emails_fetched=100, bytes_done=5000, phase_seconds=SPENT)
    metrics = broker.get_performance_metrics(anna.user)
    assert (metrics.attempts, metrics.success_rate) == (3, pytest.approx(1 / 3))
    third = pytest.approx(1 / 3)
    assert metrics.error_rates == {"connection_reset": third, "timeout": third}
    assert (metrics.mails, metrics.bytes, metrics.mails_per_second) == (100, 5000, pytest.approx(100 / 6))
    assert metrics.phases["connect"].count == 1
    assert metrics.operations["connect"].p50 == pytest.approx(0.4 / 3, rel=0.05)
    assert metrics.operations["fetch_50_mails"].p50 == pytest.approx(2, rel=0.05)


@pytest.mark.parametrize("arrow", ["stopped", "withdrawn"])
def test_what_a_cancelled_run_fetched_counts_and_its_attempt_does_not(clock, anna, account, arrow):
    Story(account).tell(arrow, emails_fetched=70, phase_seconds=SPENT)
    metrics = broker.get_performance_metrics(anna.user)
    assert (metrics.attempts, metrics.success_rate, metrics.mails) == (0, None, 70)


def test_a_pause_by_the_budget_is_no_failure_and_a_missing_key_is_one(clock, anna, account):
    Story(account).tell("skipped", "budget", emails_fetched=70)
    assert broker.get_performance_metrics(anna.user).attempts == 0
    Story(account).tell("skipped", "no_key")
    metrics = broker.get_performance_metrics(anna.user)
    assert (metrics.attempts, metrics.error_rates, metrics.mails) == (1, {"no_key": 1}, 70)


def test_a_lost_worker_is_a_failed_attempt_each_time(clock, anna, account):
    story = Story(account)
    for _ in range(3):
        story.tell("lapsed")
    assert (story.run.status, story.run.error_type) == ("failed", "worker_lost")
    metrics = broker.get_performance_metrics(anna.user)
    assert (metrics.attempts, metrics.error_rates) == (3, {"worker_lost": 1})


def test_a_run_that_was_refused_before_it_began_is_not_counted(clock, anna, account):
    MailAccount.objects.update(enabled=False)
    job = jobs.create(anna.user, [account], trigger=Trigger.COMMAND)
    assert runs.claim(runs.join_or_create(job, account, runs.Asked()).pk) is None
    assert AccountRun.objects.get().status == "skipped" and not Rollup.objects.exists()


def test_other_work_than_syncing_is_not_counted(clock, account):
    story = Story(account)
    AccountRun.objects.update(kind=JobType.DIAGNOSTICS)
    story.tell("succeeded", phase_seconds=SPENT)
    assert story.ended and not Rollup.objects.exists()


def test_what_fails_is_timed_as_a_phase_and_not_judged_as_an_operation(clock, anna, account):
    Story(account).tell("failed", phase_seconds={"connect": 60.0})
    metrics = broker.get_performance_metrics(anna.user)
    assert metrics.phases["connect"].p50 == pytest.approx(60, rel=0.05)
    assert metrics.operations["connect"].count == 0


PAUSES = st.lists(st.sampled_from(["retried", "yielded", "released", "lapsed"]), max_size=3)
ENDS = st.sampled_from(["succeeded", "failed", "skipped", "stopped", "withdrawn", "lost"])
ERRORS = st.sampled_from(["timeout", "dns_failed", "budget", "no_key", "bug"])
SECONDS = st.dictionaries(st.sampled_from([*SPENT, "disconnect"]), st.floats(0, 500))
STORIES = st.lists(
    st.tuples(st.integers(0, 30), PAUSES, ENDS, ERRORS, st.integers(0, 200), SECONDS), max_size=8
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stories=STORIES)
def test_rollups_equal_a_plain_recount_of_runs_and_events(clock, account, stories):
    for model in (Rollup, JobEvent, AccountRun):
        model.objects.all().delete()
    for hours, pauses, end, error_type, mails, seconds in stories:
        clock.shift(hours * HOUR)
        story = Story(account)
        for arrow in [*pauses, end]:
            if not story.ended:
                facts = {"emails_fetched": mails, "emails_linked": mails // 7, "bytes_done": mails * 999}
                story.tell(arrow, error_type, phase_seconds=seconds, **facts)
        assert story.ended
    assert rolled_up("hour") == recount(lambda at: at.replace(minute=0, second=0, microsecond=0))
    assert rolled_up("day") == recount(lambda at: at.replace(hour=0, minute=0, second=0, microsecond=0))


def rolled_up(granularity):
    rows = Rollup.objects.filter(granularity=granularity)
    return {
        row.start: {
            ("attempts",): row.attempts,
            ("successes",): row.successes,
            ("mails",): row.mails,
            ("linked",): row.linked,
            ("bytes",): row.bytes,
            **{("error", error_type): count for error_type, count in row.errors.items()},
            **{("seconds", phase): round(spent, 6) for phase, spent in row.seconds.items()},
            **{(p, b): count for p, counts in row.phases.items() for b, count in counts.items()},
            **{("op", o, b): count for o, counts in row.operations.items() for b, count in counts.items()},
        }
        for row in rows
    }


def recount(start_of):
    sums = defaultdict(Counter)
    for event in JobEvent.objects.filter(run__isnull=False):
        failed = event.arrow in ("retried", "failed", "lost")
        failed = failed or (event.arrow == "skipped" and event.reason != "budget")
        reason = "worker_lost" if event.arrow == "lapsed" else event.reason
        if event.arrow in ("succeeded", "lapsed") or failed:
            sums[start_of(event.at)][("attempts",)] += 1
            sums[start_of(event.at)][("successes",)] += event.arrow == "succeeded"
            sums[start_of(event.at)][("error", reason)] += event.arrow != "succeeded"
    for run in AccountRun.objects.filter(ended_at__isnull=False):
        at = sums[start_of(run.ended_at)]
        at[("mails",)] += run.emails_fetched
        at[("linked",)] += run.emails_linked
        at[("bytes",)] += run.bytes_done
        for phase, spent in run.phase_seconds.items():
            at[("seconds", phase)] += spent
            at[(phase, bucket(spent))] += spent > 0
        if run.status == "success":
            for name, spent in operations_of(run.phase_seconds, run.emails_fetched, run.attempt).items():
                at[("op", name, bucket(spent))] += 1
    fixed = {("attempts",), ("successes",), ("mails",), ("linked",), ("bytes",)}
    kept = {start: {k: v for k, v in at.items() if v or k in fixed} for start, at in sums.items()}
    return {
        start: dict.fromkeys(fixed, 0) | {k: round(v, 6) if k[0] == "seconds" else v for k, v in at.items()}
        for start, at in kept.items()
        if any(at.values())
    }


def test_the_clock_decides_to_which_hour_and_day_an_end_belongs(clock, account):
    clock.move_to(datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC))
    Story(account).tell("succeeded")
    clock.shift(timedelta(seconds=1))
    Story(account).tell("succeeded")
    Story(account).tell("succeeded")
    starts = {(row.granularity, row.start.isoformat()): row.attempts for row in Rollup.objects.all()}
    assert starts == {
        ("hour", "2026-03-01T23:00:00+00:00"): 1,
        ("hour", "2026-03-02T00:00:00+00:00"): 2,
        ("day", "2026-03-01T00:00:00+00:00"): 1,
        ("day", "2026-03-02T00:00:00+00:00"): 2,
    }


def test_a_transition_that_is_rolled_back_is_not_counted(clock, account):
    with transaction.atomic():
        Story(account).tell("succeeded")
        transaction.set_rollback(True)
    assert not Rollup.objects.exists()


@pytest.fixture
def at_the_same_time():
    """at_the_same_time(act): start it in a thread of its own; calling the result waits for it."""
    errors = []

    def at_the_same_time(act):
        def acting():
            try:
                act()
            except Exception as error:
                errors.append(error)
            finally:
                connections.close_all()

        thread = threading.Thread(target=acting)
        thread.start()
        return thread.join

    yield at_the_same_time
    assert errors == []


@pytest.mark.django_db(transaction=True)
def test_of_two_attempts_that_end_at_the_same_time_both_are_counted(account, at_the_same_time):
    run = Story(account).tell("retried").run
    with transaction.atomic():
        rollups.count(run.pk, "retried")
        join = at_the_same_time(lambda: transaction.atomic(rollups.count)(run.pk, "retried"))
        join(0.5)  # it waits for our commit
    join()
    assert {row.attempts for row in Rollup.objects.all()} == {3}


@pytest.mark.django_db(transaction=True)
def test_the_first_attempts_of_a_day_may_end_at_the_same_time(account, at_the_same_time):
    run, start = Story(account).tell("retried").run, threading.Barrier(8)
    Rollup.objects.all().delete()

    def end():
        AccountRun.objects.exists()  # connect before the others wait for us
        start.wait()
        transaction.atomic(rollups.count)(run.pk, "retried")

    for join in [at_the_same_time(end) for _ in range(8)]:
        join()
    assert {row.attempts for row in Rollup.objects.all()} == {8}


def test_each_window_reaches_back_as_far_as_it_says(clock, anna, account):
    for ago in (31 * DAY, 29 * DAY, 8 * DAY, 6 * DAY, 25 * HOUR, 23 * HOUR, 0 * HOUR):
        clock.move_to(NOON - ago)
        Story(account).tell("succeeded")
    counted = {
        window: broker.get_performance_metrics(anna.user, window).attempts for window in ("24h", "7d", "30d")
    }
    assert counted == {"24h": 2, "7d": 4, "30d": 6}
    assert broker.get_performance_metrics(anna.user, "24h").since == NOON - 24 * HOUR


def test_figures_stand_by_account_and_by_provider(clock, anna, bert, account, connect, dovecot):
    others = [connect(Mailbox(dovecot), name=name) for name in ("Verein", "Arbeit")]
    MailAccount.objects.filter(pk=account.pk).update(provider="gmx")
    theirs = connect(Mailbox(dovecot), owner=bert)
    Story(account).tell("failed", "timeout")
    Story(account).tell("succeeded", emails_fetched=20, phase_seconds={"fetch": 2.0})
    Story(others[0]).tell("succeeded", emails_fetched=30, phase_seconds={"fetch": 10.0})
    Story(others[1]).tell("failed", "dns_failed")
    Story(theirs).tell("failed", "bug")
    metrics = broker.get_performance_metrics(anna.user)
    assert [(one.name, one.success_rate, one.mails_per_second) for one in metrics.accounts] == [
        ("Arbeit", 0, None),
        ("GMX", 0.5, 10),
        ("Verein", 1, 3),
    ]
    assert {name: (one.attempts, one.success_rate) for name, one in metrics.providers.items()} == {
        "gmx": (2, 0.5),
        "other": (2, 0.5),
    }
    assert (metrics.attempts, metrics.mails) == (4, 50)
    assert metrics.error_rates == {"dns_failed": 0.25, "timeout": 0.25}
    alone = broker.get_performance_metrics(anna.user, "7d", others[0])
    assert (alone.attempts, alone.mails, len(alone.accounts)) == (1, 30, 1)


def test_nobody_asks_for_another_persons_figures_or_an_unknown_window(bert, account):
    with pytest.raises(ValueError):
        broker.get_performance_metrics(bert.user, account=account)
    with pytest.raises(ValueError):
        broker.get_performance_metrics(bert.user, "1y")


@pytest.mark.parametrize("window", ["24h", "7d", "30d"])
def test_figures_cost_one_query_however_much_there_was(
    clock, anna, account, connect, dovecot, django_assert_num_queries, window
):
    with django_assert_num_queries(1):
        broker.get_performance_metrics(anna.user, window)
    for one in (account, connect(Mailbox(dovecot), name="Verein")):
        for _ in range(4):
            clock.shift(HOUR)
            Story(one).tell("succeeded", phase_seconds=SPENT)
    with django_assert_num_queries(1):
        assert broker.get_performance_metrics(anna.user, window).attempts == 8


def test_the_tick_keeps_hours_for_two_days_and_days_for_400(clock, account):
    Story(account).tell("succeeded")
    clock.shift(48 * HOUR)
    tasks.beat()
    assert {row.granularity for row in Rollup.objects.all()} == {"hour", "day"}
    clock.shift(HOUR)
    tasks.beat()
    assert [row.granularity for row in Rollup.objects.all()] == ["day"]
    clock.move_to(NOON + 401 * DAY)
    tasks.beat()
    assert not Rollup.objects.exists()
