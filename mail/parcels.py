"""What travels between the stages of a sync: named, frozen, one purpose each."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True)
class Address:
    """One mailbox of an address header, decoded (RFC 5322 section 3.4)."""

    name: str
    email: str


@dataclass(frozen=True)
class Envelope:
    """What a list of mails shows of one mail; stored sealed beside its raw bytes."""

    subject: str
    sender: tuple[Address, ...]
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    date: datetime | None
    message_id: str
    snippet: str
    attachments: tuple[str, ...]


@dataclass(frozen=True)
class ListedFolder:
    """One line of LIST. The bytes of the name are its identity; `name` is for people."""

    raw_name: bytes
    name: str
    delimiter: str
    flags: frozenset[str]


@dataclass(frozen=True)
class SurveyedFolder:
    """A listed folder with what it is for and whether its mail is synced."""

    raw_name: bytes
    name: str
    special_use: str
    guessed: bool
    excluded: bool


@dataclass(frozen=True)
class Selected:
    """What EXAMINE said."""

    exists: int
    uidvalidity: int
    uidnext: int | None
    highestmodseq: int | None


@dataclass(frozen=True)
class Flags:
    """System flags as bits (mail.models.SystemFlag) and custom keywords, sorted."""

    system: int
    keywords: tuple[str, ...]


@dataclass(frozen=True)
class FlagSurvey:
    """Every UID of a folder with its flags (None: the server sent none).

    `complete` is False when fewer came than the server counts: then absence proves nothing.
    `changed` says that mails came or went while we looked.
    """

    flags: dict[int, Flags | None]
    complete: bool
    changed: bool


@dataclass(frozen=True)
class Metadata:
    """RFC822.SIZE and INTERNALDATE, None where the server does not say."""

    size: int | None
    internal_date: datetime | None


@dataclass(frozen=True)
class KnownEntry:
    """What the ledger holds of a UID; `keywords_index` is the blind index of its keywords."""

    state: str
    system_flags: int
    keywords_index: bytes | None


@dataclass(frozen=True)
class FolderPlan:
    """What has to happen to the ledger of one folder."""

    new: tuple[int, ...]
    gone: tuple[int, ...]
    returned: tuple[int, ...]
    reflagged: tuple[tuple[int, Flags], ...]


@dataclass(frozen=True)
class PendingMail:
    """A ledger entry whose mail is still to be fetched."""

    entry_id: int
    folder_id: UUID
    uid: int
    size: int | None
    internal_date: datetime | None
    attempts: int


@dataclass(frozen=True)
class ParsedMail:
    """A fetched mail on its way into the store; without an envelope it is kept raw and marked."""

    pending: PendingMail
    raw: bytes
    envelope: Envelope | None
    error_type: str = ""


@dataclass(frozen=True)
class FetchedBatch:
    """Raw mails by their pending entry, and those the server did not give though it answered for others."""

    mails: tuple[tuple[PendingMail, bytes], ...]
    failed: tuple[PendingMail, ...]
