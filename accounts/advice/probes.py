"""What the probes of the diagnostics are called, and what their failures mean."""

from django.utils.formats import localize
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as N_

from accounts.advice.errors import BY_REASON, advise
from accounts.advice.words import NOTHING_LOST, Advice, told
from accounts.errors import ErrorType

_BY_PROBE = {
    ("dns", ErrorType.DNS_FAILED): (
        N_("The server's name was not found."),
        N_(
            "Check the host's spelling (mostly imap.… and the provider's name) and this machine's internet "
            "connection."
        ),
    ),
    ("dns", ErrorType.TIMEOUT): (
        N_("Nobody could say where the server is: the name servers do not answer."),
        N_("Check this machine's internet connection and its DNS settings."),
    ),
    ("tcp", ErrorType.CONNECTION_REFUSED): (
        N_("The server is there, but nothing answers at this port."),
        N_(
            "If it worked before, the server is down: wait until it is back. Else check the "
            "port (993 for TLS, 143 for STARTTLS) and whether a firewall closes it."
        ),
    ),
    ("tcp", ErrorType.TIMEOUT): (
        N_("The server does not answer at this port."),
        N_("Check host and port; a firewall between here and there may drop what is sent."),
    ),
    ("tls", ErrorType.TIMEOUT): (
        N_("The server takes the connection, but no encryption comes about."),
        N_("Check port and security (993 with TLS, 143 with STARTTLS); if they are right, try again later."),
    ),
    ("greeting", ErrorType.TIMEOUT): (
        N_("The server takes the connection and then says nothing."),
        N_("Check port and security (993 with TLS, 143 with STARTTLS); if they are right, try again later."),
    ),
    ("greeting", ErrorType.CONNECTION_RESET): (
        N_("The server hangs up before it says a word."),
        N_("Try again in some minutes; it may be busy, or this machine's address may be blocked there."),
    ),
    ("login", ErrorType.TIMEOUT): (
        N_("The server does not answer to login and password."),
        N_("Try again later; this says nothing of whether the password is right."),
    ),
    ("login", ErrorType.CONNECTION_RESET): (
        N_("The server hangs up during the login."),
        N_("Try again later; this says nothing of whether the password is right."),
    ),
    ("folder_list", ErrorType.PROTOCOL_ERROR): (
        N_("The server does not list its folders."),
        N_("Try again later; if it stays, ask the provider."),
        NOTHING_LOST,
    ),
    ("inbox", ErrorType.MAILBOX_GONE): (
        N_("The INBOX is missing, or this login may not open it."),
        N_("Check at the provider's web mail that this login is that of a mailbox and sees its INBOX."),
    ),
    ("flags", ErrorType.MAILBOX_GONE): (
        N_("The server lists a folder that it then refuses to open, or hangs up at it."),
        N_(
            "Check your rights to that folder, or leave it out in the account's settings (or with --exclude)."
        ),
    ),
    ("flags", ErrorType.PROTOCOL_ERROR): (
        N_("The server does not number the mails of a folder as IMAP asks."),
        N_(
            "That folder cannot be synced safely; ask the provider, or leave it out in the account's "
            "settings."
        ),
    ),
    ("fetch", ErrorType.UNFETCHABLE): (
        N_("The server does not give a mail that it counts."),
        N_(
            "Open that mail at the provider's web mail; if it does not open there either, only the "
            "provider can "
            "mend it."
        ),
    ),
}
_BESIDE_A_SYNC = (
    N_("The provider allows no further connection to this mailbox, and a sync of it is using one."),
    N_("Examine it again when the sync has ended."),
)
_OF_EXTENSION = (
    N_("The server names an extension that does not work."),
    N_("Nothing has to be done: mailhelper asks in another way."),
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


_PROBES = {
    "dns": N_("Name of the server"),
    "tcp": N_("Way to the server"),
    "tls": N_("Encryption and certificate"),
    "greeting": N_("Greeting"),
    "capability": N_("Capabilities before the login"),
    "login": N_("Login"),
    "capability_after": N_("Capabilities after the login"),
    "id": N_("What the server is"),
    "namespace": N_("Namespaces"),
    "folder_list": N_("List of folders"),
    "inbox": N_("INBOX, for reading only"),
    "flags": N_("Each folder, its numbers and flags"),
    "envelope": N_("Senders and subjects of the last mails"),
    "fetch": N_("A whole mail"),
    "condstore": N_("Changes since a moment (CONDSTORE)"),
    "qresync": N_("What went since a moment (QRESYNC)"),
    "esearch": N_("Short search answers (ESEARCH)"),
    "list_status": N_("List with figures (LIST-STATUS)"),
    "objectid": N_("Ids of mails (OBJECTID)"),
    "idle": N_("News at once (IDLE)"),
    "move": N_("Moving (MOVE)"),
    "sort": N_("Sorting (SORT)"),
    "thread": N_("Conversations (THREAD)"),
    "connections": N_("Connections at a time"),
    "completeness": N_("The server's mails against the ledger"),
    "utf8": N_("Names in UTF-8 (UTF8=ACCEPT)"),
    "compress": N_("Compression (COMPRESS)"),
}
_VERDICTS = {
    "ok": N_("ok"),
    "warning": N_("warning"),
    "failed": N_("failed"),
    "not_offered": N_("not offered"),
    "skipped": N_("skipped"),
}
_SKIPPED = {
    "security_none": N_("no encryption is set"),
    "no_mail": N_("there is no mail to try it on"),
    "not_asked": N_("not asked for"),
    "never_synced": N_("nothing was synced yet"),
    "time": N_("the time was over"),
    "lost": N_("the server cannot be reached any more"),
}
# What the figures of a probe are called.
_FACTS = {
    "a": N_("IPv4 addresses"),
    "aaaa": N_("IPv6 addresses"),
    "addresses": N_("addresses"),
    "open": N_("answering"),
    "version": N_("version"),
    "chain": N_("chain"),
    "name": N_("name"),
    "days_left": N_("days left"),
    "speaks": N_("it speaks"),
    "others": N_("unknown capabilities"),
    "gained": N_("capabilities gained"),
    "fields": N_("fields"),
    "namespaces": N_("namespaces"),
    "folders": N_("folders"),
    "not_selectable": N_("without mail"),
    "subscribed": N_("subscribed"),
    "special_use": N_("marked by their use"),
    "left_out": N_("left out"),
    "odd_names": N_("odd names"),
    "mails": N_("mails"),
    "opened": N_("opened"),
    "refused": N_("refused"),
    "refused_synced": N_("of them synced"),
    "not_looked_at": N_("not looked at"),
    "no_exists": N_("without a count"),
    "no_uidvalidity": N_("without UIDVALIDITY"),
    "no_uidnext": N_("without UIDNEXT"),
    "no_flags": N_("mails without flags"),
    "renumbered": N_("numbered anew"),
    "bytes": N_("bytes"),
    "announced": N_("announced bytes"),
    "empty": N_("empty"),
    "criteria": N_("criteria"),
    "algorithms": N_("algorithms"),
    "allowed": N_("allowed"),
    "both": N_("in both"),
    "only_server": N_("only on the server"),
    "only_here": N_("only here"),
    "never_synced": N_("folders never synced"),
    "missing": N_("missing"),
    "exception": N_("error"),
    "where": N_("at"),
    "capabilities": N_("capabilities"),
    "error_type": N_("kind of error"),
}
# Folders in trouble, by the kind of it.
_FOLDERS = {
    "refusing": N_("Folders that do not open: {folders}"),
    "unnumbered": N_("Folders without the numbers that IMAP asks for: {folders}"),
    "differing": N_("Folders that differ: {folders}"),
}
# Figures that are words.
_VALUES = {
    "verified": N_("verified"),
    "matches": N_("matches"),
    "something": N_("something"),
}


def probe_advice(name: str, error_type: str, facts: dict | None = None, phase: str = "") -> Advice | None:
    """The cause and the cure where a probe failed or warned; None where neither is needed."""
    facts = facts or {}
    if facts.get("syncing"):
        return told(*_BESIDE_A_SYNC)
    if not error_type:
        warned = facts.get("reason")
        return told(*BY_REASON[warned]) if warned in BY_REASON else None
    if facts.get("reason") not in BY_REASON and not facts.get("cause"):
        if name in _EXTENSIONS and error_type == ErrorType.PROTOCOL_ERROR:
            return told(*_OF_EXTENSION)
        if (name, error_type) in _BY_PROBE:
            return told(*_BY_PROBE[name, error_type])
    return advise(error_type, facts, phase)


def probe_label(name: str) -> str:
    return gettext(_PROBES[name]) if name in _PROBES else name


def verdict_word(verdict: str) -> str:
    return gettext(_VERDICTS[verdict])


def fact_label(name: str) -> str | None:
    """What a figure of a probe is called; None for one that is not for people."""
    return gettext(_FACTS[name]) if name in _FACTS else None


def fact_value(value) -> str:
    """A figure as it is written in the language that is active."""
    is_word = isinstance(value, str) and value in _VALUES
    return gettext(_VALUES[value]) if is_word else str(localize(value))


def folders(kind: str, shown: list[str]) -> str:
    return gettext(_FOLDERS[kind]).format(folders=", ".join(shown))


def folder(name: str) -> str:
    return gettext("“{name}”").format(name=name)


def folder_at(place: int) -> str:
    """One that has no name here."""
    return gettext("number {place} in alphabetical order, INBOX first").format(place=place)


def why_skipped(because: str) -> str:
    if because in _SKIPPED:
        return gettext(_SKIPPED[because])
    return gettext("after “{probe}” it would tell nothing").format(probe=probe_label(because))


def change(probe: str, what: str, before, after) -> str:
    """One thing that differs between two reports."""
    label = probe_label(probe)
    if what == "capabilities":
        parts = [(gettext("lost"), before), (gettext("new"), after)]
        return f"{label}: " + "; ".join(f"{word}: {' '.join(names)}" for word, names in parts if names)
    if what == "verdict":
        shown = verdict_word(after), verdict_word(before)
    else:
        label = f"{label}, {fact_label(what)}"
        shown = _or_dash(after), _or_dash(before)
    return gettext("{label}: {now} (before: {before})").format(label=label, now=shown[0], before=shown[1])


def _or_dash(value) -> str:
    return "–" if value in ("", None) else fact_value(value)
