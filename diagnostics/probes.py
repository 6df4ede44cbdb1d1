"""All probes in the order in which they are asked, and which of them decide whether a mailbox is passed.

Those that decide are what a sync cannot do without; the others are information.
"""

from accounts.errors import ErrorType
from accounts.models import Security
from diagnostics import probes_extensions, probes_folders, probes_login, probes_mail, probes_network
from diagnostics.probe import Probe

_UNTIL_LOGIN = (
    Probe("dns", probes_network.dns, 15, decides=True),
    Probe("tcp", probes_network.tcp, 40, decides=True, needs=("dns",)),
    Probe("tls", probes_network.tls, 30, decides=True, needs=("tcp",)),
    Probe("greeting", probes_network.greeting, 30, decides=True, needs=("tcp", "tls")),
    Probe("capability", probes_login.capability, 15, decides=True, needs=("tls", "greeting")),
    Probe("login", probes_login.login, 30, decides=True, needs=("capability",)),
)
_AFTER_LOGIN = (
    Probe("capability_after", probes_login.capability_after, 15, decides=True, needs=("login",)),
    Probe("id", probes_login.identity, 15, needs=("login",)),
    Probe("namespace", probes_login.namespace, 15, needs=("login",)),
    Probe("folder_list", probes_folders.folder_list, 60, decides=True, needs=("login",)),
    Probe("inbox", probes_folders.inbox, 30, decides=True, needs=("login",), refused=ErrorType.MAILBOX_GONE),
    Probe("flags", probes_folders.flags, 90, decides=True, needs=("folder_list",), quiet=True),
    Probe("envelope", probes_mail.envelope, 30, needs=("login",), quiet=True),
    Probe("fetch", probes_mail.fetch, 60, decides=True, needs=("login",), quiet=True),
    Probe("condstore", probes_extensions.condstore, 20, needs=("inbox",), quiet=True),
    Probe("qresync", probes_extensions.qresync, 30, needs=("inbox",), quiet=True),
    Probe("esearch", probes_extensions.esearch, 20, needs=("inbox",), quiet=True),
    Probe("list_status", probes_extensions.list_status, 20, needs=("inbox",)),
    Probe("objectid", probes_extensions.objectid, 20, needs=("inbox",)),
    Probe("idle", probes_extensions.idle, 20, needs=("inbox",)),
    Probe("move", probes_extensions.move, 5, needs=("login",)),
    Probe("sort", probes_extensions.sort, 30, needs=("inbox",), quiet=True),
    Probe("thread", probes_extensions.thread, 30, needs=("inbox",), quiet=True),
    Probe("connections", probes_extensions.connections, 45, needs=("login",)),
    Probe("completeness", probes_mail.completeness, 90, needs=("flags",), quiet=True),
    Probe("utf8", probes_extensions.utf8, 30, needs=("login",)),
    Probe("compress", probes_extensions.compress, 30, needs=("login",)),
)
ALL = (*_UNTIL_LOGIN, *_AFTER_LOGIN)
BY_NAME = {probe.name: probe for probe in ALL}
DECIDING = tuple(probe.name for probe in ALL if probe.decides)


def in_order(security: str) -> tuple[Probe, ...]:
    """With STARTTLS a server greets before it encrypts, so those two change places."""
    if security != Security.STARTTLS:
        return ALL
    swapped = ("dns", "tcp", "greeting", "tls")
    return (*(BY_NAME[name] for name in swapped), *(probe for probe in ALL if probe.name not in swapped))
