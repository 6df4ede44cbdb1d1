"""What the reason code of an account's health means."""

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as N_

from accounts.advice.errors import advise
from accounts.advice.words import Advice, told
from accounts.errors import ErrorType

_HEALTH = {
    "no_background": (
        N_("Background sync is off: this account is synced when you ask for it."),
        N_("Nothing has to be done. The account's page allows it, or manage.py grants EMAIL --background."),
    ),
    "settings_changed": (
        N_("New settings were entered, and the account begins anew with them."),
        N_("The next sync shows whether they work."),
    ),
    "no_success": (
        N_("No sync of this account has succeeded for three of its intervals."),
        N_("Look at what the last sync met; where nothing failed, check that a worker runs."),
    ),
    "recovering": (
        N_("It works again. Two good syncs in a row will confirm it."),
        N_("Nothing has to be done."),
    ),
    "server_rests": (
        N_("The mail server failed several times in a row, so it rests and is tried now and then."),
        N_("Nothing has to be done. Fetch this account alone to try at once."),
    ),
    "overdue": (
        N_("A sync of this account should have begun long ago."),
        N_("Check that a worker runs and that it is not busy with others: manage.py run_huey."),
    ),
    "pending": (
        N_("Mails wait to be fetched, and they have not become fewer for a day."),
        N_("Fetch this account without a limit, and look at what the sync meets."),
    ),
    "quarantined": (
        N_("Some mails could not be fetched and were set aside."),
        N_("Try them again: manage.py sync_all --account NAME --retry. If they stay, ask the provider."),
    ),
    "certificate_expiring": (
        N_("The certificate of the mail server expires within a week."),
        N_("Whoever runs the server has to renew it. Afterwards nothing has to be done here."),
    ),
    ErrorType.NO_KEY: (
        N_("The permission to sync this account in the background has run out."),
        N_("Allow it again on the account's page, or: manage.py grants EMAIL --background."),
    ),
}


def health(reason: str) -> Advice | None:
    """What an account's reason code means; None where there is nothing to say."""
    return told(*_HEALTH[reason]) if reason in _HEALTH else advise(reason)


_STATUSES = {
    "new": N_("New"),
    "healthy": N_("Healthy"),
    "degraded": N_("Degraded"),
    "broken": N_("Broken"),
    "manual": N_("Manual"),
}


def status_word(status: str) -> str:
    return gettext(_STATUSES[status])
