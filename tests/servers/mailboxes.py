"""What a test does to the mailboxes of a server as any client would: over IMAP.

Folder names are text, or bytes for a name as it goes over the wire (modified UTF-7, or not even that).
"""

import base64
import contextlib
import datetime
import imaplib
import re
import socket


class Mailboxes:
    """For a server with an `imap_port`, and with the `_passwords` of its users."""

    imap_port: int
    _passwords: dict[str, str]

    @contextlib.contextmanager
    def _session(self, login: str):
        imap = imaplib.IMAP4("127.0.0.1", self.imap_port, timeout=60)
        try:
            # imaplib sends the answer to "+" in two writes; the second waits 40 ms for the first's ACK.
            imap.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # Not login(): imaplib's allows ASCII passwords only.
            imap.authenticate("PLAIN", lambda _: f"\0{login}\0{self._passwords[login]}".encode())
            yield imap
        finally:
            imap.shutdown()

    @contextlib.contextmanager
    def _selected(self, login: str, folder, readonly: bool = False):
        with self._session(login) as imap:
            _ok(imap.select(_quoted(folder), readonly))
            yield imap

    # Folders

    def create(self, login: str, folder) -> None:
        with self._session(login) as imap:
            _ok(imap.create(_quoted(folder)))

    def delete_folder(self, login: str, folder) -> None:
        with self._session(login) as imap:
            _ok(imap.delete(_quoted(folder)))

    def rename(self, login: str, old, new) -> None:
        with self._session(login) as imap:
            _ok(imap.rename(_quoted(old), _quoted(new)))

    def status(self, login: str, folder, items: str) -> dict[str, int]:
        """status(login, "INBOX", "MESSAGES UIDNEXT")"""
        with self._session(login) as imap:
            (answer,) = _ok(imap.status(_quoted(folder), f"({items})"))
        words = answer.decode().rpartition("(")[2].rstrip(")").split()
        return dict(zip(words[::2], map(int, words[1::2]), strict=True))

    def listed(self, login: str) -> set[bytes]:
        """The names LIST gives, as they go over the wire, without the quotes."""
        with self._session(login) as imap:
            return {_listed_name(item) for item in _ok(imap.list()) if item}

    def uidvalidity(self, login: str, folder) -> int:
        with self._selected(login, folder, readonly=True) as imap:
            return int(imap.response("UIDVALIDITY")[1][0])

    # Mails

    def append(self, login: str, folder, raw: bytes, flags=(), date: datetime.datetime | None = None) -> int:
        options = f"({' '.join(flags)}) "
        if date is not None:
            options += imaplib.Time2Internaldate(date) + " "
        return self._append(login, folder, [raw], options.encode())[0]

    def append_many(self, login: str, folder, raws) -> list[int]:
        return self._append(login, folder, list(raws))

    def _append(self, login: str, folder, raws: list[bytes], options: bytes = b"") -> list[int]:
        # Not imaplib's append: that one turns every bare LF or CR into CRLF.
        with self._session(login) as imap:
            imap.send(b"X1 APPEND " + _quoted(folder))
            for raw in raws:
                imap.send(b" " + options + b"{%d+}\r\n" % len(raw))
                imap.send(raw)
            imap.send(b"\r\n")
            return _appended(imap)

    def expunge(self, login: str, folder, uids) -> None:
        with self._selected(login, folder) as imap:
            for some in _uid_sets(uids):
                _ok(imap.uid("STORE", some, "+FLAGS.SILENT", r"(\Deleted)"))
                _ok(imap.uid("EXPUNGE", some))

    def move(self, login: str, folder, uids, target) -> dict[int, int]:
        """The new UIDs by the old ones."""
        return self._transfer("MOVE", login, folder, uids, target)

    def copy(self, login: str, folder, uids, target) -> dict[int, int]:
        """The new UIDs by the old ones."""
        return self._transfer("COPY", login, folder, uids, target)

    def _transfer(self, command: str, login: str, folder, uids, target) -> dict[int, int]:
        new = {}
        with self._selected(login, folder) as imap:
            for some in _uid_sets(uids):
                _ok(imap.uid(command, some, _quoted(target)))
                _, source, destination = imap.response("COPYUID")[1][0].split()
                new.update(zip(_uid_list(source), _uid_list(destination), strict=True))
        return new

    def set_flags(self, login: str, folder, uid: int, flags) -> None:
        with self._selected(login, folder) as imap:
            _ok(imap.uid("STORE", str(uid), "FLAGS.SILENT", f"({' '.join(flags)})"))

    def flags(self, login: str, folder) -> dict[int, set[str]]:
        """By UID, \\Recent apart."""
        with self._selected(login, folder, readonly=True) as imap:
            answers = _ok(imap.uid("FETCH", "1:*", "(UID FLAGS)"))
        words = {_uid(line): imaplib.ParseFlags(line) for line in answers if line}
        return {uid: {word.decode() for word in found} - {"\\Recent"} for uid, found in words.items()}

    def uids(self, login: str, folder) -> set[int]:
        with self._selected(login, folder, readonly=True) as imap:
            return {int(uid) for uid in _ok(imap.uid("SEARCH", "ALL"))[0].split()}

    def served(self, login: str, folder) -> dict[int, bytes]:
        """What a plain client gets for BODY[] of every mail."""
        with self._selected(login, folder, readonly=True) as imap:
            answers = _ok(imap.uid("FETCH", "1:*", "(UID BODY.PEEK[])"))
        return {_uid(item[0]): item[1] for item in answers if isinstance(item, tuple)}


def _quoted(folder) -> bytes:
    name = folder if isinstance(folder, bytes) else modified_utf7(folder).encode()
    return b'"%s"' % re.sub(rb'(["\\])', rb"\\\1", name)


def modified_utf7(name: str) -> str:
    return re.sub(r"&|[^\x20-\x7e]+", _modified_run, name)


def _modified_run(found: re.Match) -> str:
    if found[0] == "&":
        return "&-"
    code = base64.b64encode(found[0].encode("utf-16-be")).decode()
    return f"&{code.rstrip('=').replace('/', ',')}-"


def _listed_name(item) -> bytes:
    if isinstance(item, tuple):
        return item[1]
    name = re.fullmatch(rb'\([^)]*\) (?:NIL|"(?:\\.|[^"])*") (.*)', item, re.DOTALL)[1]
    return re.sub(rb"\\(.)", rb"\1", name[1:-1]) if name.startswith(b'"') else name


def _appended(imap) -> list[int]:
    while not (line := imap.readline()).startswith(b"X1 "):
        if not line:
            raise ConnectionError("the server closed the connection during APPEND")
    found = re.match(rb"X1 OK \[APPENDUID \d+ ([\d:,]+)\]", line)
    if found is None:
        raise RuntimeError(f"APPEND: {line!r}")
    return _uid_list(found[1])


def _uid_list(uid_set: bytes) -> list[int]:
    return [uid for part in uid_set.split(b",") for uid in _uid_range(part)]


def _uid_range(part: bytes) -> range:
    first, _, last = part.partition(b":")
    return range(int(first), int(last or first) + 1)


def _uid_sets(uids, size: int = 1000) -> list[str]:
    ordered = sorted(uids)
    return [",".join(map(str, ordered[at : at + size])) for at in range(0, len(ordered), size)]


def _uid(head: bytes) -> int:
    return int(re.search(rb"UID (\d+)", head)[1])


def _ok(answer):
    status, data = answer
    if status != "OK":
        raise RuntimeError(f"{status} {data!r}")
    return data
