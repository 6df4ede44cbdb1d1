"""HTTP to addresses that people give: never into this machine's own network (mail/private_hosts.py).

The address is checked where it is connected to, so that a name that leads elsewhere meanwhile does not help.
"""

import socket

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from mail.deadline import resolve
from mail.imap_client import connected


def session() -> requests.Session:
    """With no password of ~/.netrc, and through no proxy, which would choose the address itself."""
    made = requests.Session()
    made.trust_env = False
    for scheme in ("http://", "https://"):
        made.mount(scheme, _Adapter())
    return made


class _Dialling:
    def _new_conn(self) -> socket.socket:
        addresses = resolve(self.host, self.port, self.timeout)
        for position, (family, kind, protocol, _, address) in enumerate(addresses, 1):
            try:
                return connected(family, kind, protocol, address, self.timeout)
            except OSError:
                if position == len(addresses):
                    raise


class _Connection(_Dialling, HTTPConnection):
    pass


class _TlsConnection(_Dialling, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args, **kwargs):
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
