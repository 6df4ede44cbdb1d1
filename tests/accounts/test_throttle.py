"""Who guesses waits: five failures for a person from one place, more from one place for anybody."""

import logging
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from axes.models import AccessAttempt
from django.contrib.auth import authenticate
from django.test import Client, RequestFactory
from django.urls import reverse

from accounts import actions, throttle
from accounts.errors import TooManyAttempts, WrongPassword
from tests.accounts.test_people import all_rows

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ELSEWHERE = "203.0.113.9"


@pytest.fixture
def clock():
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


def attempt(email: str, password: str, place: str = "198.51.100.7", **headers) -> object:
    request = RequestFactory().post("/", REMOTE_ADDR=place, **headers)
    with throttle.guessing(request, email):
        return actions.unlock_by_address(email, password)


def fail(email: str, times: int, place: str = "198.51.100.7", **headers) -> None:
    for _ in range(times):
        with pytest.raises(WrongPassword):
            attempt(email, "a guess of many", place, **headers)


def test_after_five_failures_even_the_right_password_waits_fifteen_minutes(anna, clock):
    fail(anna.user.email, 5)
    for _ in range(3):  # what is refused unseen does not make it longer
        clock.shift(timedelta(minutes=4))
        with pytest.raises(TooManyAttempts) as refused:
            attempt(anna.user.email, anna.password)
        assert refused.value.until == NOON + timedelta(minutes=15)
    clock.move_to(NOON + timedelta(minutes=15))
    assert attempt(anna.user.email, anna.password)[1] == anna.user_key


def test_an_address_that_nobody_has_waits_alike(anna, clock):
    fail("nobody@example.org", 5)
    with pytest.raises(TooManyAttempts, match=r"after March 1, 2026, 12:15 p\.m\. UTC"):
        attempt("nobody@example.org", anna.password)


def test_an_address_is_the_same_in_any_case(anna, clock):
    fail("ANNA@example.org ", 5)
    with pytest.raises(TooManyAttempts):
        attempt(anna.user.email, anna.password)


def test_a_stranger_elsewhere_locks_nobody_out(anna, clock):
    fail(anna.user.email, 5, place=ELSEWHERE)
    assert attempt(anna.user.email, anna.password)


def test_another_person_in_the_same_place_goes_on(anna, bert, clock):
    fail(anna.user.email, 5)
    assert attempt(bert.user.email, bert.password)


def test_a_right_password_ends_the_count_of_its_person_in_its_place_alone(anna, bert, clock):
    fail(anna.user.email, 4)
    fail(bert.user.email, 4)
    fail(anna.user.email, 4, place=ELSEWHERE)
    attempt(anna.user.email, anna.password)
    fail(anna.user.email, 4)
    for person, place in ((bert, "198.51.100.7"), (anna, ELSEWHERE)):
        fail(person.user.email, 1, place=place)
        with pytest.raises(TooManyAttempts):
            attempt(person.user.email, person.password, place)


def test_one_place_that_tries_many_addresses_waits_for_all_of_them(anna, settings, clock):
    settings.MAILHELPER_FAILURES_PER_CLIENT = 6
    for number in range(6):
        fail(f"person{number}@example.org", 1)
    with pytest.raises(TooManyAttempts):
        attempt(anna.user.email, anna.password)
    assert attempt(anna.user.email, anna.password, ELSEWHERE)


def test_other_browsers_and_words_of_the_client_change_nothing(anna, clock):
    for number in range(5):
        fail(anna.user.email, 1, HTTP_USER_AGENT=f"agent {number}", HTTP_X_FORWARDED_FOR=f"192.0.2.{number}")
    with pytest.raises(TooManyAttempts):
        attempt(anna.user.email, anna.password)
    assert AccessAttempt.objects.count() == 1


@pytest.mark.parametrize(
    ("proxies", "passed_on", "seen"),
    [
        (0, "192.0.2.1", "198.51.100.7"),
        (1, "192.0.2.1", "192.0.2.1"),
        (1, "6.6.6.6, 192.0.2.1", "192.0.2.1"),
        (2, "6.6.6.6, 192.0.2.1, 10.0.0.1", "192.0.2.1"),
        (1, "", "198.51.100.7"),
        (2, "192.0.2.1", "198.51.100.7"),
        (1, "not an address", throttle.NOWHERE),
        (1, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        (1, "::ffff:192.0.2.1", "192.0.2.1"),
    ],
)
def test_the_place_is_what_the_outermost_own_proxy_saw(settings, proxies, passed_on, seen):
    settings.MAILHELPER_PROXIES = proxies
    request = RequestFactory().get("/", REMOTE_ADDR="198.51.100.7", HTTP_X_FORWARDED_FOR=passed_on)
    assert throttle.client_address(request) == seen


def test_a_socket_file_counts_as_one_place():
    assert throttle.client_address(RequestFactory().get("/", REMOTE_ADDR="")) == throttle.NOWHERE


def test_neither_rows_nor_log_hold_what_was_typed(anna, caplog, clock):
    caplog.set_level(logging.DEBUG)
    typed = {
        "email": "my password in the wrong field",
        "password": "canary of a password",
        "next": "/canary/",
    }
    for _ in range(6):
        Client(HTTP_USER_AGENT="canary agent").post(reverse("sign_in") + "?canary=1", typed)
    row = repr(all_rows()["axes_accessattempt"])
    assert "127.0.0.1" in row and "127.0.0.1" in caplog.text
    for word in ("canary", "wrong field", "example.org"):
        assert word not in row and word not in caplog.text


def test_rows_whose_time_is_over_are_deleted(anna, clock):
    fail(anna.user.email, 1)
    clock.shift(timedelta(minutes=16))
    fail("nobody@example.org", 1)
    assert AccessAttempt.objects.count() == 1


def test_djangos_own_forms_are_counted_and_stopped_too(anna, clock):
    def django(password):
        request = RequestFactory().post("/", {"username": "canary"}, REMOTE_ADDR="198.51.100.7")
        return authenticate(request, username=anna.user.email, password=password)

    assert django(anna.password) == anna.user
    assert [django("a guess of many") for _ in range(5)] == [None] * 5
    assert django(anna.password) is None
    with pytest.raises(TooManyAttempts):
        attempt(anna.user.email, anna.password)
    assert "canary" not in repr(all_rows()["axes_accessattempt"])
