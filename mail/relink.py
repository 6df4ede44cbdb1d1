"""Which mails of the server are stored already, so that a moved or copied one is not fetched again.

Either the server has an id of the content (EMAILID, X-GM-MSGID), or size and date make a stored mail likely
and its header, which holds the Message-ID, proves it.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable
from uuid import UUID

from accounts.errors import ErrorType
from accounts.models import MailAccount
from mail.parcels import Suspect
from mail.sealer import Sealer

_MESSAGE_ID = re.compile(rb"^message-id[ \t]*:", re.I | re.M)


def usable(account: MailAccount):
    """Whole mails; one that our parser had a bug for is better fetched again."""
    return account.messages.filter(header_only=False).exclude(error_type=ErrorType.BUG)


def by_object_id(account: MailAccount, suspects: Iterable[Suspect]) -> dict[int, UUID]:
    """Stored mails by the suspects' UIDs. Size and date have to agree: its ids may be wrong."""
    suspects = [s for s in suspects if s.object_id_index and s.size is not None]
    rows = usable(account).filter(object_id_index__in={s.object_id_index for s in suspects})
    rows = rows.values_list("object_id_index", "server_size", "internal_date", "pk")
    stored = {(bytes(index), size, date): pk for index, size, date, pk in rows}
    pairs = ((s.uid, stored.get((s.object_id_index, s.size, s.internal_date))) for s in suspects)
    return {uid: pk for uid, pk in pairs if pk}


def likely(account: MailAccount, suspects: Iterable[Suspect]) -> list[int]:
    """UIDs of those with whose size and date a mail is stored; only these are worth their header.

    A draft is not: it keeps its header while its text changes.
    """
    suspects = [s for s in suspects if not s.draft and s.size is not None and s.internal_date]
    dates, sizes = {s.internal_date for s in suspects}, {s.size for s in suspects}
    rows = usable(account).filter(internal_date__in=dates, server_size__in=sizes)
    stored = set(rows.values_list("internal_date", "server_size").distinct()) if suspects else set()
    return [s.uid for s in suspects if (s.internal_date, s.size) in stored]


def by_header(sealer: Sealer, suspects: Iterable[Suspect], headers: dict[int, bytes]) -> dict[int, UUID]:
    """Stored mails by UID: exactly one with a Message-ID has this header, and the same size and date."""
    indexes = {uid: index for uid, header in headers.items() if (index := header_index(sealer, header))}
    rows = (
        usable(sealer.account).filter(header_index__in=list(indexes.values())).exclude(message_id_index=None)
    )
    stored = defaultdict(list)
    for index, size, date, pk in rows.values_list("header_index", "server_size", "internal_date", "pk"):
        stored[bytes(index), size, date].append(pk)
    same = {s.uid: stored[indexes[s.uid], s.size, s.internal_date] for s in suspects if s.uid in indexes}
    return {uid: pks[0] for uid, pks in same.items() if len(pks) == 1}


def header_index(sealer: Sealer, raw: bytes) -> bytes | None:
    """Of a whole mail, or of its header as BODY[HEADER] gives it; None for one without a Message-ID."""
    header = raw.partition(b"\r\n\r\n")[0]
    if not _MESSAGE_ID.search(header):
        return None
    return sealer.index("header", hashlib.sha256(header).digest())
