"""All probes in the order in which they are asked, and which of them decide whether a mailbox is passed.

Those that decide are what a sync cannot do without; the others are information.
"""

from dataclasses import replace

from accounts.errors import ErrorType
from accounts.models import Security
from diagnostics.probing import extensions, folders, login, mails, network
from diagnostics.probing.probe import Probe

_UNTIL_LOGIN = (
    Probe("dns", network.dns, 15, decides=True),
    Probe("tcp", network.tcp, 40, decides=True, needs=("dns",)),
    Probe("tls", network.tls, 30, decides=True, needs=("tcp",)),
    Probe("greeting", network.greeting, 30, decides=True, needs=("tcp", "tls")),
    Probe("capability", login.capability, 15, decides=True, needs=("tls", "greeting")),
    Probe("login", login.login, 30, decides=True, needs=("capability",)),
)
_AFTER_LOGIN = (
    Probe("capability_after", login.capability_after, 15, decides=True, needs=("login",)),
    Probe("id", login.identity, 15, needs=("login",)),
    Probe("namespace", login.namespace, 15, needs=("login",)),
    Probe("folder_list", folders.folder_list, 60, decides=True, needs=("login",)),
    Probe("inbox", folders.inbox, 30, decides=True, needs=("login",), refused=ErrorType.MAILBOX_GONE),
    Probe("flags", folders.flags, 90, decides=True, needs=("folder_list",), quiet=True),
    Probe("envelope", mails.envelope, 30, needs=("login",), quiet=True),
    Probe("fetch", mails.fetch, 60, decides=True, needs=("login",), quiet=True),
    Probe("condstore", extensions.condstore, 20, needs=("inbox",), quiet=True),
    Probe("qresync", extensions.qresync, 30, needs=("inbox",), quiet=True),
    Probe("esearch", extensions.esearch, 20, needs=("inbox",), quiet=True),
    Probe("list_status", extensions.list_status, 20, needs=("inbox",)),
    Probe("objectid", extensions.objectid, 20, needs=("inbox",)),
    Probe("idle", extensions.idle, 20, needs=("inbox",)),
    Probe("move", extensions.move, 5, needs=("login",)),
    Probe("sort", extensions.sort, 30, needs=("inbox",), quiet=True),
    Probe("thread", extensions.thread, 30, needs=("inbox",), quiet=True),
    Probe("connections", extensions.connections, 45, needs=("login",)),
    Probe("completeness", mails.completeness, 90, needs=("flags",), quiet=True),
    Probe("utf8", extensions.utf8, 30, needs=("login",)),
    Probe("compress", extensions.compress, 30, needs=("login",)),
)
ALL = (*_UNTIL_LOGIN, *_AFTER_LOGIN)
BY_NAME = {probe.name: probe for probe in ALL}
DECIDING = tuple(probe.name for probe in ALL if probe.decides)


def in_order(security: str) -> tuple[Probe, ...]:
    """With STARTTLS a server greets before it encrypts, so those two change places."""
    if security != Security.STARTTLS:
        return ALL
    swapped = ("dns", "tcp", "greeting", "tls")
    first = {name: BY_NAME[name] for name in swapped}
    first["tls"] = replace(first["tls"], needs=("tcp", "greeting"))
    return (*first.values(), *(probe for probe in ALL if probe.name not in swapped))
