"""A proxy that measures what a client asks of a server: round trips, bytes and, without TLS, its commands."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from .proxy import Proxy


@dataclass(frozen=True)
class Figures:
    round_trips: int
    bytes_in: int  # from the server
    bytes_out: int


class Meter(Proxy):
    """Counts since reset(), over all connections. A round trip begins when a client speaks after its server
    did; what it sends without waiting for an answer belongs to the same one.
    """

    def __init__(self, target_port: int, **options):
        super().__init__(target_port, **options)
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        with self._lock:
            self._round_trips = self._bytes_in = self._bytes_out = 0
            self._commands: list[bytes] = []

    @property
    def figures(self) -> Figures:
        with self._lock:
            return Figures(self._round_trips, self._bytes_in, self._bytes_out)

    @property
    def commands(self) -> list[bytes]:
        """The client's lines, without their ends; the lines of literals are among them."""
        with self._lock:
            return list(self._commands)

    def _listeners(self) -> tuple[Callable, Callable]:
        servers_turn, rest = True, b""

        def said(piece: bytes) -> None:
            nonlocal servers_turn, rest
            with self._lock:
                self._round_trips += servers_turn
                servers_turn = False
                self._bytes_out += len(piece)
                *lines, rest = (rest + piece).split(b"\r\n")
                self._commands += lines

        def answered(piece: bytes) -> None:
            nonlocal servers_turn
            with self._lock:
                servers_turn = True
                self._bytes_in += len(piece)

        return said, answered
