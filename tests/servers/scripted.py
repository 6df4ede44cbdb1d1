"""A small IMAP server that does what a script says: for answers that no honest server gives.

Without a script it behaves: tests/pipeline/test_sync.py runs one suite on it and on Dovecot. Of the
extensions LIST-STATUS, SPECIAL-USE, CONDSTORE, QRESYNC, ESEARCH, OBJECTID and X-GM-EXT-1 it speaks those
that its `capabilities` name. All users have the same folders.
"""

import itertools
import socketserver
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from .mailboxes import modified_utf7
from .scripted_session import Session, chosen

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)

_numbers = itertools.count(1)


class Hang(Exception):
    """Say no more and keep the connection."""


class Drop(Exception):
    """Close the connection at once."""


@dataclass
class Mail:
    """A copy has the same email_id and gm_msgid; `size` is what RFC822.SIZE claims, if not the truth."""

    raw: bytes
    flags: list[bytes] = field(default_factory=list)
    date: datetime = field(default_factory=lambda: NEW_YEAR + timedelta(seconds=next(_numbers)))
    modseq: int = 1
    size: int | None = None
    email_id: str = field(default_factory=lambda: f"M{next(_numbers)}")
    gm_msgid: int = field(default_factory=lambda: 1_800_000_000_000_000_000 + next(_numbers))
    labels: Iterable[str] = ()


@dataclass
class Box:
    """`vanished` holds the UIDs of expunged mails, each with its modseq; none of them is given again."""

    mails: dict[int, Mail] = field(default_factory=dict)
    uidvalidity: int = 1
    flags: bytes = b"\\HasNoChildren"
    modseq: int = 1
    vanished: dict[int, int] = field(default_factory=dict)
    mailbox_id: bytes = field(default_factory=lambda: b"F%d" % next(_numbers))

    @property
    def uidnext(self) -> int:
        return max(max(self.mails, default=0), max(self.vanished, default=0)) + 1

    def add(self, mails: Iterable[Mail]) -> list[int]:
        self.modseq += 1
        new = {uid: replace(mail, modseq=self.modseq) for uid, mail in enumerate(mails, self.uidnext)}
        self.mails.update(new)
        return list(new)

    def remove(self, uids) -> None:
        self.modseq += 1
        for uid in list(uids):
            del self.mails[uid]
            self.vanished[uid] = self.modseq

    def change_flags(self, uid: int, flags: list[bytes]) -> None:
        self.modseq += 1
        self.mails[uid] = replace(self.mails[uid], flags=flags, modseq=self.modseq)


class ScriptedImap:
    """`scripts[command]` is called as script(session, tag, rest) and returns True when it answered itself."""

    host = "127.0.0.1"
    imaps_port = None
    ca_file = None

    def __init__(self):
        self.users: dict[str, str] = {}
        self.boxes: dict[bytes, Box] = {b"INBOX": Box()}
        self.scripts: dict[str, Callable] = {}
        self.greeting = b"* OK ready"
        self.capabilities = b"IMAP4rev1"
        self.commands: list[bytes] = []
        self.over = threading.Event()
        self._uidvalidities = itertools.count(1)

    def __enter__(self):
        scripted = self

        class Handler(socketserver.StreamRequestHandler):
            disable_nagle_algorithm = True

            def handle(self):
                scripted._converse(Session(scripted, self.rfile, self.wfile))

        self._server = socketserver.ThreadingTCPServer((self.host, 0), Handler)
        self._server.daemon_threads = True
        self.imap_port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exception):
        self.over.set()
        self._server.shutdown()
        self._server.server_close()

    def _converse(self, session: Session) -> None:
        try:
            session.converse()
        except Drop:
            return
        except Hang:
            self.over.wait(60)
        except OSError:
            return  # the client has gone

    def add_user(self, login: str, password: str) -> None:
        self.users[login] = password

    # Folders

    def create(self, login: str, folder) -> None:
        self.boxes[_wire_name(folder)] = Box(uidvalidity=next(self._uidvalidities))

    def delete_folder(self, login: str, folder) -> None:
        del self.boxes[_wire_name(folder)]

    def rename(self, login: str, old, new) -> None:
        """Subfolders go along."""
        old, new = _wire_name(old), _wire_name(new)
        self.boxes = {
            new + name[len(old) :] if name == old or name.startswith(old + b"/") else name: box
            for name, box in self.boxes.items()
        }

    def set_uidvalidity(self, login: str, folder, value: int) -> None:
        """The mails keep their UIDs."""
        self._box(folder).uidvalidity = value

    def _box(self, folder) -> Box:
        return self.boxes[_wire_name(folder)]

    # Mails

    def append(self, login: str, folder, raw: bytes, flags=(), date=None, **facts) -> int:
        """`facts` are gm_msgid, labels, email_id and size of a Mail."""
        if date is not None:
            facts["date"] = date
        return self._box(folder).add([Mail(raw, [_wire(flag) for flag in flags], **facts)])[0]

    def append_many(self, login: str, folder, raws) -> list[int]:
        return self._box(folder).add(Mail(raw) for raw in raws)

    def expunge(self, login: str, folder, uids) -> None:
        self._box(folder).remove(uids)

    def copy(self, login: str, folder, uids, target) -> dict[int, int]:
        """The new UIDs by the old ones."""
        old = sorted(uids)
        mails = self._box(folder).mails
        return dict(zip(old, self._box(target).add(mails[uid] for uid in old), strict=True))

    def move(self, login: str, folder, uids, target) -> dict[int, int]:
        """The new UIDs by the old ones."""
        new = self.copy(login, folder, uids, target)
        self._box(folder).remove(new)
        return new

    def set_flags(self, login: str, folder, uid: int, flags) -> None:
        self._box(folder).change_flags(uid, [_wire(flag) for flag in flags])

    def uids(self, login: str, folder) -> set[int]:
        return set(self._box(folder).mails)

    def served(self, login: str, folder) -> dict[int, bytes]:
        return {uid: mail.raw for uid, mail in self._box(folder).mails.items()}


def _wire(text) -> bytes:
    return text.encode() if isinstance(text, str) else text


def _wire_name(folder) -> bytes:
    return modified_utf7(folder).encode() if isinstance(folder, str) else folder


def _wanted(uid_set: bytes, uid: int) -> bool:
    return uid in chosen(uid_set, [uid, 10**12])
