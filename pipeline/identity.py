"""Which process this is, and whether another one of this machine has died."""

import os
import socket
from functools import cache
from pathlib import Path


def this_process() -> str:
    """Boot, PID namespace and PID, by which another process of this machine sees whether we still live."""
    return f"{_machine()}:{os.getpid()}"


@cache
def _machine() -> str:
    """Names may be the same on two machines, and so may namespaces; the id of a boot is not."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    if not boot.exists():
        return socket.gethostname()
    return f"{boot.read_text().strip()}:{os.readlink('/proc/self/ns/pid')}"


def has_died(owner: str) -> bool:
    """Only what is certain: same machine, same PID namespace, and no such process."""
    machine, _, pid = owner.rpartition(":")
    if machine != _machine() or "[" not in machine:
        return False
    try:
        os.kill(int(pid), 0)  # sends nothing, and unlike /proc sees the processes of others
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it lives, and is another user's
    return False
