"""Tokens of the API: what they open, what they may do, and how they end."""

import json
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.utils import timezone

from accounts import actions, grants, people, tokens
from accounts.errors import UsageError
from accounts.models import ApiToken, Scope, TokenKey
from tests.conftest import make_person


@pytest.fixture
def new(anna, account):
    """Anna's token that may operate and opens her account."""
    keys = {account.pk: actions.account_key(account, anna.user_key)}
    return tokens.make(anna.user, "nightly", Scope.OPERATE, 90, keys)


def test_a_token_is_known_by_its_secret_which_is_stored_nowhere(anna, new):
    assert tokens.authenticate(new.secret) == new.token
    row = ApiToken.objects.values().get()
    assert new.secret not in str(row) and new.secret not in repr(new)


@pytest.mark.parametrize("wrong", ["", "mailhelper_", "nonsense", "mailhelper_" + "A" * 43, "\0" * 54])
def test_another_secret_is_nobodys(new, wrong):
    assert tokens.authenticate(wrong) is None


def test_a_token_gives_the_keys_of_its_accounts_and_of_no_others(anna, new, account, connect, mailbox):
    another = connect(mailbox, name="Later")
    keys = tokens.account_keys(new.token, new.secret, [account, another])
    assert keys == {account.pk: actions.account_key(account, anna.user_key)}


def test_without_the_secret_a_tokens_keys_open_nothing(anna, new, account):
    other = tokens.make(anna.user, "other", Scope.READ, 30)
    assert tokens.account_keys(new.token, other.secret, [account]) == {}


def test_a_key_that_was_moved_to_another_account_does_not_open(anna, new, account, connect, mailbox):
    another = connect(mailbox, name="Later")
    TokenKey.objects.update(account=another)
    assert tokens.account_keys(new.token, new.secret, [account, another]) == {}


def test_a_token_ends_with_its_time(new, time_machine):
    time_machine.move_to(timezone.now() + timedelta(days=89), tick=False)
    assert tokens.authenticate(new.secret)
    time_machine.move_to(timezone.now() + timedelta(days=1), tick=False)
    assert tokens.authenticate(new.secret) is None


def test_its_use_is_noted(new, time_machine):
    now = timezone.now().replace(microsecond=0)
    time_machine.move_to(now, tick=False)
    tokens.authenticate(new.secret)
    assert ApiToken.objects.get().last_used_at == now


def test_a_revoked_token_is_nobodys_and_its_keys_are_gone(anna, new):
    tokens.revoke(anna.user, "NIGHTLY")
    assert tokens.authenticate(new.secret) is None
    assert not TokenKey.objects.exists()


def test_nobody_revokes_what_is_somebody_elses(bert, new):
    with pytest.raises(UsageError):
        tokens.revoke(bert.user, "nightly")
    assert tokens.authenticate(new.secret)


def test_tokens_end_with_the_deactivation_of_their_person(anna, bert, new):
    people.deactivate(anna.user, by=bert.user)
    people.activate(anna.user)
    assert tokens.authenticate(new.secret) is None


def test_each_scope_includes_the_ones_before_it_and_metrics_stand_alone():
    allowed = {(have, need) for have in Scope for need in Scope.values if have.includes(need)}
    assert allowed == {
        ("metrics", "metrics"),
        ("read", "read"),
        ("operate", "read"),
        ("operate", "operate"),
        ("manage", "read"),
        ("manage", "operate"),
        ("manage", "manage"),
    }


def test_only_who_runs_mailhelper_reads_metrics(anna):
    with pytest.raises(UsageError):
        tokens.make(anna.user, "prometheus", Scope.METRICS, 365)
    anna.user.is_staff = True
    anna.user.save(update_fields=["is_staff"])
    new = tokens.make(anna.user, "prometheus", Scope.METRICS, 365)
    assert tokens.authenticate(new.secret)
    anna.user.is_staff = False
    anna.user.save(update_fields=["is_staff"])
    assert tokens.authenticate(new.secret) is None


@pytest.mark.parametrize(
    ("name", "scope", "days"),
    [("", "read", 90), ("x" * 101, "read", 90), ("a\x07", "read", 90), ("a", "all", 90), ("a", "read", 91)],
)
def test_nonsense_makes_no_token(anna, name, scope, days):
    with pytest.raises(UsageError):
        tokens.make(anna.user, name, scope, days)
    assert not ApiToken.objects.exists()


def test_a_token_that_only_reads_carries_no_keys(anna, account):
    with pytest.raises(UsageError):
        tokens.make(anna.user, "reader", Scope.READ, 90, {account.pk: b"k" * 32})


def test_two_tokens_of_one_person_have_two_names(anna, new):
    with pytest.raises(UsageError, match="already a token"):
        tokens.make(anna.user, "Nightly", Scope.READ, 30)


def test_a_token_gives_the_workers_nothing_by_itself(new, account):
    assert not grants.valid_grants().filter(account=account).exists()


def test_the_command_prints_the_secret_alone_and_lists_what_there_is(anna, account, monkeypatch, capsys):
    monkeypatch.setenv("MAILHELPER_PASSWORD", anna.password)
    call_command("tokens", "anna@example.org", make="nightly", scope="operate", account=["gmx"])
    secret = capsys.readouterr().out.strip()
    token = tokens.authenticate(secret)
    assert tokens.account_keys(token, secret, [account])
    call_command("tokens", "anna@example.org")
    shown = capsys.readouterr().out
    assert shown.startswith("nightly: operate, until ") and shown.endswith("fetches GMX\n")
    call_command("tokens", "anna@example.org", json=True)
    told = json.loads(capsys.readouterr().out)
    assert told == {
        "user": "anna@example.org",
        "tokens": [
            {
                "name": "nightly",
                "scope": "operate",
                "expires_at": token.expires_at.isoformat(),
                "last_used_at": ApiToken.objects.get().last_used_at.isoformat(),
                "accounts": ["GMX"],
            }
        ],
    }
    call_command("tokens", "anna@example.org", revoke="nightly")
    assert capsys.readouterr().out == "anna@example.org has no tokens yet.\n"
    assert tokens.authenticate(secret) is None


def test_deleting_an_account_takes_it_from_the_token(anna, new, account):
    account.delete()
    assert tokens.authenticate(new.secret).keys.count() == 0


def test_tokens_of_two_people_may_have_the_same_name(anna, new, bert):
    other = make_person("carl@example.org")
    assert tokens.make(other.user, "nightly", Scope.READ, 30).token.name == new.token.name


@pytest.mark.django_db(transaction=True)
def test_a_token_is_known_where_its_use_cannot_be_noted(new):
    """As on a full disk, of which /metrics shall tell."""
    with read_only():
        assert tokens.authenticate(new.secret) == new.token
        with pytest.raises(DatabaseError):
            ApiToken.objects.update(last_used_at=timezone.now())


@contextmanager
def read_only():
    setting = "PRAGMA query_only" if connection.vendor == "sqlite" else "SET default_transaction_read_only"
    with connection.cursor() as cursor:
        cursor.execute(f"{setting} = 1")
        try:
            yield
        finally:
            cursor.execute(f"{setting} = 0")
