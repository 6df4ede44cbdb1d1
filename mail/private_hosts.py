"""Which addresses a mail server may have: people name it, and this machine's own network is not theirs."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from django.conf import settings

from accounts.errors import ErrorType, SyncError

# Special by the registries of IANA, and global for the `ipaddress` of some Pythons that we run on. The last
# one carried IPv4 addresses once (RFC 4291 section 2.5.5.1).
_ALSO_SPECIAL = tuple(
    map(ip_network, ("192.0.0.0/24", "fec0::/10", "64:ff9b:1::/48", "3fff::/20", "5f00::/16", "::/96"))
)
_TRANSLATED = IPv6Network("64:ff9b::/96")  # NAT64 (RFC 6052): the last 32 bits are an IPv4 address


def refuse_private(address: str) -> None:
    """Raises SyncError private_host, unless the operator allows it. `address` is numeric, not a name."""
    if not settings.MAILHELPER_ALLOW_PRIVATE_HOSTS and not is_public(address):
        raise SyncError(ErrorType.PRIVATE_HOST)


def is_public(address: str) -> bool:
    """Whether it can be somebody's mail server on the internet. Pure."""
    ip = _carried(ip_address(address.partition("%")[0]))
    special = ip.is_multicast or any(ip in network for network in _ALSO_SPECIAL)
    return ip.is_global and not special


def _carried(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that packets to this IPv6 address end at, where there is one."""
    if ip.version == 4:
        return ip
    translated = IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _TRANSLATED else None
    return ip.ipv4_mapped or ip.sixtofour or translated or ip
