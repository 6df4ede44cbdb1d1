"""The page on which people make and revoke their API tokens."""

import re

import pytest
from django.urls import reverse

from accounts import tokens, unlocked
from accounts.models import ApiToken, Scope
from tests.accounts.test_session import sign_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser(anna):
    return sign_in(anna)


def asked(**more) -> dict:
    return {"name": "nightly", "scope": "operate", "days": "90"} | more


def test_a_token_is_shown_once(browser, anna, account):
    page = browser.post(reverse("make_token"), asked(account=str(account.pk)))
    [secret] = re.findall(r"<code>(mailhelper_[\w-]{43})</code>", page.text)
    token = tokens.authenticate(secret)
    assert token.user == anna.user and tokens.account_keys(token, secret, [account])
    assert " checked" not in page.text and 'value="nightly"' not in page.text  # for the next one
    assert re.search(r'value="read" selected', page.text)
    again = browser.get(reverse("tokens"))
    assert secret not in again.text and "nightly" in again.text and "GMX" in again.text


def test_nonsense_keeps_what_was_typed(browser, account):
    page = browser.post(reverse("make_token"), asked(scope="all", name="Mine", account=str(account.pk)))
    assert page.status_code == 422 and 'value="Mine"' in page.text
    assert re.search(rf'value="{account.pk}" checked', page.text)
    for days in ("x", "-1", "9" * 5000):
        assert browser.post(reverse("make_token"), asked(days=days)).status_code == 422
    assert not ApiToken.objects.exists()


def test_somebody_elses_account_is_not_put_into_a_token(browser, bert, connect, mailbox):
    theirs = connect(mailbox, owner=bert)
    browser.post(reverse("make_token"), asked(account=str(theirs.pk)))
    assert ApiToken.objects.get().keys.count() == 0


def test_a_locked_session_makes_no_token(browser):
    del browser.cookies[unlocked.COOKIE]
    assert reverse("unlock") in browser.post(reverse("make_token"), asked())["Location"]
    assert not ApiToken.objects.exists()


def test_a_token_is_revoked_by_its_owner_alone(browser, anna, bert):
    mine = tokens.make(anna.user, "mine", Scope.READ, 30)
    theirs = tokens.make(bert.user, "theirs", Scope.READ, 30)
    assert browser.post(reverse("revoke_token", args=[theirs.token.pk])).status_code == 404
    browser.post(reverse("revoke_token", args=[mine.token.pk]))
    assert list(ApiToken.objects.all()) == [theirs.token]


def test_the_scope_metrics_is_offered_to_who_runs_mailhelper_alone(browser, anna):
    assert 'value="metrics"' not in browser.get(reverse("tokens")).text
    anna.user.is_staff = True
    anna.user.save(update_fields=["is_staff"])
    assert 'value="metrics"' in browser.get(reverse("tokens")).text
