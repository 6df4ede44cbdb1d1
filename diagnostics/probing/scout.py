"""Looks at a server over connections of which nothing else is made."""

import ssl
from contextlib import suppress

from diagnostics.probing.line import Line


class Scout(Line):
    """Trusts anybody, and has no way to log in."""

    def peer_says_to_a_hello(self, seconds: float) -> bytes:
        """The first bytes that answer a TLS handshake which sends nothing else."""
        outgoing = ssl.MemoryBIO()
        context = _unverifying()
        hello = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=self._connection.host)
        with self.step(seconds):
            with suppress(ssl.SSLWantReadError):
                hello.do_handshake()
            self._sock.sendall(outgoing.read())
            return self._sock.recv(16)

    def unverified_certificate(self) -> bytes | None:
        """In DER, after a handshake that trusts anybody. The line is of no further use."""
        with self.step():
            self.broken = True
            self._sock = _unverifying().wrap_socket(self._sock, server_hostname=self._connection.host)
            return self._sock.getpeercert(binary_form=True)


def _unverifying() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
