"""What is known about providers before the first connection."""

_PROVIDERS = {
    "gmail": ("gmail.com", "googlemail.com"),
    "gmx": ("gmx.net", "gmx.de", "gmx.com"),
    "outlook": ("outlook.com", "office365.com", "hotmail.com"),
    "web.de": ("web.de",),
    "posteo": ("posteo.de",),
}


def provider_of(host: str) -> str:
    """The provider's name by the host's domain, or `other`."""
    name = "." + host.lower().rstrip(".")
    for provider, domains in _PROVIDERS.items():
        if any(name.endswith("." + domain) for domain in domains):
            return provider
    return "other"


def daily_budget_of(provider: str) -> int | None:
    """Bytes that may be read in a day before the provider locks the mailbox; None where no limit is known."""
    return 2_500_000_000 if provider == "gmail" else None  # support.google.com/a/answer/1071518
