"""What is known of providers before the first connection."""

import pytest

from accounts.provider_list import PROVIDERS
from accounts.providers import OTHER, preset, provider_named, provider_of, provider_of_address


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("imap.gmail.com", "gmail"),
        ("imap.gmx.net", "gmx"),
        ("imap.gmx.com", "gmx"),
        ("outlook.office365.com", "outlook"),
        ("imap.web.de", "web.de"),
        ("posteo.de", "posteo"),
        ("IMAP.MAIL.ME.COM.", "icloud"),
        ("imap.example.org", OTHER),
        ("notgmx.net", OTHER),
        ("127.0.0.1", OTHER),
    ],
)
def test_a_provider_is_known_by_its_host(host, name):
    assert provider_of(host) == name


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda one: f"{one.name} {one.host}")
def test_each_provider_is_found_by_its_addresses_and_by_its_own_server(provider):
    assert all(provider_of_address(f"anna@{domain}") == provider for domain in provider.domains)
    if provider.host and provider.name != "proton":
        assert provider_of(provider.host) == provider.name
    assert provider.needs.endswith(".") and provider.help_url.startswith("https://")
    assert len(provider.name) <= 32 and provider_named(provider.name)


def test_no_domain_belongs_to_two_providers():
    domains = [domain for one in PROVIDERS for domain in one.domains]
    assert len(domains) == len(set(domains))


def test_the_form_for_a_known_address_is_filled_in():
    assert preset("Anna@GMX.de") == {
        "host": "imap.gmx.net",
        "port": 993,
        "security": "tls",
        "login": "Anna@GMX.de",
    }
    assert preset("anna@icloud.com")["login"] == "anna"


def test_the_server_of_an_unknown_address_is_guessed():
    assert preset("anna@example.org")["host"] == "imap.example.org"


def test_what_no_program_may_fetch_is_said_to_be_out_of_reach():
    assert {one.name for one in PROVIDERS if not one.reachable} == {"outlook", "tuta"}
