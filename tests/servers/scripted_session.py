"""What the scripted server answers to a command; extensions are spoken if its `capabilities` name them."""

import re
import secrets
from bisect import bisect_left, bisect_right

_TOKEN = re.compile(rb'\s*(?:(\()|(\))|"((?:[^"\\]|\\.)*)"|((?:[^\s()"\[]|\[[^\]]*\])+))')
_SECTION = re.compile(rb"BODY(?:\.PEEK)?\[(|HEADER|TEXT)\](?:<(\d+)\.(\d+)>)?")
_HEADER = re.compile(rb".*?\r?\n\r?\n", re.DOTALL)
_ATOM = re.compile(rb"[\w&+,.-]+")
_NEEDS = {
    b"EMAILID": b"OBJECTID",
    b"MAILBOXID": b"OBJECTID",
    b"MODSEQ": b"CONDSTORE",
    b"HIGHESTMODSEQ": b"CONDSTORE",
    b"X-GM-MSGID": b"X-GM-EXT-1",
    b"X-GM-LABELS": b"X-GM-EXT-1",
}


class Bad(Exception):
    """A command that this server does not know."""


class Refused(Exception):
    """A command that this server does not want."""


class Session:
    def __init__(self, server, rfile, wfile):
        self.server, self._rfile, self._wfile = server, rfile, wfile
        self.box = None
        self.enabled: set[bytes] = set()
        self.asked: list[bytes] = []  # for scripts

    def say(self, *lines: bytes) -> None:
        for line in lines:
            self._wfile.write(line + b"\r\n")

    def send(self, raw: bytes) -> None:
        self._wfile.write(raw)

    def converse(self) -> None:
        self.say(self.server.greeting)
        while line := self._rfile.readline():
            if not self._answer(line.rstrip(b"\r\n")):
                return

    def _answer(self, line: bytes) -> bool:
        self.server.commands.append(line)
        tag, _, rest = line.partition(b" ")
        command, _, rest = rest.partition(b" ")
        if command.upper() == b"UID":
            command, _, _ = rest.partition(b" ")
        name = command.decode().upper()
        script = self.server.scripts.get(name)
        try:
            if not (script and script(self, tag, rest)):
                getattr(self, f"_{name.lower()}", self._unknown)(tag, rest)
        except Bad:
            self.say(tag + b" BAD what?")
        except Refused as refused:
            self.say(tag + b" NO " + str(refused).encode())
        return name != "LOGOUT"

    def ok(self, tag: bytes) -> None:
        self.say(tag + b" OK done")

    def offers(self, capability: bytes) -> bool:
        named = self.server.capabilities.split()
        return capability in named or (capability == b"CONDSTORE" and b"QRESYNC" in named)

    def _need(self, capability: bytes) -> None:
        if not self.offers(capability):
            raise Bad

    def _unknown(self, tag, rest):
        raise Bad

    def _capability(self, tag, rest):
        self.say(b"* CAPABILITY " + self.server.capabilities)
        self.ok(tag)

    def _noop(self, tag, rest):
        self.ok(tag)

    def _logout(self, tag, rest):
        self.say(b"* BYE bye")
        self.ok(tag)

    def _login(self, tag, rest):
        login, password = (word.decode() for word in parsed(rest))
        if not secrets.compare_digest(self.server.users.get(login, "\0").encode(), password.encode()):
            raise Refused("[AUTHENTICATIONFAILED] no")
        self.ok(tag)

    def _enable(self, tag, rest):
        asked = rest.upper().split()
        self.enabled |= {word for word in asked if word in (b"CONDSTORE", b"QRESYNC") and self.offers(word)}
        self.say(b" ".join([b"* ENABLED", *sorted(self.enabled & set(asked))]))
        self.ok(tag)

    # Folders

    def _list(self, tag, rest):
        asked = parsed(rest)[2:]
        options = asked[1] if asked else []
        if b"SPECIAL-USE" in options:
            self._need(b"SPECIAL-USE")
        if b"STATUS" in options:
            self._need(b"LIST-STATUS")
        for name, box in self.server.boxes.items():
            self.say(b"* LIST (" + box.flags + b') "/" ' + quoted(name))
            if b"STATUS" in options and b"\\Noselect" not in box.flags:
                self._say_status(name, box, options[options.index(b"STATUS") + 1])
        self.ok(tag)

    def _status(self, tag, rest):
        name, items = parsed(rest)
        self._say_status(name, self._box(name), items)
        self.ok(tag)

    def _say_status(self, name: bytes, box, items: list[bytes]) -> None:
        parts = [item.upper() + b" " + self._status_value(box, item.upper()) for item in items]
        self.say(b"* STATUS " + quoted(name) + b" (" + b" ".join(parts) + b")")

    def _status_value(self, box, item: bytes) -> bytes:
        if item in _NEEDS:
            self._need(_NEEDS[item])
        match item:
            case b"MESSAGES":
                return b"%d" % len(box.mails)
            case b"UIDNEXT":
                return b"%d" % box.uidnext
            case b"UIDVALIDITY":
                return b"%d" % box.uidvalidity
            case b"UNSEEN":
                return b"%d" % sum(b"\\Seen" not in mail.flags for mail in box.mails.values())
            case b"HIGHESTMODSEQ":
                return b"%d" % box.modseq
            case b"MAILBOXID":
                return b"(" + box.mailbox_id + b")"
        raise Bad

    def _box(self, name: bytes):
        box = self.server.boxes.get(name)
        if box is None or b"\\Noselect" in box.flags:
            raise Refused("[NONEXISTENT] no such folder")
        return box

    def _examine(self, tag, rest):
        name, *options = parsed(rest)
        self.box = None  # a folder that cannot be opened closes the one before
        self.box = box = self._box(name)
        self.say(
            b"* FLAGS (\\Seen)",
            b"* %d EXISTS" % len(box.mails),
            b"* OK [UIDVALIDITY %d] ok" % box.uidvalidity,
            b"* OK [UIDNEXT %d] ok" % box.uidnext,
        )
        if self.offers(b"CONDSTORE"):
            self.say(b"* OK [HIGHESTMODSEQ %d] ok" % box.modseq)
        if self.offers(b"OBJECTID"):
            self.say(b"* OK [MAILBOXID (" + box.mailbox_id + b")] ok")
        if options:
            self._resynchronize(*options[0])
        self.say(tag + b" OK [READ-ONLY] done")

    def _resynchronize(self, word: bytes, known: list[bytes] | None = None) -> None:
        if word == b"CONDSTORE":
            return self._need(b"CONDSTORE")
        if word not in self.enabled:
            raise Bad
        uidvalidity, modseq, *uid_set = known
        if int(uidvalidity) == self.box.uidvalidity:
            self._say_vanished(int(modseq), uid_set[0] if uid_set else b"1:*")
            self._say_fetches(b"1:*", [b"FLAGS", b"MODSEQ"], int(modseq))

    def _say_vanished(self, modseq: int, uid_set: bytes) -> None:
        gone = sorted(uid for uid, when in self.box.vanished.items() if when > modseq)
        if gone := chosen(uid_set, gone):
            self.say(b"* VANISHED (EARLIER) " + ranges(gone))

    # Mails

    def _search(self, tag, rest):
        word, *criteria = parsed(rest)
        if self.box is None or word.upper() != b"SEARCH":
            raise Bad
        extended = criteria[0].upper() == b"RETURN"
        if extended:
            self._need(b"ESEARCH")
            if criteria[1] not in ([b"ALL"], []):
                raise Bad
            criteria = criteria[2:]
        uids = self._matching([word.upper() for word in criteria])
        if extended:
            self.say(b'* ESEARCH (TAG "' + tag + b'") UID' + (b" ALL " + ranges(uids) if uids else b""))
        else:
            self.say(b" ".join([b"* SEARCH", *(b"%d" % uid for uid in uids)]))
        self.ok(tag)

    def _matching(self, criteria: list[bytes]) -> list[int]:
        match criteria:
            case [b"ALL"]:
                return sorted(self.box.mails)
            case [b"UID", uid_set]:
                return chosen(uid_set, sorted(self.box.mails))
        raise Bad

    def _fetch(self, tag, rest):
        if self.box is None:
            raise Bad
        if rest[:6].upper() != b"FETCH ":
            rest = self._by_uid(rest)
        _, uid_set, items, *modifiers = parsed(rest)
        items = items if isinstance(items, list) else [items]
        modseq = 0
        if modifiers:
            modseq = self._changed_since(uid_set, *modifiers[0])
            items = [*items, b"MODSEQ"]
        self._say_fetches(uid_set, items, modseq)
        self.ok(tag)

    def _by_uid(self, rest: bytes) -> bytes:
        """A FETCH by sequence numbers as one by UIDs."""
        numbers, _, items = rest.partition(b" ")
        uids = sorted(self.box.mails)
        wanted = [uids[number - 1] for number in chosen(numbers, list(range(1, len(uids) + 1)))]
        return b"FETCH " + ranges(wanted) + b" " + items

    def _changed_since(self, uid_set: bytes, word: bytes, modseq: bytes, *vanished: bytes) -> int:
        self._need(b"CONDSTORE")
        if word != b"CHANGEDSINCE" or (vanished and b"QRESYNC" not in self.enabled):
            raise Bad
        if vanished:
            self._say_vanished(int(modseq), uid_set)
        return int(modseq)

    def _say_fetches(self, uid_set: bytes, items: list[bytes], modseq: int) -> None:
        mails = dict(self.box.mails)
        uids = sorted(mails)
        numbers = {uid: number for number, uid in enumerate(uids, 1)}
        for uid in chosen(uid_set, uids):
            if mails[uid].modseq > modseq:
                self.say_fetch(numbers[uid], uid, mails[uid], b" ".join(items))

    def say_fetch(self, number: int, uid: int, mail, items: bytes) -> None:
        parts = [self._part(item.upper(), mail) for item in parsed(items) if item.upper() != b"UID"]
        self.say(b"* %d FETCH (" % number + b" ".join([b"UID %d" % uid, *dict.fromkeys(parts)]) + b")")

    def _part(self, item: bytes, mail) -> bytes:
        if item in _NEEDS:
            self._need(_NEEDS[item])
        match item:
            case b"FLAGS":
                return b"FLAGS (" + b" ".join(mail.flags) + b")"
            case b"RFC822.SIZE":
                return b"RFC822.SIZE %d" % (len(mail.raw) if mail.size is None else mail.size)
            case b"INTERNALDATE":
                return mail.date.strftime('INTERNALDATE "%d-%b-%Y %H:%M:%S +0000"').encode()
            case b"MODSEQ":
                return b"MODSEQ (%d)" % mail.modseq
            case b"EMAILID":
                return b"EMAILID (" + mail.email_id.encode() + b")"
            case b"X-GM-MSGID":
                return b"X-GM-MSGID %d" % mail.gm_msgid
            case b"ENVELOPE":
                return b'ENVELOPE (NIL "" NIL NIL NIL NIL NIL NIL NIL NIL)'
            case b"X-GM-LABELS":
                return b"X-GM-LABELS (" + b" ".join(map(_label, mail.labels)) + b")"
        return _body_part(item, mail.raw)


def _label(label: str) -> bytes:
    return label.encode() if _ATOM.fullmatch(label.encode()) else quoted(label.encode())


def _body_part(item: bytes, raw: bytes) -> bytes:
    found = _SECTION.fullmatch(item)
    if found is None:
        raise Bad
    section, start, size = found.groups()
    if section:
        head = _HEADER.match(raw)
        end = head.end() if head else len(raw)
        raw = raw[:end] if section == b"HEADER" else raw[end:]
    name = b"BODY[" + section + b"]"
    if start is not None:
        name += b"<" + start + b">"
        raw = raw[int(start) : int(start) + int(size)]
    return name + b" {%d}\r\n" % len(raw) + raw


def parsed(text: bytes) -> list:
    """Words, quoted or not, as bytes; what stands in parentheses as a list."""
    lists, at = [[]], 0
    while at < len(text.rstrip()):
        found = _TOKEN.match(text, at)
        if found is None:
            raise Bad
        opened, closed, string, atom = found.groups()
        if opened:
            lists.append([])
        elif closed:
            inner = lists.pop()
            if not lists:
                raise Bad
            lists[-1].append(inner)
        else:
            lists[-1].append(atom if string is None else re.sub(rb"\\(.)", rb"\1", string))
        at = found.end()
    if len(lists) > 1:
        raise Bad
    return lists[0]


def quoted(text: bytes) -> bytes:
    return b'"' + re.sub(rb'(["\\])', rb"\\\1", text) + b'"'


def chosen(uid_set: bytes, uids: list[int]) -> list[int]:
    """Those of the sorted `uids` that are in the set; "*" is the last, whatever stands on the other side."""
    found = set()
    for part in uid_set.split(b","):
        first, _, last = part.partition(b":")
        low, high = sorted(_number(end, uids) for end in (first, last or first))
        found.update(uids[bisect_left(uids, low) : bisect_right(uids, high)])
    return sorted(found)


def _number(end: bytes, uids: list[int]) -> int:
    return (uids[-1] if uids else 0) if end == b"*" else int(end)


def ranges(uids: list[int]) -> bytes:
    """1,2,3,5 as 1:3,5."""
    pairs: list[list[int]] = []
    for uid in uids:
        if pairs and uid == pairs[-1][1] + 1:
            pairs[-1][1] = uid
        else:
            pairs.append([uid, uid])
    return b",".join(b"%d" % low if low == high else b"%d:%d" % (low, high) for low, high in pairs)
