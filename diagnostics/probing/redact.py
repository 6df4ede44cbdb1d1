"""Evidence without what names a person or a place: others than the mailbox's owner may come to read it."""

import base64
import re
from collections.abc import Iterable
from ipaddress import IPv6Address

from accounts.actions import Connection

_EMAIL = re.compile(r"[^\s<>\"'()\[\],;:@]++@[^\s<>\"'()\[\],;:@]+")
_IPV4 = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.]*\d)")
_MAYBE_IPV6 = re.compile(r"[0-9a-f]{0,4}:[0-9a-f:]{0,40}", re.I)
_HOST = re.compile(r"(?<![\w.-])(?:[a-z0-9_-]{1,63}\.){1,8}[a-z]{2,24}(?![\w-])", re.I)
_LONG = 8  # a shorter word is put out only where it stands by itself


class Redactor:
    """Knows a mailbox's names; folders are added as they are listed."""

    def __init__(self, connection: Connection):
        user, _, domain = connection.login.partition("@")
        sasl = f"\0{connection.login}\0{connection.secret}"  # PLAIN, RFC 4616
        self._named = {
            "<secret>": {*_spellings(connection.secret), _base64(sasl)},
            "<login>": set(_spellings(connection.login)),
            "<host>": {connection.host, domain},
            "<user>": {user},
            "<folder>": set(),
        }

    def learn_folders(self, names: Iterable[str]) -> None:
        self._named["<folder>"] |= {name for name in names if name.upper() != "INBOX"}

    def __call__(self, text: str) -> str:
        for placeholder, words in self._named.items():
            text = _without(text, words, placeholder)
        text = _IPV4.sub("<address>", _EMAIL.sub("<e-mail>", text))
        return _MAYBE_IPV6.sub(_address, text)


def _spellings(word: str) -> tuple[str, ...]:
    """As it is, in an IMAP quoted string, and in base64, as servers echo it."""
    return word, word.replace("\\", "\\\\").replace('"', '\\"'), _base64(word)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode().rstrip("=")


def hosts_left_out(text: str) -> str:
    """For readers elsewhere: whatever looks like the name of a host."""
    return _HOST.sub("<host>", text)


def _address(found: re.Match) -> str:
    """A time of day looks like one and is none."""
    try:
        IPv6Address(found[0])
    except ValueError:
        return found[0]
    return "<address>"


def _without(text: str, words: set[str], placeholder: str) -> str:
    """The longest first: a name may hold another. Of 10,000 names only those at hand make the pattern."""
    folded = text.casefold()
    present = sorted((word for word in words if word and word.casefold() in folded), key=len, reverse=True)
    if not present:
        return text
    anywhere = 4 if placeholder == "<secret>" else _LONG
    patterns = [_pattern(word, anywhere) for word in present]
    return re.sub("|".join(patterns), placeholder, text, flags=re.I)


def _pattern(word: str, anywhere: int) -> str:
    return re.escape(word) if len(word) >= anywhere else rf"(?<!\w){re.escape(word)}(?!\w)"


def printable(text: str) -> str:
    """Line by line, with what could act on a terminal escaped."""
    return "\n".join("".join(map(_shown, line)) for line in text.split("\n"))


def _shown(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()
