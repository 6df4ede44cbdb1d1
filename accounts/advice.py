"""What a failure means and what to do next, in words for people: the only place with such sentences."""

from dataclasses import dataclass

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as N_

from accounts.errors import ErrorType


@dataclass(frozen=True)
class Advice:
    sentence: str
    next_step: str


_NOTHING_LOST = N_("Nothing is lost: what was fetched is stored, the rest waits on the server.")
_BY_TYPE = {
    ErrorType.TIMEOUT: (
        N_("The server took too long to answer."),
        N_("Fetch again in a few minutes."),
        _NOTHING_LOST,
    ),
    ErrorType.CONNECTION_RESET: (
        N_("The connection to the server broke off."),
        N_("Fetch again."),
        _NOTHING_LOST,
    ),
    ErrorType.TEMPORARILY_UNAVAILABLE: (
        N_("The server says that it is not available at the moment."),
        N_("Fetch again later; the provider has to end this."),
    ),
    ErrorType.THROTTLED: (
        N_("The provider asks us to slow down."),
        N_("Wait an hour before the next fetch; fetching more often makes the wait longer."),
    ),
    ErrorType.TOO_MANY_CONNECTIONS: (
        N_("The provider allows no further connection to this mailbox."),
        N_("Close other mail programs that use it, or fetch again in a few minutes."),
    ),
    ErrorType.INVALID_CREDENTIALS: (
        N_("The server refuses this login and password."),
        N_(
            "Check both at the provider's web mail (many providers want an app password here), "
            "then enter them again: manage.py add_account … --replace."
        ),
    ),
    ErrorType.AUTH_FAILED: (
        N_("The server refused the login without saying why."),
        N_(
            "Check login and password, and whether the provider allows IMAP for this mailbox; "
            "then enter them again: manage.py add_account … --replace."
        ),
    ),
    ErrorType.NEEDS_REAUTH: (
        N_("The password or permission for this mailbox has expired."),
        N_("Renew it at the provider, then enter it again: manage.py add_account … --replace."),
    ),
    ErrorType.ACCOUNT_DISABLED: (
        N_("The provider has closed this mailbox to mail programs."),
        N_("Sign in at the provider's web mail; it says what has to be done there."),
    ),
    ErrorType.TLS_FAILED: (
        N_("The server's certificate or encryption could not be trusted, so no password was sent."),
        N_(
            "Check host, port and security (993 with tls, 143 with starttls). For a server with a "
            "certificate of its own give its CA with --ca-file."
        ),
    ),
    ErrorType.DNS_FAILED: (
        N_("The server's name was not found."),
        N_("Check the host's spelling and this machine's internet connection."),
    ),
    ErrorType.CONNECTION_REFUSED: (
        N_("No mail server answers at this host and port."),
        N_("Check the port (993 for TLS, 143 for STARTTLS) and whether the server is up."),
    ),
    ErrorType.PROTOCOL_ERROR: (
        N_("The server gave an answer that is not IMAP as we know it."),
        N_("Fetch again; if it stays, report it."),
        _NOTHING_LOST,
    ),
    ErrorType.MAILBOX_GONE: (
        N_("The server lists a folder that it then refuses to open. The other folders were synced."),
        N_("Check your rights to that folder, or leave it out with --exclude."),
    ),
    ErrorType.BUDGET: (
        N_("Today's transfer budget of this account is used up."),
        N_(
            "Fetching goes on tomorrow, by itself where background sync is allowed; "
            "manage.py schedule --budget changes the budget."
        ),
    ),
    ErrorType.BREAKER_OPEN: (
        N_("Fetches failed in a row, so this account or its mail server rests and is tried now and then."),
        N_("Fetch this account alone to try at once."),
    ),
    ErrorType.PAUSED: (
        N_("This account is paused."),
        N_("Fetch it alone, or end the pause: manage.py schedule … --resume."),
    ),
    ErrorType.QUOTA: (N_("The mailbox is over its quota."), N_("Free some space at the provider.")),
    ErrorType.DISK_FULL: (
        N_("This machine's disk is full."),
        N_("Free some space, then fetch again."),
        _NOTHING_LOST,
    ),
    ErrorType.NO_KEY: (
        N_("The workers hold no key for this account."),
        N_(
            "Fetch from a signed-in page, give --user with the password, or allow background sync: "
            "manage.py grants EMAIL --background."
        ),
    ),
    ErrorType.NO_ACCOUNTS: (
        N_("There is no account to fetch."),
        N_("Add one: manage.py add_account --help."),
    ),
    ErrorType.WORKER_LOST: (
        N_("The worker that fetched this mailbox vanished."),
        N_("Fetch again; it goes on where it stopped."),
        _NOTHING_LOST,
    ),
    ErrorType.BUG: (
        N_("mailhelper itself made a mistake."),
        N_("Please report it with its type and place."),
        _NOTHING_LOST,
    ),
}
_UNKNOWN = (N_("Something failed that mailhelper has no name for."), N_("Fetch again."), _NOTHING_LOST)

_BY_REASON = {
    "web_login": (
        N_("The provider wants you to sign in once in a web browser before mail programs may go on."),
        N_("Sign in at the provider's web mail, confirm what it asks, then fetch again."),
    ),
    "app_password": (
        N_("The provider takes no ordinary password from mail programs."),
        N_("Make an app password at the provider and enter it: manage.py add_account … --replace."),
    ),
    "oauth2_only": (
        N_(
            "The provider takes only OAuth2 from mail programs, no passwords; "
            "mailhelper does not speak it yet."
        ),
        N_("This mailbox cannot be fetched until mailhelper supports OAuth2."),
    ),
    "imap_off": (
        N_("IMAP is switched off for this mailbox."),
        N_("Switch it on in the provider's web mail, under settings for mail programs; then fetch again."),
    ),
    "uidvalidity_changed": (
        N_("A folder was made anew on the server while it was being fetched. The other folders were synced."),
        N_("Fetch again."),
        _NOTHING_LOST,
    ),
    "not_listed": (
        N_("The server does not list this folder."),
        N_("Sync the whole account: it shows what the server has now."),
    ),
    "no_mail_given": (
        N_("The server counts mails but gives none of them."),
        N_("Fetch again later; if it stays, ask the provider."),
        _NOTHING_LOST,
    ),
    "unreachable": (
        N_("There is no way to the server from this machine."),
        N_("Check this machine's internet connection; then fetch again."),
    ),
    "seal_broken": (
        N_("A sealed value of this account does not open: it was changed or moved."),
        N_("Restore the database from a backup, or enter the account again with --replace."),
    ),
    "worker_key": (
        N_("This machine's worker key is not the one that this account's grant is sealed to."),
        N_("Bring its file back, or run manage.py rotate_worker_key and give the grant anew."),
    ),
}

_NO_WORKER = (
    N_("No worker is working on this."),
    N_("If none is running, start one on the machine that runs mailhelper: manage.py run_huey."),
)
_UNEXPLAINED = N_("The server's count and the ledger differ by {count}.")
_SLOW_TO_CONNECT = N_(
    "Check host, port and security (993 with tls, 143 with starttls); if right, fetch again later."
)
_OWN_LIMIT = (
    N_("The time given to this fetch was over before a mail was stored."),
    N_("Fetch again and give it more time."),
    _NOTHING_LOST,
)
_BUG_AT = N_("mailhelper itself made a mistake: {exception} at {where}.")

_FINDINGS = {
    "folder_missing": (
        N_("{folder} is not listed by the server any more."),
        N_(
            "Nothing was taken away here. If the next sync does not find it either, it counts as gone from "
            "the server; its stored mail stays."
        ),
    ),
    "folder_emptied": (
        N_("All mails of {folder} ({mails}) are gone from the server at once."),
        N_("Nothing is believed before the next sync sees the same; stored mail stays in any case."),
    ),
    "mails_replaced": (
        N_("All mails of {folder} ({mails}) are gone from the server, and others are there."),
        N_("Two looks saw the same. The stored ones stay stored."),
    ),
    "uidvalidity_changed": (
        N_("The server has numbered the mails of {folder} anew."),
        N_("Those that are known are linked again, the others fetched. Nothing has to be done."),
    ),
    "modseq_went_down": (
        N_("The server's count of changes in {folder} went back."),
        N_("All its mails were compared instead. Nothing has to be done."),
    ),
    "no_modseq": (
        N_("The server keeps no count of changes in {folder}."),
        N_("So its flags are read as a whole in each sync. Nothing has to be done."),
    ),
    "counts_differ": (
        N_("What the server tells of changes in {folder} does not fit its count of mails."),
        N_("All its mails are compared instead. Nothing has to be done."),
    ),
}


_HEALTH = {
    "no_background": (
        N_("Background sync is off: this account is synced when you ask for it."),
        N_("Nothing has to be done. manage.py grants EMAIL --background allows it."),
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
        N_("Sign in and allow it again, or on the command line: manage.py grants EMAIL --background."),
    ),
}


def health(reason: str) -> Advice | None:
    """What an account's reason code means; None where there is nothing to say."""
    return _advice(*_HEALTH[reason]) if reason in _HEALTH else advise(reason)


def finding(kind: str, facts: dict, folder: str = "") -> Advice:
    """What a sync met; `folder` is its name where it may be shown."""
    name = gettext("the folder {name}").format(name=folder) if folder else gettext("a folder")
    found = _advice(*_FINDINGS[kind])
    sentence = found.sentence.format(**{"mails": "", **facts, "folder": name})
    return Advice(sentence[0].upper() + sentence[1:], found.next_step)


def unexplained(count: int) -> Advice:
    sentence = gettext(_UNEXPLAINED).format(count=abs(count))
    return Advice(sentence, gettext("Fetch again; if it stays, report it."))


def no_worker() -> Advice:
    return _advice(*_NO_WORKER)


def other_worker_key() -> str:
    return gettext(
        "Note: workers on this machine cannot use grants, for its worker key is not the one they are sealed "
        "to. If it was lost, run manage.py rotate_worker_key and give the grants again."
    )


def advise(error_type: str, facts: dict | None = None, phase: str = "") -> Advice | None:
    """The sentence and the next step for an error_type; None when there is no error."""
    if not error_type:
        return None
    found = _of_error(error_type, facts or {}, phase)
    if cause := advise((facts or {}).get("cause", "")):
        return Advice(f"{cause.sentence} {found.sentence}", f"{cause.next_step} {found.next_step}")
    return found


def _of_error(error_type: str, facts: dict, phase: str) -> Advice:
    sentence, *steps = _BY_REASON.get(facts.get("reason"), _BY_TYPE.get(error_type, _UNKNOWN))
    if facts.get("own_limit"):
        return _advice(*_OWN_LIMIT)
    if error_type == ErrorType.TIMEOUT and phase == "connect":
        steps = [_SLOW_TO_CONNECT]
    found = _advice(sentence, *steps)
    if error_type == ErrorType.BUG and "exception" in facts:
        where = {"where": "?", **facts}
        return Advice(gettext(_BUG_AT).format(**where), found.next_step)
    return found


def _advice(sentence: str, *steps: str) -> Advice:
    """In the language that is active."""
    return Advice(gettext(sentence), " ".join(map(gettext, steps)))
