"""What is fast enough, and histograms that add up: sums worked out by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.figures import (
    OPERATIONS,
    Grade,
    Limits,
    Operation,
    bucket,
    histogram,
    judge,
    operations_of,
    quantile,
    slow_operations,
)
from pipeline.tally import Tally, performance, total

CONNECT, FOLDER_LIST, FETCH, PARSE_SAVE, TOTAL = Operation


def test_the_table_is_the_one_that_was_promised():
    promised = {
        "connect": Limits(target=1, acceptable=2, critical=5),
        "folder_list": Limits(target=1, acceptable=2, critical=10),
        "fetch_50_mails": Limits(target=2, acceptable=5, critical=15),
        "parse_save_50_mails": Limits(target=1, acceptable=3, critical=10),
        "total_100_mails": Limits(target=5, acceptable=10, critical=30),
    }
    assert promised == OPERATIONS


@pytest.mark.parametrize(
    ("seconds", "grade"),
    [
        (0.99, Grade.TARGET),
        (1, Grade.ACCEPTABLE),
        (1.99, Grade.ACCEPTABLE),
        (2, Grade.SLOW),
        (5, Grade.SLOW),
        (5.01, Grade.CRITICAL),
    ],
)
def test_a_connection_is_judged_by_its_seconds(seconds, grade):
    assert judge(CONNECT, seconds) == grade


def test_every_operation_has_grades_of_its_own():
    assert [judge(operation, 4) for operation in Operation] == [
        Grade.SLOW,
        Grade.SLOW,
        Grade.ACCEPTABLE,
        Grade.SLOW,
        Grade.TARGET,
    ]


SPENT = {
    "connect": 0.3,
    "folder_list": 0.6,
    "fetch": 8,
    "parse": 1,
    "save": 3,
    "process": 0,
    "disconnect": 0.1,
}


def test_seconds_are_scaled_to_the_mails_of_the_table():
    assert operations_of(SPENT, mails=200) == pytest.approx(
        {CONNECT: 0.3, FOLDER_LIST: 0.6, FETCH: 2, PARSE_SAVE: 1, TOTAL: 1.0 + 6}
    )


def test_what_each_attempt_does_anew_is_divided_by_the_attempts():
    assert operations_of(SPENT, mails=200, attempts=2) == pytest.approx(
        {CONNECT: 0.15, FOLDER_LIST: 0.3, FETCH: 2, PARSE_SAVE: 1, TOTAL: 0.5 + 6}
    )


@pytest.mark.parametrize("mails", [0, 9])
def test_too_few_mails_tell_nothing_of_mails(mails):
    assert operations_of(SPENT, mails) == {CONNECT: 0.3, FOLDER_LIST: 0.6}


def test_ten_mails_tell():
    assert operations_of(SPENT, mails=10).keys() == set(Operation)


def test_what_did_not_happen_is_not_judged():
    assert operations_of({}, mails=0) == {}
    assert operations_of({"connect": 0.2, "folder_list": 0.0}, mails=0) == {CONNECT: 0.2}


def test_slow_is_what_is_beyond_critical_at_the_median_of_the_last_five():
    def recent(*seconds):
        return [{CONNECT: spent} for spent in seconds]

    assert slow_operations(recent(6, 7, 8, 0.1, 0.1)) == {CONNECT: 6}
    assert slow_operations(recent(6, 7, 0.1, 0.1, 0.1)) == {}
    assert slow_operations(recent(5, 5, 5, 5, 5)) == {}
    assert slow_operations(recent(9, 9, 9, 9)) == {}
    assert slow_operations(recent(0.1, 0.1, 0.1, 9, 9, 9, 9, 9)) == {}
    assert slow_operations(recent(9, 9, 9, 0.1, 0.1, 0.1, 0.1)) == {CONNECT: 9}


def test_runs_that_did_not_do_an_operation_are_passed_over():
    quick, slow = {CONNECT: 0.1}, {CONNECT: 0.1, FETCH: 20}
    assert slow_operations([slow, quick, slow, slow, quick, slow, slow]) == {FETCH: 20}
    assert slow_operations([slow, quick, slow, slow, slow]) == slow_operations([]) == {}


def test_what_the_newest_run_did_not_do_is_no_news():
    quick, slow = {CONNECT: 0.1}, {CONNECT: 0.1, FETCH: 20}
    assert slow_operations([quick, slow, slow, slow, slow, slow]) == {}


def test_a_bucket_is_ten_percent_wide():
    assert {bucket(seconds) for seconds in (1.0, 1.05, 1.09)} == {"0"}
    assert (bucket(1.11), bucket(0.99), bucket(0)) == ("1", "-1", bucket(0.0001))


seconds = st.floats(0.0001, 10_000)


@given(st.lists(seconds, min_size=1, max_size=200), st.sampled_from([0.5, 0.95]))
def test_a_quantile_is_exact_to_within_five_percent(values, share):
    exact = sorted(values)[math.ceil(share * len(values)) - 1]
    assert quantile(histogram(values), share) == pytest.approx(exact, rel=0.051)


@given(st.lists(st.lists(seconds, max_size=20), max_size=5))
def test_histograms_add_up(parts):
    whole = histogram([value for part in parts for value in part])
    merged = total(Tally(phases={"fetch": histogram(part)}) for part in parts).phases
    assert merged.get("fetch", {}) == whole


def test_nothing_has_no_quantile():
    assert quantile({}, 0.5) is None


def test_tallies_add_up_field_by_field():
    one = Tally(3, 1, {"timeout": 2}, 10, 1, 1000, {"fetch": 1.5}, {"fetch": {"3": 1}}, {"connect": {"0": 1}})
    other = Tally(2, 1, {"timeout": 1, "bug": 1}, 5, 0, 50, {"save": 1}, {"fetch": {"3": 2, "4": 1}})
    assert total([one, other, Tally()]) == Tally(
        5,
        2,
        {"timeout": 3, "bug": 1},
        15,
        1,
        1050,
        {"fetch": 1.5, "save": 1},
        {"fetch": {"3": 3, "4": 1}},
        {"connect": {"0": 1}},
    )


def test_figures_of_a_tally():
    figures = performance(
        Tally(
            attempts=8,
            successes=6,
            errors={"timeout": 2},
            mails=300,
            bytes=6_000_000,
            seconds={"connect": 100, "fetch": 20, "parse": 4, "save": 6},
            phases={"connect": histogram([0.5] * 18 + [30, 30])},
            operations={"connect": histogram([0.5] * 18 + [30, 30])},
        )
    )
    assert (figures.success_rate, figures.error_rates) == (0.75, {"timeout": 0.25})
    assert (figures.mails_per_second, figures.bytes_per_second) == (10, 200_000)
    connect = figures.operations["connect"]
    assert (connect.count, connect.grade, connect.grade_p95) == (20, Grade.TARGET, Grade.CRITICAL)
    assert connect.p50 == pytest.approx(0.5, rel=0.05) and connect.p95 == pytest.approx(30, rel=0.05)
    assert figures.phases["connect"].p95 == connect.p95


def test_nothing_has_no_rates():
    figures = performance(Tally())
    assert (figures.success_rate, figures.error_rates) == (None, {})
    assert figures.mails_per_second is figures.bytes_per_second is None
    assert figures.phases["fetch"].p50 is figures.operations["connect"].grade is None


def test_runs_that_fetched_nothing_have_no_speed():
    assert performance(Tally(attempts=1, successes=1, seconds={"fetch": 3.0})).mails_per_second is None
