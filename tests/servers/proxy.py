"""A TCP proxy before a server, which delays what passes or drops the connection."""

import socket
import socketserver
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self

CHUNK = 64 * 1024


class Proxy:
    """`delay` is in seconds, per piece and way. After `drop_after` bytes to the client it hangs up."""

    host = "localhost"

    def __init__(self, target_port: int, *, delay: float = 0, drop_after: int | None = None):
        self.target_port, self.delay, self.drop_after = target_port, delay, drop_after
        self._over = threading.Event()

    def __enter__(self) -> Self:
        proxy = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                proxy._connect(self.request)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exception) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()

    def _connect(self, client: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self.target_port)) as server:
            for sock in (client, server):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            said, answered = self._listeners()
            threading.Thread(target=self._pump, args=(client, server, None, said), daemon=True).start()
            self._pump(server, client, self.drop_after, answered)

    def _listeners(self) -> tuple[Callable, Callable]:
        """For one connection: told each piece from the client, and from the server, before it is sent on."""
        return (lambda piece: None), (lambda piece: None)

    def _pump(self, source: socket.socket, sink: socket.socket, drop_after: int | None, listener) -> None:
        passed = 0
        with suppress(OSError):  # one side has gone
            while piece := source.recv(CHUNK):
                self._over.wait(self.delay)
                passed += len(piece)
                if drop_after is not None and passed > drop_after:
                    break
                listener(piece)
                sink.sendall(piece)
        for sock in (source, sink):
            with suppress(OSError):  # it was shut before
                sock.shutdown(socket.SHUT_RDWR)
