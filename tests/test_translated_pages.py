"""Pages and messages in the language and time zone of whom they are for."""

import re
import uuid
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.template.loader import render_to_string
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation

from accounts import actions, invitations
from diagnostics import screen
from diagnostics.alerting import alerts, messages
from pipeline.models import AccountRun, ConnectionTrial
from tests import catalogue
from tests.diagnostics.alerts.conftest import clock, made_account, put_down  # noqa: F401
from tests.mail.stocked import Stock, letter, page_mail
from tests.pipeline.test_pages import running, signed_in, words

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


@pytest.fixture
def gmx(anna):
    """Refused by its server a minute ago."""
    account = made_account(anna)
    now = timezone.now()
    ended = {"started_at": now, "ended_at": now + timedelta(seconds=1.5)}
    AccountRun.objects.create(account=account, status="failed", error_type="invalid_credentials", **ended)
    put_down(account, "degraded", "invalid_credentials", last_error_type="invalid_credentials")
    return account


@pytest.fixture
def german(anna, gmx):
    """The browser of Anna, who reads German in Berlin."""
    actions.set_language(anna.user, "de")
    actions.set_time_zone(anna.user, "Europe/Berlin")
    return signed_in(Client(), anna)


@pytest.fixture
def english(anna, gmx):
    """The browser of Anna, who has chosen nothing; it asks for German."""
    return signed_in(Client(headers={"Accept-Language": "de"}), anna)


def shown(browser, name, *args) -> str:
    return words(browser.get(reverse(name, args=args)).text)


def test_the_overview_is_in_the_persons_language_whatever_the_browser_asks_for(german):
    page = german.get(reverse("overview"), headers={"Accept-Language": "en"})
    assert '<html lang="de">' in page.text and page["Content-Language"] == "de"
    assert "Ihr Postfach braucht Ihre Hilfe" in page.text
    assert '<span class="badge failed">Fehlgeschlagen</span>' in page.text
    assert "Der Server lehnt diesen Benutzernamen mit diesem Passwort ab." in page.text
    assert "Neues Passwort eingeben" in page.text


def test_in_english_too(english):
    page = english.get(reverse("overview"))
    assert '<html lang="en">' in page.text and page["Content-Language"] == "en"
    assert "Your account needs you" in page.text and "Enter new password" in page.text


def test_an_accounts_page_is_in_the_persons_language(german, gmx):
    page = shown(german, "account", gmx.pk)
    for text in ("Zustand", "Letzter erfolgreicher Abgleich nie", "Hintergrund-Abgleich", "Diagnose starten"):
        assert text in page


def test_times_are_those_of_the_persons_zone(german, gmx):
    assert "Seit 1. März 2026 13:00 CET" in shown(german, "account", gmx.pk)


def test_without_a_zone_times_are_utc_and_say_so(english, gmx):
    assert "Since March 1, 2026, noon UTC" in shown(english, "account", gmx.pk)


def test_figures_are_written_as_the_language_writes_them(german, gmx):
    mails = {"phase": "fetch", "mails_done": 340, "mails_total": 1200}
    running(
        gmx, created_at=timezone.now() + timedelta(1), **mails, bytes_done=8_200_000, bytes_total=21_000_000
    )
    assert "Abrufen: 340 von 1.200 Mails · 8,2 von 21,0 MB" in shown(german, "overview")


PAGES = ["overview", "panel", "history", "alerts", "mail", "notifications", "accounts", "add_account"]
PAGES += ["unlock", "settings", "tokens", "people", "recover", "delete_me", "deleted"]
OF_AN_ACCOUNT = ["account", "edit_account", "new_password", "delete_account"]


def test_no_page_speaks_two_languages(german, anna, gmx, settings):
    alerts.decide(anna.user, "broken", "1", account=gmx, reason="timeout")
    type(anna.user).objects.filter(pk=anna.user.pk).update(is_staff=True)
    invitations.invite(anna.user, makes_operator=True)
    german.post(reverse("new_recovery_key"), {"old": anna.password})
    pages = [shown(german, "recovery_key"), shown(german, "invitation", "unknown")]
    pages += [shown(german, name) for name in PAGES]
    stranger = Client(headers={"Accept-Language": "de"})
    pages += [shown(stranger, name) for name in ("sign_in", "sign_up", "recover")]
    settings.MAILHELPER_OPEN_SIGN_UP = True
    pages += [shown(stranger, name) for name in ("sign_in", "sign_up")]
    stock = Stock(anna, gmx)
    [over_limit] = stock.put(letter("", sender=""), header_only=True)
    [mail] = stock.put(page_mail('<img src="https://example.org/1.png">'))
    pages += [shown(german, "mail"), *(shown(german, "message", one.pk) for one in (mail, over_limit))]
    pages += [shown(german, name, gmx.pk) for name in OF_AN_ACCOUNT]
    pages += [words(german.get("/no/such/page/").text)]
    pages += [words(german.post(reverse("add_account"), {"address": "anna@gmx.de"}).text)]
    trial = ConnectionTrial.objects.create(user=anna.user, sealed_settings=b"", finished_at=timezone.now())
    pages += [shown(german, "connection_trial", trial.pk)]
    sentences = [text for text in catalogue.texts(catalogue.translated()) if len(text) > 12]
    assert not [text for page in pages for text in sentences if text in page]


def test_what_a_person_did_wrong_is_said_in_their_language(german):
    hook = {"kind": "webhook", "label": "Hook", "target": "http://example.org/"}
    assert "Ohne TLS wären Benachrichtigungen" in german.post(reverse("add_channel"), hook).text
    rules = german.post(reverse("set_rules"), {"degraded-number": "-1"}).text
    assert "Bitte geben Sie als Schwelle eine ganze Zahl ein." in rules
    rules = german.post(reverse("set_rules"), {"degraded-number": "99999"}).text
    assert "länger als (Minuten)“ liegt zwischen 0 und 10080." in rules


def test_a_stranger_is_spoken_to_as_the_browser_asks(client, anna):
    def sign_in(language: str) -> str:
        typed = {"email": anna.user.email, "password": "wrong"}
        return client.post(reverse("sign_in"), typed, headers={"Accept-Language": language}).text

    assert "Diese Adresse und dieses Passwort gehören nicht zusammen." in sign_in("de-AT,de;q=0.9,en;q=0.5")
    assert "This address and password do not belong together." in sign_in("fr")


def test_a_page_says_that_it_depends_on_the_language(client):
    assert "Accept-Language" in client.get(reverse("sign_in"))["Vary"]


def test_no_page_leaves_its_language_or_zone_in_the_thread(german, client):
    for answer in (german.get(reverse("overview")), german.get("/no/such/page/")):
        assert '<html lang="de">' in answer.text
        assert (translation.get_language(), timezone.get_current_timezone_name()) == ("en", "UTC")


def test_without_the_database_a_person_is_spoken_to_as_the_browser_asks(german):
    def gone(*_):
        raise OperationalError("gone")

    german.raise_request_exception = False
    with connection.execute_wrapper(gone):
        assert german.get("/healthz").status_code == 200
        page = german.get(reverse("overview"), headers={"Accept-Language": "de"})
    assert page.status_code == 500 and "mailhelper hat einen Fehler gemacht" in page.text


def test_what_a_probe_found_is_told_in_words_and_figures_of_the_language():
    with translation.override("de"):
        told = screen.told({"chain": "verified", "days_left": 89, "version": "TLSv1.3", "mails": 0})
    assert told == "Kette geprüft, Tage gültig 89, Version TLSv1.3"


def test_a_choice_of_language_holds_from_the_next_page_on(english):
    english.post(reverse("set_language"), {"language": "de"})
    assert "Übersicht" in shown(english, "overview")


def test_the_page_for_a_failure_speaks_it_too():
    with translation.override("de"):
        page = render_to_string("500.html")
    assert '<html lang="de">' in page and "mailhelper hat einen Fehler gemacht" in page


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("de", ["GMX ist gestört", "Letzter erfolgreicher Abgleich: 1. März 2026 13:00 (Europe/Berlin)."]),
        ("en", ["GMX has trouble", "Last good sync: March 1, 2026, 1 p.m. (Europe/Berlin)."]),
    ],
)
def test_an_alert_is_in_the_language_and_time_zone_of_whom_it_is_for(anna, gmx, language, told):
    actions.set_language(anna.user, language)
    actions.set_time_zone(anna.user, "Europe/Berlin")
    facts = {"last_success": timezone.now().isoformat()}
    alert = alerts.decide(anna.user, "degraded", "1", account=gmx, reason="timeout", facts=facts)
    letter = messages.compose(uuid.uuid4(), anna.user, [alert])
    headline, sentence = told
    assert letter.subject == f"mailhelper: {headline}" and sentence in letter.text
    assert not re.search("{|}", letter.text)
    assert translation.get_language() == "en"
