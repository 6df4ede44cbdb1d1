"""What filters leave out is counted with their name; changing one fetches what it now admits."""

from datetime import UTC, date, datetime

import pytest

from accounts import actions
from mail.models import LedgerEntry, Message
from mail.queries import folder_figures
from tests.pipeline.test_sync import figures, mail

pytestmark = pytest.mark.django_db
OLD, NEW = datetime(2024, 5, 1, 12, tzinfo=UTC), datetime(2026, 2, 1, 12, tzinfo=UTC)


@pytest.fixture
def filtered(anna):
    """Set an account's filters: filtered(account, since=…)."""

    def filtered(account, **filters):
        actions.set_filters(account, anna.user_key, actions.Filters(**filters))

    return filtered


@pytest.fixture
def four(any_mailbox):
    """Old and new, read and unread; the new unread one is large."""
    any_mailbox.append(mail("old read"), flags=("\\Seen",), date=OLD)
    any_mailbox.append(mail("old unread"), date=OLD)
    any_mailbox.append(mail("new read"), flags=("\\Seen",), date=NEW)
    any_mailbox.append(mail("new unread", "x" * 5_000), date=NEW)
    return any_mailbox


def excluded_by(account) -> dict[str, int]:
    return next(folder.excluded_by for folder in folder_figures(account))


def test_a_date_leaves_out_what_came_before(four, any_account, filtered, sync):
    filtered(any_account, since=date(2026, 1, 1))
    assert sync(any_account).emails_fetched == 2
    assert excluded_by(any_account) == {"since": 2}
    assert figures(any_account) == {"on_server": 4, "stored": 2, "excluded": 2}


def test_the_day_itself_is_within(four, any_account, filtered, sync):
    filtered(any_account, since=OLD.date())
    assert sync(any_account).emails_fetched == 4


def test_unread_only_is_for_what_was_there_before(four, any_account, filtered, sync):
    filtered(any_account, unread_before=datetime(2026, 3, 1, tzinfo=UTC))
    assert sync(any_account).emails_fetched == 2
    assert excluded_by(any_account) == {"unread_only": 2}
    four.append(mail("came later, read elsewhere"), flags=("\\Seen",), date=datetime(2026, 3, 2, tzinfo=UTC))
    assert sync(any_account).emails_fetched == 1


def test_a_size_limit_keeps_the_header_and_excludes_the_body(four, any_account, filtered, sync, anna):
    from mail.queries import MailOpener

    filtered(any_account, max_mail_bytes=1_000)
    assert sync(any_account).emails_fetched == 3
    assert excluded_by(any_account) == {"over_limit": 1}
    [large] = Message.objects.filter(account=any_account, header_only=True)
    opener = MailOpener(
        actions.mail_private_key(anna.user, anna.user_key), actions.account_key(any_account, anna.user_key)
    )
    assert opener.envelope(large).subject == "new unread"
    assert opener.raw(large).endswith(b"\r\n\r\n") and b"xxx" not in opener.raw(large)
    assert large.size > 5_000


def test_the_header_is_asked_for_once(scripted, scripted_account, filtered, sync):
    scripted.append("", "INBOX", mail("large", "x" * 5_000))
    filtered(scripted_account, max_mail_bytes=1_000)
    sync(scripted_account)
    scripted.commands.clear()
    sync(scripted_account)
    assert not any(b"BODY" in command for command in scripted.commands)


def test_the_limit_of_the_installation_wins_over_a_larger_one_of_an_account(
    four, any_account, filtered, sync, settings
):
    settings.MAILHELPER_MAX_MAIL_BYTES = 1_000
    filtered(any_account, max_mail_bytes=1_000_000)
    sync(any_account)
    assert excluded_by(any_account) == {"over_limit": 1}


STRICT = {
    "since": date(2026, 1, 1),
    "max_mail_bytes": 1_000,
    "unread_before": datetime(2026, 3, 1, tzinfo=UTC),
}


def test_a_mail_is_counted_once_however_many_filters_leave_it_out(four, any_account, filtered, sync):
    filtered(any_account, **STRICT)
    assert sync(any_account).emails_fetched == 0
    assert figures(any_account) == {"on_server": 4, "excluded": 4}
    assert sum(excluded_by(any_account).values()) == 4


@pytest.mark.parametrize("lifted", STRICT)
def test_lifting_one_filter_fetches_what_the_others_admit(lifted, four, any_account, filtered, sync):
    filtered(any_account, **STRICT)
    sync(any_account)
    left = {name: value for name, value in STRICT.items() if name != lifted}
    filtered(any_account, **left)
    sync(any_account)
    admitted = {"since": 1, "max_mail_bytes": 1, "unread_before": 1}[lifted]
    assert figures(any_account) == {"on_server": 4, "stored": admitted, "excluded": 4 - admitted}


def test_changing_filters_fetches_what_they_admit_and_deletes_nothing(four, any_account, filtered, sync):
    filtered(any_account, **STRICT)
    sync(any_account)
    filtered(any_account)
    assert sync(any_account).emails_fetched == 4
    assert not Message.objects.filter(account=any_account, header_only=True).exists()
    filtered(any_account, **STRICT)
    assert sync(any_account).emails_fetched == 0
    assert figures(any_account) == {"on_server": 4, "stored": 4}


def test_a_mail_that_moved_is_not_left_out_by_a_filter(any_mailbox, any_account, filtered, sync):
    uid = any_mailbox.append(mail("one"), flags=("\\Seen",), date=OLD)
    any_mailbox.append(mail("two"), date=OLD)
    any_mailbox.create("Kept")
    sync(any_account)
    filtered(any_account, since=date(2026, 1, 1))
    any_mailbox.server.move(any_mailbox.login, "INBOX", [uid], "Kept")
    sync(any_account)
    assert figures(any_account) == {"on_server": 2, "stored": 2, "gone": 1}


def test_a_folder_left_out_is_counted_by_that_name(any_mailbox, any_account, filtered, sync):
    any_mailbox.append(mail("one"))
    filtered(any_account, exclude=("INBOX",))
    sync(any_account)
    assert excluded_by(any_account) == {"folder": 1}
    assert not LedgerEntry.objects.exists()


def test_filters_come_back_as_they_were_set(any_account, anna, filtered):
    filtered(any_account, include=("A*",), **STRICT)
    key = actions.account_key(any_account, anna.user_key)
    assert actions.filters_of(any_account, key) == actions.Filters(include=("A*",), **STRICT)
