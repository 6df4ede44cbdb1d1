"""By which pages a person goes."""

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse

from accounts.models import User
from tests.mail.stocked import Stock, letter
from tests.pipeline.test_pages import signed_in, words

pytestmark = pytest.mark.django_db
DELETE_ME = "delete_me"


@pytest.fixture
def browser(anna):
    return signed_in(Client(), anna)


@pytest.fixture
def operator(bert):
    User.objects.filter(pk=bert.user.pk).update(is_staff=True)
    return signed_in(Client(), bert)


def delete_me(browser, anna, **typed):
    return browser.post(
        reverse(DELETE_ME), {"address": anna.user.email, "password": anna.password} | typed, follow=True
    )


def delete_url(person) -> str:
    return reverse("delete_person", args=[person.user.pk])


def test_what_will_go_is_shown_first(browser, anna, account):
    Stock(anna, account).put(letter("one"), letter("two"))
    page = browser.get(reverse(DELETE_ME)).text
    assert "1 account goes. 2 mails that are stored here go." in words(page)
    assert reverse("export_account", args=[account.pk]) in page
    assert reverse(DELETE_ME) in browser.get(reverse("settings")).text


def test_who_types_address_and_password_goes_and_is_signed_out(browser, anna, account):
    response = delete_me(browser, anna, address=" Anna@Example.org ")
    assert "Everything of yours is deleted" in response.text
    assert "your password or your recovery key alone" in response.text
    assert not User.objects.exists() and not Session.objects.exists()
    assert browser.get(reverse("overview")).status_code == 302
    assert [name for name, cookie in browser.cookies.items() if cookie.value] == ["csrftoken"]


@pytest.mark.parametrize("typed", [{"address": "bert@example.org"}, {"password": "wrong"}, {"password": ""}])
def test_something_wrong_deletes_nothing_and_keeps_the_address(browser, anna, typed):
    response = delete_me(browser, anna, **typed)
    assert response.status_code == 422 and User.objects.exists()
    assert f'value="{typed.get("address", anna.user.email)}"' in response.text
    assert "wrong" not in response.text


def test_guessing_the_password_here_is_slowed_down_as_elsewhere(browser, anna, settings):
    for _ in range(settings.AXES_FAILURE_LIMIT):
        delete_me(browser, anna, password="wrong")
    assert delete_me(browser, anna).status_code == 429
    assert User.objects.exists()


def test_an_operator_deletes_a_person_by_the_address_and_their_own_password(operator, anna, bert, account):
    assert delete_url(anna) in operator.get(reverse("people")).text
    assert "anna@example.org" in operator.get(delete_url(anna)).text
    typed = {"address": "anna@example.org", "password": bert.password}
    for wrong in ({"address": "bert@example.org"}, {"password": "wrong"}, {"password": anna.password + "x"}):
        assert operator.post(delete_url(anna), typed | wrong).status_code == 422
    assert operator.post(delete_url(anna), {"address": "anna@example.org"}).status_code == 422
    assert "The person is deleted" in operator.post(delete_url(anna), typed, follow=True).text
    assert "The person is deleted" not in operator.get(reverse("people")).text
    assert list(User.objects.all()) == [bert.user]


def test_an_operator_does_not_delete_themselves_there(operator, bert):
    for answer in (
        operator.get(delete_url(bert)),
        operator.post(delete_url(bert), {"address": bert.user.email}),
    ):
        assert answer["Location"] == reverse(DELETE_ME)
    assert User.objects.exists()


def test_the_last_operator_is_told_why_they_cannot_go(operator, anna, bert):
    page = operator.get(reverse(DELETE_ME)).text
    assert "Nobody else runs this mailhelper" in page and 'type="password"' not in page
    assert reverse("people") in page
    response = delete_me(operator, bert)
    assert response.status_code == 422 and "Nobody else runs this mailhelper" in response.text


def test_an_operator_who_is_alone_here_may_go(operator, bert):
    assert 'type="password"' in operator.get(reverse(DELETE_ME)).text
    delete_me(operator, bert)
    assert not User.objects.exists()


def test_it_is_not_there_for_others_and_a_locked_operator_unlocks_first(browser, operator, anna, bert):
    assert browser.get(delete_url(bert)).status_code == 404
    assert browser.post(delete_url(bert), {"address": bert.user.email}).status_code == 404
    operator.post(reverse("lock"))
    assert reverse("unlock") in operator.post(delete_url(anna), {"address": anna.user.email})["Location"]
    assert User.objects.count() == 2


def test_deleting_needs_a_csrf_token(anna):
    strict = signed_in(Client(enforce_csrf_checks=False), anna)
    strict.handler.enforce_csrf_checks = True
    assert delete_me(strict, anna).status_code == 403 and User.objects.exists()
