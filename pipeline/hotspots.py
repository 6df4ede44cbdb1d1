"""Where the time of a profile went: by function and by what the function belongs to. Pure.

A profile is what pstats holds: {(file, line, name): (calls, all calls, own, cumulative, callers)}.
"""

import re
import sysconfig
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

Place = tuple[str, int, str]
Profile = Mapping[Place, tuple]

BUILTIN = "~"
OTHER = "other"
# The first that is found in a function's name. Reading from a TLS socket waits and decrypts in one call.
GROUPS = {
    "network": r"_socket\.|^socket:|^select|'(read|write)' of '_ssl|_thread\.lock",
    "tls": r"_ssl\.|^ssl:",
    "sealing": r"cryptography|_hashlib|^hmac:|^hashlib:|^accounts\.vault:|^mail\.sealer:",
    "zstd": r"zstandard",
    "database": r"^django\.db\.|sqlite3|psycopg2|^django\.utils\.timezone:",
    "parsing": r"fast_mail_parser|^email\.|^html\.|^mail\.(parse|mime|headers|html|leaf):",
    "imap": r"^imapclient\.|^imaplib:|^mail\.(imap\w*|wire|fetch|uid_set):",
}
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_GROUPS = {name: re.compile(pattern) for name, pattern in GROUPS.items()}
_ROOT = Path(__file__).resolve().parent.parent
_LIBRARY = Path(sysconfig.get_path("stdlib"))


@dataclass(frozen=True)
class Hotspot:
    """Seconds in the function itself, and with all that it called."""

    function: str
    calls: int
    own_seconds: float
    cumulative_seconds: float


def hotspots(profile: Profile) -> list[Hotspot]:
    return [
        Hotspot(name_of(place), calls, own, cumulative)
        for place, (_, calls, own, cumulative, _) in profile.items()
    ]


def seconds_by_group(profile: Profile) -> dict[str, float]:
    """Own seconds, the most first. What Python has built in counts for the group that called it."""
    seconds: Counter = Counter()
    for place, (_, _, own, _, callers) in profile.items():
        group = group_of(name_of(place))
        if group == OTHER and place[0] == BUILTIN and callers:
            for caller, (_, _, of_caller, _) in callers.items():
                seconds[group_of(name_of(caller))] += of_caller
        else:
            seconds[group] += own
    return dict(seconds.most_common())


def group_of(name: str) -> str:
    return next((group for group, pattern in _GROUPS.items() if pattern.search(name)), OTHER)


def name_of(place: Place) -> str:
    """As mail.parse:parse_message; what has no module of its own by its name alone."""
    file, _, function = place
    if file == BUILTIN:
        return _ADDRESS.sub("", function.strip("<>").removeprefix("built-in method "))
    return f"{_module(Path(file))}:{function}"


def _module(file: Path) -> str:
    if "site-packages" in file.parts:
        parts = file.parts[file.parts.index("site-packages") + 1 :]
    else:
        root = next((root for root in (_ROOT, _LIBRARY) if file.is_relative_to(root)), file.parent)
        parts = file.relative_to(root).parts
    return ".".join(parts).removesuffix(".py").removesuffix(".__init__")
