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


# What a probe of the diagnostics found; some of it a sync sees as well, without looking further.
_ENTER_AGAIN = "manage.py add_account … --replace"
_BY_REASON |= {
    "certificate_expired": (
        "The server's certificate has expired, so no password was sent.",
        "Ask the provider to renew it, or renew it if the server is yours. Nothing has to be changed here.",
    ),
    "certificate_not_yet_valid": (
        "The server's certificate is not valid yet, so no password was sent.",
        "Check the clock of this machine; if it is right, ask the provider.",
    ),
    "other_name": (
        "The server's certificate is made out for another name, so no password was sent.",
        "Enter the host exactly as the provider writes it in its instructions for mail programs: "
        f"{_ENTER_AGAIN}.",
    ),
    "self_signed": (
        "The server's certificate is signed by itself, so nobody vouches for it, and no password was sent.",
        "If the server is yours, give its certificate with --ca-file; if not, check the host's spelling.",
    ),
    "unknown_ca": (
        "The server's certificate comes from an authority that this machine does not know, so no password "
        "was sent.",
        "If the server is yours, give its authority's certificate with --ca-file; if not, check the host's "
        "spelling, and whether a virus scanner or proxy looks into the connection.",
    ),
    "no_starttls": (
        "The server offers no encryption (STARTTLS) at this port, so no password was sent.",
        "Use port 993 with --security tls. If the provider promises STARTTLS here, something between you and "
        "the server takes it away.",
    ),
    "no_tls": (
        "This port does not speak TLS from the start, so no password was sent.",
        "Use --security starttls with this port (mostly 143), or port 993 with --security tls.",
    ),
    "speaks_tls": (
        "This port speaks TLS from the start, but another kind of security is set.",
        "Use --security tls with this port (mostly 993), or port 143 with --security starttls.",
    ),
    "not_imap": (
        "What answers at this port is not an IMAP server.",
        "Check host and port: IMAP is at 993 with --security tls, or at 143 with --security starttls.",
    ),
    "login_disabled": (
        "The server takes no password over this connection, because it is not encrypted or passwords are "
        "switched off.",
        "Use --security tls with port 993; if that is set already, ask the provider how programs sign in.",
    ),
    "bye": (
        "The server ends the connection with its greeting: it is busy, or does not want this machine.",
        "Try again in some minutes; if it stays, ask the provider whether this machine's address is blocked.",
    ),
    "preauth": (
        "The server lets everybody in without a password, so it cannot be told whose mailbox this is.",
        "Check host and port; a mail server does not do that.",
    ),
    "broke_too_often": (
        "The server broke the connection off again and again.",
        "Try again later; if it stays, ask the provider.",
    ),
    # warnings
    "some_addresses_silent": (
        "Not all addresses of the server answer; another one does.",
        "Nothing has to be done. If connecting is slow, tell the provider.",
    ),
    "certificate_expires_soon": (
        "The server's certificate expires soon.",
        "If the server is yours, renew it in time; else the provider will.",
    ),
    "no_inbox_listed": (
        "The server does not list an INBOX.",
        "Check at the provider's web mail whether this login is that of a mailbox.",
    ),
    "odd_names": (
        "Some folder names are not written as IMAP asks.",
        "Nothing has to be done; if another mail program does not show them, rename them at the provider.",
    ),
    "not_read_only": (
        "The server does not confirm that it opens folders for reading only.",
        "Nothing has to be done: mailhelper changes nothing in any case.",
    ),
    "folders_refused": (
        "Some folders that are left out refuse to open.",
        "Nothing has to be done as long as they are left out.",
    ),
    "folders_not_looked_at": (
        "There was no time to look at all folders.",
        "Nothing has to be done; the server is slow or has very many folders.",
    ),
    "no_flags": (
        "The server does not tell the flags of all mails.",
        "Mail is fetched all the same, but whether it was read may be missing.",
    ),
    "empty_envelopes": (
        "The server does not give sender and subject of all mails by themselves.",
        "Nothing has to be done: mailhelper reads them from the mails.",
    ),
    "size_differs": (
        "A mail has another size than the server says.",
        "Nothing has to be done: it is fetched whole.",
    ),
    "no_modseq": (
        "The server names CONDSTORE, but counts no changes.",
        "Nothing has to be done; each sync compares a little more.",
    ),
    "few_connections": (
        "The server allows few connections at a time.",
        "Close other mail programs if fetching fails with “too many connections”.",
    ),
    "ledger_differs": (
        "The ledger has mails that the server does not have now.",
        "Sync this account; what is gone from the server stays stored here.",
    ),
    "mails_to_fetch": (
        "The server has mails that are not in the ledger yet.",
        "Sync this account, or wait for its next sync.",
    ),
}
_BY_PROBE = {
    ("dns", ErrorType.DNS_FAILED): (
        "The server's name was not found.",
        "Check the host's spelling (mostly imap.… and the provider's name) and this machine's internet "
        "connection.",
    ),
    ("dns", ErrorType.TIMEOUT): (
        "Nobody could say where the server is: the name servers do not answer.",
        "Check this machine's internet connection and its DNS settings.",
    ),
    ("tcp", ErrorType.CONNECTION_REFUSED): (
        "The server is there, but nothing answers at this port.",
        "Check the port (993 for TLS, 143 for STARTTLS) and whether a firewall closes it.",
    ),
    ("tcp", ErrorType.TIMEOUT): (
        "The server does not answer at this port.",
        "Check host and port; a firewall between here and there may drop what is sent.",
    ),
    ("greeting", ErrorType.TIMEOUT): (
        "The server takes the connection and then says nothing.",
        "Check port and security (993 with tls, 143 with starttls); if they are right, try again later.",
    ),
    ("greeting", ErrorType.CONNECTION_RESET): (
        "The server hangs up before it says a word.",
        "Try again in some minutes; it may be busy, or this machine's address may be blocked there.",
    ),
    ("login", ErrorType.TIMEOUT): (
        "The server does not answer to login and password.",
        "Try again later; this says nothing of whether the password is right.",
    ),
    ("login", ErrorType.CONNECTION_RESET): (
        "The server hangs up during the login.",
        "Try again later; this says nothing of whether the password is right.",
    ),
    ("folder_list", ErrorType.PROTOCOL_ERROR): (
        "The server does not list its folders.",
        f"Try again later; if it stays, ask the provider. {_NOTHING_LOST}",
    ),
    ("inbox", ErrorType.MAILBOX_GONE): (
        "The INBOX is missing, or this login may not open it.",
        "Check at the provider's web mail that this login is that of a mailbox and sees its INBOX.",
    ),
    ("flags", ErrorType.MAILBOX_GONE): (
        "The server lists a folder that it then refuses to open.",
        "Check your rights to that folder, or leave it out: manage.py filters … --exclude.",
    ),
    ("flags", ErrorType.PROTOCOL_ERROR): (
        "The server does not number the mails of a folder as IMAP asks.",
        "That folder cannot be synced safely; ask the provider, or leave it out with --exclude.",
    ),
    ("fetch", ErrorType.UNFETCHABLE): (
        "The server does not give a mail that it counts.",
        "Open that mail at the provider's web mail; if it does not open there either, only the provider can "
        "mend it.",
    ),
}
_OF_EXTENSION = (
    "The server names an extension that does not work.",
    "Nothing has to be done: mailhelper asks in another way.",
)
_EXTENSIONS = [
    "id",
    "namespace",
    "envelope",
    "condstore",
    "qresync",
    "esearch",
    "list_status",
    "objectid",
    "idle",
    "sort",
    "thread",
    "utf8",
    "compress",
]


def probe_advice(name: str, error_type: str, facts: dict | None = None, phase: str = "") -> Advice | None:
    """The cause and the cure where a probe failed or warned; None where neither is needed."""
    facts = facts or {}
    if not error_type:
        warned = facts.get("reason")
        return Advice(*_BY_REASON[warned]) if warned in _BY_REASON else None
    if facts.get("reason") not in _BY_REASON and not facts.get("cause"):
        if name in _EXTENSIONS and error_type == ErrorType.PROTOCOL_ERROR:
            return Advice(*_OF_EXTENSION)
        if (name, error_type) in _BY_PROBE:
            return Advice(*_BY_PROBE[name, error_type])
    return advise(error_type, facts, phase)


PROBES = {
    "dns": "Name of the server",
    "tcp": "Way to the server",
    "tls": "Encryption and certificate",
    "greeting": "Greeting",
    "capability": "Capabilities before the login",
    "login": "Login",
    "capability_after": "Capabilities after the login",
    "id": "What the server is",
    "namespace": "Namespaces",
    "folder_list": "List of folders",
    "inbox": "INBOX, for reading only",
    "flags": "Each folder, its numbers and flags",
    "envelope": "Senders and subjects of the last mails",
    "fetch": "A whole mail",
    "condstore": "Changes since a moment (CONDSTORE)",
    "qresync": "What went since a moment (QRESYNC)",
    "esearch": "Short search answers (ESEARCH)",
    "list_status": "List with figures (LIST-STATUS)",
    "objectid": "Ids of mails (OBJECTID)",
    "idle": "News at once (IDLE)",
    "move": "Moving (MOVE)",
    "sort": "Sorting (SORT)",
    "thread": "Conversations (THREAD)",
    "connections": "Connections at a time",
    "completeness": "The server's mails against the ledger",
    "utf8": "Names in UTF-8 (UTF8=ACCEPT)",
    "compress": "Compression (COMPRESS)",
}
VERDICTS = {
    "ok": "ok",
    "warning": "warning",
    "failed": "failed",
    "not_offered": "not offered",
    "skipped": "skipped",
}
_SKIPPED = {
    "security_none": "no encryption is set",
    "no_mail": "there is no mail to try it on",
    "not_asked": "not asked for",
    "never_synced": "nothing was synced yet",
    "time": "the time was over",
    "lost": "the server cannot be reached any more",
}


# What the figures of a probe are called.
FACTS = {
    "a": "IPv4 addresses",
    "aaaa": "IPv6 addresses",
    "addresses": "addresses",
    "open": "answering",
    "version": "version",
    "chain": "chain",
    "name": "name",
    "days_left": "days left",
    "speaks": "it speaks",
    "others": "unknown capabilities",
    "gained": "capabilities gained",
    "fields": "fields",
    "namespaces": "namespaces",
    "folders": "folders",
    "not_selectable": "without mail",
    "subscribed": "subscribed",
    "special_use": "marked by their use",
    "left_out": "left out",
    "odd_names": "odd names",
    "mails": "mails",
    "opened": "opened",
    "refused": "refused",
    "refused_synced": "of them synced",
    "not_looked_at": "not looked at",
    "no_exists": "without a count",
    "no_uidvalidity": "without UIDVALIDITY",
    "no_uidnext": "without UIDNEXT",
    "no_flags": "mails without flags",
    "renumbered": "numbered anew",
    "bytes": "bytes",
    "announced": "announced bytes",
    "empty": "empty",
    "criteria": "criteria",
    "algorithms": "algorithms",
    "allowed": "allowed",
    "both": "in both",
    "only_server": "only on the server",
    "only_here": "only here",
    "never_synced": "folders never synced",
    "missing": "missing",
    "exception": "error",
    "where": "at",
    "capabilities": "capabilities",
    "error_type": "kind of error",
}


def why_skipped(because: str) -> str:
    return _SKIPPED.get(because) or f"after “{PROBES.get(because, because)}” it would tell nothing"


def change(probe: str, what: str, before, after) -> str:
    """One thing that differs between two reports."""
    if what == "capabilities":
        parts = [f"{word}: {' '.join(names)}" for word, names in (("lost", before), ("new", after)) if names]
        return f"{PROBES[probe]}: {'; '.join(parts)}"
    if what == "verdict":
        return f"{PROBES[probe]}: {VERDICTS[after]} (before: {VERDICTS[before]})"
    return f"{PROBES[probe]}, {FACTS[what]}: {_or_dash(after)} (before: {_or_dash(before)})"


def _or_dash(value) -> str:
    return "–" if value in ("", None) else str(value)


@dataclass(frozen=True)
class AlertWords:
    """`headline` is one line; `sentence` and `next_step` as in Advice."""

    headline: str
    sentence: str
    next_step: str


# Headline, sentence, next step; the cause's own stand before them.
_ALERTS = {
    "broken": (
        N_("{account} is not synced any more"),
        N_("Last good sync: {last_success}."),
        N_("mailhelper keeps trying now and then, and says so when it works again."),
    ),
    "dead_man": (
        N_("{account} has not been synced for too long"),
        N_("Last good sync: {last_success}."),
        N_("mailhelper keeps trying, and says so when it works again."),
    ),
    "degraded": (
        N_("{account} has trouble"),
        N_("Last good sync: {last_success}."),
        N_("mailhelper tries again by itself, and says so if it gets worse."),
    ),
    "recovered": (
        N_("{account} works again"),
        N_("{account} is in order again."),
        N_("Nothing has to be done."),
    ),
    "quarantine": (
        N_("{account}: mails that cannot be fetched"),
        N_(
            "{count} mails of {account} cannot be fetched or read, {grown} of them since we last spoke of it."
        ),
        N_("manage.py ledger shows where; manage.py sync_all --retry tries them again."),
    ),
    "grant_expiring": (
        N_("{account}: background sync ends soon"),
        N_("The permission to sync {account} without you ends: {expires_at}."),
        N_("Sign in once, which extends it; or give it anew: manage.py grants EMAIL --background."),
    ),
    "job_failed": (
        N_("A fetch that you asked for failed"),
        N_("Not fetched: {failed} of {accounts} accounts."),
        N_("The overview shows which, with the cause of each."),
    ),
    "slow": (
        N_("{account} is slow"),
        N_("{phase} of {account} took {seconds} s; above {limit} s is critical."),
        N_("If it stays, ask the provider, and look at manage.py profile_sync."),
    ),
    "scheduler_dead": (
        N_("Nothing is synced by itself"),
        N_("The scheduler has not been heard since {since}."),
        N_("Start a worker on the machine that runs mailhelper: manage.py run_huey."),
    ),
    "channel_disabled": (
        N_("Alerts no longer go through {channel}"),
        N_("Messages through {channel} could not be delivered, so it was switched off."),
        N_("Put it right, send a test, and switch it on again: on the page Alerts, or manage.py alerts."),
    ),
    "test": (
        N_("A test from mailhelper"),
        N_("This is a test: alerts arrive here."),
        N_("Nothing has to be done."),
    ),
}
_WITH_CAUSE = ("broken", "degraded", "dead_man", "job_failed")
_DELIVERIES = {
    ErrorType.TIMEOUT: (
        N_("The receiver took too long to answer."),
        N_("Another try in a few minutes may help."),
    ),
    ErrorType.CONNECTION_RESET: (
        N_("The connection to the receiver broke off."),
        N_("Another try in a few minutes may help."),
    ),
    ErrorType.CONNECTION_REFUSED: (
        N_("Nothing answers at the receiver's address."),
        N_("For e-mail check EMAIL_URL in mailhelper's settings, else the address and its port."),
    ),
    ErrorType.DNS_FAILED: (N_("The receiver's name was not found."), N_("Check how it is spelt.")),
    ErrorType.TLS_FAILED: (
        N_("The receiver's certificate could not be trusted, so nothing was sent."),
        N_("It needs a certificate that this machine trusts."),
    ),
    ErrorType.INVALID_CREDENTIALS: (
        N_("The receiver refused the login or the token."),
        N_("Add the channel again with the right ones; for e-mail check EMAIL_URL in mailhelper's settings."),
    ),
    ErrorType.THROTTLED: (
        N_("The receiver asks us to slow down."),
        N_("Another try in a few minutes may help."),
    ),
    ErrorType.TEMPORARILY_UNAVAILABLE: (
        N_("The receiver cannot take messages at the moment."),
        N_("Another try in a few minutes may help."),
    ),
    ErrorType.DELIVERY_REFUSED: (
        N_("The receiver does not take this message."),
        N_("Check whether the address still exists and is right; if not, add the channel anew."),
    ),
    ErrorType.NO_KEY: (
        N_("This machine's worker key does not open where the channel leads."),
        N_("Bring the key's file back, or remove the channel and add it again."),
    ),
}


def alert(kind: str, reason: str, facts: dict, account: str = "") -> AlertWords:
    """What a person is told; the times in `facts` are words already."""
    headline, sentence, next_step = (gettext(words) for words in _ALERTS[kind])
    named = _Named({"account": account, **{name: value or gettext("never") for name, value in facts.items()}})
    cause = _cause_of_alert(kind, reason, facts)
    steps = [cause.next_step] if reason == ErrorType.NO_KEY else [cause.next_step, next_step]
    return AlertWords(
        headline.format_map(named),
        " ".join(filter(None, (cause.sentence, sentence.format_map(named)))),
        " ".join(filter(None, steps)),
    )


class _Named(dict):
    def __missing__(self, name):
        return "?"


def _cause_of_alert(kind: str, reason: str, facts: dict) -> Advice:
    if kind == "channel_disabled":
        return delivery(reason)
    if kind not in _WITH_CAUSE:
        return Advice("", "")
    found = advise(facts.get("last_error", "")) if reason == "no_success" else None
    return found or health(reason) or Advice("", "")


def delivery(error_type: str) -> Advice:
    """Why a message did not arrive."""
    return _advice(*_DELIVERIES.get(error_type, (N_("The message could not be delivered."), "")))


_RULES = {
    "broken": N_("An account is not synced any more"),
    "dead_man": N_("No sync of an account has succeeded for three intervals"),
    "degraded": N_("Syncing an account has trouble, for longer than (minutes)"),
    "recovered": N_("An account works again"),
    "quarantine": N_("Mails cannot be fetched or read, at least (mails)"),
    "grant_expiring": N_("Background sync ends soon: 7 days and 1 day before"),
    "slow": N_("Syncing an account takes far longer than it should"),
    "job_failed": N_("A fetch that you asked for failed"),
    "scheduler_dead": N_("Nothing is synced by itself any more (goes to whoever runs mailhelper)"),
}


def rule(kind: str) -> str:
    """What a person is asked whether they want to hear of it."""
    return gettext(_RULES[kind])


def outcome_of_test(error_type: str) -> Advice:
    """How the test of a channel went."""
    if error_type:
        return delivery(error_type)
    return _advice(N_("The test was taken."), N_("It should arrive within a few minutes."))
