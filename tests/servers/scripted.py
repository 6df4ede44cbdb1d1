"""A small IMAP server that does what a script says: for answers that no honest server gives.

Without a script it behaves: tests/pipeline/test_sync.py runs one suite on it and on Dovecot.
"""

import re
import secrets
import socketserver
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

_UID_FETCH = re.compile(rb"FETCH (\S+) \((.*)\)", re.I)


class Hang(Exception):
    """Say no more and keep the connection."""


class Drop(Exception):
    """Close the connection at once."""


@dataclass
class Mail:
    raw: bytes
    flags: list[bytes] = field(default_factory=list)
    date: datetime = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Box:
    mails: dict[int, Mail] = field(default_factory=dict)
    uidvalidity: int = 1
    flags: bytes = b"\\HasNoChildren"


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

    def __enter__(self):
        scripted = self

        class Handler(socketserver.StreamRequestHandler):
            disable_nagle_algorithm = True

            def handle(self):
                Session(scripted, self.rfile, self.wfile).converse()

        self._server = socketserver.ThreadingTCPServer((self.host, 0), Handler)
        self._server.daemon_threads = True
        self.imap_port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exception):
        self.over.set()
        self._server.shutdown()
        self._server.server_close()

    def add_user(self, login: str, password: str) -> None:
        self.users[login] = password

    def create(self, login: str, folder: str) -> None:
        self.boxes[folder.encode()] = Box()

    def append(self, login: str, folder: str, raw: bytes, flags=(), date=None) -> int:
        box = self.boxes[folder.encode()]
        uid = max(box.mails, default=0) + 1
        words = [flag.encode() if isinstance(flag, str) else flag for flag in flags]
        box.mails[uid] = Mail(raw, words, date or datetime(2026, 1, 1, tzinfo=UTC))
        return uid

    def expunge(self, login: str, folder: str, uids) -> None:
        for uid in uids:
            del self.boxes[folder.encode()].mails[uid]

    def set_flags(self, login: str, folder: str, uid: int, flags) -> None:
        self.boxes[folder.encode()].mails[uid].flags = [flag.encode() for flag in flags]

    def served(self, login: str, folder: str) -> dict[int, bytes]:
        return {uid: mail.raw for uid, mail in self.boxes[folder.encode()].mails.items()}


class Session:
    def __init__(self, server: ScriptedImap, rfile, wfile):
        self.server, self._rfile, self._wfile = server, rfile, wfile
        self.box = Box()
        self.asked: list[bytes] = []  # for scripts

    def say(self, *lines: bytes) -> None:
        for line in lines:
            self._wfile.write(line + b"\r\n")

    def send(self, raw: bytes) -> None:
        self._wfile.write(raw)

    def converse(self) -> None:
        try:
            self.say(self.server.greeting)
            while line := self._rfile.readline():
                if not self._answer(line.rstrip(b"\r\n")):
                    return
        except Drop:
            return
        except Hang:
            self.server.over.wait(60)
        except OSError:
            return  # the client has gone

    def _answer(self, line: bytes) -> bool:
        self.server.commands.append(line)
        tag, _, rest = line.partition(b" ")
        command, _, rest = rest.partition(b" ")
        if command.upper() == b"UID":
            command, _, _ = rest.partition(b" ")
        name = command.decode().upper()
        script = self.server.scripts.get(name)
        if not (script and script(self, tag, rest)):
            getattr(self, f"_{name.lower()}", self._unknown)(tag, rest)
        return name != "LOGOUT"

    def ok(self, tag: bytes) -> None:
        self.say(tag + b" OK done")

    def _unknown(self, tag, rest):
        self.say(tag + b" BAD what?")

    def _capability(self, tag, rest):
        self.say(b"* CAPABILITY " + self.server.capabilities)
        self.ok(tag)

    def _noop(self, tag, rest):
        self.ok(tag)

    def _logout(self, tag, rest):
        self.say(b"* BYE bye")
        self.ok(tag)

    def _login(self, tag, rest):
        login, password = (part.decode() for part in re.findall(rb'"((?:[^"\\]|\\.)*)"', rest))
        if secrets.compare_digest(self.server.users.get(login, "\0"), password):
            self.ok(tag)
        else:
            self.say(tag + b" NO [AUTHENTICATIONFAILED] no")

    def _list(self, tag, rest):
        for name, box in self.server.boxes.items():
            self.say(b"* LIST (" + box.flags + b') "/" "' + name.replace(b'"', b'\\"') + b'"')
        self.ok(tag)

    def _status(self, tag, rest):
        box = self.server.boxes[_name(rest.rpartition(b" (")[0])]
        self.say(b"* STATUS x (MESSAGES %d)" % len(box.mails))
        self.ok(tag)

    def _examine(self, tag, rest):
        box = self.server.boxes.get(_name(rest))
        if box is None:
            return self.say(tag + b" NO [NONEXISTENT] no such folder")
        self.box = box
        self.say(
            b"* FLAGS (\\Seen)",
            b"* %d EXISTS" % len(box.mails),
            b"* OK [UIDVALIDITY %d] ok" % box.uidvalidity,
            b"* OK [UIDNEXT %d] ok" % (max(box.mails, default=0) + 1),
        )
        self.say(tag + b" OK [READ-ONLY] done")

    def _fetch(self, tag, rest):
        found = _UID_FETCH.search(rest)
        for number, (uid, mail) in enumerate(sorted(self.box.mails.items()), 1):
            if _wanted(found[1], uid):
                self.say_fetch(number, uid, mail, found[2])
        self.ok(tag)

    def say_fetch(self, number: int, uid: int, mail: Mail, items: bytes) -> None:
        parts = [b"UID %d" % uid]
        if b"FLAGS" in items:
            parts.append(b"FLAGS (" + b" ".join(mail.flags) + b")")
        if b"RFC822.SIZE" in items:
            parts.append(b"RFC822.SIZE %d" % len(mail.raw))
            parts.append(mail.date.strftime('INTERNALDATE "%d-%b-%Y %H:%M:%S +0000"').encode())
        if b"BODY.PEEK[]" in items:
            parts.append(b"BODY[] {%d}\r\n" % len(mail.raw) + mail.raw)
        self.say(b"* %d FETCH (" % number + b" ".join(parts) + b")")


def _name(quoted: bytes) -> bytes:
    name = quoted.strip()
    if name.startswith(b'"'):
        name = name[1:-1]
    return name.replace(b'\\"', b'"').replace(b"\\\\", b"\\")


def _wanted(uid_set: bytes, uid: int) -> bool:
    for part in uid_set.split(b","):
        low, _, high = part.partition(b":")
        if int(low) <= uid <= (10**12 if high == b"*" else int(high or low)):
            return True
    return False
