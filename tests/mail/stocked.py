"""Mails in the sealed store, put there as a sync does, without a server."""

from datetime import UTC, datetime, timedelta
from itertools import count

from accounts import actions
from accounts.actions import Filters
from accounts.errors import ErrorType
from accounts.models import MailAccount
from mail import folders, ledger, store
from mail.fetch import BATCH_MAILS
from mail.guard import chunks
from mail.models import EntryState, Folder, LedgerEntry, Message
from mail.parcels import Flags, Metadata, ParsedMail, SurveyedFolder
from mail.parse import Unparseable, parse_message
from mail.sealer import Sealer

NEW_YEAR = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Stock:
    """One account's store. Mails arrive a minute after each other unless a date is given."""

    def __init__(self, person, account: MailAccount):
        self.account = account
        key = actions.account_key(account, person.user_key)
        digest = actions.connection_of(account, key).mail_key_digest
        self._sealer = Sealer.for_claim(account, key, digest)
        self._uids, self._folders = count(1), {}

    def folder(self, name: str) -> Folder:
        if name not in self._folders:
            listed = [SurveyedFolder(one.encode(), one, "", False, False) for one in (*self._folders, name)]
            rows = folders.record_survey(_nobody_else, self._sealer, listed, datetime.now(UTC))
            row = rows[name.encode()]
            row.uidvalidity = 1
            row.save()
            self._folders[name] = row
        return self._folders[name]

    def put(self, *raws: bytes, folder="INBOX", flags=0, at=None, header_only=False) -> list[Message]:
        row = self.folder(folder)
        uids = [next(self._uids) for _ in raws]
        metadata = {
            uid: Metadata(len(raw), at or NEW_YEAR + timedelta(minutes=uid))
            for uid, raw in zip(uids, raws, strict=True)
        }
        all_flags = {uid: Flags(flags, ()) for uid in uids}
        suspects = ledger.suspects(self._sealer, uids, metadata, all_flags)
        ledger.record_new(_nobody_else, self._sealer, row, suspects, all_flags, {}, Filters())
        entries = LedgerEntry.objects.filter(folder=row, uid__in=uids).order_by("uid")
        pending = ledger.pending_mails(entries.values_list("pk", flat=True))
        mails = [_parsed(one, raw, header_only) for one, raw in zip(pending, raws, strict=True)]
        for some in chunks(mails, BATCH_MAILS):
            store.store_batch(_nobody_else, self._sealer, some)
        return [entry.message for entry in entries.select_related("message")]

    def lose(self, message: Message) -> None:
        """It is gone from the server."""
        message.entries.update(state=EntryState.GONE)


def _nobody_else():
    pass


def _parsed(pending, raw: bytes, header_only: bool) -> ParsedMail:
    try:
        return ParsedMail(pending, raw, parse_message(raw), header_only=header_only)
    except Unparseable:
        return ParsedMail(pending, raw, None, ErrorType.UNPARSEABLE, header_only)


def letter(subject="Hello", body="Good day", sender="Eva <eva@example.com>", more=()) -> bytes:
    head = [f"From: {sender}", "To: anna@example.org", f"Subject: {subject}", *more]
    return "\r\n".join([*head, "", body, ""]).encode()


def page_mail(html: str, subject="HTML") -> bytes:
    return letter(subject, html, more=["Content-Type: text/html; charset=utf-8"])
