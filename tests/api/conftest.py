"""A script that asks the API, as its writer would."""

import json

import pytest
from django.test import Client

from accounts import actions, tokens
from accounts.models import Scope
from tests.accounts.test_session import sign_in


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
        return self("POST", path, body, **headers)


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
