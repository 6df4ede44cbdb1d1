"""What went wrong with a run, by its error_type and its facts."""

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as N_

from accounts.advice.words import NOTHING_LOST, Advice, told
from accounts.errors import ErrorType

_BY_TYPE = {
    ErrorType.TIMEOUT: (
        N_("The server took too long to answer."),
        N_("Fetch again in a few minutes."),
        NOTHING_LOST,
    ),
    ErrorType.CONNECTION_RESET: (
        N_("The connection to the server broke off."),
        N_("Fetch again."),
        NOTHING_LOST,
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
            "then enter them again: on the account's page, or manage.py add_account … --replace."
        ),
    ),
    ErrorType.AUTH_FAILED: (
        N_("The server refused the login without saying why."),
        N_(
            "Check login and password, and whether the provider allows IMAP for this mailbox; "
            "then enter them again: on the account's page, or manage.py add_account … --replace."
        ),
    ),
    ErrorType.NEEDS_REAUTH: (
        N_("The password or permission for this mailbox has expired."),
        N_(
            "Renew it at the provider, then enter it again: on the account's page, or manage.py "
            "add_account … --replace."
        ),
    ),
    ErrorType.ACCOUNT_DISABLED: (
        N_("The provider has closed this mailbox to mail programs."),
        N_("Sign in at the provider's web mail; it says what has to be done there."),
    ),
    ErrorType.TLS_FAILED: (
        N_("The server's certificate or encryption could not be trusted, so no password was sent."),
        N_(
            "Check host, port and security (993 with TLS, 143 with STARTTLS). For a server with a "
            "certificate of its own give its authority's in the account's settings (or with --ca-file)."
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
    ErrorType.PRIVATE_HOST: (
        N_(
            "This server's address belongs to this machine or a private network, and this mailhelper fetches "
            "from public mail servers only."
        ),
        N_(
            "Check the host's spelling. If the server is meant, whoever runs mailhelper can allow it: "
            "MAILHELPER_ALLOW_PRIVATE_HOSTS=1 in its .env or environment, then start it again."
        ),
    ),
    ErrorType.PROTOCOL_ERROR: (
        N_("The server gave an answer that is not IMAP as we know it."),
        N_("Fetch again; if it stays, report it."),
        NOTHING_LOST,
    ),
    ErrorType.MAILBOX_GONE: (
        N_("The server lists a folder that it then refuses to open. The other folders were synced."),
        N_(
            "Check your rights to that folder, or leave it out in the account's settings (or with --exclude)."
        ),
    ),
    ErrorType.BUDGET: (
        N_("Today's transfer budget of this account is used up."),
        N_(
            "Fetching goes on tomorrow, by itself where background sync is allowed; "
            "the account's settings (or manage.py schedule --budget) change the budget."
        ),
    ),
    ErrorType.BREAKER_OPEN: (
        N_("Fetches failed in a row, so this account or its mail server rests and is tried now and then."),
        N_("Fetch this account alone to try at once."),
    ),
    ErrorType.PAUSED: (
        N_("This account is paused."),
        N_("Fetch it alone, or end the pause: on the page Accounts, or manage.py schedule … --resume."),
    ),
    ErrorType.QUOTA: (N_("The mailbox is over its quota."), N_("Free some space at the provider.")),
    ErrorType.DISK_FULL: (
        N_("This machine's disk is full."),
        N_("Free some space, then fetch again."),
        NOTHING_LOST,
    ),
    ErrorType.NO_KEY: (
        N_("The workers hold no key for this account."),
        N_(
            "Fetch from a signed-in page, give --user with the password, or allow background sync: "
            "on the account's page, or manage.py grants EMAIL --background."
        ),
    ),
    ErrorType.NO_ACCOUNTS: (
        N_("There is no account to fetch."),
        N_("Add one: on the page Accounts, or manage.py add_account --help."),
    ),
    ErrorType.WORKER_LOST: (
        N_("The worker that fetched this mailbox vanished."),
        N_("Fetch again; it goes on where it stopped."),
        NOTHING_LOST,
    ),
    ErrorType.BUG: (
        N_("mailhelper itself made a mistake."),
        N_("Please report it with its type and place."),
        NOTHING_LOST,
    ),
}
_UNKNOWN = (N_("Something failed that mailhelper has no name for."), N_("Fetch again."), NOTHING_LOST)

BY_REASON = {
    "web_login": (
        N_("The provider wants you to sign in once in a web browser before mail programs may go on."),
        N_("Sign in at the provider's web mail, confirm what it asks, then fetch again."),
    ),
    "app_password": (
        N_("The provider takes no ordinary password from mail programs."),
        N_(
            "Make an app password at the provider and enter it: on the account's page, or manage.py "
            "add_account … --replace."
        ),
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
        NOTHING_LOST,
    ),
    "not_listed": (
        N_("The server does not list this folder."),
        N_("Sync the whole account: it shows what the server has now."),
    ),
    "no_mail_given": (
        N_("The server counts mails but gives none of them."),
        N_("Fetch again later; if it stays, ask the provider."),
        NOTHING_LOST,
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
    # what a probe of the diagnostics found; some of it a sync sees as well
    "certificate_expired": (
        N_("The server's certificate has expired, so no password was sent."),
        N_(
            "Ask the provider to renew it, or renew it if the server is yours. Nothing has to be changed "
            "here."
        ),
    ),
    "certificate_not_yet_valid": (
        N_("The server's certificate is not valid yet, so no password was sent."),
        N_("Check the clock of this machine; if it is right, ask the provider."),
    ),
    "other_name": (
        N_("The server's certificate is made out for another name, so no password was sent."),
        N_(
            "Enter the host exactly as the provider writes it in its instructions for mail programs: in the "
            "account's settings, or manage.py add_account … --replace."
        ),
    ),
    "self_signed": (
        N_(
            "The server's certificate is signed by itself, so nobody vouches for it, and no password was "
            "sent."
        ),
        N_(
            "If the server is yours, give its certificate in the account's settings (or with --ca-file); if "
            "not, check the host's spelling."
        ),
    ),
    "unknown_ca": (
        N_(
            "The server's certificate comes from an authority that this machine does not know, so no "
            "password "
            "was sent."
        ),
        N_(
            "If the server is yours, give its authority's certificate in the account's settings (or with "
            "--ca-file); if not, check the host's spelling, and whether a virus scanner or proxy looks into "
            "the connection."
        ),
    ),
    "no_starttls": (
        N_("The server offers no encryption (STARTTLS) at this port, so no password was sent."),
        N_(
            "Use port 993 with TLS. If the provider promises STARTTLS here, something between "
            "you and "
            "the server takes it away."
        ),
    ),
    "no_tls": (
        N_("This port does not speak TLS from the start, so no password was sent."),
        N_("Use STARTTLS as security with this port (mostly 143), or port 993 with TLS."),
    ),
    "speaks_tls": (
        N_("This port speaks TLS from the start, but another kind of security is set."),
        N_("Use TLS as security with this port (mostly 993), or port 143 with STARTTLS."),
    ),
    "not_imap": (
        N_("What answers at this port is not an IMAP server."),
        N_("Check host and port: IMAP is at 993 with TLS, or at 143 with STARTTLS."),
    ),
    "login_disabled": (
        N_(
            "The server takes no password over this connection, because it is not encrypted or passwords are "
            "switched off."
        ),
        N_("Use TLS with port 993; if that is set already, ask the provider how programs sign in."),
    ),
    "bye": (
        N_("The server ends the connection with its greeting: it is busy, or does not want this machine."),
        N_(
            "Try again in some minutes; if it stays, ask the provider whether this machine's address is "
            "blocked."
        ),
    ),
    "preauth": (
        N_("The server lets everybody in without a password, so it cannot be told whose mailbox this is."),
        N_("Check host and port; a mail server does not do that."),
    ),
    "broke_too_often": (
        N_("The server broke the connection off again and again."),
        N_("Try again later; if it stays, ask the provider."),
    ),
    # warnings
    "some_addresses_silent": (
        N_("Not all addresses of the server answer; another one does."),
        N_("Nothing has to be done. If connecting is slow, tell the provider."),
    ),
    "certificate_expires_soon": (
        N_("The server's certificate expires soon."),
        N_("If the server is yours, renew it in time; else the provider will."),
    ),
    "no_inbox_listed": (
        N_("The server does not list an INBOX."),
        N_("Check at the provider's web mail whether this login is that of a mailbox."),
    ),
    "odd_names": (
        N_("Some folder names are not written as IMAP asks."),
        N_(
            "Nothing has to be done; if another mail program does not show them, rename them at the provider."
        ),
    ),
    "not_read_only": (
        N_("The server does not confirm that it opens folders for reading only."),
        N_("Nothing has to be done: mailhelper changes nothing in any case."),
    ),
    "folders_refused": (
        N_("Some folders that are left out refuse to open."),
        N_("Nothing has to be done as long as they are left out."),
    ),
    "folders_not_looked_at": (
        N_("There was no time to look at all folders."),
        N_("Nothing has to be done; the server is slow or has very many folders."),
    ),
    "no_flags": (
        N_("The server does not tell the flags of all mails."),
        N_("Mail is fetched all the same, but whether it was read may be missing."),
    ),
    "empty_envelopes": (
        N_("The server does not give sender and subject of all mails by themselves."),
        N_("Nothing has to be done: mailhelper reads them from the mails."),
    ),
    "size_differs": (
        N_("A mail has another size than the server says."),
        N_("Nothing has to be done: it is fetched whole."),
    ),
    "no_modseq": (
        N_("The server names CONDSTORE, but counts no changes."),
        N_("Nothing has to be done; each sync compares a little more."),
    ),
    "few_connections": (
        N_("The server allows few connections at a time."),
        N_("Close other mail programs if fetching fails with “too many connections”."),
    ),
    "ledger_differs": (
        N_("The ledger has mails that the server does not have now."),
        N_("Sync this account; what is gone from the server stays stored here."),
    ),
    "mails_to_fetch": (
        N_("The server has mails that are not in the ledger yet."),
        N_("Sync this account, or wait for its next sync."),
    ),
}

_NO_SCHEDULER = (
    N_("Nothing is synced by itself: the scheduler is not running."),
    N_("Start a worker on the machine that runs mailhelper: manage.py run_huey."),
)
_NO_WORKER = (
    N_("No worker is working on this."),
    N_("If none is running, start one on the machine that runs mailhelper: manage.py run_huey."),
)
_SLOW_TO_CONNECT = N_(
    "Check host, port and security (993 with TLS, 143 with STARTTLS); if right, fetch again later."
)
_OWN_LIMIT = (
    N_("The time given to this fetch was over before a mail was stored."),
    N_("Fetch again and give it more time."),
    NOTHING_LOST,
)
_BUG_AT = N_("mailhelper itself made a mistake: {exception} at {where}.")


def no_scheduler() -> Advice:
    return told(*_NO_SCHEDULER)


def no_worker() -> Advice:
    return told(*_NO_WORKER)


def next_try(seconds: int) -> str:
    return gettext("It is tried again in {seconds} s.").format(seconds=seconds)


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
    sentence, *steps = BY_REASON.get(facts.get("reason"), _BY_TYPE.get(error_type, _UNKNOWN))
    if facts.get("own_limit"):
        return told(*_OWN_LIMIT)
    if error_type == ErrorType.TIMEOUT and phase == "connect":
        steps = [_SLOW_TO_CONNECT]
    found = told(sentence, *steps)
    if error_type == ErrorType.BUG and "exception" in facts:
        where = {"where": "?", **facts}
        return Advice(gettext(_BUG_AT).format(**where), found.next_step)
    return found
