"""What people set for themselves, how they lock, and how their sessions end."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse

from accounts import actions, unlocked
from accounts.errors import WrongPassword, WrongRecoveryKey
from tests.accounts.test_people import NEW_PASSWORD, all_rows, fresh, new_account, signed_in
from tests.accounts.test_session import holds, sign_in, user_key_in

pytestmark = pytest.mark.django_db
CHANGES = ["set_language", "set_time_zone", "change_password", "new_recovery_key"]
WRONG = "This address and password do not belong together."


@pytest.fixture
def browser(anna):
    return sign_in(anna)


def change_password(browser, old, password=NEW_PASSWORD, again=None):
    typed = {"old": old, "password": password, "again": password if again is None else again}
    return browser.post(reverse("change_password"), typed)


def test_language_and_time_zone_are_set_and_confirmed(browser, anna):
    page = browser.post(reverse("set_time_zone"), {"zone": "Europe/Berlin"}, follow=True)
    assert "The time zone was saved." in page.text and "<option selected>Europe/Berlin</option>" in page.text
    page = browser.post(reverse("set_language"), {"language": "de"}, follow=True)
    assert '<option value="de" selected>' in page.text and "Gespeichert." in page.text
    assert (fresh(anna).language, fresh(anna).time_zone) == ("de", "Europe/Berlin")


@pytest.mark.parametrize(
    ("door", "typed", "words"),
    [
        ("set_time_zone", {"zone": "Europe/Atlantis"}, "is not a time zone"),
        ("set_language", {"language": "xx"}, "There is no language"),
    ],
)
def test_what_does_not_exist_is_refused(browser, anna, door, typed, words):
    page = browser.post(reverse(door), typed)
    assert page.status_code == 422 and words in page.text
    assert (fresh(anna).language, fresh(anna).time_zone) == ("en", "UTC")


def test_a_new_password_ends_other_sessions_and_this_one_stays_unlocked(browser, anna):
    other = sign_in(anna)
    answer = change_password(browser, anna.password)
    assert "The new password is set" in browser.get(answer["Location"]).text
    assert user_key_in(browser) == anna.user_key == actions.unlock(fresh(anna), NEW_PASSWORD)
    assert not signed_in(other)
    with pytest.raises(WrongPassword):
        actions.unlock(fresh(anna), anna.password)
    assert actions.unlock_by_recovery_key(fresh(anna), anna.recovery_key) == anna.user_key


def test_a_locked_session_is_unlocked_by_changing_the_password(browser, anna):
    browser.post(reverse("lock"))
    change_password(browser, anna.password)
    assert user_key_in(browser) == anna.user_key


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"old": "not hers"}, WRONG),
        ({"again": "another one"}, "The two passwords are not the same."),
        ({"password": "short"}, "too short"),
        ({"password": "x" * 1025}, "at most 1,024 characters"),
    ],
)
def test_a_refused_password_changes_nothing(browser, anna, typed, words):
    other = sign_in(anna)
    before = all_rows()["accounts_user"], all_rows()["accounts_vault"]
    page = change_password(browser, **{"old": anna.password} | typed)
    assert page.status_code == 422 and words in page.text
    assert anna.password not in page.text and NEW_PASSWORD not in page.text
    assert (all_rows()["accounts_user"], all_rows()["accounts_vault"]) == before
    assert signed_in(browser) and signed_in(other) and user_key_in(browser) == anna.user_key


def test_a_new_recovery_key_is_shown_once_and_the_one_before_is_dead(browser, anna):
    new_account(anna)
    assert browser.post(reverse("new_recovery_key"), {"old": anna.password})["Location"] == reverse(
        "recovery_key"
    )
    [key] = re.findall(r"<code>([A-Z2-7-]{39})</code>", browser.get(reverse("recovery_key")).text)
    assert key != anna.recovery_key
    assert actions.unlock_by_recovery_key(fresh(anna), key) == anna.user_key
    with pytest.raises(WrongRecoveryKey):
        actions.unlock_by_recovery_key(fresh(anna), anna.recovery_key)
    assert actions.unlock(fresh(anna), anna.password) == anna.user_key
    assert not holds(repr([row.get_decoded() for row in Session.objects.all()]).encode(), key.encode())
    assert browser.post(reverse("recovery_key"), {"kept": "on"})["Location"] == reverse("settings")


def test_a_new_recovery_key_needs_the_password(browser, anna):
    page = browser.post(reverse("new_recovery_key"), {"old": "not hers"})
    assert page.status_code == 422 and WRONG in page.text
    assert actions.unlock_by_recovery_key(fresh(anna), anna.recovery_key) == anna.user_key


@pytest.mark.parametrize("door", ["change_password", "new_recovery_key", "unlock", "sign_in"])
def test_guessing_the_password_waits_wherever_it_is_asked_for(browser, anna, door):
    def typed(password):
        twice = {"password": NEW_PASSWORD, "again": NEW_PASSWORD}
        return {"old": password} | (twice if door == "change_password" else {"password": password})

    who = {"email": anna.user.email}
    with time_machine.travel(datetime(2026, 3, 1, 12, tzinfo=UTC), tick=False):
        for _ in range(5):
            assert browser.post(reverse(door), typed("a guess") | who).status_code == 422
        for password in ("a guess", anna.password):
            page = browser.post(reverse(door), typed(password) | who)
            assert (page.status_code, page["Retry-After"]) == (429, "900")
            assert "Please try again after March 1, 2026, 12:15 p.m. UTC." in page.text
    assert actions.unlock(fresh(anna), anna.password) == anna.user_key


def test_locking_drops_the_key_and_leaves_its_person_signed_in(browser):
    assert f'action="{reverse("lock")}"' in browser.get(reverse("overview")).text
    answer = browser.post(reverse("lock"))
    assert answer["Location"] == reverse("overview") and answer.cookies[unlocked.COOKIE]["max-age"] == 0
    assert signed_in(browser) and user_key_in(browser) is None and "sealed_user_key" not in browser.session
    assert "Locked" in browser.get(reverse("overview")).text


def test_who_unlocks_comes_back_to_the_very_page(browser):
    browser.post(reverse("lock"))
    shown = browser.get(reverse("settings"), {"saved": "zone"}).text
    assert f'href="{reverse("unlock")}?next={reverse("settings")}%3Fsaved%3Dzone"' in shown


def test_a_session_ends_after_twelve_hours_with_its_key_and_its_row(anna, bert):
    with time_machine.travel(datetime(2026, 3, 1, 8, tzinfo=UTC), tick=False) as clock:
        browser = sign_in(anna)
        row = browser.session.session_key
        clock.shift(timedelta(hours=12, seconds=-1))
        assert user_key_in(browser) == anna.user_key
        clock.shift(timedelta(seconds=2))
        assert browser.get(reverse("overview"))["Location"].startswith(reverse("sign_in"))
        sign_in(bert)
        assert not Session.objects.filter(pk=row).exists()


@pytest.mark.parametrize("name", ["settings", "recovery_key", *CHANGES])
def test_who_is_not_signed_in_is_sent_to_sign_in(client, db, name):
    for answer in (client.get(reverse(name)), client.post(reverse(name))):
        assert name in CHANGES or answer["Location"].startswith(reverse("sign_in"))
    assert client.post(reverse(name))["Location"].startswith(reverse("sign_in"))


@pytest.mark.parametrize("name", [*CHANGES, "lock", "recovery_key"])
def test_what_changes_something_needs_its_token(anna, name):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(anna.user, backend="django.contrib.auth.backends.ModelBackend")
    assert strict.post(reverse(name)).status_code == 403


def test_nothing_changes_by_a_get(browser, anna):
    before = all_rows()["accounts_user"], all_rows()["accounts_vault"]
    for name in CHANGES:
        assert browser.get(reverse(name))["Location"] == reverse("settings")
    assert browser.get(reverse("lock")).status_code == 405
    assert (all_rows()["accounts_user"], all_rows()["accounts_vault"]) == before


def test_the_settings_lead_to_alerts_and_operators_to_people(browser, anna):
    page = browser.get(reverse("settings")).text
    assert f'href="{reverse("alerts")}"' in page and f'href="{reverse("people")}"' not in page
    type(anna.user).objects.update(is_staff=True)
    assert f'href="{reverse("people")}"' in browser.get(reverse("settings")).text


def test_the_page_takes_few_queries_and_is_not_kept_by_browsers(browser, django_assert_max_num_queries):
    with django_assert_max_num_queries(12):
        assert "no-store" in browser.get(reverse("settings"))["Cache-Control"]
