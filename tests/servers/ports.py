"""Free TCP ports for the servers the tests start."""

import random
import socket

# Below 32768, where Linux begins to hand out ports to outgoing connections: a server that is down for a
# moment finds its port still free, and a client that polls it cannot connect to itself.
LOWEST, HIGHEST = 20000, 32000

_random = random.SystemRandom()
_given: set[int] = set()


def free_port() -> int:
    for _ in range(1000):
        port = _random.randrange(LOWEST, HIGHEST)
        if port not in _given and _can_bind(port):
            _given.add(port)
            return port
    raise RuntimeError(f"no free port between {LOWEST} and {HIGHEST}")


def _can_bind(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
