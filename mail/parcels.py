"""What travels between the stages of a sync: named, frozen, one purpose each."""

from array import array
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from mail.uid_set import UidSet


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
class Attachment:
    """A file of a mail; one without a name is called by its content type.

    The HTML of the mail may show it by its `content_id` (RFC 2392).
    """

    name: str
    content_type: str
    data: bytes
    content_id: str = ""


@dataclass(frozen=True)
class Content:
    """All that stands in a mail, decoded: plain text, the source of its HTML, and its files."""

    text: str
    html: str
    attachments: tuple[Attachment, ...]


@dataclass(frozen=True)
class FolderStatus:
    """What a server says of a folder that is not opened (STATUS); None where it does not say."""

    messages: int | None = None
    uidnext: int | None = None
    uidvalidity: int | None = None
    highestmodseq: int | None = None


@dataclass(frozen=True)
class ListedFolder:
    """One line of LIST. The bytes of the name are its identity; `name` is for people."""

    raw_name: bytes
    name: str
    delimiter: str
    flags: frozenset[str]
    status: FolderStatus = FolderStatus()


@dataclass(frozen=True)
class SurveyedFolder:
    """A listed folder with what it is for and whether its mail is synced."""

    raw_name: bytes
    name: str
    special_use: str
    guessed: bool
    excluded: bool
    status: FolderStatus = FolderStatus()


@dataclass(frozen=True)
class Selected:
    """What EXAMINE said."""

    exists: int
    uidvalidity: int
    uidnext: int | None
    highestmodseq: int | None


@dataclass(frozen=True)
class Flags:
    """System flags as bits (mail.models.SystemFlag), custom keywords and Gmail's labels, each sorted.

    `labels` is None where the server has none to tell.
    """

    system: int
    keywords: tuple[str, ...]
    labels: tuple[str, ...] | None = None


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
class Changes:
    """What the server says has changed in a folder since a MODSEQ; `vanished` is None where it cannot say."""

    selected: Selected
    flags: dict[int, Flags | None]
    vanished: UidSet | None


@dataclass(frozen=True)
class Metadata:
    """RFC822.SIZE, INTERNALDATE and the server's id of the content, None where the server does not say.

    The id is EMAILID (RFC 8474) or Gmail's X-GM-MSGID.
    """

    size: int | None = None
    internal_date: datetime | None = None
    object_id: str | None = None


@dataclass(frozen=True)
class KnownEntry:
    """What the ledger holds of a UID; indexes are the blind indexes of its keywords and labels."""

    state: str
    system_flags: int
    keywords_index: bytes | None
    labels_index: bytes | None = None


@dataclass(frozen=True)
class FolderPlan:
    """What has to happen to the ledger of one folder."""

    new: tuple[int, ...]
    gone: tuple[int, ...]
    returned: tuple[int, ...]
    reflagged: tuple[tuple[int, Flags], ...]


@dataclass(frozen=True)
class Suspect:
    """A mail that may be stored already: what a stored one has to be like to be taken for the same.

    `object_id_index` is the blind index of the server's id of its content; `draft` is the flag.
    """

    uid: int
    size: int | None
    internal_date: datetime | None
    object_id_index: bytes | None
    draft: bool = False


@dataclass(frozen=True)
class PendingOrder:
    """The ledger rows of all mails that are to be fetched, in the order of fetching, and their sizes.

    Arrays of numbers, since there may be a million; a size that the server does not say counts as 0.
    """

    entry_ids: array
    sizes: array


@dataclass(frozen=True)
class PendingMail:
    """A ledger entry whose mail is still to be fetched."""

    entry_id: int
    folder_id: UUID
    uid: int
    size: int | None
    internal_date: datetime | None
    attempts: int
    flags: int = 0
    object_id_index: bytes | None = None


@dataclass(frozen=True)
class ParsedMail:
    """A fetched mail on its way into the store; without an envelope it is kept raw and marked.

    `raw` is the header alone when `header_only`: the mail is over the size limit.
    """

    pending: PendingMail
    raw: bytes
    envelope: Envelope | None
    error_type: str = ""
    header_only: bool = False


@dataclass(frozen=True)
class FetchedBatch:
    """Raw mails by their pending entry, and those the server did not give though it answered for others."""

    mails: tuple[tuple[PendingMail, bytes], ...]
    failed: tuple[PendingMail, ...]
