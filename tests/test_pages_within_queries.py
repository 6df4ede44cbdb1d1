"""Every page costs at most 12 queries, however many rows there are."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import actions, grants, invitations
from accounts.models import GrantPurpose, User
from diagnostics.alerting import alerts, channels
from diagnostics.models import AccountHealth, HealthFlip
from mail.models import EntryState
from pipeline.broker import PipelineBroker
from pipeline.models import AccountRun, Granularity, PipelineJob, Rollup
from pipeline.rollups import start_of
from tests.mail.stocked import Stock, letter
from tests.pipeline.test_pages import ended, running, signed_in

pytestmark = pytest.mark.django_db
MOST = 12


@pytest.fixture
def crowded(anna, connect, mailbox):
    """Anna's installation, with more than a page of everything; gives her account with the most."""
    User.objects.filter(pk=anna.user.pk).update(is_staff=True, is_superuser=True)
    for number in range(20):
        User.objects.create(email=f"{number}@example.org", password="!")
        invitations.invite(anna.user, makes_operator=False)
    accounts = [connect(mailbox, name=f"Box {number}") for number in range(8)]
    for account in accounts:
        AccountHealth.objects.create(account=account)
        grants.grant(account, actions.account_key(account, anna.user_key), GrantPurpose.BACKGROUND)
        Rollup.objects.create(
            account=account,
            granularity=Granularity.DAY,
            start=start_of(Granularity.DAY, timezone.now()),
            attempts=3,
            successes=2,
        )
        for _ in range(9):
            ended(account, status="failed", error_type="timeout")
            HealthFlip.objects.create(account=account, before="healthy", after="degraded", reason="timeout")
    for number in range(70):
        alerts.decide(anna.user, "broken", f"{number}", account=accounts[0], reason="timeout")
    for number in range(5):
        channels.add_channel(anna.user, "email", f"Channel {number}", f"{number}@example.org")
    stock = Stock(anna, accounts[0])
    for number in range(60):
        stock.put(letter(f"Number {number}"))
    entries = accounts[0].folders.get().entries
    entries.filter(pk__in=entries.values("pk")[:5]).update(
        state=EntryState.QUARANTINED, error_type="unfetchable"
    )
    PipelineBroker().enqueue_fetch_job(anna.user)
    running(connect(mailbox, name="Busy"))
    return accounts[0]


def pages_of(anna, account) -> dict[str, str]:
    job, run = PipelineJob.objects.first(), AccountRun.objects.first()
    message = account.messages.first()
    names = "overview panel mail accounts add_account history notifications alerts settings tokens people"
    pages = {name: reverse(name) for name in [*names.split(), "unlock", "delete_me", "deleted"]}
    for name in ("account", "edit_account", "new_password", "delete_account", "diagnosis"):
        pages[name] = reverse(name, args=[account.pk])
    other = User.objects.exclude(pk=anna.user.pk).first()
    pages["delete_person"] = reverse("delete_person", args=[other.pk])
    pages |= {"job": reverse("job", args=[job.pk]), "message": reverse("message", args=[message.pk])}
    for model in ("accounts_user", "accounts_mailaccount", "pipeline_pipelinejob", "pipeline_accountrun"):
        pages[f"admin {model}"] = reverse(f"admin:{model}_changelist")
    pages["admin run"] = reverse("admin:pipeline_accountrun_change", args=[run.pk])
    for path in ("health", "performance", "accounts", "jobs/history?limit=100", "notifications", "mail"):
        pages[f"api {path}"] = f"/api/{path}"
    for part in ("", "/health", "/completeness", "/diagnostics"):
        pages[f"api account{part}"] = f"/api/accounts/{account.pk}{part}"
    pages |= {"api job": f"/api/jobs/{job.pk}", "api message": f"/api/mail/{message.pk}"}
    return pages


def test_no_page_costs_more_queries_than_that(anna, crowded, django_assert_max_num_queries):
    browser = signed_in(Client(), anna)
    for name, path in pages_of(anna, crowded).items():
        with django_assert_max_num_queries(MOST, info=name):
            response = browser.get(path)
        assert response.status_code == 200, name
