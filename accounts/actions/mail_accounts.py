"""Accounts: how they come, what they are called, when they are synced."""

from collections.abc import Iterable
from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext

from accounts import vault
from accounts.actions.connections import EVERYTHING, Connection, Filters, describe
from accounts.actions.keys import place
from accounts.errors import NameTaken, UsageError
from accounts.models import MailAccount, User

MINUTES_OF_A_DAY = 24 * 60
MOST_MEGABYTES = 10**9


def add_account(
    user: User,
    user_key: bytes,
    label: str,
    port: int,
    security: str,
    connection: Connection,
    filters: Filters = EVERYTHING,
) -> MailAccount:
    """Raises UsageError when the label is taken or the connection would send the password in clear."""
    return save_new(drafted(user, user_key, label, port, security, connection, filters))


def drafted(
    user: User,
    user_key: bytes,
    label: str,
    port: int,
    security: str,
    connection: Connection,
    filters: Filters = EVERYTHING,
) -> MailAccount:
    """The same account, not saved yet: it can be examined. Raises UsageError."""
    account = MailAccount(user=user, label=_clean_label(label))
    key = vault.new_key()
    account.sealed_account_key = vault.seal(user_key, key, *place(account, "sealed_account_key"))
    describe(account, key, port, security, connection, filters)
    return account


def save_new(account: MailAccount) -> MailAccount:
    """Raises NameTaken."""
    _save_named(account, force_insert=True)
    return account


def rename_account(account: MailAccount, label: str) -> None:
    """Raises UsageError."""
    account.label = _clean_label(label)
    _save_named(account, update_fields=["label"])


def _save_named(account: MailAccount, **how) -> None:
    try:
        with transaction.atomic():
            account.save(**how)
    except IntegrityError as error:
        raise NameTaken(account.label) from error


def _clean_label(label: str) -> str:
    label = " ".join(label.split())
    if not label or len(label) > 100 or not label.isprintable():
        raise UsageError(
            gettext("An account needs a name of 1 to 100 characters, none of them a control character.")
        )
    return label


def set_schedule(account: MailAccount, interval_minutes: int | None, fixed_times: Iterable[str]) -> None:
    """Sync at an interval or, if given, at fixed times of day ("09:00"). Raises UsageError."""
    minutes = account.interval_minutes if interval_minutes is None else interval_minutes
    if not 1 <= minutes <= MINUTES_OF_A_DAY:
        raise UsageError(gettext("An interval is from 1 to {most} minutes.").format(most=MINUTES_OF_A_DAY))
    account.interval_minutes, account.fixed_times = minutes, sorted({_time_of_day(at) for at in fixed_times})
    account.next_due = None  # the tick gives it its place in line
    account.schedule_changed_at = timezone.now()
    account.save(update_fields=["interval_minutes", "fixed_times", "next_due", "schedule_changed_at"])


def _time_of_day(text: str) -> str:
    try:
        return datetime.strptime(text.strip(), "%H:%M").strftime("%H:%M")
    except ValueError as error:
        raise UsageError(
            gettext("{text!r} is not a time of day, such as 09:00.").format(text=text)
        ) from error


def set_enabled(account: MailAccount, enabled: bool) -> None:
    """Paused accounts are synced neither by themselves nor by "fetch all"."""
    account.enabled, account.schedule_changed_at = enabled, timezone.now()
    account.save(update_fields=["enabled", "schedule_changed_at"])


def set_daily_budget(account: MailAccount, megabytes: int | None) -> None:
    """0 is without limit, None what the provider allows. Raises UsageError."""
    if megabytes is not None and not 0 <= megabytes <= MOST_MEGABYTES:
        raise UsageError(gettext("A budget is from 0 to {most} megabytes a day.").format(most=MOST_MEGABYTES))
    account.daily_budget_bytes = None if megabytes is None else megabytes * 1_000_000
    account.save(update_fields=["daily_budget_bytes"])
