"""The unlocked session: its key lies only in the browser's cookie."""

import base64
from pathlib import Path

import pytest
from django.contrib.auth import get_user
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client, RequestFactory
from django.urls import reverse

from accounts import unlocked, vault

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser(anna) -> Client:
    """Anna's browser, signed in."""
    return sign_in(anna)


def sign_in(person, **options) -> Client:
    browser = Client()
    answer = browser.post(
        reverse("sign_in"), {"email": person.user.email, "password": person.password}, **options
    )
    assert answer.status_code == 302
    return browser


def request_of(browser: Client):
    request = RequestFactory().get("/")
    request.COOKIES = {name: morsel.value for name, morsel in browser.cookies.items()}
    request.session = browser.session
    request.user = get_user(request)
    return request


def user_key_in(browser: Client) -> bytes | None:
    return unlocked.user_key(request_of(browser))


def cookie_key_of(browser: Client) -> bytes:
    return base64.urlsafe_b64decode(browser.cookies[unlocked.COOKIE].value)


def forms_of(secret: bytes) -> list[bytes]:
    """How bytes may stand in a file: raw, hex, and base64 at each of its three alignments."""
    forms = [secret, secret.hex().encode(), secret.hex().upper().encode()]
    for start in range(3):
        whole = secret[start : start + (len(secret) - start) // 3 * 3]
        forms += [base64.b64encode(whole), base64.urlsafe_b64encode(whole)]
    return forms


def holds(stored: bytes, secret: bytes) -> bool:
    return any(form in stored for form in forms_of(secret))


def database_files() -> bytes:
    path = Path(connection.settings_dict["NAME"])
    return b"".join(file.read_bytes() for file in sorted(path.parent.glob(f"{path.name}*")))


def session_row() -> bytes:
    [row] = Session.objects.all()
    return "\n".join([row.session_key, row.session_data, repr(row.get_decoded())]).encode()


def test_the_search_finds_a_secret_in_each_form():
    secret = vault.new_key()
    for before in (b"", b"a", b"ab"):
        assert holds(base64.b64encode(before + secret), secret)
        assert holds(before + secret.hex().encode(), secret)
    assert not holds(base64.b64encode(vault.new_key()), secret)


def test_the_sign_in_unlocks_the_persons_own_key(browser, anna):
    assert user_key_in(browser) == anna.user_key


def test_the_session_row_holds_neither_the_user_key_nor_the_cookies_key(browser, anna):
    cookie_key = cookie_key_of(browser)
    assert not holds(session_row(), anna.user_key)
    assert not holds(session_row(), cookie_key)
    assert anna.password.encode() not in session_row()


@pytest.mark.once  # it reads SQLite's files
@pytest.mark.django_db(transaction=True)
def test_the_whole_database_holds_neither_the_user_key_nor_the_cookies_key(browser, anna):
    stored = database_files()
    assert browser.cookies["sessionid"].value.encode() in stored
    assert not holds(stored, anna.user_key)
    assert not holds(stored, cookie_key_of(browser))
    assert browser.cookies[unlocked.COOKIE].value.encode() not in stored
    assert anna.password.encode() not in stored


def test_without_the_cookie_the_session_is_locked(browser):
    del browser.cookies[unlocked.COOKIE]
    assert request_of(browser).user.is_authenticated
    assert user_key_in(browser) is None


def test_with_another_persons_cookie_the_session_is_locked(browser, bert):
    browser.cookies[unlocked.COOKIE] = sign_in(bert).cookies[unlocked.COOKIE].value
    assert user_key_in(browser) is None


def test_with_the_cookie_of_an_older_session_the_session_is_locked(browser, anna):
    browser.cookies[unlocked.COOKIE] = sign_in(anna).cookies[unlocked.COOKIE].value
    assert user_key_in(browser) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda cookie: "",
        lambda cookie: "=",
        lambda cookie: "not base64!",
        lambda cookie: "ümlaut",
        lambda cookie: cookie[:-8],
        lambda cookie: "AAAA" + cookie,
        lambda cookie: cookie.swapcase(),
        lambda cookie: ("B" if cookie[0] == "A" else "A") + cookie[1:],
        lambda cookie: base64.urlsafe_b64encode(bytes(16)).decode(),
    ],
)
def test_with_a_changed_cookie_the_session_is_locked(browser, change):
    browser.cookies[unlocked.COOKIE] = change(browser.cookies[unlocked.COOKIE].value)
    assert user_key_in(browser) is None


@pytest.mark.parametrize("sealed", ["", "not base64!", "AAAA", base64.b64encode(bytes(61)).decode()])
def test_with_a_changed_session_row_the_session_is_locked(browser, sealed):
    session = browser.session
    session["sealed_user_key"] = sealed
    session.save()
    assert user_key_in(browser) is None


def test_a_sealed_key_moved_to_another_persons_session_stays_locked(browser, bert):
    other = sign_in(bert)
    session = other.session
    session["sealed_user_key"] = browser.session["sealed_user_key"]
    session.save()
    other.cookies[unlocked.COOKIE] = browser.cookies[unlocked.COOKIE].value
    assert user_key_in(other) is None


def test_signing_out_leaves_neither_cookie_nor_sealed_key(browser):
    browser.post(reverse("sign_out"))
    assert browser.cookies[unlocked.COOKIE].value == ""
    assert not Session.objects.exists()
    assert user_key_in(browser) is None


def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites(browser, settings):
    cookie = browser.cookies[unlocked.COOKIE]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
    assert cookie["max-age"] == settings.SESSION_COOKIE_AGE
    assert cookie["domain"] == ""


@pytest.mark.parametrize("secure", [True, False])
@pytest.mark.parametrize(
    "request_options",
    [
        {"secure": False, "headers": {"host": "localhost"}},
        {"secure": True, "headers": {"host": "localhost"}},
        {"secure": False, "headers": {"host": "127.0.0.1:8000"}, "REMOTE_ADDR": "127.0.0.1"},
        {"secure": False, "headers": {"host": "mail.example.org"}, "REMOTE_ADDR": "203.0.113.9"},
        {"secure": False, "headers": {"host": "localhost", "x-forwarded-proto": "https"}},
    ],
)
def test_the_cookies_are_secure_by_the_setting_and_never_by_the_address(
    anna, settings, secure, request_options
):
    settings.ALLOWED_HOSTS = ["localhost", "127.0.0.1", "mail.example.org"]
    settings.SESSION_COOKIE_SECURE = secure
    browser = sign_in(anna, **request_options)
    for name in (unlocked.COOKIE, settings.SESSION_COOKIE_NAME):
        assert bool(browser.cookies[name]["secure"]) is secure
        assert browser.cookies[name]["httponly"] is True
