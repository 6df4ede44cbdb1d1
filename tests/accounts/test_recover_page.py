"""A forgotten password: the recovery key sets a new one in the browser."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts import actions
from tests.accounts.test_people import NEW_PASSWORD, all_rows, fresh, signed_in
from tests.accounts.test_session import sign_in, user_key_in

pytestmark = pytest.mark.django_db
WRONG = "This recovery key does not belong to this person."


def recover(browser, person, **changes):
    typed = {"email": person.user.email, "recovery_key": person.recovery_key}
    return browser.post(
        reverse("recover"), typed | {"password": NEW_PASSWORD, "again": NEW_PASSWORD} | changes
    )


def test_the_recovery_key_sets_a_new_password_and_signs_in_unlocked(client, anna):
    answer = recover(client, anna)
    assert answer["Location"].startswith(reverse("settings")) and user_key_in(client) == anna.user_key
    assert "The new password is set" in client.get(answer["Location"]).text
    assert actions.unlock(fresh(anna), NEW_PASSWORD) == anna.user_key
    assert actions.unlock_by_recovery_key(fresh(anna), anna.recovery_key) == anna.user_key


def test_every_other_session_ends(client, anna):
    other = sign_in(anna)
    recover(client, anna)
    assert signed_in(client) and not signed_in(other)


def test_small_letters_and_missing_hyphens_do_no_harm(client, anna):
    key = anna.recovery_key.lower().replace("-", " ")
    assert recover(client, anna, recovery_key=key, email=" ANNA@example.org").status_code == 302


def refusals(client, anna, bert):
    yield recover(client, anna, recovery_key=bert.recovery_key)
    yield recover(client, anna, recovery_key="not a key")
    yield recover(client, anna, recovery_key="")
    yield recover(client, anna, email="nobody@example.org")


def test_a_wrong_key_and_an_unknown_address_get_the_same_answer_and_change_nothing(client, anna, bert):
    before = all_rows()["accounts_user"], all_rows()["accounts_vault"]
    for page in refusals(client, anna, bert):
        assert page.status_code == 422 and WRONG in page.text
        assert anna.recovery_key not in page.text and bert.recovery_key not in page.text
        assert NEW_PASSWORD not in page.text
    assert (all_rows()["accounts_user"], all_rows()["accounts_vault"]) == before
    assert not signed_in(client)


def test_an_unknown_address_takes_the_same_queries(client, anna):
    def queries_for(email) -> int:
        with CaptureQueriesContext(connection) as asked:
            recover(client, anna, recovery_key="A" * 32, email=email)
        return len(asked)

    assert queries_for(anna.user.email) == queries_for("nobody@example.org")


def test_who_is_deactivated_does_not_come_back_by_the_key(client, anna):
    type(anna.user).objects.update(is_active=False)
    page = recover(client, anna)
    assert page.status_code == 422 and WRONG in page.text
    assert actions.unlock_by_recovery_key(fresh(anna), anna.recovery_key) == anna.user_key


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"again": "another one"}, "The two passwords are not the same."),
        ({"password": "short", "again": "short"}, "too short"),
    ],
)
def test_a_new_password_that_will_not_do_is_refused_and_the_address_is_kept(client, anna, changes, words):
    page = recover(client, anna, **changes)
    assert page.status_code == 422 and words in page.text and 'value="anna@example.org"' in page.text
    assert actions.unlock(fresh(anna), anna.password) == anna.user_key


def test_guessing_keys_waits_as_guessing_passwords_does(client, anna):
    for _ in range(5):
        recover(client, anna, recovery_key="A" * 32)
    page = recover(client, anna)
    assert page.status_code == 429 and 0 < int(page["Retry-After"]) <= 15 * 60
    assert "Too many attempts went wrong." in page.text


def test_it_needs_a_csrf_token(anna):
    assert recover(Client(enforce_csrf_checks=True), anna).status_code == 403
