"""The sealed store: messages and their bodies, each batch in one guarded transaction with its ledger rows."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from uuid import UUID

import zstandard

from accounts import vault
from accounts.errors import ErrorType
from accounts.models import MailAccount
from mail.guard import Guard, guarded, upsert
from mail.ledger import mark_stored
from mail.models import EntryState, LedgerEntry, Message, MessageBody
from mail.parcels import Envelope, ParsedMail
from mail.relink import header_index
from mail.sealer import Sealer, place

ZSTD_LEVEL = 3


def store_batch(guard: Guard, sealer: Sealer, mails: list[ParsedMail]) -> None:
    """The checkpoint: bodies, envelopes and ledger rows of one batch, all or none.

    A mail whose raw bytes are already stored is linked, not stored again; one that was misread by a bug of
    our parser is stored anew in its place. Headers alone (of mails over the size limit) go the same way.
    """
    index_of = {mail.pending.entry_id: _raw_index(sealer, mail) for mail in mails}
    by_index = {index_of[mail.pending.entry_id]: mail for mail in mails}
    ids, misread = _stored_ids(sealer.account, by_index)
    messages, bodies = [], []
    for index, mail in by_index.items():
        if index not in ids or ids[index] in misread:
            message = _sealed_message(sealer, mail, index, ids.get(index))
            ids[index] = message.pk
            messages.append(message)
            bodies.append(_sealed_body(sealer, message, mail.raw))
    links = {entry_id: ids[index] for entry_id, index in index_of.items()}
    with guarded(guard):
        if messages:
            sealer.content_key_row.save()
        upsert(messages, _SEALED_AGAIN)
        upsert(bodies, ["sealed_raw"], key="message")
        if mails[0].header_only:
            mark_stored(links, EntryState.EXCLUDED)
        else:
            replaced = _headers_kept_for(links)
            mark_stored(links)
            Message.objects.filter(pk__in=replaced, entries=None).delete()


_SEALED_AGAIN = ["content_key", "sealed_envelope", "message_id_index", "parsed", "error_type"]


def _headers_kept_for(entry_ids: Iterable[int]) -> list[UUID]:
    """What was kept of mails while they were over the limit."""
    rows = LedgerEntry.objects.filter(pk__in=list(entry_ids), message__header_only=True)
    return list(rows.values_list("message_id", flat=True))


def _raw_index(sealer: Sealer, mail: ParsedMail) -> bytes:
    return sealer.index("raw header" if mail.header_only else "raw", hashlib.sha256(mail.raw).digest())


def _stored_ids(account: MailAccount, indexes: Iterable[bytes]) -> tuple[dict[bytes, UUID], set[UUID]]:
    """By index, and which of them a bug of ours misread."""
    rows = account.messages.filter(raw_index__in=list(indexes))
    rows = list(rows.values_list("raw_index", "id", "error_type"))
    misread = {message_id for _, message_id, error_type in rows if error_type == ErrorType.BUG}
    return {bytes(index): message_id for index, message_id, _ in rows}, misread


def _sealed_message(sealer: Sealer, mail: ParsedMail, raw_index: bytes, message_id: UUID | None) -> Message:
    message = Message(
        **{"id": message_id} if message_id else {},
        account=sealer.account,
        content_key=sealer.content_key_row,
        raw_index=raw_index,
        header_index=header_index(sealer, mail.raw),
        object_id_index=mail.pending.object_id_index,
        size=mail.pending.size if mail.header_only else len(mail.raw),
        server_size=mail.pending.size,
        internal_date=mail.pending.internal_date,
        header_only=mail.header_only,
        parsed=mail.envelope is not None,
        error_type=mail.error_type,
    )
    if mail.envelope:
        packed = pack_envelope(mail.envelope)
        message.sealed_envelope = vault.seal(sealer.content_key, packed, *place(message, "sealed_envelope"))
        if mail.envelope.message_id:
            message.message_id_index = sealer.index("message-id", mail.envelope.message_id.encode())
    return message


def _sealed_body(sealer: Sealer, message: Message, raw: bytes) -> MessageBody:
    compressed = zstandard.compress(raw, ZSTD_LEVEL)
    return MessageBody(
        message=message,
        sealed_raw=vault.seal(
            sealer.content_key, compressed, MessageBody._meta.db_table, message.pk, "sealed_raw"
        ),
    )


def pack_envelope(envelope: Envelope) -> bytes:
    return json.dumps(asdict(envelope), default=lambda date: date.isoformat()).encode()
