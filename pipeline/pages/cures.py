"""What a person can press where something is wrong."""

from dataclasses import dataclass

from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as N_

from accounts.errors import REFUSALS, ErrorType
from accounts.models import MailAccount

_TRY_NOW = (N_("Try now"), "fetch_account", True)
_DIAGNOSE = (N_("Diagnose"), "account#diagnosis", False)
_NEW_PASSWORD = (N_("Enter new password"), "new_password", False)
_ALLOW = (N_("Allow background sync"), "allow_background", True)
_RESUME = (N_("Resume"), "resume_account", True)
_EDIT = (N_("Change the settings"), "edit_account", False)

_BY_REASON = {
    **dict.fromkeys(REFUSALS, (_NEW_PASSWORD, _DIAGNOSE)),
    ErrorType.NO_KEY: (_ALLOW,),
    ErrorType.TLS_FAILED: (_EDIT, _DIAGNOSE),
    ErrorType.DNS_FAILED: (_EDIT, _TRY_NOW),
    ErrorType.CONNECTION_REFUSED: (_TRY_NOW, _EDIT, _DIAGNOSE),
    "recovering": (_TRY_NOW,),
}


@dataclass(frozen=True)
class Cure:
    """A button: a form that posts, or a link to a page."""

    label: str
    url: str
    posts: bool


def cures_of(account: MailAccount, state: str, reason: str) -> list[Cure]:
    """The first one is the likeliest."""
    if not account.enabled:
        known = (_RESUME,)
    elif state in ("syncing", "stuck", "healthy", "new", "manual", "pausing"):
        known = ()
    else:
        known = _BY_REASON.get(reason, (_TRY_NOW, _DIAGNOSE))
    return [Cure(gettext(label), _url(name, account), posts) for label, name, posts in known]


def _url(name: str, account: MailAccount) -> str:
    """Of a page, or of a part of it."""
    page, mark, part = name.partition("#")
    return reverse(page, args=[account.pk]) + mark + part
