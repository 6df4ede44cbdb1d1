"""One account's page: its health, its diagnosis, background sync; and who may see it."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format

from accounts import unlocked
from accounts.models import KeyGrant, MailAccount
from diagnostics.models import DiagnosticReport
from pipeline import tasks
from pipeline.models import AccountRun, JobType
from tests.conftest import Mailbox
from tests.pipeline.test_errors import say
from tests.pipeline.test_pages import HTMX, signed_in, words
from tests.pipeline.test_sync import mail

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rings")]


@pytest.fixture
def browser(anna):
    """Anna's, signed in and unlocked."""
    return signed_in(Client(), anna)


@pytest.fixture
def locked(anna):
    browser = signed_in(Client(), anna)
    del browser.cookies[unlocked.COOKIE]
    return browser


def page(browser, account, **query) -> str:
    return browser.get(reverse("account", args=[account.pk]), query).text


def work_is_done() -> None:
    for run in AccountRun.objects.filter(status="pending"):
        tasks.run.call_local(str(run.pk))


def examined(browser, account) -> DiagnosticReport:
    browser.post(reverse("diagnose", args=[account.pk]))
    work_is_done()
    return account.reports.order_by("-at").first()


def test_a_new_account_says_that_nothing_is_known_yet(browser, account):
    shown = words(page(browser, account))
    assert "GMX New" in shown
    assert "The first one shows whether they work" in shown and "Not examined yet" in shown


def test_the_page_leads_to_the_mail_of_its_account(browser, account):
    assert f'href="{reverse("mail")}?account={account.pk}"' in page(browser, account)


def test_the_page_shows_the_cause_the_cure_and_how_it_was(browser, connect, mailbox, sync, clock):
    account = connect(mailbox, secret="something else")
    sync(account)
    shown = words(page(browser, account))
    assert "Degraded" in shown and "refuses this login and password" in shown
    assert "Check both at the provider" in shown
    assert "New → Degraded" in shown


def test_a_diagnosis_from_the_page_shows_each_step_with_its_time(browser, account):
    report = examined(browser, account)
    shown = words(page(browser, account))
    assert report.passed and "✓ Passed" in shown
    for label in ("Encryption and certificate", "Login", "A whole mail", "Compression (COMPRESS)"):
        assert label in shown
    assert shown.count(" s ") > 20


def test_while_it_runs_the_page_asks_again_and_then_no_more(browser, account):
    answer = browser.post(reverse("diagnose", args=[account.pk]), headers=HTMX).text
    assert 'hx-trigger="every 1s, look"' in answer and "is being examined" in answer
    assert '<button id="diagnose" type="button" aria-disabled="true">' in answer  # keeps the focus
    work_is_done()
    answer = browser.get(reverse("diagnosis", args=[account.pk]), headers=HTMX).text
    assert "hx-trigger" not in answer and "✓ Passed" in answer


def test_a_failed_step_has_its_cause_and_cure_in_place(browser, connect, mailbox):
    account = connect(mailbox, secret="something else")
    report = examined(browser, account)
    shown = words(page(browser, account))
    assert not report.passed and "✗ Not passed" in shown
    assert "The server refuses this login and password. Check both" in shown
    assert "after “Login” it would tell nothing" in shown


def test_the_servers_own_words_are_seen_in_an_unlocked_session_only(browser, locked, account):
    examined(browser, account)
    assert "What the server said" in words(page(browser, account))
    assert "Dovecot" in page(browser, account)
    shown = page(locked, account)
    assert "Dovecot" not in shown and "unlock to see it" in words(shown)
    part = locked.get(reverse("diagnosis", args=[account.pk]), headers=HTMX).text
    assert f'href="{reverse("unlock")}?next={reverse("account", args=[account.pk])}"' in part


def test_folders_in_trouble_are_named_in_an_unlocked_session_only(
    browser, locked, connect, scripted, sync, anna
):
    scripted.append("", "INBOX", mail("one"))
    scripted.create("", "Invoices")
    account = connect(Mailbox(scripted), security="none")
    sync(account)
    scripted.create("", "Plans")
    scripted.scripts["EXAMINE"] = say(b"TAG NO [NOPERM] not yours")
    report = examined(browser, account)
    shown = words(page(browser, account))
    assert "“Invoices”, number 3 in alphabetical order, INBOX first" in shown
    assert "Folders that do not open" not in page(locked, account) and "Invoices" not in page(locked, account)
    text = browser.get(reverse("report_text", args=[account.pk, report.pk])).text
    assert "Invoices" not in text and "Plans" not in text


def test_folders_that_differ_from_the_ledger_are_named(browser, connect, scripted, sync):
    scripted.append("", "INBOX", mail("one"))
    account = connect(Mailbox(scripted), security="none")
    sync(account)
    scripted.append("", "INBOX", mail("two"))
    examined(browser, account)
    assert "Folders that differ: “INBOX” (only on the server 1)" in words(page(browser, account))


def test_what_changed_since_it_last_passed_is_said(browser, account, dovecot, mailbox, clock):
    examined(browser, account)
    clock.shift(timedelta(hours=1))
    dovecot.set_password(mailbox.login, "another password")
    examined(browser, account)
    shown = words(page(browser, account))
    assert "Since it last passed:" in shown and "Login: failed (before: ok)" in shown


def test_an_earlier_report_can_be_looked_at_again(browser, account, clock):
    first = examined(browser, account)
    DiagnosticReport.objects.update(passed=False)
    clock.shift(timedelta(hours=1))
    examined(browser, account)
    assert "✓ Passed" in words(page(browser, account)).partition("Earlier reports")[0]
    assert "✗ Not passed" in words(page(browser, account, report=first.pk)).partition("Earlier reports")[0]
    assert "✓ Passed" in words(page(browser, account, report="nonsense")).partition("Earlier reports")[0]


def test_the_text_to_download_names_neither_host_nor_login_nor_account(browser, account, mailbox):
    report = examined(browser, account)
    answer = browser.get(reverse("report_text", args=[account.pk, report.pk]))
    assert answer["Content-Disposition"].startswith("attachment")
    for secret in (mailbox.login, mailbox.password, mailbox.server.host, "GMX", "anna"):
        assert secret not in answer.text
    assert "login: ok" in answer.text


def test_a_locked_session_without_a_grant_is_asked_to_unlock_before_a_diagnosis(locked, account):
    answer = locked.post(reverse("diagnose", args=[account.pk]))
    assert answer["Location"].startswith(reverse("unlock"))
    assert not AccountRun.objects.filter(kind=JobType.DIAGNOSTICS).exists()


def test_background_sync_is_allowed_and_taken_back_with_a_button(browser, account):
    browser.post(reverse("allow_background", args=[account.pk]))
    grant = KeyGrant.objects.get(revoked_at=None)
    assert grant.expires_at - timezone.now() > timedelta(days=89)
    assert f"until {date_format(grant.expires_at, 'DATE_FORMAT')}" in words(page(browser, account))
    browser.post(reverse("stop_background", args=[account.pk]))
    assert not KeyGrant.objects.filter(revoked_at=None).exists()


def test_a_locked_session_cannot_allow_it(locked, account):
    answer = locked.post(reverse("allow_background", args=[account.pk]))
    assert answer["Location"].startswith(reverse("unlock"))
    assert not KeyGrant.objects.exists()


@pytest.mark.parametrize("name", ["account", "diagnosis"])
def test_another_persons_account_is_not_found(bert, account, name):
    assert signed_in(Client(), bert).get(reverse(name, args=[account.pk])).status_code == 404


def test_a_key_that_does_not_open_is_not_handed_to_the_workers_and_that_is_said(browser, account):
    MailAccount.objects.update(sealed_account_key=b"changed")
    answer = browser.post(reverse("allow_background", args=[account.pk]))
    assert answer.status_code == 409 and "does not open" in answer.text
    assert not account.grants.exists()


@pytest.mark.parametrize("name", ["diagnose", "allow_background", "stop_background"])
def test_another_persons_account_takes_no_button(bert, account, granted, name):
    granted(account)
    assert signed_in(Client(), bert).post(reverse(name, args=[account.pk])).status_code == 404
    assert KeyGrant.objects.filter(revoked_at=None).count() == 1 and not AccountRun.objects.exists()


def test_another_persons_report_is_not_found(browser, bert, account):
    report = examined(browser, account)
    url = reverse("report_text", args=[account.pk, report.pk])
    assert signed_in(Client(), bert).get(url).status_code == 404


def test_a_report_is_found_under_its_own_account_only(browser, account, connect, mailbox):
    report = examined(browser, account)
    other = connect(mailbox, name="other")
    assert browser.get(reverse("report_text", args=[other.pk, report.pk])).status_code == 404


def test_the_page_needs_somebody_signed_in(client, account):
    assert client.get(reverse("account", args=[account.pk]))["Location"].startswith(reverse("sign_in"))


def test_the_page_costs_as_many_queries_whatever_the_history(browser, account, django_assert_max_num_queries):
    report = examined(browser, account)
    for _ in range(30):
        DiagnosticReport.objects.create(account=account, passed=True, probes=report.probes)
    with django_assert_max_num_queries(20):
        page(browser, account)
