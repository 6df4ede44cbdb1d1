"""A script that asks the API, as its writer would."""

import json
import re

import pytest
import requests
from django.test import Client

from accounts import actions, tokens
from accounts.models import Scope
from tests.accounts.test_session import sign_in
from tests.browser.site import Site
from tests.conftest import Mailbox
from tests.installation import Installation

OWNER = "anna@example.org"  # as the document has it
PEOPLE = ("cora@example.org", "dora@example.org")  # whose accounts nobody expects to find as they were


class Script:
    """Requests of one token or session; `answer.json()` is what came back."""

    def __init__(self, client: Client, **headers: str):
        self._client, self._headers = client, headers

    def __call__(self, method: str, path: str, body=None, **headers: str):
        content = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
        return self._client.generic(method, f"/api{path}", headers=self._headers | headers, **content)

    def get(self, path: str, **headers):
        return self("GET", path, **headers)

    def post(self, path: str, body=None, **headers):
        return self("POST", path, body or {}, **headers)


def by_token(owner, scope=Scope.MANAGE, accounts=(), name="script") -> Script:
    keys = actions.account_keys(accounts, owner.user_key)
    new = tokens.make(owner.user, name, scope, 90, keys)
    return Script(Client(), Authorization=f"Bearer {new.secret}")


def by_session(owner) -> Script:
    return Script(sign_in(owner))


@pytest.fixture
def script(anna, account):
    """Anna's token that may do everything and opens her account."""
    return by_token(anna, accounts=[account])


@pytest.fixture
def session(anna):
    """Anna's unlocked session."""
    return by_session(anna)


@pytest.fixture(scope="session")
def house(tmp_path_factory, dovecot):
    """Each has an account; two of them with mails that were fetched and a report."""
    house = Installation(tmp_path_factory.mktemp("asked"))
    for email in (OWNER, *PEOPLE):
        box = Mailbox(dovecot)
        box.append(f"Subject: canary of {email}\r\n\r\nText\r\n".encode())
        house.manage("add_user", email)
        house.add_account(box, email=email, name=f"Account of {email}")
    for email in PEOPLE:
        house.manage("sync_all", "--user", email)
        house.manage("diagnose", email, "--account", f"Account of {email}")
    return house


@pytest.fixture(scope="session")
def site(house):
    with Site(house, MAILHELPER_API_REQUESTS_PER_MINUTE="1000000", MAILHELPER_WORKERS="1") as site:
        yield site


def signed_in(site, house, email: str) -> requests.Session:
    session = requests.Session()
    page = session.get(f"{site.url}/sign-in/").text
    [secret] = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    session.post(
        f"{site.url}/sign-in/",
        {"email": email, "password": house.password, "csrfmiddlewaretoken": secret},
    ).raise_for_status()
    session.headers["X-CSRFToken"] = session.cookies["csrftoken"]
    return session


def with_token(house, email: str, name: str = "fuzz") -> requests.Session:
    out = house.manage("tokens", email, "--make", name, "--scope", "manage", "--all-accounts")
    session = requests.Session()
    [secret] = re.findall(r"mailhelper_[\w-]{43}", out)
    session.headers["Authorization"] = f"Bearer {secret}"
    return session
