"""The keys that a person's user key opens."""

from collections.abc import Iterable
from contextlib import suppress

from accounts import vault
from accounts.errors import SealBroken
from accounts.models import MailAccount, User


def place(row, field: str) -> tuple[str, object, str]:
    """What a sealed field is bound to."""
    return row._meta.db_table, row.pk, field


def mail_private_key(user: User, user_key: bytes) -> bytes:
    return vault.unseal(
        user_key, user.vault.sealed_mail_private_key, *place(user.vault, "sealed_mail_private_key")
    )


def account_key(account: MailAccount, user_key: bytes) -> bytes:
    return vault.unseal(user_key, account.sealed_account_key, *place(account, "sealed_account_key"))


def account_keys(accounts: Iterable[MailAccount], user_key: bytes) -> dict:
    """The keys by account. One whose seal is broken is left out: its run will say that it has no key."""
    keys = {}
    for account in accounts:
        with suppress(SealBroken):
            keys[account.pk] = account_key(account, user_key)
    return keys
