"""A person's own copy of the bytes the server sent: Maildirs with the flags, or one ZIP file to download."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import TypeVar
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from accounts.errors import UsageError
from accounts.models import MailAccount
from mail.models import SystemFlag
from mail.queries import (
    MailOpener,
    StoredMail,
    current_folders,
    folder_names,
    mails_stored_only_here,
    stored_mails,
)

# https://cr.yp.to/proto/maildir.html
_MAILDIR_FLAGS = {
    SystemFlag.DRAFT: "D",
    SystemFlag.FLAGGED: "F",
    SystemFlag.ANSWERED: "R",
    SystemFlag.SEEN: "S",
    SystemFlag.DELETED: "T",
}
_UNSAFE = re.compile(r"[^\w .,()+@&=-]")
MAX_NAME_BYTES = 120
ONLY_HERE = "~stored only here"  # no folder's directory begins so
_ZIP_BEGINS = datetime(1980, 1, 1, tzinfo=UTC)
Key = TypeVar("Key")


@dataclass(frozen=True)
class ExportedFolder:
    account: str
    name: str
    directory: Path
    mails: int


def prepare_directory(target: Path) -> None:
    """Raises UsageError for a place that already holds something."""
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise UsageError(f"{target} is not an empty directory. Nothing was written.")
        target.mkdir(parents=True, exist_ok=True)
        target.chmod(0o700)
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror}. Nothing was written.") from error


def export_account(
    account: MailAccount,
    account_key: bytes,
    mail_private_key: bytes,
    target: Path,
    exported: Callable[[ExportedFolder], None],
    with_stored_only_here: bool = False,
) -> None:
    opener = MailOpener(mail_private_key, account_key)
    names = folder_names(account, account_key)
    directories = safe_names(names)
    target.mkdir(mode=0o700)
    for folder in current_folders(account).filter(excluded=False):
        directory = target / directories[folder.pk]
        count = _write_maildir(directory, stored_mails(folder, opener))
        exported(ExportedFolder(account.label, names[folder.pk], directory, count))
    if with_stored_only_here:
        directory = target / ONLY_HERE
        count = _write_maildir(directory, mails_stored_only_here(account, opener))
        exported(ExportedFolder(account.label, ONLY_HERE, directory, count))


def zipped(account: MailAccount, account_key: bytes, mail_private_key: bytes) -> Iterator[bytes]:
    """A ZIP file of all its stored mail, a directory per folder; one mail in memory at a time."""
    opener = MailOpener(mail_private_key, account_key)
    pieces = _Pieces()
    with ZipFile(pieces, "w", ZIP_DEFLATED) as archive:
        for directory, mail in _all_mails(account, account_key, opener):
            archive.writestr(_zip_entry(directory, mail), mail.raw, ZIP_DEFLATED)
            yield pieces.take()
    yield pieces.take()


def _all_mails(
    account: MailAccount, account_key: bytes, opener: MailOpener
) -> Iterator[tuple[str, StoredMail]]:
    directories = safe_names(folder_names(account, account_key))
    for folder in current_folders(account).filter(excluded=False):
        for mail in stored_mails(folder, opener):
            yield directories[folder.pk], mail
    for mail in mails_stored_only_here(account, opener):
        yield ONLY_HERE, mail


def _zip_entry(directory: str, mail: StoredMail) -> ZipInfo:
    """ZIP knows no time before 1980, and no zone: it is UTC here."""
    at = max(mail.internal_date or _ZIP_BEGINS, _ZIP_BEGINS)
    return ZipInfo(f"{directory}/{mail.uid}.eml", at.astimezone(UTC).timetuple()[:6])


class _Pieces:
    """A file that is only written to, and taken from in between."""

    def __init__(self):
        self._written: list[bytes] = []

    def write(self, piece: bytes) -> int:
        self._written.append(bytes(piece))
        return len(piece)

    def flush(self) -> None:
        pass

    def take(self) -> bytes:
        written, self._written = b"".join(self._written), []
        return written


def safe_names(names: Mapping[Key, str]) -> dict[Key, str]:
    """A directory name for each: a single path component, distinct from the others whatever the case."""
    taken: set[str] = set()
    return {key: _distinct(safe_name(name), taken) for key, name in sorted(names.items(), key=itemgetter(1))}


def safe_name(name: str) -> str:
    """As one component of a path on any system; without what turns the direction of reading."""
    cleaned = _UNSAFE.sub("_", name).strip(" .")
    return cleaned.encode()[:MAX_NAME_BYTES].decode(errors="ignore") or "_"


def _distinct(name: str, taken: set[str]) -> str:
    candidate, number = name, 2
    while candidate.casefold() in taken:
        candidate, number = f"{name}~{number}", number + 1
    taken.add(candidate.casefold())
    return candidate


def _write_maildir(directory: Path, mails) -> int:
    for part in (directory, directory / "cur", directory / "new", directory / "tmp"):
        part.mkdir(mode=0o700)
    keyword_letters: dict[str, str] = {}
    count = 0
    for mail in mails:
        _write_mail(directory / "cur", mail, keyword_letters)
        count += 1
    if keyword_letters:  # Dovecot's file: a line per keyword, its place is its letter
        lines = [f"{number} {keyword}" for number, keyword in enumerate(keyword_letters)]
        _write_new(directory / "dovecot-keywords", ("\n".join(lines) + "\n").encode())
    return count


def _write_mail(cur: Path, mail: StoredMail, keyword_letters: dict[str, str]) -> None:
    letters = {_MAILDIR_FLAGS[flag] for flag in mail.flags}
    for keyword in mail.keywords:
        if keyword not in keyword_letters and len(keyword_letters) < 26:
            keyword_letters[keyword] = chr(ord("a") + len(keyword_letters))
        letters |= {keyword_letters.get(keyword, "")}
    seconds = int(mail.internal_date.timestamp()) if mail.internal_date else 0
    path = cur / f"{max(seconds, 0)}.U{mail.uid}.mailhelper:2,{''.join(sorted(letters))}"
    _write_new(path, mail.raw)
    if mail.internal_date:
        os.utime(path, (seconds, seconds))


def _write_new(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
