"""The overview's headline: in plain words, whether all is well."""

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_noop as N_

# Of one's only account; of all; of one among several; of some.
_NEED_YOU = (
    N_("Your account needs you"),
    N_("All {total} accounts need you"),
    N_("One of {total} accounts needs you"),
    N_("{count} of {total} accounts need you"),
)
_ARE_NEW = (
    N_("Your account is new"),
    N_("All {total} accounts are new"),
    N_("One of {total} accounts is new"),
    N_("{count} of {total} accounts are new"),
)
_IN_SYNC = (
    N_("Your account is in sync"),
    N_("All {total} accounts are in sync"),
    N_("One of {total} accounts is in sync"),
    N_("{count} of {total} accounts are in sync"),
)


def headline(states: list[str], needy: int, pending: int, behind: int = 0) -> str:
    """Of all accounts' states, how many of them need a person, and the mails still to fetch. Pure.

    `behind` are those that are paused or whose last sync failed, though they need nobody yet.
    """
    if not states:
        return gettext("No account yet")
    if needy:
        return _of_accounts(_NEED_YOU, needy, len(states))
    if "syncing" in states:
        return gettext("Syncing…")
    if "new" in states:
        return _of_accounts(_ARE_NEW, states.count("new"), len(states))
    if pending:
        told = ngettext("{count} mail is still to fetch", "{count} mails are still to fetch", pending)
        return told.format(count=intcomma(pending))
    if behind == len(states):
        return gettext("Your account is not in sync") if behind == 1 else gettext("No account is in sync")
    return _of_accounts(_IN_SYNC, len(states) - behind, len(states))


def _of_accounts(texts: tuple[str, ...], count: int, total: int) -> str:
    only_one, every_one, one, several = texts
    if total == 1:
        return gettext(only_one)
    told = every_one if count == total else one if count == 1 else several
    return gettext(told).format(count=count, total=total)
