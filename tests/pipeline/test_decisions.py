"""The decisions that touch nothing: retry, circuit breaker, schedule, caps, phase limits."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest

from accounts.errors import REFUSALS, ErrorType
from pipeline.breaker import CLOSED, Breaker, Failure, State, window
from pipeline.gate import lowered, raised
from pipeline.models import Phase
from pipeline.pace import phase_limits
from pipeline.retry import Again, decide
from pipeline.schedule import next_due, next_midnight

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
BERLIN = ZoneInfo("Europe/Berlin")

TRANSIENT = [
    "timeout",
    "connection_reset",
    "connection_refused",
    "dns_failed",
    "temporarily_unavailable",
    "protocol_error",
]


# Retry


@pytest.mark.parametrize("error_type", TRANSIENT)
def test_what_can_heal_is_tried_three_times_after_about_1_2_and_4_seconds(error_type):
    waits = [(decide(error_type, retries, NOW).at - NOW).total_seconds() for retries in range(3)]
    assert waits == [1, 2, 4]
    assert decide(error_type, 3, NOW) is None


def test_jitter_moves_a_wait_by_a_quarter_at_most():
    assert decide("timeout", 2, NOW, jitter=0) == Again(NOW + 3 * SECOND)
    assert decide("timeout", 2, NOW, jitter=1) == Again(NOW + 5 * SECOND)


@pytest.mark.parametrize("error_type", ["throttled", "too_many_connections"])
def test_a_throttling_server_is_left_alone_for_longer(error_type):
    assert [decide(error_type, retries, NOW).at - NOW for retries in range(3)] == [
        30 * SECOND,
        60 * SECOND,
        120 * SECOND,
    ]


def test_a_servers_hint_wins_when_it_is_longer():
    assert decide("throttled", 0, NOW, hint=5 * SECOND).at == NOW + 30 * SECOND
    assert decide("throttled", 0, NOW, hint=5 * MINUTE).at == NOW + 5 * MINUTE


def test_a_hint_that_is_too_long_for_the_run_is_kept_for_a_new_one():
    assert decide("throttled", 0, NOW, hint=HOUR) == Again(NOW + HOUR, new_run=True)
    ends_at = NOW + 2 * MINUTE
    assert decide("throttled", 0, NOW, hint=5 * MINUTE, ends_at=ends_at) == Again(NOW + 5 * MINUTE, True)
    assert decide("throttled", 3, NOW, hint=HOUR) == Again(NOW + HOUR, True)
    assert decide("throttled", 0, NOW, hint=1000 * HOUR) == Again(NOW + 24 * HOUR, True)


def test_a_short_hint_gives_no_further_retries():
    assert decide("throttled", 3, NOW, hint=5 * SECOND) is None


def test_a_retry_that_does_not_fit_into_the_runs_time_is_not_made():
    assert decide("timeout", 0, NOW, ends_at=NOW + 2 * SECOND) is not None
    assert decide("timeout", 0, NOW, ends_at=NOW + SECOND) is None


@pytest.mark.parametrize(
    "error_type", ["bug", "tls_failed", "disk_full", "no_key", "budget", "mailbox_gone", "quota"]
)
def test_what_cannot_heal_by_itself_is_not_tried_again(error_type):
    assert decide(error_type, 0, NOW) is None


def test_the_unknown_is_tried_once():
    assert decide("unknown", 0, NOW) and decide("unknown", 1, NOW) is None


@pytest.mark.parametrize("error_type", sorted(REFUSALS))
def test_a_refused_login_is_confirmed_once_after_ten_minutes(error_type):
    assert decide(error_type, 0, NOW) == Again(NOW + 10 * MINUTE, new_run=True)
    since = NOW - 4 * MINUTE  # a person tried in between
    assert decide(error_type, 0, NOW, refused_since=since) == Again(NOW + 6 * MINUTE, new_run=True)
    assert decide(error_type, 0, NOW, refused_since=NOW - 10 * MINUTE) is None


def test_every_error_type_has_a_decision():
    for error_type in ErrorType:
        decide(error_type, 0, NOW)


# Circuit breaker


def failed(times: int, start: Breaker = CLOSED, every=MINUTE, account="a", **options) -> Breaker:
    breaker = start
    for number in range(times):
        breaker = breaker.failed(Failure(NOW + number * every, account), window(15 * MINUTE), **options)
    return breaker


def test_five_failed_runs_within_the_window_open_the_breaker():
    assert failed(4).state(NOW + HOUR) == State.CLOSED
    assert failed(5).state(NOW + 5 * MINUTE) == State.OPEN


def test_the_window_is_an_hour_or_six_intervals():
    assert window(MINUTE) == HOUR
    assert window(HOUR) == 6 * HOUR
    assert failed(9, every=22 * MINUTE + 30 * SECOND).state(NOW + HOUR) == State.CLOSED
    assert failed(5, every=22 * MINUTE).opened_at


def test_it_half_opens_by_itself_slower_each_time_up_to_six_hours():
    breaker, at, waits = failed(5, every=0 * SECOND), NOW, []
    for _ in range(8):
        waits.append(breaker.probe_at - at)
        at = breaker.probe_at
        assert breaker.state(at - SECOND) == State.OPEN and breaker.state(at) == State.HALF_OPEN
        breaker = breaker.failed(Failure(at, "a"), HOUR)
    assert waits == [15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR, 6 * HOUR, 6 * HOUR, 6 * HOUR]


def test_while_one_run_probes_nobody_else_does():
    half_open = failed(5, every=0 * SECOND)
    at = half_open.probe_at
    assert half_open.probing(at).state(at + SECOND) == State.OPEN


def test_a_server_with_several_accounts_needs_failures_of_two():
    one = failed(7, accounts=2)
    assert one.state(NOW + 7 * MINUTE) == State.CLOSED
    assert one.failed(Failure(NOW + 8 * MINUTE, "b"), HOUR, accounts=2).opened_at
    other_first = CLOSED.failed(Failure(NOW, "b"), HOUR, accounts=2)
    assert failed(6, other_first, accounts=2).opened_at


# Schedule


def test_an_interval_gives_each_account_its_own_place():
    interval = 15 * MINUTE
    places = [next_due(uuid4(), NOW, interval, [], BERLIN) for _ in range(1000)]
    assert all(NOW < due <= NOW + interval for due in places)
    by_minute = [sum(NOW + n * MINUTE < due <= NOW + (n + 1) * MINUTE for due in places) for n in range(15)]
    assert max(by_minute) < 150


def test_missed_times_are_not_made_up_for():
    account = UUID(int=0)
    due = next_due(account, NOW, 15 * MINUTE, [], BERLIN)
    assert next_due(account, due, 15 * MINUTE, [], BERLIN) == due + 15 * MINUTE
    assert next_due(account, due + 5 * HOUR, 15 * MINUTE, [], BERLIN) == due + 5 * HOUR + 15 * MINUTE


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-03-01T07:59:59+00:00", "2026-03-01T08:00:00+00:00"),  # 09:00 in Berlin
        ("2026-03-01T08:00:00+00:00", "2026-03-01T17:30:00+00:00"),
        ("2026-03-01T18:00:00+00:00", "2026-03-02T08:00:00+00:00"),
        ("2026-03-28T20:00:00+00:00", "2026-03-29T07:00:00+00:00"),  # summer time begins
    ],
)
def test_fixed_times_are_wall_clock_times_of_the_person(now, due):
    times = ["09:00", "18:30"]
    assert next_due(UUID(int=5), datetime.fromisoformat(now), HOUR, times, BERLIN) == datetime.fromisoformat(
        due
    )


def test_a_time_that_the_clock_skips_comes_an_hour_later_and_one_that_it_repeats_comes_once():
    skipped = next_due(UUID(int=5), datetime(2026, 3, 28, 20, tzinfo=UTC), HOUR, ["02:30"], BERLIN)
    assert skipped.astimezone(BERLIN).isoformat() == "2026-03-29T03:30:00+02:00"
    first = next_due(UUID(int=5), datetime(2026, 10, 24, 20, tzinfo=UTC), HOUR, ["02:30"], BERLIN)
    second = next_due(UUID(int=5), first, HOUR, ["02:30"], BERLIN)
    assert second.astimezone(BERLIN).isoformat() == "2026-10-26T02:30:00+01:00"


def test_a_budget_resumes_at_the_persons_midnight():
    assert next_midnight(NOW, BERLIN) == datetime(2026, 3, 1, 23, tzinfo=UTC)


# Caps and phase limits


def test_a_cap_goes_below_what_the_server_refused_and_back_step_by_step():
    assert lowered(10, in_use=7) == 6
    assert lowered(3, in_use=9) == 2
    assert lowered(1, in_use=1) == 1
    assert [raised(cap, 10) for cap in (1, 8, 9)] == [2, 9, None]


def test_a_phase_may_take_five_times_what_it_took_within_bounds():
    connect, folders = Phase.CONNECT, Phase.FOLDER_LIST
    assert phase_limits([]) == {connect: 105, folders: 3_600}
    assert phase_limits([{"connect": 0.2, "folder_list": 50}])[connect] == 20
    assert phase_limits([{"connect": 10}, {"connect": 9}])[connect] == 50
    assert phase_limits([{"folder_list": 0.1}])[folders] == 3_600
    assert phase_limits([{"connect": 90, "folder_list": 9_000}]) == {connect: 105, folders: 3_600}
