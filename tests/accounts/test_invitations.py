"""Who may sign up: an invitation makes one person, and the first one's link makes the operator."""

import threading
from datetime import UTC, datetime, timedelta
from importlib import import_module

import pytest
import time_machine
from django.apps import apps
from django.core.management import call_command
from django.db import connection

from accounts import actions, grants, invitations, people
from accounts.errors import UsageError, WrongPassword
from accounts.models import GrantPurpose, Invitation, User
from tests.accounts.test_people import NEW_PASSWORD, all_rows, new_account

pytestmark = pytest.mark.django_db
GONE = "was used, withdrawn, or its time is over"


@pytest.fixture
def operator(anna):
    User.objects.filter(pk=anna.user.pk).update(is_staff=True)
    anna.user.refresh_from_db()
    return anna.user


def accept(token: str, email: str = "new@example.org") -> User:
    invitation = invitations.find(token)
    if invitation is None:
        raise UsageError(GONE)
    return invitations.accept(invitation, email, NEW_PASSWORD).user


def test_an_invitation_makes_a_person_whose_keys_open(operator):
    found = invitations.find(invitations.invite(operator))
    new = invitations.accept(found, "new@example.org", NEW_PASSWORD, language="de", time_zone="Europe/Berlin")
    assert actions.unlock(new.user, NEW_PASSWORD) == new.user_key
    assert actions.unlock_by_recovery_key(new.user, new.recovery_key) == new.user_key
    assert (new.user.language, new.user.time_zone, new.user.is_staff) == ("de", "Europe/Berlin", False)
    assert Invitation.objects.get().used_by == new.user


def test_an_invitation_works_once(operator):
    token = invitations.invite(operator)
    stale = invitations.find(token)
    accept(token)
    assert invitations.find(token) is None
    with pytest.raises(UsageError, match=GONE):
        invitations.accept(stale, "another@example.org", NEW_PASSWORD)
    assert not User.objects.filter(email="another@example.org").exists()


def test_what_is_refused_leaves_the_invitation_as_it_was(operator):
    token = invitations.invite(operator)
    before = all_rows()
    for email, password in [
        ("new", NEW_PASSWORD),
        ("new@example.org", "short"),
        (operator.email, NEW_PASSWORD),
    ]:
        with pytest.raises(UsageError):
            invitations.accept(invitations.find(token), email, password)
    assert all_rows() == before
    accept(token)


def test_an_invitation_lasts_seven_days(operator):
    with time_machine.travel(datetime(2026, 3, 1, 12, tzinfo=UTC), tick=False) as clock:
        token = invitations.invite(operator)
        clock.shift(timedelta(days=7, seconds=-1))
        assert invitations.find(token)
        clock.shift(timedelta(seconds=1))
        assert invitations.find(token) is None


def test_a_withdrawn_invitation_and_one_of_who_is_deactivated_are_none(operator, bert):
    withdrawn, of_bert = invitations.invite(operator), invitations.invite(bert.user)
    invitations.find(withdrawn).delete()
    people.deactivate(bert.user, by=operator)
    assert invitations.find(withdrawn) is invitations.find(of_bert) is None


def test_the_row_holds_no_token(operator):
    token = invitations.invite(operator, makes_operator=True)
    assert token not in repr(all_rows())


def test_the_first_operators_link_makes_one_and_ends_with_the_next_start_or_the_first_operator(db):
    at_first_start, at_second = invitations.invite_first_operator(), invitations.invite_first_operator()
    assert invitations.find(at_first_start) is None
    made = accept(at_second)
    assert (made.is_staff, made.is_superuser) == (True, True)
    assert invitations.invite_first_operator() is None


def test_a_link_for_the_first_operator_ends_when_there_is_one_by_another_way(db):
    token = invitations.invite_first_operator()
    actions.add_person("shell@example.org", NEW_PASSWORD, operator=True)
    assert invitations.find(token) is None


def test_people_who_run_nothing_do_not_take_the_first_operators_link_away(anna):
    assert accept(invitations.invite_first_operator()).is_staff


def test_open_sign_up_makes_no_operator(db, settings):
    settings.MAILHELPER_OPEN_SIGN_UP = True
    new = invitations.sign_up(None, "first@example.org", NEW_PASSWORD)
    assert not new.user.is_staff and not new.user.is_superuser


def test_without_an_invitation_nobody_signs_up_where_it_is_closed(db):
    with pytest.raises(UsageError, match="by invitation"):
        invitations.sign_up(None, "first@example.org", NEW_PASSWORD)
    assert not User.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_token_that_is_used_at_the_same_moment_by_many_makes_one_person(operator):
    found = invitations.find(invitations.invite(operator))
    start, refused = threading.Barrier(4), []

    def sign_up(number):
        start.wait()
        try:
            invitations.accept(found, f"new{number}@example.org", NEW_PASSWORD)
        except UsageError as error:
            refused.append(str(error))
        connection.close()

    threads = [threading.Thread(target=sign_up, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(refused) == 3 and all(GONE in words for words in refused)
    assert User.objects.count() == 2


def test_who_is_deactivated_signs_in_no_more_and_no_worker_has_their_keys(operator, bert):
    account = new_account(bert)
    grants.grant(account, actions.account_key(account, bert.user_key), GrantPurpose.BACKGROUND)
    people.deactivate(bert.user, by=operator)
    with pytest.raises(WrongPassword):
        actions.unlock_by_address(bert.user.email, bert.password)
    assert not grants.valid_grants().exists()
    people.activate(bert.user)
    assert actions.unlock_by_address(bert.user.email, bert.password)[1] == bert.user_key


def test_nobody_deactivates_themselves(operator):
    with pytest.raises(UsageError, match="cannot deactivate yourself"):
        people.deactivate(operator, by=operator)
    assert User.objects.get().is_active


def test_the_first_person_added_from_the_shell_is_the_operator_and_the_next_is_none(db, monkeypatch):
    monkeypatch.setenv("MAILHELPER_PASSWORD", NEW_PASSWORD)
    for email in ("first@example.org", "second@example.org"):
        call_command("add_user", email, "--json")
    assert [user.email for user in people.operators()] == ["first@example.org"]


def test_where_people_are_already_the_first_of_them_becomes_the_operator(anna, bert):
    first_person_runs_it = import_module("accounts.migrations.0004_people").first_person_runs_it
    first_person_runs_it(apps, None)
    assert [*people.operators()] == [anna.user]
    User.objects.filter(pk=bert.user.pk).update(is_staff=True)
    User.objects.filter(pk=anna.user.pk).update(is_staff=False)
    first_person_runs_it(apps, None)
    assert [*people.operators()] == [bert.user]
