"""The conversation after login: commands sent together, answers read as they come, none kept."""

import imaplib
import re
from collections.abc import Iterable, Iterator

from mail.imap_text import quotable, quoted

Answer = tuple[bytes, ...]  # text, literal, text, literal, … text; without "* "
Command = tuple[bytes, ...]  # text, or text and names in turn

MAX_LITERALS = 1_000
MAX_EVIDENCE = 2_000

_LITERAL = re.compile(rb"\{(\d{1,20})\+?\}$")


class Refused(imaplib.IMAP4.error):
    """NO or BAD to one command; the conversation can go on."""


class Wire:
    """Speaks over the connection of an imaplib client, which is logged in."""

    def __init__(self, imap):
        self._imap = imap
        self.end = b""  # what the last command ended with

    def ask(self, *command: bytes) -> Iterator[Answer]:
        """The untagged answers to one command. Raises Refused at its end when it was."""
        refused: dict[bytes, bytes] = {}
        yield from self._converse([command], refused)
        for words in refused.values():
            raise Refused(_refusal(command, words))

    def ask_all(self, commands: Iterable[Command]) -> Iterator[Answer]:
        """The answers to commands that are sent at once; one that is refused has none."""
        yield from self._converse(list(commands), {})

    def _converse(self, commands: list[Command], refused: dict[bytes, bytes]) -> Iterator[Answer]:
        early: list[Answer] = []
        tags = [self._imap._new_tag() for _ in commands]
        self._imap.send(b"".join(self._line_of(*pair, early) for pair in zip(tags, commands, strict=True)))
        yield from early
        open_tags = set(tags)
        while open_tags:
            answer = self._read()
            tag, _, words = answer[0].partition(b" ")
            if tag == b"*":
                yield words, *answer[1:]
            elif tag not in open_tags:
                raise self._imap.abort(f"unexpected answer: {answer[0][:100]!r}")
            else:
                open_tags.remove(tag)
                self.end = words
                if words[:2].upper() != b"OK":
                    refused[tag] = words

    def _line_of(self, tag: bytes, command: Command, early: list[Answer]) -> bytes:
        """What is to be sent; of a command with a literal the rest, when the server has asked for it."""
        line = tag + b" "
        for position, piece in enumerate(command):
            if position % 2 == 0:
                line += piece
            elif quotable(piece):
                line += quoted(piece)
            else:  # a synchronising literal, RFC 9051 section 4.3
                self._imap.send(line + b"{%d}\r\n" % len(piece))
                self._await_go_ahead(command, tag, early)
                line = piece
        return line + b"\r\n"

    def _await_go_ahead(self, command: Command, tag: bytes, early: list[Answer]) -> None:
        while not (answer := self._read())[0].startswith(b"+"):
            if answer[0].startswith(tag + b" "):
                raise Refused(_refusal(command, answer[0].partition(b" ")[2]))
            if not answer[0].startswith(b"* "):
                raise self._imap.abort(f"unexpected answer: {answer[0][:100]!r}")
            early.append((answer[0][2:], *answer[1:]))

    def _read(self) -> Answer:
        pieces = [self._line()]
        if pieces[0][:5].upper() == b"* BYE":
            raise self._imap.abort(pieces[0][:MAX_EVIDENCE].decode("utf-8", "backslashreplace"))
        while literal := _LITERAL.search(pieces[-1]):
            if len(pieces) > 2 * MAX_LITERALS:
                raise ValueError("an answer of too many literals")
            pieces[-1] = pieces[-1][: literal.start()]
            pieces += [self._imap.read(int(literal[1])), self._line()]
        return tuple(pieces)

    def _line(self) -> bytes:
        line = self._imap.readline()
        if not line.endswith(b"\n"):
            raise self._imap.abort("socket error: EOF")
        return line.rstrip(b"\r\n")


def _refusal(command: Command, words: bytes) -> str:
    return f"{_verb(command)} failed: {words[:MAX_EVIDENCE].decode('utf-8', 'backslashreplace')}"


def _verb(command: Command) -> str:
    words = command[0].split()
    return (words[1] if words[0] == b"UID" else words[0]).decode().lower()
