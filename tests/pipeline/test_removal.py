"""A person goes with everything of theirs, and nothing of anybody else's."""

import io
import json

import pytest
from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connections
from django.test import Client
from django.urls import reverse

from accounts import actions, grants, invitations, people, tokens
from accounts.errors import UsageError
from accounts.models import GrantPurpose, MailAccount, User, WorkerSecret
from diagnostics.alerting import alerts, channels
from diagnostics.models import AccountHealth, Alert, DiagnosticReport, HealthFlip
from mail.models import Finding, Message
from pipeline.broker import PipelineBroker
from pipeline.models import AccountRun, ConnectionTrial, PipelineJob, Rollup
from pipeline.operations import removal
from tests.conftest import make_person
from tests.mail.stocked import Stock, letter
from tests.pipeline.test_sync import mail

pytestmark = pytest.mark.django_db


def everything() -> dict[str, set]:
    """Of every table, what each row holds, as text."""
    return {
        model._meta.label: {json.dumps(row, default=_text) for row in model.objects.values_list()}
        for model in apps.get_models(include_auto_created=True)
    }


def _text(value) -> str:
    return bytes(value).hex() if isinstance(value, bytes | memoryview) else str(value)


def given_all(person, connect, mailbox, sync) -> MailAccount:
    """A row of this person in every table that can hold one."""
    account = connect(mailbox, owner=person, name=f"Box of {person.user.email}")
    sync(account, owner=person)
    stock = Stock(person, account)
    stock.put(letter(), flags=1)
    key = actions.account_key(account, person.user_key)
    grants.grant(account, key, GrantPurpose.BACKGROUND)
    PipelineBroker().enqueue_fetch_job(person.user, account)
    HealthFlip.objects.create(account=account, before="new", after="healthy")
    AccountHealth.objects.get_or_create(account=account)
    DiagnosticReport.objects.create(account=account, passed=True)
    Finding.objects.create(account=account, folder=account.folders.first(), kind="no_modseq")
    channels.add_channel(person.user, "email", "Mail", person.user.email)
    alerts.decide(person.user, "broken", f"key {person.user.pk}", account=account)
    ConnectionTrial.objects.create(user=person.user, sealed_settings=b"x")
    invitations.invite(person.user)
    tokens.make(person.user, "script", "manage", 30, {account.pk: key})
    for password in (person.password, "wrong"):
        Client().post(reverse("sign_in"), {"email": person.user.email, "password": password})
    for row in (person.user, account, PipelineJob.objects.filter(user=person.user).first()):
        LogEntry.objects.create(
            user=User.objects.get(email="operator@example.org"),
            content_type=ContentType.objects.get_for_model(row),
            object_id=row.pk,
            object_repr=str(row),
            action_flag=CHANGE,
        )
    return account


@pytest.fixture
def operator(db):
    person = make_person("operator@example.org")
    User.objects.filter(pk=person.user.pk).update(is_staff=True, is_superuser=True)
    person.user.refresh_from_db()
    return person


@pytest.mark.usefixtures("rings")
def test_no_row_in_any_table_is_left_of_them(operator, bert, connect, mailbox, sync):
    given_all(bert, connect, mailbox, sync)
    before = everything()
    cleo = make_person("cleo@example.org")
    given_all(cleo, connect, mailbox, sync)
    told_by = {label for label, rows in everything().items() if rows - before[label]}
    assert told_by >= {model._meta.label for model in TABLES_OF_A_PERSON}
    removal.remove_person(cleo.user)
    after = everything()
    assert {label for label in before if after[label] != before[label]} == set()


TABLES_OF_A_PERSON = [
    User,
    MailAccount,
    Message,
    AccountRun,
    PipelineJob,
    Rollup,
    Alert,
    HealthFlip,
    DiagnosticReport,
    WorkerSecret,
    LogEntry,
    ConnectionTrial,
    *(apps.get_model(label) for label in ("sessions.Session", "axes.AccessAttempt", "mail.MessageBody")),
    *(apps.get_model(label) for label in ("accounts.ApiToken", "accounts.TokenKey")),
    *(apps.get_model(label) for label in ("accounts.KeyGrant", "accounts.Invitation", "mail.ContentKey")),
    *(apps.get_model(label) for label in ("pipeline.JobEvent", "diagnostics.AlertDelivery", "mail.Folder")),
]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("command", ["LOGIN", "EXAMINE", "FETCH"])
def test_a_sync_that_runs_ends_and_brings_nothing_back(anna, scripted, scripted_account, caplog, command):
    for number in range(3):
        scripted.append("", "INBOX", mail(f"number {number}"))

    def remove_meanwhile(session, tag, rest):
        try:
            if User.objects.exists():
                removal.remove_person(User.objects.get())
        finally:
            connections.close_all()

    scripted.scripts[command] = remove_meanwhile
    broker = PipelineBroker()
    job = broker.create_fetch_job_here(anna.user, [scripted_account])
    key = actions.account_key(scripted_account, anna.user_key)
    assert broker.execute_fetch_job(job.run_ids[0], key)
    assert not broker.execute_fetch_job(job.run_ids[0], key)
    for model in (User, MailAccount, Message, AccountRun, PipelineJob, Rollup):
        assert not model.objects.exists()
    assert "Traceback" not in caplog.text


def test_the_last_operator_cannot_go_while_others_are_here(operator, anna):
    with pytest.raises(UsageError, match="Nobody else"):
        removal.remove_person(operator.user)
    assert people.operators().count() == 1
    removal.remove_person(anna.user)
    removal.remove_person(operator.user)
    assert not User.objects.exists()


def test_a_removal_that_was_killed_is_finished_by_the_next(anna, account, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(removal.people, "delete", killed)
        with pytest.raises(KeyboardInterrupt):
            removal.remove_person(anna.user)
    assert not User.objects.get().is_active
    call_command("remove_person", "Anna@Example.org", "--yes")
    assert not User.objects.exists()


@pytest.mark.parametrize("stdin", [io.StringIO(), None])
def test_the_command_names_yes_where_nobody_answers(anna, account, monkeypatch, stdin):
    monkeypatch.setattr("sys.stdin", stdin)
    asking = (("remove_person", "anna@example.org"), ("restore", "backup", "--replace"))
    for words in asking:
        with pytest.raises(CommandError, match="--yes") as raised:
            call_command(*words)
        assert raised.value.returncode == 2
    assert User.objects.exists()


def test_the_command_asks(anna, account, monkeypatch, capsys):
    monkeypatch.setattr("builtins.input", lambda _: "bert@example.org")
    with pytest.raises(CommandError, match="not their address"):
        call_command("remove_person", "anna@example.org")
    assert "1 accounts with 0 mails" in capsys.readouterr().out
    monkeypatch.setattr("builtins.input", lambda _: "anna@example.org")
    call_command("remove_person", "anna@example.org")
    assert not User.objects.exists()
