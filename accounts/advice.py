"""What a failure means and what to do next, in words for people: the only place with such sentences."""

from dataclasses import dataclass

from accounts.errors import ErrorType


@dataclass(frozen=True)
class Advice:
    sentence: str
    next_step: str


_NOTHING_LOST = "Nothing is lost: what was fetched is stored, the rest waits on the server."
_BY_TYPE = {
    ErrorType.TIMEOUT: (
        "The server took too long to answer.",
        f"Fetch again in a few minutes. {_NOTHING_LOST}",
    ),
    ErrorType.CONNECTION_RESET: (
        "The connection to the server broke off.",
        f"Fetch again. {_NOTHING_LOST}",
    ),
    ErrorType.TEMPORARILY_UNAVAILABLE: (
        "The server says that it is not available at the moment.",
        "Fetch again later; the provider has to end this.",
    ),
    ErrorType.THROTTLED: (
        "The provider asks us to slow down.",
        "Wait an hour before the next fetch; fetching more often makes the wait longer.",
    ),
    ErrorType.TOO_MANY_CONNECTIONS: (
        "The provider allows no further connection to this mailbox.",
        "Close other mail programs that use it, or fetch again in a few minutes.",
    ),
    ErrorType.INVALID_CREDENTIALS: (
        "The server refuses this login and password.",
        "Check both at the provider's web mail (many providers want an app password here), "
        "then enter them again: manage.py add_account … --replace.",
    ),
    ErrorType.AUTH_FAILED: (
        "The server refused the login without saying why.",
        "Check login and password, and whether the provider allows IMAP for this mailbox; "
        "then enter them again: manage.py add_account … --replace.",
    ),
    ErrorType.NEEDS_REAUTH: (
        "The password or permission for this mailbox has expired.",
        "Renew it at the provider, then enter it again: manage.py add_account … --replace.",
    ),
    ErrorType.ACCOUNT_DISABLED: (
        "The provider has closed this mailbox to mail programs.",
        "Sign in at the provider's web mail; it says what has to be done there.",
    ),
    ErrorType.TLS_FAILED: (
        "The server's certificate or encryption could not be trusted, so no password was sent.",
        "Check host, port and security (993 with tls, 143 with starttls). For a server with a certificate of "
        "its own give its CA with --ca-file.",
    ),
    ErrorType.DNS_FAILED: (
        "The server's name was not found.",
        "Check the host's spelling and this machine's internet connection.",
    ),
    ErrorType.CONNECTION_REFUSED: (
        "No mail server answers at this host and port.",
        "Check the port (993 for TLS, 143 for STARTTLS) and whether the server is up.",
    ),
    ErrorType.PROTOCOL_ERROR: (
        "The server gave an answer that is not IMAP as we know it.",
        f"Fetch again; if it stays, report it. {_NOTHING_LOST}",
    ),
    ErrorType.MAILBOX_GONE: (
        "The server lists a folder that it then refuses to open. The other folders were synced.",
        "Check your rights to that folder, or leave it out with --exclude.",
    ),
    ErrorType.BUDGET: (
        "Today's transfer budget of this account is used up.",
        "Fetching goes on tomorrow, by itself where background sync is allowed; "
        "manage.py schedule --budget changes the budget.",
    ),
    ErrorType.BREAKER_OPEN: (
        "Fetches failed in a row, so this account or its mail server rests and is tried now and then.",
        "Fetch this account alone to try at once.",
    ),
    ErrorType.PAUSED: (
        "This account is paused.",
        "Fetch it alone, or end the pause: manage.py schedule … --resume.",
    ),
    ErrorType.QUOTA: ("The mailbox is over its quota.", "Free some space at the provider."),
    ErrorType.DISK_FULL: (
        "This machine's disk is full.",
        f"Free some space, then fetch again. {_NOTHING_LOST}",
    ),
    ErrorType.NO_KEY: (
        "The workers hold no key for this account.",
        "Fetch from a signed-in page, give --user with the password, or allow background sync: "
        "manage.py grants EMAIL --background.",
    ),
    ErrorType.NO_ACCOUNTS: ("There is no account to fetch.", "Add one: manage.py add_account --help."),
    ErrorType.WORKER_LOST: (
        "The worker that fetched this mailbox vanished.",
        f"Fetch again; it goes on where it stopped. {_NOTHING_LOST}",
    ),
    ErrorType.BUG: (
        "mailhelper itself made a mistake.",
        f"Please report it with its type and place. {_NOTHING_LOST}",
    ),
}
_UNKNOWN = ("Something failed that mailhelper has no name for.", f"Fetch again. {_NOTHING_LOST}")

_BY_REASON = {
    "web_login": (
        "The provider wants you to sign in once in a web browser before mail programs may go on.",
        "Sign in at the provider's web mail, confirm what it asks, then fetch again.",
    ),
    "app_password": (
        "The provider takes no ordinary password from mail programs.",
        "Make an app password at the provider and enter it: manage.py add_account … --replace.",
    ),
    "oauth2_only": (
        "The provider takes only OAuth2 from mail programs, no passwords; mailhelper does not speak it yet.",
        "This mailbox cannot be fetched until mailhelper supports OAuth2.",
    ),
    "imap_off": (
        "IMAP is switched off for this mailbox.",
        "Switch it on in the provider's web mail, under settings for mail programs; then fetch again.",
    ),
    "uidvalidity_changed": (
        "A folder was made anew on the server while it was being fetched. The other folders were synced.",
        f"Fetch again. {_NOTHING_LOST}",
    ),
    "not_listed": (
        "The server does not list this folder.",
        "Sync the whole account: it shows what the server has now.",
    ),
    "no_mail_given": (
        "The server counts mails but gives none of them.",
        f"Fetch again later; if it stays, ask the provider. {_NOTHING_LOST}",
    ),
    "unreachable": (
        "There is no way to the server from this machine.",
        "Check this machine's internet connection; then fetch again.",
    ),
    "seal_broken": (
        "A sealed value of this account does not open: it was changed or moved.",
        "Restore the database from a backup, or enter the account again with --replace.",
    ),
    "worker_key": (
        "This machine's worker key is not the one that this account's grant is sealed to.",
        "Bring its file back, or run manage.py rotate_worker_key and give the grant anew.",
    ),
}

OTHER_WORKER_KEY = (
    "Note: workers on this machine cannot use grants, for its worker key is not the one they are sealed to. "
    "If it was lost, run manage.py rotate_worker_key and give the grants again."
)
NO_WORKER = Advice(
    "No worker is working on this.",
    "If none is running, start one on the machine that runs mailhelper: manage.py run_huey.",
)

_FINDINGS = {
    "folder_missing": (
        "{folder} is not listed by the server any more.",
        "Nothing was taken away here. If the next sync does not find it either, it counts as gone from the "
        "server; its stored mail stays.",
    ),
    "folder_emptied": (
        "All mails of {folder} ({mails}) are gone from the server at once.",
        "Nothing is believed before the next sync sees the same; stored mail stays in any case.",
    ),
    "mails_replaced": (
        "All mails of {folder} ({mails}) are gone from the server, and others are there.",
        "Two looks saw the same. The stored ones stay stored.",
    ),
    "uidvalidity_changed": (
        "The server has numbered the mails of {folder} anew.",
        "Those that are known are linked again, the others fetched. Nothing has to be done.",
    ),
    "modseq_went_down": (
        "The server's count of changes in {folder} went back.",
        "All its mails were compared instead. Nothing has to be done.",
    ),
    "no_modseq": (
        "The server keeps no count of changes in {folder}.",
        "So its flags are read as a whole in each sync. Nothing has to be done.",
    ),
    "counts_differ": (
        "What the server tells of changes in {folder} does not fit its count of mails.",
        "All its mails are compared instead. Nothing has to be done.",
    ),
}


def finding(kind: str, facts: dict, folder: str = "") -> Advice:
    """What a sync met; `folder` is its name where it may be shown."""
    words = {"mails": "", **facts, "folder": f"the folder {folder}" if folder else "a folder"}
    sentence, next_step = _FINDINGS[kind]
    sentence = sentence.format(**words)
    return Advice(sentence[0].upper() + sentence[1:], next_step)


def unexplained(count: int) -> Advice:
    return Advice(
        f"The server's count and the ledger differ by {abs(count)}.", "Fetch again; if it stays, report it."
    )


def advise(error_type: str, facts: dict | None = None, phase: str = "") -> Advice | None:
    """The sentence and the next step for an error_type; None when there is no error."""
    if not error_type:
        return None
    sentence, next_step = _BY_TYPE.get(error_type, _UNKNOWN)
    facts = facts or {}
    if error_type == ErrorType.TIMEOUT and phase == "connect":
        next_step = (
            "Check host, port and security (993 with tls, 143 with starttls); if right, fetch again later."
        )
    if facts.get("own_limit"):
        sentence = "The time given to this fetch was over before a mail was stored."
        next_step = f"Fetch again and give it more time. {_NOTHING_LOST}"
    if error_type == ErrorType.BUG and "exception" in facts:
        sentence = f"mailhelper itself made a mistake: {facts['exception']} at {facts.get('where', '?')}."
    if cause := advise(facts.get("cause", "")):
        return Advice(f"{cause.sentence} {sentence}", f"{cause.next_step} {next_step}")
    sentence, next_step = _BY_REASON.get(facts.get("reason"), (sentence, next_step))
    return Advice(sentence, next_step)
