"""Signing in, unlocking and signing out in the browser."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from accounts import unlocked

pytestmark = pytest.mark.django_db
WRONG = "This address and password do not belong together."


def sign_in(client, email, password, **fields):
    return client.post(reverse("sign_in"), {"email": email, "password": password, **fields})


def lock(client):
    client.cookies.pop(unlocked.COOKIE)


def test_the_right_password_leads_to_the_overview_with_the_vault_unlocked(client, anna):
    response = sign_in(client, anna.user.email, anna.password)
    assert (response.status_code, response["Location"]) == (302, reverse("overview"))
    assert "Unlocked" in client.get(reverse("overview")).text


def test_the_address_may_be_written_in_capitals(client, anna):
    assert sign_in(client, " ANNA@example.org ", anna.password).status_code == 302


def test_a_wrong_password_is_refused_and_the_address_is_kept(client, anna):
    response = sign_in(client, anna.user.email, "not the password")
    assert response.status_code == 422
    assert WRONG in response.text
    assert 'value="anna@example.org"' in response.text
    assert "not the password" not in response.text
    assert "_auth_user_id" not in client.session


def test_an_unknown_address_gets_the_same_answer_as_a_wrong_password(client, anna):
    response = sign_in(client, "nobody@example.org", anna.password)
    assert response.status_code == 422
    assert WRONG in response.text


def test_the_error_is_tied_to_the_fields(client, anna):
    page = sign_in(client, anna.user.email, "not the password").text
    assert 'id="error"' in page
    assert page.count('aria-describedby="error"') == 2


def test_another_persons_password_does_not_open_the_account(client, anna, bert):
    assert sign_in(client, anna.user.email, bert.password).status_code == 422


def test_the_sign_in_page_says_how_to_get_an_account_and_what_the_recovery_key_does(client):
    page = client.get(reverse("sign_in")).text
    assert "Whoever runs this mailhelper can invite you." in page
    assert f'href="{reverse("recover")}"' in page and f'href="{reverse("sign_up")}"' not in page
    assert 'autocomplete="username"' in page
    assert 'autocomplete="current-password"' in page


def test_signing_in_needs_a_csrf_token(anna):
    response = sign_in(Client(enforce_csrf_checks=True), anna.user.email, anna.password)
    assert response.status_code == 403
    assert "This page was open too long" in response.text


def test_next_leads_to_a_page_of_this_site(client, anna):
    response = sign_in(client, anna.user.email, anna.password, next=reverse("panel"))
    assert response["Location"] == reverse("panel")


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "javascript:alert(1)",
        "http:///evil.example",
    ],
)
def test_next_never_leads_off_site(client, anna, target):
    assert sign_in(client, anna.user.email, anna.password, next=target)["Location"] == reverse("overview")
    unlock = client.post(reverse("unlock"), {"password": anna.password, "next": target})
    assert unlock["Location"] == reverse("overview")


def test_a_session_without_its_cookie_is_locked_until_the_password_is_given(client, anna):
    sign_in(client, anna.user.email, anna.password)
    lock(client)
    assert "Locked" in client.get(reverse("overview")).text
    client.post(reverse("unlock"), {"password": anna.password})
    assert "Unlocked" in client.get(reverse("overview")).text


def test_unlocking_with_a_wrong_password_leaves_the_session_locked(client, anna):
    sign_in(client, anna.user.email, anna.password)
    lock(client)
    response = client.post(reverse("unlock"), {"password": "not the password", "next": "/"})
    assert response.status_code == 422
    assert WRONG in response.text
    assert "Locked" in client.get(reverse("overview")).text


def test_unlocking_needs_somebody_signed_in(client):
    assert client.get(reverse("unlock"))["Location"].startswith(reverse("sign_in"))


def test_signing_out_drops_the_cookie_and_the_session_with_its_sealed_key(client, anna):
    sign_in(client, anna.user.email, anna.password)
    session_key = client.session.session_key
    assert "sealed_user_key" in client.session
    response = client.post(reverse("sign_out"))
    assert response["Location"] == reverse("sign_in")
    assert response.cookies[unlocked.COOKIE]["max-age"] == 0
    assert not client.session.exists(session_key)
    assert "sealed_user_key" not in client.session


def test_signing_out_is_a_post(client, anna):
    sign_in(client, anna.user.email, anna.password)
    assert client.get(reverse("sign_out")).status_code == 405


def test_the_unlock_cookie_is_out_of_reach_for_scripts(client, anna):
    cookie = sign_in(client, anna.user.email, anna.password).cookies[unlocked.COOKIE]
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")


def test_a_file_that_a_stranger_sends_is_not_kept(client, anna):
    file = SimpleUploadedFile("large", b"x" * 5_000_000)
    asked = client.post(reverse("sign_in"), {"email": anna.user.email, "file": file}).wsgi_request
    assert not asked.FILES and asked.POST["email"] == anna.user.email
