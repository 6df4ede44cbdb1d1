"""What must not stand in evidence, which may be read by others than the mailbox's owner: put out of it."""

import re
from collections.abc import Iterable

from accounts.actions import Connection

_EMAIL = re.compile(r"[^\s<>\"'()\[\],;:@]+@[^\s<>\"'()\[\],;:@]+")
_IPV4 = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.]*\d)")
_IPV6 = re.compile(r"(?<![\w:])(?:[0-9a-f]{0,4}:){2,7}(?:[0-9a-f]{1,4}|[\d.]{7,15})?(?![\w:])", re.I)
_KEPT = {"inbox"}


class Redactor:
    """Knows a mailbox's names; folders are added as they are listed."""

    def __init__(self, connection: Connection):
        user, _, domain = connection.login.partition("@")
        self._words: dict[str, str] = {}
        self._learn("<secret>", [connection.secret])
        self._learn("<login>", [connection.login])
        self._learn("<user>", [user])
        self._learn("<host>", [connection.host, domain])
        self._pattern: re.Pattern | None = None

    def learn_folders(self, names: Iterable[str]) -> None:
        self._learn("<folder>", names)

    def _learn(self, placeholder: str, words: Iterable[str]) -> None:
        for word in filter(None, words):
            if word.casefold() not in _KEPT:
                self._words.setdefault(word.casefold(), placeholder)
        self._pattern = None

    def __call__(self, text: str) -> str:
        text = self._known().sub(lambda found: self._words[found[0].casefold()], text)
        for pattern, placeholder in ((_EMAIL, "<e-mail>"), (_IPV4, "<address>"), (_IPV6, "<address>")):
            text = pattern.sub(placeholder, text)
        return text

    def _known(self) -> re.Pattern:
        """The longest first: a login holds its user's name."""
        if self._pattern is None:
            words = sorted(self._words, key=len, reverse=True)
            alternatives = "|".join(map(re.escape, words)) or r"(?!)"
            self._pattern = re.compile(rf"(?<!\w)(?:{alternatives})(?!\w)", re.I)
        return self._pattern
