"""Why a stored mail cannot be shown as it was sent, and what is left to do."""

from django.utils.translation import gettext_noop as N_

from accounts.advice.words import Advice, told
from accounts.errors import ErrorType

SEAL_BROKEN = "seal_broken"

_WHY = {
    ErrorType.OVER_LIMIT: (
        N_("This mail is larger than the limit, so only its header was fetched."),
        N_("Its text and its files are still at the provider; a higher limit fetches them."),
    ),
    ErrorType.UNPARSEABLE: (
        N_("This mail is built so badly that it cannot be taken apart."),
        N_("It is stored whole: its source shows every byte that the server sent."),
    ),
    ErrorType.BUG: (
        N_("mailhelper made a mistake when it took this mail apart."),
        N_("It is stored whole, and is read again when you have given-up mails tried again."),
    ),
    SEAL_BROKEN: (
        N_("This mail does not open: it was sealed under another key, or was changed in the database."),
        N_("Fetch it again into a new account, or take the database from a backup."),
    ),
}


def not_shown(reason: str) -> Advice | None:
    return told(*_WHY[reason]) if reason in _WHY else None
