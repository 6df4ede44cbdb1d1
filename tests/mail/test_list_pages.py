"""The list of a person's mails: which stand in it, in what order, and who may see it."""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.test import Client
from django.urls import reverse

from accounts import actions, unlocked
from accounts.models import Vault
from mail.listing import PER_PAGE
from mail.models import EntryState, LedgerEntry, Message, SystemFlag
from tests.diagnostics.alerts.conftest import made_account
from tests.mail.stocked import NEW_YEAR, Stock, letter
from tests.pipeline.test_pages import signed_in, words

pytestmark = pytest.mark.django_db

MAIL = reverse("mail")
SEEN, FLAGGED, ANSWERED = SystemFlag.SEEN, SystemFlag.FLAGGED, SystemFlag.ANSWERED


def subjects(browser, page=MAIL, **asked) -> list[str]:
    """As the page lists them."""
    shown = browser.get(page, asked).text
    return [one.strip() for one in re.findall(r'<p class="subject"><a [^>]*>(?:<bdi>)?([^<]*)', shown)]


def link(page: str, words: str) -> str | None:
    found = re.search(rf'<a class="button" href="(\?[^"]*)">{words}</a>', page)
    return MAIL + found[1].replace("&amp;", "&") if found else None


def test_who_is_locked_unlocks_and_comes_back_to_the_same_wish(browser):
    browser.cookies.pop(unlocked.COOKIE)
    answer = browser.get(f"{MAIL}?unread=on")
    assert answer["Location"] == f"{reverse('unlock')}?next={MAIL}%3Funread%3Don"


def test_the_newest_mail_stands_first_whatever_its_account(browser, stock, anna):
    other = Stock(anna, made_account(anna, "Work"))
    stock.put(letter("oldest"), at=NEW_YEAR)
    other.put(letter("newest"), at=NEW_YEAR + timedelta(days=2))
    stock.put(letter("between"), at=NEW_YEAR + timedelta(days=1))
    assert subjects(browser) == ["newest", "between", "oldest"]


def test_a_mail_without_a_date_of_the_servers_stands_where_it_was_stored(browser, stock):
    stock.put(letter("old"))
    [message] = stock.put(letter("dateless"))
    Message.objects.filter(pk=message.pk).update(internal_date=None)
    assert subjects(browser) == ["dateless", "old"]


def test_a_line_says_who_wrote_where_it_lies_and_how_it_is(browser, stock):
    stock.put(letter("Plan"), folder="Projects", flags=FLAGGED | ANSWERED)
    page = words(browser.get(MAIL).text)
    assert "Unread: Eva Plan ★ Flagged ↩ Answered GMX · Projects" in page
    stock.put(letter("Read"), flags=SEEN)
    assert page.count("Unread:") == words(browser.get(MAIL).text).count("Unread:") == 1


def test_a_mail_in_two_folders_is_one_line_that_names_both(browser, stock):
    stock.put(letter("Once"), folder="INBOX")
    stock.put(letter("Once"), folder="All Mail")
    assert subjects(browser) == ["Once"]
    assert "INBOX · All Mail" in words(browser.get(MAIL).text)


def test_nobody_sees_the_mails_of_another(stock, bert):
    stock.put(letter("Secret"))
    theirs = signed_in(Client(), bert)
    assert "No account yet" in theirs.get(MAIL).text
    made_account(bert)
    assert "No mail yet" in theirs.get(MAIL).text


def test_the_account_or_folder_of_another_is_one_that_there_is_not(browser, stock, bert):
    other = Stock(bert, made_account(bert))
    for wish in ({"account": other.account.pk}, {"folder": other.folder("INBOX").pk}):
        assert browser.get(MAIL, wish).status_code == 422


def test_mails_gone_from_the_server_are_shown_when_they_are_asked_for(browser, stock):
    [gone] = stock.put(letter("Gone"))
    stock.put(letter("Here"))
    stock.lose(gone)
    assert subjects(browser) == ["Here"]
    assert subjects(browser, stored_only_here="on") == ["Here", "Gone"]
    assert browser.get(MAIL, {"stored_only_here": "on"}).text.count("Stored only here</span>") == 1


def test_what_is_gone_is_unread_or_flagged_as_it_was_last(browser, stock):
    gone = [*stock.put(letter("Read"), flags=SEEN), *stock.put(letter("New"), flags=FLAGGED)]
    for message in gone:
        stock.lose(message)
    assert subjects(browser, unread="on") == []
    assert subjects(browser, unread="on", stored_only_here="on") == ["New"]
    assert subjects(browser, flagged="on", stored_only_here="on") == ["New"]


@pytest.mark.parametrize("change", [{"uidvalidity": 2}, {"excluded": True}, {"gone_at": NEW_YEAR}])
def test_what_no_synced_folder_has_now_is_stored_only_here(browser, stock, change):
    stock.put(letter("Left"))
    type(stock.folder("INBOX")).objects.update(**change)
    assert subjects(browser) == [] and subjects(browser, stored_only_here="on") == ["Left"]


@pytest.fixture
def mixed(stock, anna):
    """Mails that differ in all that can be asked for; returns where they lie."""
    work = Stock(anna, made_account(anna, "Work"))
    stock.put(letter("unread"), at=datetime(2026, 1, 2, 12, tzinfo=UTC))
    stock.put(letter("large", "x" * 200_000), flags=SEEN, at=datetime(2026, 1, 3, 12, tzinfo=UTC))
    stock.put(letter("flagged"), flags=SEEN | FLAGGED, at=datetime(2026, 1, 4, 12, tzinfo=UTC))
    stock.put(letter("filed"), folder="Files", flags=SEEN, at=datetime(2026, 1, 5, 12, tzinfo=UTC))
    work.put(letter("work"), flags=SEEN, at=datetime(2026, 1, 6, 23, 30, tzinfo=UTC))
    return {"account": work.account.pk, "folder": stock.folder("Files").pk}


@pytest.mark.parametrize(
    ("wish", "met"),
    [
        ({"unread": "on"}, ["unread"]),
        ({"flagged": "on"}, ["flagged"]),
        ({"at_least_bytes": 102400}, ["large"]),
        ({"since": "2026-01-05"}, ["work", "filed"]),
        ({"until": "2026-01-03"}, ["large", "unread"]),
        ({"since": "2026-01-03", "until": "2026-01-04"}, ["flagged", "large"]),
        ({"flagged": "on", "unread": "on"}, []),
    ],
)
def test_a_wish_narrows_the_list(browser, mixed, wish, met):
    assert subjects(browser, **wish) == met


@pytest.mark.parametrize(("what", "met"), [("account", ["work"]), ("folder", ["filed"])])
def test_the_list_of_one_place(browser, mixed, what, met):
    assert subjects(browser, **{what: mixed[what]}) == met


def test_a_day_is_one_of_the_readers_zone(browser, mixed, anna):
    actions.set_time_zone(anna.user, "Europe/Berlin")
    assert subjects(browser, since="2026-01-07") == ["work"]


def test_what_is_no_day_is_said_and_kept(browser, mixed):
    page = browser.get(MAIL, {"since": "soon", "flagged": "on"})
    assert page.status_code == 422 and "Enter a valid date" in page.text and 'value="soon"' in page.text
    assert 'aria-invalid="true" aria-describedby="id_since_error"' in page.text
    assert 'id="id_since_error">Enter a valid date' in page.text
    assert subjects(browser, since="soon", flagged="on") == ["flagged"]


@pytest.mark.parametrize("since", ["0001-01-01", "9999-12-31"])
def test_the_first_and_the_last_day_are_days(browser, mixed, anna, since):
    actions.set_time_zone(anna.user, "Asia/Tokyo")
    assert browser.get(MAIL, {"since": since, "until": since}).status_code in (200, 422)


def test_nothing_like_the_wish_offers_to_see_all(browser, stock):
    stock.put(letter(), flags=SEEN)
    page = browser.get(MAIL, {"unread": "on"}).text
    assert "No mail is like this" in page and f'href="{MAIL}">Show all' in page


def test_pages_lead_to_older_mails_and_back(browser, stock):
    numbers = [str(number) for number in range(2 * PER_PAGE + 5)]
    stock.put(*map(letter, numbers))
    first = browser.get(MAIL).text
    assert link(first, "Newer") is None
    second = browser.get(link(first, "Older")).text
    third = browser.get(link(second, "Older")).text
    assert link(third, "Older") is None
    seen = [
        one for page in (MAIL, link(first, "Older"), link(second, "Older")) for one in subjects(browser, page)
    ]
    assert seen == numbers[::-1]
    assert subjects(browser, link(third, "Newer")) == seen[PER_PAGE : 2 * PER_PAGE]
    assert subjects(browser, link(second, "Newer")) == seen[:PER_PAGE]


def test_mails_of_the_same_second_are_neither_lost_nor_doubled_between_pages(browser, stock):
    numbers = [str(number) for number in range(PER_PAGE + 5)]
    stock.put(*map(letter, numbers), at=NEW_YEAR)
    older = link(browser.get(MAIL).text, "Older")
    assert sorted(subjects(browser) + subjects(browser, older)) == sorted(numbers)


def test_a_page_keeps_the_wish(browser, stock):
    stock.put(*(letter(str(number)) for number in range(PER_PAGE + 1)), flags=SEEN | FLAGGED)
    stock.put(letter("other"), flags=SEEN)
    older = link(browser.get(MAIL, {"flagged": "on"}).text, "Older")
    assert "flagged=on" in older and subjects(browser, older) == ["0"]


@pytest.mark.parametrize("place", ["", "x", "2026-01-01~x", f"0001-01-01T00:00+14:00~{UUID(int=4)}"])
def test_a_place_that_is_none_is_the_beginning(browser, stock, place):
    stock.put(letter("Here"))
    assert subjects(browser, older=place) == ["Here"]


def test_mails_that_the_server_did_not_give_are_counted_below(browser, stock):
    LedgerEntry.objects.create(
        folder=stock.folder("INBOX"), uidvalidity=1, uid=99, state=EntryState.QUARANTINED
    )
    assert "1 mail is not in this list: the server did not give it." in browser.get(MAIL).text


def test_a_mail_that_does_not_open_costs_only_its_own_line(browser, stock):
    [broken] = stock.put(letter("Broken"))
    stock.put(letter("Whole"))
    Message.objects.filter(pk=broken.pk).update(sealed_envelope=b"x" * 100)
    assert subjects(browser) == ["Whole", "(not readable)"]


def test_an_account_whose_key_does_not_open_is_said_and_the_others_are_shown(browser, stock, anna):
    other = Stock(anna, made_account(anna, "Work"))
    other.put(letter("Work"))
    stock.put(letter("Mine"))
    type(other.account).objects.filter(pk=other.account.pk).update(sealed_account_key=b"x" * 60)
    page = browser.get(MAIL)
    assert page.status_code == 200 and "The key of 1 account does not open" in page.text
    assert "Mine" in subjects(browser)


def test_a_subject_cannot_change_the_page(browser, stock):
    stock.put(letter("<script>steal()</script>", sender='"<b>Eva</b>" <eva@example.com>'))
    page = browser.get(MAIL).text
    assert "<script>steal" not in page and "<b>Eva" not in page


def test_the_page_says_why_it_cannot_be_searched(browser):
    assert "Sender and subject are sealed" in browser.get(MAIL).text


def test_many_mails_accounts_and_folders_need_few_queries(
    browser, stock, anna, django_assert_max_num_queries
):
    stock.put(*(letter(str(number)) for number in range(PER_PAGE + 10)))
    for number in range(15):
        Stock(anna, made_account(anna, f"Account {number}")).put(letter("x"), folder=f"Folder {number}")
    with django_assert_max_num_queries(12):
        assert len(subjects(browser)) == PER_PAGE


def test_no_page_holds_script_or_style_of_its_own(browser, stock):
    [message] = stock.put(letter())
    for page in (MAIL, reverse("message", args=[message.pk])):
        shown = browser.get(page).text
        assert "<script>" not in shown and "style=" not in shown and "onclick" not in shown


def test_where_the_key_of_all_mail_does_not_open_the_list_says_so(browser, stock):
    stock.put(letter("Hello"))
    Vault.objects.update(sealed_mail_private_key=b"changed")
    assert "(not readable)" in browser.get(reverse("mail")).text


def test_a_mail_leads_back_to_the_list_as_it_was(browser, stock):
    stock.put(letter("Found"), flags=SystemFlag.FLAGGED)
    stock.put(letter("Another"))
    shown = browser.get(MAIL, {"flagged": "on"}).text
    mail = re.search(r'<p class="subject"><a href="([^"]+)"', shown)[1]
    back = re.search(r'<a href="([^"]+)">Back to the list', browser.get(mail).text)[1]
    again = browser.get(back).text
    assert "Found" in again and "Another" not in again
