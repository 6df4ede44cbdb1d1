"""A job's page, and the history of runs."""

import re
import uuid
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import unlocked
from pipeline.broker import PipelineBroker
from pipeline.models import AccountRun, PipelineJob
from pipeline.pages.history import PER_PAGE
from tests.pipeline.conftest import again
from tests.pipeline.test_pages import ended, running, signed_in, words

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rings")]


@pytest.fixture
def browser(anna):
    return signed_in(Client(), anna)


@pytest.fixture
def job(anna, connect, mailbox):
    """One of two accounts, whose password one server refused."""
    connect(mailbox, name="Good")
    connect(mailbox, name="Bad", secret="wrong")
    mailbox.append(b"Subject: hello\r\n\r\nworld\r\n")
    keys = {one.pk: _key(anna, one) for one in anna.user.mail_accounts.all()}
    job_id = PipelineBroker().enqueue_fetch_job(anna.user, keys=keys)
    for run in AccountRun.objects.filter(jobs=job_id):
        again(run)
    return PipelineJob.objects.get(pk=job_id)


def _key(person, account) -> bytes:
    from accounts import actions

    return actions.account_key(account, person.user_key)


def page(browser, name: str, *args, **query) -> str:
    return browser.get(reverse(name, args=args), query).text


def test_a_job_shows_its_runs_with_phases_causes_and_cures(browser, job):
    shown = page(browser, "job", job.pk)
    told = words(shown)
    assert "Partial failure" in told and "1 / 1" in told
    assert "The server refuses this login and password." in told
    assert "Enter new password" in told and "Retry what failed" in told
    assert re.search(r'<svg class="timeline"[^>]*aria-label="Connect [^"]+Seal', shown)
    assert "taken up by a worker" in told and "failed" in told


def test_the_servers_own_words_are_shown_only_while_unlocked(browser, job):
    assert "AUTHENTICATIONFAILED" in page(browser, "job", job.pk)
    browser.cookies.pop(unlocked.COOKIE)
    assert "AUTHENTICATIONFAILED" not in page(browser, "job", job.pk)


def test_retry_asks_again_for_the_accounts_that_failed_and_no_other(browser, job):
    response = browser.post(reverse("retry_job", args=[job.pk]))
    [new] = PipelineJob.objects.exclude(pk=job.pk)
    assert response["Location"] == reverse("job", args=[new.pk])
    assert [run.account.label for run in new.runs.all()] == ["Bad"]


def test_retry_unlocks_first_and_comes_back_to_the_job(browser, job):
    browser.cookies.pop(unlocked.COOKIE)
    there = f"{reverse('unlock')}?next={reverse('job', args=[job.pk])}"
    assert browser.post(reverse("retry_job", args=[job.pk]))["Location"] == there
    assert PipelineJob.objects.count() == 1


def test_cancel_ends_the_job(browser, anna, account):
    job_id = PipelineBroker().enqueue_fetch_job(anna.user, account)
    assert "Cancel" in page(browser, "job", job_id)
    browser.post(reverse("cancel_job", args=[job_id]))
    assert PipelineJob.objects.get().status == "cancelled"
    assert reverse("cancel_job", args=[job_id]) not in page(browser, "job", job_id)


def test_a_job_is_polled_only_while_it_is_open_and_told_when_to_end(browser, anna, account, rings):
    job_id = PipelineBroker().enqueue_fetch_job(anna.user, account)
    url = re.search(r'hx-get="([^"]+news/[^"]+)"', page(browser, "job", job_id))[1]
    assert browser.get(url).status_code == 204
    AccountRun.objects.update(mails_done=3)
    assert browser.get(url).status_code == 200
    PipelineBroker().cancel_job(job_id)
    last = browser.get(url)
    assert last.status_code == 286 and "data-poll" not in last.text


def test_polling_a_job_costs_five_queries(browser, job, django_assert_max_num_queries):
    with django_assert_max_num_queries(5):
        browser.get(reverse("job_news", args=[job.pk]))


@pytest.mark.parametrize("name", ["job", "job_news", "cancel_job", "retry_job"])
def test_another_persons_job_looks_like_none(bert, job, name):
    others = signed_in(Client(), bert)
    ask = others.post if name in ("cancel_job", "retry_job") else others.get
    answers = [ask(reverse(name, args=[job_id])) for job_id in (job.pk, uuid.uuid4())]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert PipelineJob.objects.count() == 1 and PipelineJob.objects.get().status == "partial_failure"


def test_a_job_without_runs_says_why(browser, anna):
    job_id = PipelineBroker().enqueue_fetch_job(anna.user)
    assert "This job has no runs" in page(browser, "job", job_id)


# History


@pytest.fixture
def past(connect, mailbox):
    """Three runs of each of two accounts, an hour apart, the newest first."""
    made = []
    for name, error in (("GMX", ""), ("Posteo", "timeout")):
        account = connect(mailbox, name=name)
        for hours in range(3):
            status = "failed" if error else "success"
            at = timezone.now() - timedelta(hours=hours, minutes=len(made))
            made.append(ended(account, status=status, error_type=error, created_at=at))
    return made


def rows(shown: str) -> list[str]:
    return [words(row) for row in re.findall(r"<tr>(.*?)</tr>", shown, re.DOTALL)][1:]


def test_history_is_newest_first(browser, past):
    shown = rows(page(browser, "history"))
    names = [re.search(r"GMX|Posteo", row)[0] for row in shown]
    assert names == ["GMX", "Posteo"] * 3


@pytest.mark.parametrize(
    ("query", "count"),
    [({"status": "failed"}, 3), ({"error_type": "timeout"}, 3), ({"error_type": "quota"}, 0)],
)
def test_history_filters_by_what_happened(browser, past, query, count):
    assert len(rows(page(browser, "history", **query))) == count


def test_history_filters_by_account_and_day(browser, past):
    account = past[0].account
    assert len(rows(page(browser, "history", account=account.pk))) == 3
    tomorrow = (timezone.now() + timedelta(days=1)).date()
    shown = page(browser, "history", since=tomorrow.isoformat())
    assert "Nothing fits this filter." in shown and reverse("history") in shown


def test_what_is_no_date_is_said_and_kept_and_leaves_nothing_out(browser, past):
    response = browser.get(reverse("history"), {"since": "yesterday"})
    assert response.status_code == 422
    assert "Enter a valid date." in response.text and 'value="yesterday"' in response.text
    assert len(rows(response.text)) == 6


def test_every_run_comes_once_over_the_pages(browser, connect, mailbox):
    at = timezone.now()
    for name in ("One", "Two"):
        account = connect(mailbox, name=name)
        for number in range(PER_PAGE):
            ended(account, status="success", created_at=at - timedelta(seconds=number // 7))
    seen, query = [], ""
    while query is not None:
        shown = browser.get(reverse("history") + query).text
        seen += rows(shown)
        link = re.search(r'href="(\?[^"]*before=[^"]+)" rel="next"', shown)
        query = link and link[1].replace("&amp;", "&")
    assert len(seen) == 2 * PER_PAGE


@pytest.mark.parametrize("before", ["2026-99-01~nothing", "0001-01-01T00:00:00+23:59~{}", "2026-01-01~"])
def test_what_is_no_cursor_shows_the_newest(browser, past, before):
    assert len(rows(page(browser, "history", before=before.format(uuid.uuid4())))) == 6


@pytest.mark.parametrize("name", ["since", "until"])
def test_a_day_at_the_end_of_the_calendar_is_refused(browser, past, name):
    answer = browser.get(reverse("history"), {name: "9999-12-31"})
    assert answer.status_code == 422 and len(rows(answer.text)) == 6


def test_another_persons_runs_are_not_in_the_history_nor_their_account_a_filter(bert, past):
    others = signed_in(Client(), bert)
    assert "Nothing was synced yet" in page(others, "history")
    response = others.get(reverse("history"), {"account": past[0].account_id})
    assert response.status_code == 422 and rows(response.text) == []


def test_a_run_leads_to_the_newest_job_of_its_reader(browser, anna, bert, account):
    run, now = ended(account, status="success"), timezone.now()
    done = {"status": "success", "trigger": "page", "ended_at": now}
    for ago in (2, 1):
        newest = PipelineJob.objects.create(user=anna.user, created_at=now - timedelta(hours=ago), **done)
        newest.runs.add(run)
    PipelineJob.objects.create(user=bert.user, **done).runs.add(run)
    shown = page(browser, "history")
    assert re.findall(r'href="/jobs/([0-9a-f-]{36})/"', shown) == [str(newest.pk)]


def test_history_costs_the_same_for_many_runs(browser, connect, mailbox, django_assert_max_num_queries):
    for number in range(5):
        account = connect(mailbox, name=f"Box {number}")
        for _ in range(30):
            ended(account, status="failed", error_type="timeout")
    with django_assert_max_num_queries(12):
        assert len(rows(page(browser, "history"))) == PER_PAGE


def test_a_run_under_way_is_in_the_history_too(browser, account):
    running(account)
    assert "Running" in rows(page(browser, "history"))[0]
