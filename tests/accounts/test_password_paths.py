"""Every way Django knows to set a password is refused, because it would lock people out of their mail."""

import pytest
from django import forms
from django.contrib.auth import authenticate
from django.contrib.auth.forms import (
    AdminPasswordChangeForm,
    AdminUserCreationForm,
    PasswordChangeForm,
    PasswordResetForm,
    SetPasswordForm,
    UserCreationForm,
)
from django.contrib.auth.hashers import make_password
from django.contrib.auth.tokens import default_token_generator
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils.http import urlsafe_base64_decode

from accounts import actions, vault
from accounts.errors import PasswordMustBeRewrapped
from accounts.models import User
from tests.accounts.test_people import all_rows, fresh

pytestmark = pytest.mark.django_db

NEW = "a boat of folded paper"
TWICE = {"password1": NEW, "password2": NEW}
NEW_TWICE = {"new_password1": NEW, "new_password2": NEW}


class NewPersonForm(UserCreationForm):
    class Meta:
        model = User
        fields = ["email"]


class NewPersonInAdminForm(AdminUserCreationForm):
    class Meta:
        model = User
        fields = ["email"]


class PersonForm(forms.ModelForm):
    """A plain form over all fields, as an admin page without a form of its own would have it."""

    class Meta:
        model = User
        fields = ["email", "password"]


class ResetForm(PasswordResetForm):
    """Keeps the letter's facts: the pages that Django's own letter links to do not exist here."""

    def send_mail(self, subject, letter, context, *args, **kwargs):
        self.letter = context


@pytest.fixture
def unchanged(anna):
    """What happens inside is refused and changes no row, and the password goes on to work."""
    before = all_rows()
    yield
    assert all_rows() == before
    assert actions.unlock(fresh(anna), anna.password) == anna.user_key


def save(form):
    assert form.is_valid(), form.errors
    with pytest.raises(PasswordMustBeRewrapped):
        form.save()


def test_set_password_is_refused(anna, unchanged):
    with pytest.raises(PasswordMustBeRewrapped):
        fresh(anna).set_password(NEW)


@pytest.mark.parametrize("fields", [None, ["password"], ["password", "language"]])
def test_a_password_assigned_to_a_person_is_refused_at_save(anna, unchanged, fields):
    for password in (make_password(NEW), make_password(None), "", "plain text"):
        user = fresh(anna)
        user.password = password
        with pytest.raises(PasswordMustBeRewrapped):
            user.save(update_fields=fields)


def test_a_persons_row_written_over_by_a_new_object_is_refused(anna, unchanged):
    for password in (make_password(NEW), make_password(None)):
        with pytest.raises(PasswordMustBeRewrapped):
            User(pk=anna.user.pk, email="anna@example.org", password=password).save()


def test_an_unusable_password_is_refused(anna, unchanged):
    user = fresh(anna)
    user.set_unusable_password()
    with pytest.raises(PasswordMustBeRewrapped):
        user.save()


def test_update_or_create_with_a_password_is_refused(unchanged):
    for email in ("anna@example.org", "new@example.org"):
        with pytest.raises(PasswordMustBeRewrapped):
            User.objects.update_or_create(email=email, defaults={"password": make_password(NEW)})


@pytest.mark.parametrize("create", ["create_user", "create_superuser"])
def test_the_managers_creators_are_refused(unchanged, create):
    with pytest.raises(PasswordMustBeRewrapped):
        getattr(User.objects, create)("new@example.org", NEW)
    with pytest.raises(PasswordMustBeRewrapped):
        getattr(User.objects, create)(email="new@example.org", password=NEW)


def test_a_person_created_with_a_password_is_refused(unchanged):
    with pytest.raises(PasswordMustBeRewrapped):
        User.objects.create(email="new@example.org", password=make_password(NEW))
    new = User(email="new@example.org")
    new.set_password(NEW)
    with pytest.raises(PasswordMustBeRewrapped):
        new.save()


@pytest.mark.parametrize(
    "command",
    [
        ["changepassword"],
        ["changepassword", "anna@example.org"],
        ["createsuperuser"],
        ["createsuperuser", "--email=new@example.org"],
        ["createsuperuser", "--noinput"],
        ["createsuperuser", "--noinput", "--email=new@example.org"],
        ["createsuperuser", "--no-input", "--email=anna@example.org", "--database=default"],
    ],
)
def test_djangos_own_password_commands_are_refused(unchanged, command, monkeypatch):
    monkeypatch.setenv("DJANGO_SUPERUSER_EMAIL", "new@example.org")
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", NEW)
    with pytest.raises(CommandError, match=r"set only by `manage\.py add_user`") as refused:
        call_command(*command)
    assert refused.value.returncode == 1


def test_set_password_form_is_refused(anna, unchanged):
    save(SetPasswordForm(fresh(anna), NEW_TWICE))


def test_password_change_form_is_refused(anna, unchanged):
    save(PasswordChangeForm(fresh(anna), {"old_password": anna.password} | NEW_TWICE))


@pytest.mark.parametrize("usable", ["true", "false"])
def test_admin_password_change_form_is_refused(anna, unchanged, usable):
    save(AdminPasswordChangeForm(fresh(anna), TWICE | {"usable_password": usable}))


def test_user_creation_form_is_refused(unchanged):
    save(NewPersonForm({"email": "new@example.org"} | TWICE))


def test_admin_user_creation_form_is_refused(unchanged):
    save(NewPersonInAdminForm({"email": "new@example.org", "usable_password": "true"} | TWICE))


def test_a_plain_model_form_is_refused(anna, unchanged):
    save(PersonForm({"email": "anna@example.org", "password": make_password(NEW)}, instance=fresh(anna)))
    save(PersonForm({"email": "new@example.org", "password": make_password(NEW)}))


def test_a_password_reset_with_a_right_token_is_refused(unchanged):
    form = ResetForm({"email": "anna@example.org"})
    assert form.is_valid()
    form.save(domain_override="localhost")
    user = User.objects.get(pk=urlsafe_base64_decode(form.letter["uid"]).decode())
    assert default_token_generator.check_token(user, form.letter["token"])
    save(SetPasswordForm(user, NEW_TWICE))


def test_other_fields_of_a_person_are_saved_as_ever(anna):
    user = fresh(anna)
    user.language = "de"
    user.save()
    user.time_zone = "Europe/Berlin"
    user.save(update_fields=["time_zone"])
    assert (fresh(anna).language, fresh(anna).time_zone) == ("de", "Europe/Berlin")
    assert actions.unlock(fresh(anna), anna.password) == anna.user_key


def test_a_person_read_before_a_password_change_cannot_bring_the_old_password_back(anna):
    stale = fresh(anna)
    actions.change_password(anna.user, anna.user_key, NEW)
    stale.language = "de"
    with pytest.raises(PasswordMustBeRewrapped):
        stale.save()
    stale.save(update_fields=["language"])
    assert actions.unlock(fresh(anna), NEW) == anna.user_key


def test_django_authenticates_a_right_password(anna):
    assert authenticate(username="Anna@Example.org", password=anna.password) == anna.user


@pytest.mark.parametrize("who", ["anna@example.org", "nobody@example.org", "anna", ""])
def test_django_refuses_a_wrong_password_and_an_unknown_address_without_an_error(anna, unchanged, who):
    assert authenticate(username=who, password="not hers") is None
    assert authenticate(username=who, password="") is None


def test_a_login_never_hashes_the_password_anew(anna, settings):
    settings.MAILHELPER_ARGON2_COST = vault.Cost(memory=256, passes=2, lanes=2)
    before = fresh(anna).password
    assert authenticate(username="anna@example.org", password=anna.password) == anna.user
    assert Client().login(username="anna@example.org", password=anna.password)
    assert fresh(anna).password == before
    assert actions.unlock(fresh(anna), anna.password) == anna.user_key
