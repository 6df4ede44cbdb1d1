"""Which mails of the server are stored already, so that a moved or copied one is not fetched again.

Either the server has an id of the content (EMAILID, X-GM-MSGID), or size and date make a stored mail likely
and its header, which holds the Message-ID, proves it.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from uuid import UUID

from django.db.models import Exists, OuterRef

from accounts.errors import ErrorType
from accounts.models import MailAccount
from mail.models import EntryState, Folder
from mail.parcels import Suspect
from mail.sealer import Sealer

Alike = dict[int, list[tuple[UUID, bytes]]]  # by the suspect's UID: stored mails, and their header's index


def usable(account: MailAccount):
    """Whole mails; one that our parser had a bug for is better fetched again."""
    return account.messages.filter(header_only=False).exclude(error_type=ErrorType.BUG)


def by_object_id(account: MailAccount, suspects: Iterable[Suspect]) -> dict[int, UUID]:
    """Stored mails by the suspects' UIDs. The size has to agree: a server may be wrong about its ids."""
    suspects = [s for s in suspects if s.object_id_index and s.size is not None]
    rows = usable(account).filter(object_id_index__in={s.object_id_index for s in suspects})
    rows = rows.values_list("object_id_index", "size", "pk")
    stored = {(bytes(index), size): pk for index, size, pk in rows}
    pairs = ((s.uid, stored.get((s.object_id_index, s.size))) for s in suspects)
    return {uid: pk for uid, pk in pairs if pk}


def alike(account: MailAccount, suspects: Iterable[Suspect], beside: Folder | None = None) -> Alike:
    """Stored mails with a Message-ID and with a suspect's size and date.

    A draft has none: it keeps its header while its text changes. What is in the folder `beside` them is
    another mail: a mailbox that was filled at once has many of one size and second.
    """
    likely = [s for s in suspects if not s.draft and s.size is not None and s.internal_date]
    rows = usable(account).exclude(message_id_index=None)
    rows = rows.filter(internal_date__in={s.internal_date for s in likely}, size__in={s.size for s in likely})
    if beside:
        rows = rows.exclude(Exists(stored_in(beside).filter(message=OuterRef("pk"))))
    stored = defaultdict(list)
    for size, date, pk, header in rows.values_list("size", "internal_date", "pk", "header_index"):
        stored[size, date].append((pk, bytes(header)))
    return {s.uid: stored[key] for s in likely if (key := (s.size, s.internal_date)) in stored}


def stored_in(folder: Folder):
    return folder.entries.filter(uidvalidity=folder.uidvalidity, state=EntryState.STORED)


def by_header(sealer: Sealer, alike: Alike, headers: dict[int, bytes]) -> dict[int, UUID]:
    """Stored mails by UID, where exactly one of those alike has this header."""
    found = {}
    for uid, header in headers.items():
        index = header_index(sealer, header)
        same = [pk for pk, other in alike.get(uid, []) if other == index]
        if len(same) == 1:
            found[uid] = same[0]
    return found


def header_index(sealer: Sealer, raw: bytes) -> bytes:
    """Of a whole mail, or of its header as BODY[HEADER] gives it."""
    return sealer.index("header", hashlib.sha256(raw.partition(b"\r\n\r\n")[0]).digest())
