"""What is known about providers before the first connection."""

from accounts.models import Security
from accounts.provider_list import PROVIDERS, Provider

OTHER = "other"


def provider_of(host: str) -> str:
    """The provider's name by the host's domain, or `other`."""
    name = "." + host.lower().rstrip(".")
    return next((one.name for one in PROVIDERS if _serves(one, name)), OTHER)


def _serves(provider: Provider, name: str) -> bool:
    return any(name.endswith("." + domain) for domain in (*provider.host_domains, *provider.domains))


def provider_of_address(address: str) -> Provider | None:
    """By what stands after the @; None for one that is not known."""
    domain = _domain(address)
    return next((one for one in PROVIDERS if domain in one.domains), None)


def preset(address: str) -> dict:
    """What a form for this address begins with; the server of an unknown one is guessed."""
    known = provider_of_address(address)
    if known is None:
        return {"host": f"imap.{_domain(address)}", "port": 993, "security": Security.TLS, "login": address}
    login = address.partition("@")[0] if known.login_is_name else address
    return {"host": known.host, "port": known.port, "security": known.security, "login": login}


def provider_named(name: str) -> Provider | None:
    return next((one for one in PROVIDERS if one.name == name), None)


def _domain(address: str) -> str:
    return address.rpartition("@")[2].strip().lower().rstrip(".")


def daily_budget_of(provider: str) -> int | None:
    """Bytes that may be read in a day before the provider locks the mailbox; None where no limit is known."""
    return 2_500_000_000 if provider == "gmail" else None  # support.google.com/a/answer/1071518
