"""People and their keys: added, unlocked, given a new password, recovered."""

import pytest
from django.apps import apps
from django.contrib.auth import get_user
from django.core.management import CommandError, call_command
from django.http import HttpRequest
from django.test import Client

from accounts import actions, vault
from accounts.errors import PasswordTooLong, SealBroken, UsageError, WrongPassword, WrongRecoveryKey
from accounts.hashers import SplitArgon2Hasher
from accounts.models import MailAccount, User, Vault

pytestmark = pytest.mark.django_db

NEW_PASSWORD = "a boat of folded paper"
COMMON = "password1234"


def all_rows() -> dict[str, list]:
    """Every row of every table, to compare before and after."""
    return {
        model._meta.db_table: list(model._base_manager.order_by("pk").values_list())
        for model in apps.get_models(include_auto_created=True)
    }


def new_account(person, name="GMX", port=993, security="tls", filters=None, **changes) -> MailAccount:
    details = {"host": "imap.example.org", "login": "box", "secret": "plain secret of the box"} | changes
    connection = actions.Connection(**details)
    filters = filters or actions.Filters()
    return actions.add_account(person.user, person.user_key, name, port, security, connection, filters)


def signed_in(browser: Client) -> bool:
    request = HttpRequest()
    request.session = browser.session
    return get_user(request).is_authenticated


def fresh(person) -> User:
    return User.objects.get(pk=person.user.pk)


def salt_of(user: User) -> bytes:
    return SplitArgon2Hasher().decode(user.password)["salt"]


def swap(model, field, one, other) -> None:
    values = {row.pk: getattr(row, field) for row in model.objects.filter(pk__in=(one, other))}
    model.objects.filter(pk=one).update(**{field: values[other]})
    model.objects.filter(pk=other).update(**{field: values[one]})


def test_a_new_person_is_opened_by_password_and_by_recovery_key():
    new = actions.add_person("anna@example.org", NEW_PASSWORD)
    [user] = User.objects.all()
    user_key = actions.unlock(user, NEW_PASSWORD)
    assert actions.unlock_by_recovery_key(user, new.recovery_key) == user_key
    private = actions.mail_private_key(user, user_key)
    assert vault.key_pair_of(private).public == user.vault.mail_public_key


def test_an_address_is_stored_and_found_without_regard_to_case_and_spaces():
    actions.add_person(" Anna@Example.ORG ", NEW_PASSWORD)
    user, _ = actions.unlock_by_address("ANNA@example.org\n", NEW_PASSWORD)
    assert user.email == "anna@example.org"


@pytest.mark.parametrize("address", ["anna@example.org", "ANNA@example.org", " Anna@Example.Org "])
def test_an_address_is_given_only_once_in_any_case(anna, address):
    before = all_rows()
    with pytest.raises(UsageError, match=r"already a person with the address anna@example\.org"):
        actions.add_person(address, NEW_PASSWORD)
    assert all_rows() == before


@pytest.mark.parametrize("address", ["", "anna", "anna@", "@example.org", "a b@example.org", "a@b@c.org"])
def test_what_is_no_address_is_refused(address):
    before = all_rows()
    with pytest.raises(UsageError, match="is not an e-mail address"):
        actions.add_person(address, NEW_PASSWORD)
    assert all_rows() == before


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("", "too short"),
        ("nine char", "too short"),
        (COMMON, "too common"),
        ("anna.lindenau@example.org", "too similar to the address"),
    ],
)
def test_a_weak_password_is_refused_with_its_reason(password, why):
    before = all_rows()
    with pytest.raises(UsageError, match=why):
        actions.add_person("anna.lindenau@example.org", password)
    assert all_rows() == before


def test_a_wrong_password_opens_nothing_and_changes_nothing(anna):
    before = all_rows()
    for wrong in ("", anna.password + " ", anna.password.swapcase(), anna.recovery_key):
        with pytest.raises(WrongPassword):
            actions.unlock(anna.user, wrong)
        with pytest.raises(WrongPassword):
            actions.unlock_by_address(anna.user.email, wrong)
    assert all_rows() == before


def test_a_wrong_recovery_key_opens_nothing_and_changes_nothing(anna, bert):
    before = all_rows()
    for wrong in ("", "not a key", vault.new_recovery_key(), bert.recovery_key, anna.password):
        with pytest.raises(WrongRecoveryKey):
            actions.unlock_by_recovery_key(anna.user, wrong)
    assert all_rows() == before


def test_a_person_who_is_switched_off_cannot_unlock(anna):
    User.objects.update(is_active=False)
    with pytest.raises(WrongPassword):
        actions.unlock_by_address(anna.user.email, anna.password)


@pytest.mark.parametrize("who", ["nobody@example.org", "anna@example.org", "off@example.org"])
def test_a_known_an_unknown_and_a_switched_off_address_cost_the_same_derivation(anna, who, monkeypatch):
    actions.add_person("off@example.org", NEW_PASSWORD)
    User.objects.filter(email="off@example.org").update(is_active=False)
    costs, derive = [], vault.password_keys

    def spy(password, salt, cost):
        costs.append(cost)
        return derive(password, salt, cost)

    monkeypatch.setattr(vault, "password_keys", spy)
    with pytest.raises(WrongPassword) as refused:
        actions.unlock_by_address(who, "wrong, whoever it is")
    assert costs == [vault.Cost(memory=64, passes=1, lanes=1)]
    assert str(refused.value) == "This address and password do not belong together."


def test_a_changed_password_opens_the_same_keys_and_the_old_one_nothing(anna):
    account = new_account(anna)
    account_key = actions.account_key(account, anna.user_key)
    mail_key = actions.mail_private_key(anna.user, anna.user_key)
    actions.change_password(anna.user, anna.user_key, NEW_PASSWORD)
    with pytest.raises(WrongPassword):
        actions.unlock(fresh(anna), anna.password)
    user_key = actions.unlock(fresh(anna), NEW_PASSWORD)
    assert actions.account_key(MailAccount.objects.get(), user_key) == account_key
    assert actions.mail_private_key(fresh(anna), user_key) == mail_key
    assert actions.unlock_by_recovery_key(fresh(anna), anna.recovery_key) == user_key


def test_a_changed_password_changes_only_the_verifier_and_the_wrapped_key(anna, bert):
    new_account(anna)
    before = all_rows()
    actions.change_password(anna.user, anna.user_key, NEW_PASSWORD)
    after = all_rows()
    assert [table for table in before if before[table] != after[table]] == ["accounts_user", "accounts_vault"]
    for table in ("accounts_user", "accounts_vault"):
        [changed] = [
            sum(one != other for one, other in zip(old, new, strict=True))
            for old, new in zip(before[table], after[table], strict=True)
            if old != new
        ]
        assert changed == 1


def test_setting_the_same_password_again_takes_a_new_salt(anna):
    old = User.objects.select_related("vault").get()
    actions.change_password(anna.user, anna.user_key, anna.password)
    assert salt_of(fresh(anna)) != salt_of(old)
    assert fresh(anna).vault.user_key_by_password != old.vault.user_key_by_password


def test_a_weak_new_password_is_refused_and_the_old_one_stays(anna):
    before = all_rows()
    with pytest.raises(UsageError, match="too common"):
        actions.change_password(anna.user, anna.user_key, COMMON)
    assert all_rows() == before


def test_a_changed_password_ends_every_session_of_that_person_only(anna, bert):
    browsers = [Client(), Client(), Client()]
    for browser, person in zip(browsers, (anna, anna, bert), strict=True):
        browser.force_login(person.user)
    assert all(signed_in(browser) for browser in browsers)
    actions.change_password(anna.user, anna.user_key, NEW_PASSWORD)
    assert [signed_in(browser) for browser in browsers] == [False, False, True]


def test_change_password_asks_the_old_password(anna, monkeypatch, capsys):
    monkeypatch.setenv("MAILHELPER_PASSWORD", anna.password)
    monkeypatch.setenv("MAILHELPER_NEW_PASSWORD", NEW_PASSWORD)
    call_command("change_password", "Anna@example.org")
    assert actions.unlock(fresh(anna), NEW_PASSWORD) == anna.user_key
    assert "The recovery key stays valid." in capsys.readouterr().out


def test_change_password_recovers_with_the_recovery_key(anna, monkeypatch):
    monkeypatch.setenv("MAILHELPER_RECOVERY_KEY", anna.recovery_key.lower().replace("-", " "))
    monkeypatch.setenv("MAILHELPER_NEW_PASSWORD", NEW_PASSWORD)
    call_command("change_password", "anna@example.org", "--recover")
    assert actions.unlock(fresh(anna), NEW_PASSWORD) == anna.user_key
    assert actions.unlock_by_recovery_key(fresh(anna), anna.recovery_key) == anna.user_key


@pytest.mark.parametrize(
    ("arguments", "variable", "wrong"),
    [
        ([], "MAILHELPER_PASSWORD", "not hers"),
        (["--recover"], "MAILHELPER_RECOVERY_KEY", "no recovery key"),
        (["--recover"], "MAILHELPER_RECOVERY_KEY", "AAAA-BBBB-CCCC-DDDD-EEEE-FFFF-GGGG-HHHH"),
    ],
)
def test_change_password_with_a_wrong_secret_changes_nothing(anna, arguments, variable, wrong, monkeypatch):
    before = all_rows()
    monkeypatch.setenv("MAILHELPER_NEW_PASSWORD", NEW_PASSWORD)
    monkeypatch.setenv(variable, wrong)
    with pytest.raises(CommandError) as refused:
        call_command("change_password", "anna@example.org", *arguments)
    assert refused.value.returncode == 1
    assert all_rows() == before


@pytest.mark.parametrize(
    "field", ["user_key_by_password", "user_key_by_recovery_key", "sealed_mail_private_key"]
)
def test_a_vault_field_swapped_between_two_people_does_not_open(anna, bert, field):
    swap(Vault, field, anna.user.vault.pk, bert.user.vault.pk)
    before = all_rows()
    opened_by = {
        "user_key_by_password": lambda person: actions.unlock(fresh(person), person.password),
        "user_key_by_recovery_key": lambda person: actions.unlock_by_recovery_key(
            fresh(person), person.recovery_key
        ),
        "sealed_mail_private_key": lambda person: actions.mail_private_key(fresh(person), person.user_key),
    }
    for person in (anna, bert):
        with pytest.raises((SealBroken, WrongRecoveryKey)):
            opened_by[field](person)
    assert all_rows() == before


def test_a_whole_lock_copied_to_another_persons_rows_does_not_open_there(anna, bert):
    User.objects.filter(pk=bert.user.pk).update(password=anna.user.password)
    Vault.objects.filter(user=bert.user).update(user_key_by_password=anna.user.vault.user_key_by_password)
    with pytest.raises(SealBroken):
        actions.unlock(fresh(bert), anna.password)


@pytest.mark.parametrize("field", ["sealed_account_key", "sealed_connection", "sealed_folder_rules"])
def test_a_field_swapped_between_two_accounts_of_one_person_does_not_open(anna, field):
    one, other = new_account(anna, "GMX"), new_account(anna, "Work")
    keys = actions.account_keys([one, other], anna.user_key)
    swap(MailAccount, field, one.pk, other.pk)
    before = all_rows()
    opened_by = {
        "sealed_account_key": lambda account: actions.account_key(account, anna.user_key),
        "sealed_connection": lambda account: actions.connection_of(account, keys[account.pk]),
        "sealed_folder_rules": lambda account: actions.filters_of(account, keys[account.pk]),
    }
    for account in MailAccount.objects.all():
        with pytest.raises(SealBroken):
            opened_by[field](account)
    assert all_rows() == before


def test_a_field_moved_within_one_row_does_not_open(anna):
    account = new_account(anna)
    key = actions.account_key(account, anna.user_key)
    account.sealed_connection = account.sealed_folder_rules
    with pytest.raises(SealBroken):
        actions.connection_of(account, key)


def test_one_person_cannot_open_the_account_of_another(anna, bert):
    account = new_account(anna)
    with pytest.raises(SealBroken):
        actions.account_key(account, bert.user_key)


def test_new_settings_for_an_account_with_a_swapped_key_are_refused(anna, bert, monkeypatch):
    swap(MailAccount, "sealed_account_key", new_account(anna).pk, new_account(bert).pk)
    before = all_rows()
    monkeypatch.setenv("MAILHELPER_PASSWORD", anna.password)
    monkeypatch.setenv("MAILHELPER_IMAP_PASSWORD", "plain secret")
    with pytest.raises(CommandError, match="A sealed value does not open here"):
        call_command(
            *("add_account", "anna@example.org", "--name=GMX", "--host=localhost", "--port=993"),
            *("--security=tls", "--login=box", "--replace"),
        )
    assert all_rows() == before


def test_a_password_of_endless_length_is_refused_before_any_work(anna, monkeypatch):
    monkeypatch.setattr(vault, "unicodedata", None)  # whoever normalises fails
    endless = "ä" * 100_000
    for address in ("anna@example.org", "nobody@example.org"):
        with pytest.raises(WrongPassword):
            actions.unlock_by_address(address, endless)
    with pytest.raises(PasswordTooLong):
        actions.change_password(anna.user, anna.user_key, endless)
    with pytest.raises(WrongRecoveryKey):
        vault.recovery_wrapping_key(endless)
