"""Signing up in the browser, and the one time that the recovery key is shown."""

import logging
import re

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import actions, invitations
from accounts.models import User
from tests.accounts.test_people import NEW_PASSWORD, all_rows
from tests.accounts.test_session import holds, user_key_in

pytestmark = pytest.mark.django_db
FORM = {
    "email": "new@example.org",
    "password": NEW_PASSWORD,
    "again": NEW_PASSWORD,
    "language": "de",
    "time_zone": "Europe/Berlin",
}


@pytest.fixture
def token(db):
    return invitations.invite_first_operator()


@pytest.fixture
def invited(client, token):
    """The browser of who followed the link."""
    assert client.get(reverse("invitation", args=[token]))["Location"] == reverse("sign_up")
    return client


@pytest.fixture
def new(invited):
    """The browser of who has just signed up."""
    assert sign_up(invited)["Location"] == reverse("recovery_key")
    return invited


def sign_up(browser, **changes):
    return browser.post(reverse("sign_up"), FORM | changes)


def shown_key(browser) -> str:
    found = re.search(r"<code>([A-Z2-7-]{39})</code>", browser.get(reverse("recovery_key")).text)
    return found and found[1]


def test_who_is_invited_signs_up_and_is_signed_in_and_unlocked(new):
    user = User.objects.get()
    assert (user.email, user.language, user.time_zone) == ("new@example.org", "de", "Europe/Berlin")
    assert user_key_in(new) == actions.unlock(user, NEW_PASSWORD)


def test_the_recovery_key_is_shown_until_it_is_said_to_be_kept_and_then_never_again(new):
    key = shown_key(new)
    assert shown_key(new) == key
    assert actions.unlock_by_recovery_key(User.objects.get(), key) == user_key_in(new)
    refused = new.post(reverse("recovery_key"))
    assert refused.status_code == 422 and key in refused.text and 'aria-describedby="error"' in refused.text
    assert new.post(reverse("recovery_key"), {"kept": "on"})["Location"] != reverse("recovery_key")
    assert new.get(reverse("recovery_key"))["Location"] == reverse("settings")
    assert "sealed_recovery_key" not in new.session


def test_the_recovery_key_survives_locking_and_is_recalled_by_the_settings(new):
    key = shown_key(new)
    new.post(reverse("lock"))
    assert new.get(reverse("recovery_key"))["Location"].startswith(reverse("unlock"))
    new.post(reverse("unlock"), {"password": NEW_PASSWORD})
    assert shown_key(new) == key
    assert reverse("recovery_key") + '"' in new.get(reverse("settings")).text


def test_no_row_no_session_and_no_log_line_holds_password_recovery_key_or_token(token, caplog):
    caplog.set_level(logging.DEBUG)
    browser = Client()
    browser.get(reverse("invitation", args=[token]))
    sign_up(browser, again="another one")
    sign_up(browser)
    Client().get(reverse("invitation", args=[token]))
    key = shown_key(browser)
    sessions = repr([row.get_decoded() for row in Session.objects.all()])
    left = (repr(all_rows()) + sessions + caplog.text).encode()
    assert b"sealed_recovery_key" in left and b"/sign-up/" in left
    for secret in (NEW_PASSWORD, key, key.replace("-", ""), token):
        assert not holds(left, secret.encode())
    assert not holds(left, user_key_in(browser))


def test_a_link_works_for_one_person(new, token):
    page = Client().get(reverse("invitation", args=[token]), follow=True)
    assert page.status_code == 403 and "Each link works for one person and seven days." in page.text


def test_two_who_opened_the_same_link_make_one_person(invited, token):
    other = Client()
    other.get(reverse("invitation", args=[token]))
    sign_up(invited)
    assert sign_up(other, email="other@example.org").status_code == 403
    assert User.objects.count() == 1


@pytest.mark.parametrize("token", ["unknown", "a" * 500, "ümlaut", "%00"])
def test_an_unknown_link_opens_nothing_and_leaves_no_session(client, db, token):
    assert client.get(reverse("invitation", args=[token]), follow=True).status_code == 403
    assert not Session.objects.exists()


def test_a_dead_link_ends_what_an_earlier_one_allowed(invited):
    invited.get(reverse("invitation", args=["unknown"]))
    assert sign_up(invited).status_code == 403


@pytest.mark.parametrize("method", ["get", "post"])
def test_without_an_invitation_sign_up_is_closed(client, db, method):
    page = getattr(client, method)(reverse("sign_up"), FORM)
    assert page.status_code == 403 and "can give you a link" in page.text
    assert not User.objects.exists()


def test_where_all_may_sign_up_they_do_and_run_nothing(client, db, settings):
    settings.MAILHELPER_OPEN_SIGN_UP = True
    assert reverse("sign_up") in client.get(reverse("sign_in")).text
    assert sign_up(client).status_code == 302
    assert not User.objects.get().is_staff


def test_where_all_may_sign_up_only_so_many_do_within_an_hour(client, settings, anna, monkeypatch):
    settings.MAILHELPER_OPEN_SIGN_UP = True
    monkeypatch.setattr(invitations, "MOST_UNINVITED", 1)
    refused = sign_up(client)
    assert refused.status_code == 422 and "Very many people" in refused.text
    client.get(reverse("invitation", args=[invitations.invite(anna.user)]))
    assert sign_up(client).status_code == 302
    User.objects.update(date_joined=timezone.now() - invitations.WITHIN)
    assert sign_up(Client(), email="another@example.org").status_code == 302


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"again": "another one"}, "The two passwords are not the same."),
        ({"password": "short", "again": "short"}, "too short"),
        ({"password": "x" * 1025, "again": "x" * 1025}, "at most 1,024 characters"),
        ({"email": "anna@example.org"}, "already a person with the address anna@example.org"),
        ({"email": "nobody"}, "is not an e-mail address"),
        ({"email": f"{'n' * 250}@example.org"}, "is not an e-mail address"),
        ({"time_zone": "Europe/Atlantis"}, "is not a time zone"),
        ({"language": "xx"}, "There is no language"),
    ],
)
def test_a_refused_sign_up_keeps_what_was_typed_but_no_password(invited, anna, changes, words):
    before = all_rows()["accounts_user"]
    page = sign_up(invited, **changes)
    assert page.status_code == 422 and words in page.text and 'aria-describedby="error' in page.text
    assert f'value="{(FORM | changes)["email"]}"' in page.text
    assert "time_zone" in changes or "<option selected>Europe/Berlin</option>" in page.text
    assert NEW_PASSWORD not in page.text and 'type="password" value' not in page.text
    assert all_rows()["accounts_user"] == before
    assert sign_up(invited).status_code == 302


def test_the_language_is_guessed_from_the_browser(invited):
    page = invited.get(reverse("sign_up"), headers={"Accept-Language": "de-AT,de;q=0.9"}).text
    assert '<option value="de" selected>' in page and "<option selected>UTC</option>" in page


def test_signing_up_needs_a_csrf_token_and_who_is_signed_in_has_no_need_of_it(new, token):
    assert Client(enforce_csrf_checks=True).post(reverse("sign_up"), FORM).status_code == 403
    assert new.get(reverse("sign_up"))["Location"] == reverse("overview")


def test_the_next_step_is_an_account(new):
    assert new.post(reverse("recovery_key"), {"kept": "on"})["Location"] == reverse("add_account")


def test_another_person_in_the_same_browser_is_not_shown_the_key(new, anna):
    sealed = new.session["sealed_recovery_key"]
    new.post(reverse("sign_in"), {"email": anna.user.email, "password": anna.password})
    assert "sealed_recovery_key" not in new.session
    session = new.session
    session["sealed_recovery_key"] = sealed
    session.save()
    assert shown_key(new) is None
