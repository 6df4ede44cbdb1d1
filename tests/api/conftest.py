"""A script that asks the API, as its writer would."""

import json
import re
import secrets

import pytest
import requests
from django.test import Client

from accounts import actions, tokens
from accounts.models import Scope
from tests.accounts.test_session import sign_in
from tests.browser.site import Site
from tests.conftest import Mailbox
from tests.installation import Installation, account_command

ANNA, *FUZZED = ("anna@example.org", "bert@example.org", "carl@example.org")


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
    """Each has an account with a fetched mail and a report. The fuzzing leaves Anna's as it is."""
    house = Installation(tmp_path_factory.mktemp("asked"))
    password = secrets.token_urlsafe(12)
    commands = []
    for email in (ANNA, *FUZZED):
        box = Mailbox(dovecot, password=password)
        box.append(f"Subject: canary of {email}\r\n\r\nText\r\n".encode())
        commands += [
            ("add_user", email),
            account_command(box, email, f"Account of {email}"),
            ("sync_all", "--user", email),
            ("diagnose", email, "--account", f"Account of {email}"),
        ]
    house.manage_each(commands, MAILHELPER_IMAP_PASSWORD=password)
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
