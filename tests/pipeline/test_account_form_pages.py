"""Adding, changing and removing accounts on pages, each connection tried before it is saved."""

import io
import re
import threading
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest
from django.apps import apps
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import actions, people, unlocked
from accounts.models import KeyGrant, MailAccount
from pipeline import connection_trials, tasks
from pipeline.models import AccountRun, ConnectionTrial, PipelineJob, RunStatus
from tests.conftest import Mailbox
from tests.pipeline.test_pages import HTMX, signed_in, words
from tests.pipeline.test_sync import mail

pytestmark = pytest.mark.usefixtures("rings")
AT_ONCE = connection_trials.in_background


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """A trial ends before the page that began it is answered."""
    monkeypatch.setattr(connection_trials, "in_background", lambda work: work())


@pytest.fixture
def browser(anna):
    """Anna's, signed in and unlocked."""
    return signed_in(Client(), anna)


@pytest.fixture
def berts(bert):
    return signed_in(Client(), bert)


def connection(box, **changes) -> dict:
    """What a person types to reach this mailbox."""
    return {
        "host": box.server.host,
        "port": box.server.imaps_port,
        "security": "tls",
        "login": box.login,
        "secret": box.password,
        "ca_pem": Path(box.server.ca_file).read_text(),
    } | changes


def typed(box, **changes) -> dict:
    more = {"label": "GMX", "interval_minutes": 15, "background": "on", "address": "anna@gmx.de"}
    return connection(box) | more | changes


def add(browser, box, **changes):
    return browser.post(reverse("add_account"), typed(box, **changes))


def edit(browser, account, part, **fields):
    return browser.post(reverse("edit_account", args=[account.pk]), {"part": part} | fields)


def followed(browser, answer) -> str:
    return words(browser.get(answer["Location"]).text)


def stored_connection(person, account) -> actions.Connection:
    account.refresh_from_db()
    return actions.connection_of(account, actions.account_key(account, person.user_key))


# Adding


def test_without_accounts_the_list_says_what_to_do(browser):
    shown = words(browser.get(reverse("accounts")).text)
    assert "No account yet" in shown and "Add an account" in shown


def test_the_address_alone_fills_in_what_is_known_of_its_provider(browser):
    page = browser.post(reverse("add_account"), {"address": "anna@gmx.de"}).text
    assert 'value="imap.gmx.net"' in page and 'value="993"' in page
    assert page.count('value="anna@gmx.de"') == 2  # the login, and the address itself
    assert 'value="GMX"' in page
    assert "First allow IMAP" in page and "https://hilfe.gmx.net" in page


def test_the_server_of_an_unknown_provider_is_a_guess_and_said_to_be_one(browser):
    page = browser.post(reverse("add_account"), {"address": "anna@example.org"}).text
    assert 'value="imap.example.org"' in page and "is a guess" in page


def test_a_name_is_proposed_that_is_free_and_does_not_say_whose_mailbox_it_is(browser, account):
    page = browser.post(reverse("add_account"), {"address": "anna@gmx.de"}).text
    assert 'name="label" value="GMX 2"' in page
    page = browser.post(reverse("add_account"), {"address": "anna@example.org"}).text
    assert 'name="label" value="My mailbox"' in page


def test_a_provider_that_lets_no_program_in_is_not_asked_for_a_password(browser):
    page = browser.post(reverse("add_account"), {"address": "anna@outlook.com"}).text
    assert "OAuth2 only" in page and 'type="password"' not in page


def test_what_is_no_address_is_said(browser):
    answer = browser.post(reverse("add_account"), {"address": "anna"})
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.text and 'aria-describedby="id_address_error"' in answer.text


def test_an_account_that_works_is_saved_and_its_first_sync_begins(browser, anna, mailbox):
    mailbox.append(mail("one"))
    answer = add(
        browser, mailbox, exclude="Lists/*\nOld", since="2024-01-31", max_mail_mb="2.5", unread_only="on"
    )
    account = MailAccount.objects.get()
    assert browser.get(answer["Location"])["Location"] == reverse("account", args=[account.pk])
    assert stored_connection(anna, account).secret == mailbox.password
    filters = actions.filters_of(account, actions.account_key(account, anna.user_key))
    assert filters.exclude == ("Lists/*", "Old") and filters.max_mail_bytes == 2_500_000
    assert filters.unread_before and filters.since.year == 2024
    assert KeyGrant.objects.filter(purpose="background", revoked_at=None).count() == 1
    run = AccountRun.objects.get()
    assert run.max_mails is None
    tasks.run.call_local(str(run.pk))
    run.refresh_from_db()
    assert run.status == RunStatus.SUCCESS and account.messages.count() == 1
    assert not bytes(ConnectionTrial.objects.get().sealed_settings)


def test_who_wants_no_background_sync_gives_no_grant(browser, mailbox):
    fields = typed(mailbox)
    del fields["background"]
    browser.post(reverse("add_account"), fields)
    assert MailAccount.objects.exists() and not KeyGrant.objects.filter(purpose="background").exists()


def test_a_wrong_password_saves_nothing_and_says_what_helps(browser, mailbox):
    shown = followed(browser, add(browser, mailbox, secret="something else"))
    assert not MailAccount.objects.exists() and not AccountRun.objects.exists()
    assert "✗ It does not work yet" in shown and "refuses this login and password" in shown
    assert "Name of the server ok" in shown and "Save anyway" not in shown


def test_it_is_corrected_with_all_that_was_typed_but_the_password(browser, mailbox):
    page = browser.get(add(browser, mailbox, login="nobody", label="My box")["Location"]).text
    assert 'value="nobody"' in page and 'value="My box"' in page and mailbox.password not in page
    add(browser, mailbox, secret="", again="1")
    assert MailAccount.objects.get().label == "GMX"


def test_a_password_is_kept_only_where_one_was_typed(browser, mailbox):
    answer = add(browser, mailbox, secret="", again="1")
    assert answer.status_code == 422 and "Type the password of the mailbox." in answer.text
    assert f'value="{mailbox.login}"' in answer.text


def test_a_password_that_is_wrong_in_itself_is_not_asked_for_as_well(browser, mailbox):
    answer = add(browser, mailbox, secret="x" * 1001)
    assert "at most 1000 characters" in answer.text and "Type the password" not in answer.text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"label": "\u0000"}, "Null characters"),
        ({"host": "https://imap.gmx.net"}, "bare name"),
        ({"security": "none"}, "Select a valid choice"),
        ({"port": 0}, "greater than or equal to 1"),
        ({"ca_pem": "no certificate"}, "holds no certificate"),
        ({"since": "2999-01-01"}, "yet to come"),
        ({"max_mail_mb": "30"}, "at most 25"),
        ({"interval_minutes": 0}, "greater than or equal to 1"),
    ],
)
def test_what_makes_no_account_is_said_before_anything_is_tried(browser, mailbox, changes, said):
    answer = add(browser, mailbox, **changes)
    assert answer.status_code == 422 and said in answer.text
    assert mailbox.password not in answer.text and not ConnectionTrial.objects.exists()


def test_a_name_is_given_once_and_that_is_said_at_its_field(browser, account, mailbox):
    answer = add(browser, mailbox, label="gmx")
    assert answer.status_code == 422
    assert re.search(r'id="id_label_error">There is already an account named gmx\.', answer.text)


def test_a_private_address_is_refused_and_cannot_be_saved_anyway(browser, mailbox, settings):
    settings.MAILHELPER_ALLOW_PRIVATE_HOSTS = False
    for host in ("127.0.0.1", "localhost"):
        shown = followed(browser, add(browser, mailbox, host=host))
        assert "private network" in shown and "Save anyway" not in shown
    trial = ConnectionTrial.objects.get()
    browser.post(reverse("keep_connection", args=[trial.pk]))
    assert not MailAccount.objects.exists()


def test_a_server_that_is_down_can_be_saved_anyway_once(browser, mailbox, anna):
    answer = add(browser, mailbox, port=1)
    assert "Save anyway" in followed(browser, answer)
    trial = ConnectionTrial.objects.get()
    for _ in range(2):
        browser.post(reverse("keep_connection", args=[trial.pk]))
    account = MailAccount.objects.get()
    assert account.port == 1 and stored_connection(anna, account).secret == mailbox.password
    assert AccountRun.objects.count() == 1


def test_two_windows_save_it_once(browser, mailbox, held):
    add(browser, mailbox)
    held.pop()()
    trial = ConnectionTrial.objects.get()
    with pytest.raises(connection_trials.Abandoned):
        connection_trials.keep(trial, None)


def test_a_name_that_is_taken_meanwhile_is_said_when_it_is_saved(browser, mailbox, connect):
    answer = add(browser, mailbox, port=1)
    connect(mailbox)
    trial = ConnectionTrial.objects.get()
    said = browser.post(reverse("keep_connection", args=[trial.pk]))
    assert said.status_code == 422 and "already an account named GMX" in said.text
    assert MailAccount.objects.count() == 1 and answer["Location"]


# How a trial goes


@pytest.fixture
def held(monkeypatch):
    """Trials wait until a test lets them go on."""
    waiting = []
    monkeypatch.setattr(connection_trials, "in_background", waiting.append)
    yield waiting
    for work in waiting:
        work()


def test_while_it_runs_the_page_asks_again_and_then_no_more(browser, mailbox, held):
    url = add(browser, mailbox, secret="wrong")["Location"]
    answer = browser.get(url, headers=HTMX).text
    assert 'hx-trigger="every 1s, look"' in answer and "Look again" in answer and "<html" not in answer
    held.pop()()
    answer = browser.get(url, headers=HTMX).text
    assert "hx-trigger" not in answer and "refuses this login and password" in answer


def test_the_steps_are_seen_as_they_are_taken(browser, mailbox, held, monkeypatch):
    url = add(browser, mailbox, secret="wrong")["Location"]
    seen = []
    note = connection_trials._note

    def look(trial, **fields):
        note(trial, **fields)
        seen.append(words(browser.get(url, headers=HTMX).text))

    monkeypatch.setattr(connection_trials, "_note", look)
    held.pop()()
    assert "Name of the server …" in seen[0] and "Way to the server …" in seen[1]
    assert "✓ Name of the server ok" in seen[1] and "Login …" not in seen[1]


def test_when_it_works_the_page_leads_on(browser, mailbox, held):
    url = add(browser, mailbox)["Location"]
    held.pop()()
    target = reverse("account", args=[MailAccount.objects.get().pk])
    assert browser.get(url, headers=HTMX)["HX-Redirect"] == target


def test_a_person_tries_one_at_a_time(browser, mailbox, held):
    add(browser, mailbox)
    answer = add(browser, mailbox, label="Other")
    assert answer.status_code == 422 and "Another connection of yours is being tried" in answer.text


def test_a_process_tries_only_so_many_at_a_time_and_gives_each_seat_back(browser, mailbox, monkeypatch):
    for _ in range(2 * connection_trials.AT_ONCE):
        add(browser, mailbox, port=1)
    taken = [connection_trials._seats.acquire(blocking=False) for _ in range(connection_trials.AT_ONCE)]
    try:
        assert all(taken)
        answer = add(browser, mailbox)
        assert answer.status_code == 422 and "Too many connections" in answer.text
    finally:
        for _ in taken:
            connection_trials._seats.release()


def test_one_whose_process_died_says_so_and_makes_room(browser, mailbox, held):
    url = add(browser, mailbox)["Location"]
    held.clear()
    connection_trials._seats.release()
    ConnectionTrial.objects.update(heard_at=timezone.now() - connection_trials.SILENCE - timedelta(seconds=1))
    assert "was interrupted" in words(browser.get(url).text)
    add(browser, mailbox)
    assert ConnectionTrial.objects.count() == 1
    held.pop()()
    assert MailAccount.objects.count() == 1


def test_one_that_was_replaced_saves_nothing(browser, mailbox, held):
    add(browser, mailbox)
    ConnectionTrial.objects.all().delete()
    held.pop()()
    assert not MailAccount.objects.exists()


def test_for_who_is_deactivated_meanwhile_nothing_is_saved_nor_granted(browser, anna, bert, mailbox, held):
    add(browser, mailbox)
    people.deactivate(anna.user, by=bert.user)
    held.pop()()
    assert not MailAccount.objects.exists() and not KeyGrant.objects.exists()


def test_old_ones_are_forgotten_by_the_tick(browser, mailbox):
    add(browser, mailbox, secret="wrong")
    tasks.beat()
    assert ConnectionTrial.objects.exists()
    ConnectionTrial.objects.update(started_at=timezone.now() - timedelta(hours=1, seconds=1))
    tasks.beat()
    assert not ConnectionTrial.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_it_runs_beside_the_page_in_a_thread(browser, mailbox, monkeypatch):
    started = []

    def start(work):
        AT_ONCE(work)
        started.extend(one for one in threading.enumerate() if one.name == "connection-trial")

    monkeypatch.setattr(connection_trials, "in_background", start)
    url = add(browser, mailbox)["Location"]
    started[0].join(20)
    assert browser.get(url)["Location"] == reverse("account", args=[MailAccount.objects.get().pk])


# Changing


def test_the_edit_page_shows_what_is_set_but_never_the_password(browser, account, mailbox):
    page = browser.get(reverse("edit_account", args=[account.pk])).text
    assert 'value="GMX"' in page and f'value="{mailbox.login}"' in page and mailbox.password not in page


def test_a_name_is_changed(browser, account):
    edit(browser, account, "name", label="Home")
    account.refresh_from_db()
    assert account.label == "Home"


def test_a_name_that_is_taken_is_refused(browser, account, connect, mailbox):
    connect(mailbox, name="Other")
    answer = edit(browser, account, "name", label="other")
    assert answer.status_code == 422 and "already an account named other" in answer.text
    assert "Edit GMX" in answer.text


def test_the_schedule_and_the_budget_are_changed(browser, account):
    edit(browser, account, "schedule", interval_minutes=30, fixed_times="18:00, 7:00", daily_budget="100")
    account.refresh_from_db()
    assert (account.interval_minutes, account.fixed_times) == (30, ["07:00", "18:00"])
    assert account.daily_budget_bytes == 100_000_000
    edit(browser, account, "schedule", interval_minutes=30, fixed_times="", daily_budget="")
    account.refresh_from_db()
    assert (account.fixed_times, account.daily_budget_bytes) == ([], None)


def test_a_time_that_is_none_is_said_in_the_form(browser, account):
    answer = edit(browser, account, "schedule", interval_minutes=30, fixed_times="25:00", daily_budget="")
    assert answer.status_code == 422 and "is not a time of day" in answer.text and "25:00" in answer.text


def test_filters_are_changed_and_others_stay(browser, anna, connect, mailbox):
    before = actions.Filters(exclude=("Old",), unread_before=timezone.now())
    account = connect(mailbox, filters=before)
    edit(browser, account, "filters", include="Work/*", exclude="", since="", max_mail_mb="")
    after = actions.filters_of(account, actions.account_key(account, anna.user_key))
    account.refresh_from_db()
    after = actions.filters_of(account, actions.account_key(account, anna.user_key))
    assert (after.include, after.exclude) == (("Work/*",), ())
    assert after.unread_before == before.unread_before


def test_a_folder_that_is_known_is_left_out_by_ticking_it_and_comes_back(
    browser, anna, account, mailbox, sync
):
    mailbox.create("Lists")
    sync(account)
    page = browser.get(reverse("edit_account", args=[account.pk])).text
    [lists] = re.findall(r'value="([^"]+)"[^>]*> Lists</label>', page)
    key = actions.account_key(account, anna.user_key)

    def chosen(**fields):
        asked = {"exclude": "Old/*", "include": "", "since": "", "max_mail_mb": ""}
        edit(browser, account, "filters", **asked | fields)
        account.refresh_from_db()
        return actions.filters_of(account, key).exclude

    assert chosen(left_out=[lists]) == ("Old/*", "Lists")
    sync(account)
    page = browser.get(reverse("edit_account", args=[account.pk])).text
    assert re.search(rf'value="{lists}"[^>]*checked', page) and ">\nOld/*</textarea>" in page
    assert chosen() == ("Old/*",)


def test_what_is_wrong_is_said_at_its_field_with_what_was_typed(browser, account):
    answer = edit(browser, account, "filters", exclude="x" * 300, include="", since="", max_mail_mb="")
    assert answer.status_code == 422 and "x" * 300 in answer.text
    assert f'action="{reverse("edit_account", args=[account.pk])}#filters"' in answer.text  # is scrolled to
    assert 'id="id_exclude_error"' in answer.text and "at most 255 characters" in answer.text


def test_a_new_connection_takes_the_place_of_the_old_when_it_works(browser, anna, account, dovecot):
    other = Mailbox(dovecot)
    answer = edit(browser, account, "connection", **connection(other))
    assert browser.get(answer["Location"])["Location"] == reverse("account", args=[account.pk])
    assert stored_connection(anna, account).login == other.login
    assert AccountRun.objects.get().account == account


def test_one_that_does_not_work_changes_nothing(browser, anna, account, mailbox):
    answer = edit(browser, account, "connection", **connection(mailbox, secret="wrong"))
    assert "It does not work yet" in followed(browser, answer)
    assert stored_connection(anna, account).secret == mailbox.password
    edit(browser, account, "connection", **connection(mailbox, secret=""), again="1")
    assert stored_connection(anna, account).secret == mailbox.password  # the wrong one was tried again
    assert not AccountRun.objects.exists()


def test_the_stored_password_goes_to_no_other_server(browser, account, mailbox):
    fields = connection(mailbox, secret="", host="127.0.0.1")
    answer = edit(browser, account, "connection", **fields)
    assert answer.status_code == 422 and "would go to another server" in answer.text
    assert not ConnectionTrial.objects.exists()
    edit(browser, account, "connection", **connection(mailbox, secret=""))
    assert ConnectionTrial.objects.get().passed


def test_nor_does_it_by_way_of_a_trial_that_failed(browser, account, mailbox):
    edit(browser, account, "connection", **connection(mailbox, secret="", port=1))
    fields = connection(mailbox, secret="", host="127.0.0.1", again="1")
    answer = edit(browser, account, "connection", **fields)
    assert answer.status_code == 422 and "would go to another server" in answer.text


def test_a_new_password_alone_is_tried_saved_and_followed_by_a_sync(browser, anna, account, mailbox, dovecot):
    dovecot.set_password(mailbox.login, "the new one")
    url = reverse("new_password", args=[account.pk])
    assert f'value="{mailbox.login}"' in browser.get(url).text
    assert "It does not work yet" in followed(browser, browser.post(url, {"secret": "a wrong one"}))
    assert browser.post(url, {"secret": ""}).status_code == 422
    browser.post(url, {"secret": "the new one"})
    assert stored_connection(anna, account).secret == "the new one"
    assert AccountRun.objects.get().account == account


def test_an_account_is_paused_and_resumed(browser, account):
    browser.post(reverse("pause_account", args=[account.pk]))
    assert "GMX Manual Paused" in words(browser.get(reverse("accounts")).text)
    assert not MailAccount.objects.get().enabled
    browser.post(reverse("resume_account", args=[account.pk]))
    assert MailAccount.objects.get().enabled


# Removing


def test_before_it_is_deleted_a_person_hears_what_is_lost_and_can_take_it_along(
    browser, account, mailbox, sync
):
    mailbox.create("Work")
    uids = {folder: mailbox.append(mail(folder), folder=folder) for folder in ("INBOX", "Work")}
    sync(account)
    page = browser.get(reverse("delete_account", args=[account.pk])).text
    assert "2 mails that are stored here go" in words(page)
    answer = browser.get(reverse("export_account", args=[account.pk]))
    archive = zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content)))
    assert archive.testzip() is None
    assert answer["Content-Disposition"] == 'attachment; filename="mailhelper-gmx.zip"'
    for folder, uid in uids.items():
        assert archive.read(f"{folder}/{uid}.eml") == mailbox.served(folder)[uid]


def test_what_is_stored_only_here_is_in_the_export_too(browser, account, mailbox, sync, dovecot):
    uid = mailbox.append(mail("gone"))
    sync(account)
    account.folders.update(gone_at=timezone.now())
    answer = browser.get(reverse("export_account", args=[account.pk]))
    archive = zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content)))
    assert [archive.read(name) for name in archive.namelist()] == [mailbox.served()[uid]]


def test_it_is_deleted_only_by_who_says_so(browser, account, mailbox):
    url = reverse("delete_account", args=[account.pk])
    answer = browser.post(url)
    assert answer.status_code == 422 and "Tick the box" in answer.text and MailAccount.objects.exists()
    assert browser.post(url, {"sure": "on"})["Location"] == reverse("accounts")
    assert not MailAccount.objects.exists()


def test_a_run_that_waits_ends_with_its_account(browser, account):
    browser.post(reverse("fetch_account", args=[account.pk]))
    run_id = AccountRun.objects.get().pk
    browser.post(reverse("delete_account", args=[account.pk]), {"sure": "on"})
    assert PipelineJob.objects.get().ended_at and not AccountRun.objects.exists()
    tasks.run.call_local(str(run_id))  # the ring comes all the same


# Whose it is, and what stays secret

OF_AN_ACCOUNT = ["edit_account", "new_password", "delete_account", "export_account"]
CHANGES = [*OF_AN_ACCOUNT[:3], "pause_account", "resume_account"]


def test_nobody_reaches_another_persons_account_or_trial(browser, berts, account, mailbox):
    add(browser, mailbox, label="Other", port=1)
    trial = ConnectionTrial.objects.get()
    gets = [(name, account.pk) for name in OF_AN_ACCOUNT] + [("connection_trial", trial.pk)]
    posts = [(name, account.pk) for name in CHANGES] + [("keep_connection", trial.pk)]
    fields = connection(mailbox) | {"part": "connection", "sure": "on", "label": "mine"}
    assert {berts.get(reverse(name, args=[pk])).status_code for name, pk in gets} == {404}
    assert {berts.post(reverse(name, args=[pk]), fields).status_code for name, pk in posts} == {404}
    assert [one.label for one in MailAccount.objects.all()] == ["GMX"] and MailAccount.objects.get().enabled
    assert "GMX" not in words(berts.get(reverse("accounts")).text)


def test_anothers_trial_lends_no_password(browser, berts, bert, mailbox):
    add(browser, mailbox, login="nobody")
    answer = berts.post(reverse("add_account"), typed(mailbox, secret="", again="1"))
    assert answer.status_code == 422 and not MailAccount.objects.exists()


def test_a_locked_session_unlocks_first_and_a_stranger_signs_in(browser, client, account, mailbox):
    del browser.cookies[unlocked.COOKIE]
    for name in OF_AN_ACCOUNT:
        url = reverse(name, args=[account.pk])
        assert browser.get(url)["Location"].startswith(reverse("unlock"))
        assert client.get(url)["Location"].startswith(reverse("sign_in"))
    assert add(browser, mailbox, label="Other")["Location"].startswith(reverse("unlock"))
    assert browser.get(reverse("accounts")).status_code == 200


@pytest.mark.parametrize("name", ["pause_account", "resume_account"])
def test_nothing_is_changed_by_a_link(browser, account, name):
    assert browser.get(reverse(name, args=[account.pk])).status_code == 405


def test_nothing_that_was_typed_is_left_readable(browser, dovecot, caplog):
    caplog.set_level("DEBUG")
    box = Mailbox(dovecot, "canarylogin", "canarysecret")
    secrets = {"exclude": "canaryfolder", "address": "canary@mail.example"}
    add(browser, box, secret="canarywrong", host="127.0.0.1", **secrets)
    add(browser, box, secret="canarywrong", **secrets)
    add(browser, box, **secrets)
    assert MailAccount.objects.exists()
    left = everything_in_rows() + caplog.text + str(dict(browser.session))
    for word in ("canary", "localhost", "127.0.0.1", "mail.example"):
        assert word not in left


def test_what_failed_is_left_sealed(browser, dovecot):
    box = Mailbox(dovecot, "canarylogin", "canarysecret")
    add(browser, box, secret="canarywrong")
    assert "canary" not in everything_in_rows() and "greeting" in everything_in_rows()


def everything_in_rows() -> str:
    rows = [row for model in apps.get_models() for row in model.objects.values_list()]
    return repr([[bytes(one) if isinstance(one, memoryview) else one for one in row] for row in rows])


@pytest.mark.parametrize("name", ["edit_account", "new_password", "export_account"])
def test_a_seal_that_does_not_open_is_said_and_the_account_can_be_deleted(browser, account, name):
    MailAccount.objects.update(sealed_account_key=b"changed")
    answer = browser.get(reverse(name, args=[account.pk]))
    assert answer.status_code == 409 and "does not open" in answer.text
    browser.post(reverse("delete_account", args=[account.pk]), {"sure": "on"})
    assert not MailAccount.objects.exists()


# What it costs


def test_the_list_costs_as_many_queries_whatever_the_number(
    browser, connect, mailbox, django_assert_max_num_queries
):
    for number in range(8):
        connect(mailbox, name=f"box {number}")
    with django_assert_max_num_queries(12):
        browser.get(reverse("accounts"))


@pytest.mark.parametrize("name", OF_AN_ACCOUNT[:3])
def test_each_page_of_an_account_costs_few_queries(browser, account, name, django_assert_max_num_queries):
    with django_assert_max_num_queries(12):
        browser.get(reverse(name, args=[account.pk]))
