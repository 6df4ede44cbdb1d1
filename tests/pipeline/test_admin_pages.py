"""What operators see and do at /admin/: who gets in, that nothing sealed shows, and what actions do."""

import re

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts import actions, grants
from accounts.field_names import FIELD_NAMES
from accounts.fields import BytesField
from accounts.models import GrantPurpose, KeyGrant, MailAccount, User, WorkerSecret
from accounts.operators import COUNTED_AT_MOST, CappedPaginator, ReadOnlyAdmin
from diagnostics.models import AccountHealth, Alert, AlertChannel, AlertDelivery, DiagnosticReport, HealthFlip
from pipeline.broker import PipelineBroker
from pipeline.models import AccountRun, Heartbeat, JobEvent, PipelineJob, Rollup, RunStatus
from tests.conftest import make_person
from tests.diagnostics.alerts.conftest import HOST, LOGIN, PASSWORD, made_account
from tests.pipeline.test_pages import signed_in, words

pytestmark = pytest.mark.django_db

MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
EXPECTED = {User, MailAccount, AccountHealth, HealthFlip, Alert, AlertDelivery, DiagnosticReport}
EXPECTED |= {PipelineJob, AccountRun, JobEvent, Rollup, Heartbeat}
INLINE = re.compile(r'<script(?![^>]*(?:src=|type="application/json"))|<style|\sstyle=|\son\w+=')
CANARY = b"sealed-canary"


def listed(model) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def shown(row) -> str:
    meta = row._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[row.pk])


@pytest.fixture
def operator(db):
    person = make_person("olga@example.org")
    User.objects.filter(pk=person.user.pk).update(is_staff=True)
    person.user.refresh_from_db()
    return person


@pytest.fixture
def desk(operator):
    """The operator's browser."""
    return signed_in(Client(), operator)


@pytest.fixture
def gmx(anna):
    return made_account(anna)


@pytest.fixture
def full_house(anna):
    """Several rows of everything, the sealed fields filled with what may never be seen."""
    for number in range(5):
        _fill(anna, made_account(anna, f"Account {number}"), timezone.now(), number)
    Heartbeat.objects.create(name=Heartbeat.TICK, at=timezone.now())
    for model in MODELS:
        for field in model._meta.fields:
            if isinstance(field, BytesField) and not field.unique:
                model.objects.update(**{field.name: CANARY})


def _fill(anna, account, now, number):
    AccountHealth.objects.create(account=account, status="broken", reason="timeout")
    HealthFlip.objects.create(account=account, before="healthy", after="broken", reason="timeout")
    alert = Alert.objects.create(user=anna.user, account=account, key=f"k{number}", kind="broken")
    grant = grants.grant(account, actions.account_key(account, anna.user_key), GrantPurpose.BACKGROUND)
    worker_key = KeyGrant.objects.get(pk=grant.pk).worker_key
    secret = WorkerSecret.objects.create(worker_key=worker_key, sealed_value=CANARY)
    channel = AlertChannel.objects.create(user=anna.user, kind="email", label=f"C{number}", secret=secret)
    AlertDelivery.objects.create(alert=alert, channel=channel)
    DiagnosticReport.objects.create(
        account=account, passed=False, probes=[{"name": "dns", "verdict": "failed"}]
    )
    job = PipelineJob.objects.create(user=anna.user, trigger="page", status="failed", ended_at=now)
    ended = {"status": "failed", "error_type": "timeout", "ended_at": now}
    run = AccountRun.objects.create(account=account, grant=grant, **ended)
    JobEvent.objects.create(job=job, run=run, arrow="failed", before="running", after="failed")
    Rollup.objects.create(account=account, granularity="hour", start=now)


def test_what_operators_see_is_what_was_meant():
    assert set(MODELS) == EXPECTED
    assert all(isinstance(one, ReadOnlyAdmin) for one in admin.site._registry.values())


@pytest.mark.parametrize(
    "path", ["", "login/", "accounts/user/", "pipeline/pipelinejob/", "no/such/", "jsi18n/"]
)
def test_who_is_no_operator_finds_nothing_there(anna, path):
    assert signed_in(Client(), anna).get(f"/admin/{path}", follow=True).status_code == 404


def test_an_operator_who_is_switched_off_gets_in_no_more(desk, operator):
    User.objects.filter(pk=operator.user.pk).update(is_active=False)
    assert "sign-in" in desk.get(reverse("admin:index"), follow=True).request["PATH_INFO"]


def test_who_is_not_signed_in_signs_in_on_the_one_page_and_comes_back(client, operator):
    answer = client.get(listed(User), follow=True)
    assert answer.request["PATH_INFO"] == reverse("sign_in")
    typed = {"email": operator.user.email, "password": operator.password}
    back = client.post(reverse("sign_in"), typed | {"next": answer.context["next"]})
    assert back["Location"] == listed(User)


def test_an_operator_sees_what_there_is(desk):
    shown = words(desk.get(reverse("admin:index")).text)
    assert "For operators" in shown and "people" in shown.lower() and "runs" in shown.lower()


@pytest.mark.parametrize("path", ["password_change/", "password_change/done/", "logout/"])
def test_no_password_is_changed_and_nobody_signed_out_past_the_vault(desk, path):
    typed = {"old_password": "x", "new_password1": "a long new one", "new_password2": "a long new one"}
    assert desk.get(f"/admin/{path}").status_code == desk.post(f"/admin/{path}", typed).status_code == 404


def test_no_page_of_a_person_offers_a_password(desk, anna):
    assert desk.get(f"/admin/accounts/user/{anna.user.pk}/password/").status_code in (302, 404)
    shown_person = desk.get(shown(anna.user)).text
    assert "password" not in shown_person.lower() and anna.user.password not in shown_person


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_each_list_opens_in_few_queries_and_shows_nothing_sealed(
    desk, full_house, model, django_assert_max_num_queries
):
    with django_assert_max_num_queries(12):
        answer = desk.get(listed(model))
    assert answer.status_code == 200 and "canary" not in answer.text
    assert len(answer.context["cl"].result_list) >= 1


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_each_row_opens_and_shows_nothing_sealed(desk, full_house, model, anna):
    row = anna.user if model is User else model.objects.first()
    answer = desk.get(shown(row))
    assert answer.status_code == 200
    secrets = [CANARY.decode(), CANARY.hex(), HOST, LOGIN, PASSWORD, anna.user.password, "sealed_"]
    assert not [secret for secret in secrets if secret in answer.text]
    fields = admin.site._registry[model].get_fields(None)
    assert not [name for name in fields if isinstance(model._meta.get_field(name), BytesField)]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_nothing_is_added_changed_or_deleted(desk, operator, full_house, model, anna):
    User.objects.filter(pk=operator.user.pk).update(is_superuser=True)
    row, count = anna.user if model is User else model.objects.first(), model.objects.count()
    meta = model._meta
    assert desk.post(reverse(f"admin:{meta.app_label}_{meta.model_name}_add"), {}).status_code == 403
    assert desk.post(shown(row), {"label": "Other", "email": "other@example.org"}).status_code == 403
    delete = reverse(f"admin:{meta.app_label}_{meta.model_name}_delete", args=[row.pk])
    assert desk.post(delete, {"post": "yes"}).status_code == 403
    asked = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
    desk.post(listed(model), asked)
    assert model.objects.count() == count


@pytest.mark.parametrize(
    ("model", "lookup"),
    [
        (User, "password__startswith=a"),
        (User, "vault__user_key_by_password__gt=a"),
        (MailAccount, "sealed_connection__startswith=a"),
        (MailAccount, "user__password__startswith=a"),
        (AccountRun, "sealed_evidence__isnull=1"),
        (AccountRun, "account__sealed_account_key__gt=a"),
    ],
)
def test_a_sealed_value_cannot_be_guessed_through_a_filter(desk, full_house, model, lookup):
    assert desk.get(f"{listed(model)}?{lookup}").status_code == 400


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_a_search_looks_at_names_and_addresses_alone(model):
    searched = admin.site._registry[model].search_fields
    assert all(name.rpartition("__")[2] in ("email", "label") for name in searched)


def test_a_search_finds_people_and_accounts(desk, gmx, bert):
    made_account(bert, "Berts")
    found = desk.get(listed(MailAccount), {"q": "berts"}).context["cl"].result_list
    assert [account.label for account in found] == ["Berts"]


@pytest.mark.parametrize(
    ("model", "field", "value"), [(JobEvent, "arrow", "failed"), (AccountRun, "error_type", "timeout")]
)
def test_a_list_is_narrowed_by_known_values_without_reading_all_rows_for_them(
    desk, full_house, model, field, value
):
    model.objects.filter(pk=model.objects.first().pk).update(**{field: "skipped" if field == "arrow" else ""})
    with CaptureQueriesContext(connection) as queries:
        shown = desk.get(listed(model), {field: value})
    assert {getattr(row, field) for row in shown.context["cl"].result_list} == {value}
    assert shown.context["cl"].result_count == model.objects.count() - 1
    assert not [one["sql"] for one in queries if "DISTINCT" in one["sql"]]
    assert f"?{field}=" in shown.text


def do(desk, model, action: str, *rows):
    return desk.post(
        listed(model), {"action": action, "_selected_action": [row.pk for row in rows]}, follow=True
    )


def test_an_account_is_paused_and_resumed(desk, gmx, operator):
    assert "Paused: 1" in do(desk, MailAccount, "pause", gmx).text
    gmx.refresh_from_db()
    assert not gmx.enabled
    assert "Resumed: 1" in do(desk, MailAccount, "resume", gmx).text
    gmx.refresh_from_db()
    assert gmx.enabled
    assert list(LogEntry.objects.values_list("user", flat=True)) == [operator.user.pk] * 2


def test_a_job_is_cancelled_and_its_run_withdrawn(desk, gmx, anna):
    job = PipelineJob.objects.get(pk=PipelineBroker().enqueue_fetch_job(anna.user, gmx))
    assert "Cancelled: 1" in do(desk, PipelineJob, "cancel", job).text
    job.refresh_from_db()
    assert job.status == "cancelled" and job.runs.get().status == RunStatus.CANCELLED
    assert "Cancelled: 0" in do(desk, PipelineJob, "cancel", job).text


def test_an_ended_job_is_asked_for_once_more_in_its_owners_name(desk, gmx, anna):
    job = PipelineJob.objects.get(pk=PipelineBroker().enqueue_fetch_job(anna.user, gmx))
    assert "Asked for once more: 0" in do(desk, PipelineJob, "retry", job).text
    PipelineBroker().cancel_job(job.pk)
    assert "Asked for once more: 1" in do(desk, PipelineJob, "retry", job).text
    new = PipelineJob.objects.exclude(pk=job.pk).get()
    assert new.user == anna.user and [run.account for run in new.runs.all()] == [gmx]


def test_who_is_no_operator_can_do_nothing(anna, gmx):
    assert do(signed_in(Client(), anna), MailAccount, "pause", gmx).status_code == 404
    gmx.refresh_from_db()
    assert gmx.enabled


def test_rows_beyond_count_are_not_counted(django_assert_num_queries):
    JobEvent.objects.bulk_create(JobEvent(arrow="x", after="y") for _ in range(COUNTED_AT_MOST + 5))
    with django_assert_num_queries(1):
        assert CappedPaginator(JobEvent.objects.order_by("at"), 50).count == COUNTED_AT_MOST


def test_a_page_of_operators_obeys_the_policy_of_all_pages(desk, full_house):
    for path in [reverse("admin:index"), *map(listed, MODELS)]:
        answer = desk.get(path)
        assert "script-src 'self'" in answer["Content-Security-Policy"]
        assert not re.search(
            r"<script(?![^>]*(?:src|type=\"application/json\"))|<style|\sstyle=|\son\w+=", answer.text
        )


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_each_field_has_a_name_for_operators(model):
    shown = admin.site._registry[model].get_fields(None)
    assert not [name for name in shown if name not in FIELD_NAMES]


def test_operators_are_spoken_to_in_their_language(desk, operator, full_house):
    actions.set_language(operator.user, "de")
    index, runs = words(desk.get(reverse("admin:index")).text), words(desk.get(listed(AccountRun)).text)
    assert "Für Betreiber" in index and "Läufe" in index
    assert "angelegt" in runs.lower() and "postfach" in runs.lower()
