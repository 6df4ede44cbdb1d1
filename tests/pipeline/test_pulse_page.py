"""What the overview asks again and again while it is open: cheap, and silent where nothing is new."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import actions
from diagnostics.models import AccountHealth
from pipeline.broker import PipelineBroker
from pipeline.models import AccountRun
from tests.pipeline.test_pages import ended, overview, running, signed_in, words

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


@pytest.fixture
def browser(anna):
    return signed_in(Client(), anna)


def pulse_url(page: str) -> str:
    return re.search(r'id="pulse"[^>]*hx-get="([^"]+)"', page)[1]


def test_nothing_new_is_an_empty_answer(browser, account):
    url = pulse_url(overview(browser))
    assert (browser.get(url).status_code, browser.get(url).content) == (204, b"")


def test_a_run_that_goes_on_is_told_by_its_progress_alone(browser, account):
    run = running(account, phase="fetch", mails_total=1200)
    url = pulse_url(overview(browser))
    AccountRun.objects.filter(pk=run.pk).update(mails_done=340, bytes_done=8_200_000, bytes_total=21_000_000)
    answer = browser.get(url)
    assert (answer.status_code, answer.get("HX-Trigger")) == (200, None), (url,)
    assert f'id="progress-{account.pk}" class="progress" hx-swap-oob="true"' in answer.text
    assert "Fetching 340 of 1,200 mails · 8.2 of 21.0 MB" in words(answer.text)
    assert browser.get(pulse_url(answer.text)).status_code == 204


def test_a_run_that_ended_has_the_panel_shown_anew(browser, account):
    run = running(account)
    url = pulse_url(overview(browser))
    now = timezone.now()
    AccountRun.objects.filter(pk=run.pk).update(
        status="failed", error_type="timeout", ended_at=now, lease_until=None
    )
    answer = browser.get(url)
    assert (answer.status_code, answer["HX-Trigger"]) == (204, "changed")


@pytest.mark.parametrize("change", ["health", "label", "paused", "job"])
def test_whatever_else_changes_has_the_panel_shown_anew(browser, anna, account, change):
    AccountHealth.objects.create(account=account)
    url = pulse_url(overview(browser))
    if change == "health":
        AccountHealth.objects.update(status="broken", since=timezone.now() + timedelta(seconds=1))
    elif change == "label":
        type(account).objects.update(label="Another name")
    elif change == "paused":
        actions.set_enabled(account, False)
    else:
        PipelineBroker().enqueue_fetch_job(anna.user, account)
    assert browser.get(url)["HX-Trigger"] == "changed"


def test_other_peoples_runs_change_nothing(browser, account, bert, connect, mailbox):
    url = pulse_url(overview(browser))
    running(connect(mailbox, owner=bert))
    assert browser.get(url).status_code == 204


def test_relative_times_do_not_grow_old(browser, account, clock):
    url = pulse_url(overview(browser))
    clock.shift(timedelta(minutes=6))
    assert browser.get(url)["HX-Trigger"] == "changed"


@pytest.mark.parametrize("name", ["pulse", "panel", "overview"])
def test_queries_do_not_grow_with_accounts_runs_and_jobs(
    browser, anna, connect, mailbox, name, django_assert_max_num_queries
):
    for number in range(12):
        account = connect(mailbox, name=f"Box {number}")
        AccountHealth.objects.create(account=account)
        for _ in range(3):
            ended(account, status="failed", error_type="timeout")
        if number % 2:
            running(account, phase="fetch", mails_total=10)
        account.folders.create(sealed_name=b"", name_index=b"INBOX", server_count=3)
    PipelineBroker().enqueue_fetch_job(anna.user)
    with django_assert_max_num_queries(5 if name == "pulse" else 12):
        assert browser.get(reverse(name)).status_code in (200, 204)


def test_the_person_who_is_not_signed_in_is_sent_there_by_the_pulse(client):
    response = client.get(reverse("pulse"), headers={"HX-Request": "true"})
    assert response["HX-Redirect"].startswith(reverse("sign_in"))
