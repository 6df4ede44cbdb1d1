"""Which folders there are, what each is for, and whether its mail is synced. Pure."""

from fnmatch import fnmatchcase

from accounts.actions import Filters
from mail.parcels import ListedFolder, SurveyedFolder

SPECIAL_USES = ("all", "archive", "drafts", "flagged", "junk", "sent", "trash")  # RFC 6154
LEFT_OUT = ("all", "junk", "trash")

# Names that providers give these folders; used only for a use that the server marks nowhere.
_WELL_KNOWN = {
    "junk": ("junk", "spam", "spamverdacht", "junk-e-mail", "junk email", "bulk mail"),
    "trash": ("trash", "papierkorb", "deleted items", "deleted messages", "gelöscht", "gelöschte elemente"),
    "sent": ("sent", "gesendet", "sent items", "sent messages", "gesendete elemente"),
    "drafts": ("drafts", "entwürfe"),
    "archive": ("archive", "archiv"),
}
_PARENTS = ("", "inbox", "[gmail]", "[google mail]")


def survey(listed: list[ListedFolder], filters: Filters, *, all_mail: bool = False) -> list[SurveyedFolder]:
    """One surveyed folder per listed name, INBOX first.

    `all_mail`: the folder of all mail is synced too. Elsewhere it shows what the other folders hold; Gmail
    keeps archived mail only there.
    """
    listed = list({folder.raw_name: folder for folder in listed}.values())
    marked = {use for folder in listed for use in SPECIAL_USES if f"\\{use}" in folder.flags}
    left_out = tuple(use for use in LEFT_OUT if not (all_mail and use == "all"))
    surveyed = [_surveyed(folder, marked, filters, left_out) for folder in listed]
    return sorted(surveyed, key=lambda folder: (folder.name.upper() != "INBOX", folder.name))


def _surveyed(folder: ListedFolder, marked: set[str], filters: Filters, left_out: tuple) -> SurveyedFolder:
    use = next((use for use in SPECIAL_USES if f"\\{use}" in folder.flags), "")
    guess = "" if use else _guess(folder)
    guessed = bool(guess) and guess not in marked
    use = guess if guessed else use
    by_use = use in left_out and folder.raw_name != b"INBOX"  # whatever a server says of it
    excluded = _excluded(folder.name, by_use, filters)
    return SurveyedFolder(folder.raw_name, folder.name, use, guessed, excluded, folder.status)


def _guess(folder: ListedFolder) -> str:
    parent, _, leaf = folder.name.rpartition(folder.delimiter or "/")
    if parent.lower() not in _PARENTS:
        return ""
    return next((use for use, names in _WELL_KNOWN.items() if leaf.lower() in names), "")


def _excluded(name: str, by_use: bool, filters: Filters) -> bool:
    if _matches(name, filters.exclude):
        return True
    return not _matches(name, filters.include) if filters.include else by_use


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    """By a pattern, or by the name itself: [Gmail]/Spam as a pattern is another name."""
    name = name.casefold()
    return any(name == pattern or fnmatchcase(name, pattern) for pattern in map(str.casefold, patterns))
