"""What a sync seals with, and where each sealed value belongs."""

import json
from dataclasses import dataclass, field
from uuid import UUID

from accounts import vault
from accounts.errors import SealBroken
from accounts.models import MailAccount
from mail.models import ContentKey, LedgerEntry


@dataclass(frozen=True)
class Sealer:
    """Seals one account's mail for one claim of a run: what it seals it cannot open again later."""

    account: MailAccount
    account_key: bytes
    content_key: bytes
    content_key_row: ContentKey
    _known: dict = field(default_factory=dict, repr=False)

    @classmethod
    def for_claim(cls, account: MailAccount, account_key: bytes, mail_key_digest: str) -> "Sealer":
        """Raises SealBroken when the mail key in the database is not the account owner's."""
        mail_public_key = account.user.vault.mail_public_key
        if vault.digest(mail_public_key) != mail_key_digest:
            raise SealBroken
        key, row = vault.new_key(), ContentKey(account=account)
        row.sealed_key = vault.seal_to(mail_public_key, key, *place(row, "sealed_key"))
        return cls(account, account_key, key, row)

    def index(self, kind: str, value: bytes) -> bytes:
        return vault.blind_index(self.account_key, kind, value)

    def words_index(self, kind: str, words: tuple[str, ...] | None) -> bytes | None:
        """Of keywords or labels, of which few combinations stand on many mails."""
        if not words:
            return None
        if (kind, words) not in self._known:
            self._known[kind, words] = self.index(kind, json.dumps(words).encode())
        return self._known[kind, words]

    def sealed_words(self, words: tuple[str, ...] | None, where: tuple[object, ...]) -> bytes | None:
        return vault.seal(self.account_key, json.dumps(words).encode(), *where) if words else None


def place(row, field: str) -> tuple[object, ...]:
    return row._meta.db_table, row.pk, field


def entry_place(folder_id: UUID, uidvalidity: int, uid: int, field: str) -> tuple[object, ...]:
    """Of a ledger row, which has its number only once it is written."""
    return LedgerEntry._meta.db_table, folder_id, uidvalidity, uid, field
