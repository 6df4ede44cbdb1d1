"""The overview: what it shows, what its buttons do, and to whom."""

import re
from datetime import timedelta

import pytest
from django.contrib.staticfiles import finders
from django.template.loader import render_to_string
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import actions, grants, unlocked
from accounts.models import GrantPurpose
from pipeline import heartbeats
from pipeline.models import AccountRun, Heartbeat, PipelineJob, RunStatus

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def browser(anna):
    """Anna's, signed in and unlocked."""
    return signed_in(Client(), anna)


def signed_in(client, person):
    client.post(reverse("sign_in"), {"email": person.user.email, "password": person.password})
    return client


def overview(browser) -> str:
    return browser.get(reverse("overview")).text


def words(page: str) -> str:
    """The text that a reader sees, in one line."""
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


def fetch_url(account) -> str:
    return reverse("fetch_account", args=[account.pk])


def running(account, **fields) -> AccountRun:
    """A run that a worker is busy with."""
    now = timezone.now()
    fields = {"started_at": now, "lease_until": now + timedelta(minutes=1)} | fields
    return AccountRun.objects.create(account=account, status=RunStatus.RUNNING, **fields)


@pytest.mark.parametrize("name", ["overview", "panel"])
def test_the_pages_need_somebody_signed_in(client, name):
    assert client.get(reverse(name))["Location"].startswith(f"{reverse('sign_in')}?next=")


def test_a_panel_that_outlived_its_session_sends_the_whole_page_to_sign_in(client):
    response = client.get(reverse("panel"), headers=HTMX)
    assert response["HX-Redirect"].startswith(reverse("sign_in"))
    assert response.content == b""


def test_without_an_account_the_page_leads_to_adding_one(browser):
    page = overview(browser)
    assert "No account yet" in page
    assert page.count(f'href="{reverse("add_account")}"') == 2
    assert reverse("fetch_all") not in page


def test_an_account_that_was_never_synced_is_new(browser, account):
    page = overview(browser)
    assert "Your account is new" in page
    assert '<span class="badge new">New</span>' in page
    assert "Last good sync never" in words(page)


def test_after_a_sync_the_figures_are_shown_and_all_is_well(browser, mailbox, account, sync):
    for number in range(3):
        mailbox.append(b"Subject: %d\r\n\r\nhello\r\n" % number)
    sync(account)
    page = overview(browser)
    assert "Your account is in sync" in page
    assert '<span class="badge manual">' in page
    assert "3 of 3 mails accounted for" in page
    assert "Stored 3" in words(page)
    for absent in ("Left out", "Quarantined", "Unexplained", "Needs attention"):
        assert absent not in page
    assert re.search(r'<time datetime="\d{4}-\d\d-\d\dT', page)
    assert "19 of 20 runs take up to" in page
    assert "Compare folders" in page


def test_mails_beyond_the_limit_are_shown_as_still_to_fetch(browser, mailbox, account, sync):
    for number in range(3):
        mailbox.append(b"Subject: %d\r\n\r\nhello\r\n" % number)
    sync(account, max_mails=1)
    page = overview(browser)
    assert "2 mails are still to fetch" in page
    assert "Still to fetch 2" in words(page)


def test_mails_that_nobody_can_explain_are_a_warning(browser, mailbox, account, sync):
    mailbox.append(b"Subject: hello\r\n\r\nworld\r\n")
    sync(account)
    account.folders.update(server_count=5)
    page = overview(browser)
    assert "Your account needs you" in page
    assert "1 of 5 mails accounted for" in page
    assert "Unexplained 4" in words(page)


def test_a_wrong_password_is_named_above_and_explained_in_its_card(browser, connect, mailbox, sync):
    sync(connect(mailbox, name="GMX"))
    posteo = connect(mailbox, name="Posteo", secret="not the password")
    sync(posteo)
    page = overview(browser)
    assert "One of 2 accounts needs you" in page
    assert "Needs attention" in page
    assert '<span class="badge degraded">Degraded</span>' in page
    assert "Posteo The server refuses this login and password." in words(page)
    assert f'href="{reverse("new_password", args=[posteo.pk])}"' in page
    assert "not the password" not in page


def test_a_run_without_a_key_is_skipped_and_says_so(browser, account):
    AccountRun.objects.create(
        account=account, status=RunStatus.SKIPPED, error_type="no_key", ended_at=timezone.now()
    )
    page = overview(browser)
    assert '<span class="badge skipped">No key</span>' in page
    assert "The workers hold no key for this account." in page


def test_progress_is_indeterminate_in_words_until_the_total_is_known(browser, account):
    run = running(account, phase="folder_list")
    page = overview(browser)
    assert '<progress aria-label="Comparing folders"></progress>' in page
    AccountRun.objects.filter(pk=run.pk).update(
        phase="fetch", mails_done=340, mails_total=1200, bytes_done=8_200_000, bytes_total=21_000_000
    )
    page = overview(browser)
    assert 'value="340" max="1200"' in page
    assert "Fetching 340 of 1,200 mails · 8.2 of 21.0 MB" in page


def test_the_panel_asks_each_second_only_while_something_syncs(browser, account):
    assert 'hx-trigger="every 30s, look"' in overview(browser)
    running(account)
    assert 'hx-trigger="every 1s, look"' in overview(browser)


def test_buttons_are_disabled_while_their_account_syncs(browser, connect, mailbox):
    busy, idle = connect(mailbox, name="Busy"), connect(mailbox, name="Idle")
    running(busy)
    page = overview(browser)
    for button in (f"fetch-{busy.pk}", "fetch-all"):
        assert re.search(rf'id="{button}"[^>]*type="button" aria-disabled="true">Syncing…', page)
    assert f'<button id="fetch-{idle.pk}">Fetch mails' in page


@pytest.mark.parametrize("state", ["nobody took it up", "its worker is gone"])
def test_a_run_that_no_worker_works_on_does_not_spin_for_ever(browser, account, state):
    before = timezone.now() - timedelta(minutes=5)
    if state == "nobody took it up":
        AccountRun.objects.create(account=account, run_after=before)
    else:
        running(account, lease_until=before)
    page = overview(browser)
    assert "No worker is working on this." in page
    assert "manage.py run_huey" in page
    assert "<progress" not in page


def test_fetching_one_account_makes_a_job_and_leads_back(browser, account):
    response = browser.post(fetch_url(account))
    assert (response.status_code, response["Location"]) == (302, reverse("overview"))
    assert AccountRun.objects.get().account == account
    assert "Waiting for its turn" in overview(browser)


def test_fetching_all_makes_one_job_with_a_run_for_each_account(browser, connect, mailbox):
    connect(mailbox, name="GMX")
    connect(mailbox, name="Posteo")
    browser.post(reverse("fetch_all"))
    assert PipelineJob.objects.get().runs.count() == 2


def test_asking_twice_joins_the_run_that_is_under_way(browser, account):
    browser.post(fetch_url(account))
    browser.post(fetch_url(account))
    assert AccountRun.objects.count() == 1


def test_an_htmx_post_answers_with_the_panel_alone(browser, account):
    response = browser.post(fetch_url(account), headers=HTMX)
    assert response.status_code == 200
    assert response.text.strip().startswith('<div id="panel"')
    assert "<html" not in response.text
    assert "Syncing…" in response.text


def test_fetching_needs_a_csrf_token(anna, account):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(anna.user)
    assert strict.post(fetch_url(account)).status_code == 403
    assert strict.post(reverse("fetch_all")).status_code == 403
    assert not PipelineJob.objects.exists()


def test_the_pages_own_csrf_header_is_accepted(anna, account):
    strict = Client(enforce_csrf_checks=True)
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', strict.get(reverse("sign_in")).text)[1]
    form = {"email": anna.user.email, "password": anna.password, "csrfmiddlewaretoken": token}
    strict.post(reverse("sign_in"), form)
    header = re.search(r"""hx-headers='{"X-CSRFToken": "(\w+)"}'""", overview(strict))[1]
    response = strict.post(fetch_url(account), headers=HTMX | {"X-CSRFToken": header})
    assert response.status_code == 200


@pytest.mark.parametrize("name", ["fetch_all", "fetch_account"])
def test_fetching_is_a_post_by_somebody_signed_in(client, browser, account, name):
    url = reverse(name, args=[account.pk] if name == "fetch_account" else [])
    assert browser.get(url).status_code == 405
    assert client.post(url)["Location"].startswith(reverse("sign_in"))
    assert not PipelineJob.objects.exists()


def test_a_locked_session_is_asked_to_unlock_before_it_fetches(browser, account):
    browser.cookies.pop(unlocked.COOKIE)
    unlock = f"{reverse('unlock')}?next={reverse('overview')}"
    assert browser.post(fetch_url(account))["Location"] == unlock
    assert browser.post(reverse("fetch_all"), headers=HTMX)["HX-Redirect"] == unlock
    assert not PipelineJob.objects.exists()


def test_a_locked_session_may_fetch_what_the_workers_may_open_anyway(browser, anna, account):
    grants.grant(account, actions.account_key(account, anna.user_key), GrantPurpose.BACKGROUND)
    browser.cookies.pop(unlocked.COOKIE)
    assert browser.post(fetch_url(account))["Location"] == reverse("overview")
    assert AccountRun.objects.get().account == account


def test_another_persons_account_is_neither_seen_nor_fetched(bert, account):
    browser = signed_in(Client(), bert)
    page = overview(browser)
    assert "No account yet" in page
    assert account.label not in page.replace("GMX --host", "")
    assert str(account.pk) not in page
    assert browser.post(fetch_url(account)).status_code == 404
    browser.post(reverse("fetch_all"))
    assert not AccountRun.objects.exists()


def test_a_label_cannot_smuggle_markup_into_the_page(browser, connect, mailbox):
    connect(mailbox, name="<b onclick=x>GMX</b>")
    assert "<b onclick" not in overview(browser)


def test_emptiness_that_waits_for_a_second_look_is_told(browser, scripted, scripted_account, sync):
    scripted.append("", "INBOX", b"Subject: one\r\n\r\n")
    sync(scripted_account)
    scripted.expunge("", "INBOX", [1])
    sync(scripted_account)
    page = overview(browser)
    assert "All mails of a folder (1) are gone from the server at once." in page
    assert "Your account needs you" in page and 'badge doubted">Check' in page


@pytest.fixture
def every_page(browser, connect, mailbox, sync):
    """The text of each page, in the states that have markup of their own."""
    stranger = Client()
    pages = [
        stranger.get(reverse("sign_in")),
        stranger.post(reverse("sign_in")),
        browser.get(reverse("overview")),
    ]
    mailbox.append(b"Subject: hello\r\n\r\nworld\r\n")
    sync(connect(mailbox, name="Good"))
    sync(connect(mailbox, name="Bad", secret="wrong"))
    running(connect(mailbox, name="Busy"))
    pages += [browser.get(reverse(name)) for name in ("overview", "panel", "unlock")]
    pages.append(browser.get("/no/such/page/"))
    return pages


def test_the_content_security_policy_allows_nothing_unsafe(every_page):
    for page in every_page:
        policy = page["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "script-src 'self'" in policy
        assert "style-src 'self'" in policy


def test_no_page_holds_inline_style_or_script_or_anything_from_elsewhere(every_page):
    for page in every_page:
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|<script(?![^>]*\ssrc=)", page.text)
        assert not re.search(r"""(src|href|action)=["'](https?:)?//""", page.text)


def test_every_file_that_a_page_loads_exists(every_page):
    loaded = {path for page in every_page for path in re.findall(r'="/static/([^"]+)"', page.text)}
    assert {"mailhelper.css", "mailhelper.js", "favicon.svg", "django_htmx/htmx-2.min.js"} <= loaded
    assert all(finders.find(path) for path in loaded)


def test_ids_are_unique_so_that_focus_finds_its_place_again(every_page):
    for page in every_page:
        ids = re.findall(r'\sid="([^"]+)"', page.text)
        assert len(ids) == len(set(ids))


def test_an_unknown_page_says_so_in_the_sites_own_words(browser):
    response = browser.get("/no/such/page/")
    assert response.status_code == 404
    assert "There is no such page" in response.text


def test_the_page_for_a_failure_needs_nothing_to_be_shown():
    assert "mailhelper made a mistake" in render_to_string("500.html")


def test_a_retry_says_what_failed_and_when_it_is_tried_again(browser, account):
    at = timezone.now() + timedelta(seconds=29.5)
    AccountRun.objects.create(account=account, run_after=at, retries=1, error_type="connection_reset")
    page = words(overview(browser))
    assert "Retrying" in page and "broke off" in page
    assert "tried again in 30 s" in page


def test_the_next_sync_is_shown_where_background_sync_is_allowed(browser, anna, account):
    account.next_due = timezone.now() + timedelta(minutes=9)
    account.save()
    assert "Next sync by itself" not in overview(browser)
    grants.grant(account, actions.account_key(account, anna.user_key), GrantPurpose.BACKGROUND)
    assert "Next sync by itself" in overview(browser)


def test_stop_ends_what_this_person_asked_for_and_nobody_elses(
    browser, account, anna, bert, connect, mailbox
):
    others = connect(mailbox, owner=bert)
    browser.post(fetch_url(account))
    signed_in(Client(), bert).post(fetch_url(others))
    assert browser.post(reverse("stop_all"))["Location"] == reverse("overview")
    by_person = dict(AccountRun.objects.values_list("account__user__email", "status"))
    assert by_person == {"anna@example.org": "cancelled", "bert@example.org": "pending"}
    assert "Stopped" in overview(browser)


def test_stopping_needs_somebody_signed_in(client):
    assert client.post(reverse("stop_all")).status_code == 302
    assert client.get(reverse("stop_all")).status_code in (302, 405)


def test_a_first_import_from_the_page_has_no_limits_and_later_fetches_are_short(browser, account, sync):
    browser.post(fetch_url(account))
    run = AccountRun.objects.get()
    assert (run.max_mails, run.timeout_seconds) == (None, None)
    browser.post(reverse("stop_all"))
    sync(account)
    browser.post(fetch_url(account))
    run = AccountRun.objects.latest("created_at")
    assert (run.max_mails, run.timeout_seconds) == (None, 120)


def ended(account, **fields) -> AccountRun:
    return AccountRun.objects.create(account=account, ended_at=timezone.now(), **fields)


def test_an_account_that_rests_says_why_and_needs_a_person(browser, account):
    facts = {"cause": "dns_failed"}
    ended(account, status="skipped", error_type="breaker_open", error_facts=facts)
    page = words(overview(browser))
    assert "Resting" in page and "Needs attention" in page
    assert "name was not found" in page and "rests" in page


def test_no_account_is_called_in_sync_whose_last_sync_failed(browser, account, granted, sync):
    granted(account)
    heartbeats.beat("tick")
    sync(account)
    assert "Your account is in sync" in overview(browser)
    ended(account, status="failed", error_type="connection_refused")
    page = words(overview(browser))
    assert "Your account is not in sync" in page and "Healthy" in page


def test_an_account_that_pauses_for_its_budget_needs_nobody(browser, account):
    ended(account, status="skipped", error_type="budget")
    page = words(overview(browser))
    assert "Paused" in page and "budget" in page
    assert "Your account is not in sync" in page
    assert "Needs attention" not in page


def test_a_dead_scheduler_is_said_above_all_where_accounts_wait_for_it(browser, account, granted, clock):
    assert "the scheduler is not running" not in overview(browser)
    granted(account)
    assert "the scheduler is not running" in overview(browser)
    heartbeats.beat("tick")
    assert "the scheduler is not running" not in overview(browser)


def test_an_account_that_is_broken_though_nothing_failed_says_why(clock, browser, account, granted, sync):
    granted(account)
    heartbeats.beat("tick")
    sync(account)
    clock.shift(timedelta(hours=3))
    Heartbeat.objects.update(at=timezone.now())
    shown = words(overview(browser))
    assert "GMX No sync of this account has succeeded" in shown
    assert "GMX Broken" in shown
    assert "Your account needs you" in shown


def test_a_paused_account_is_resumed_where_it_is_said(browser, account):
    actions.set_enabled(account, False)
    resume = reverse("resume_account", args=[account.pk])
    assert f'action="{resume}"' in overview(browser)
    assert f'action="{resume}"' in browser.get(reverse("account", args=[account.pk])).text
