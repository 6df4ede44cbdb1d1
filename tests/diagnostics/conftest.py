"""What the tests of diagnostics share: an examination of an account, and servers that are in trouble."""

import socketserver
import threading
from contextlib import contextmanager

import pytest

from accounts import actions
from diagnostics.probing.ladder import examine
from tests.pipeline.conftest import clock, dovecot_without, granted, rings, scripted  # noqa: F401
from tests.servers.dovecot import Dovecot


@pytest.fixture
def examined(anna):
    """Ask all probes: examined(account, connections=True) gives the Examination."""

    def examined(account, **options):
        key = actions.account_key(account, anna.user_key)
        return examine(actions.connection_of(account, key), account, key, **options)

    return examined


@pytest.fixture(scope="session")
def healthy_dovecot(tmp_path_factory, authority):
    """Of which folders may have limits, and which compresses."""
    settings = """
mail_plugins = $mail_plugins zlib acl
protocol imap {
  mail_plugins = $mail_plugins imap_zlib imap_acl
}
plugin {
  acl = vfile
}
"""
    with Dovecot(tmp_path_factory.mktemp("healthy"), authority, settings=settings) as server:
        yield server


@contextmanager
def saying(first: bytes, then: bytes = b"", hold: bool = False):
    """A server that is no mail server: it says one thing at once, and another when it is spoken to."""
    over = threading.Event()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.sendall(first)
            if self.request.recv(4096):
                self.request.sendall(then)
                over.wait(30 if hold else 0)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            over.set()
            server.shutdown()


FOLDER_RIGHTS = "owner l\n"  # listed, and no more
