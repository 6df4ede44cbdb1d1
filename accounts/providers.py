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
