"""A healthy mailbox passes; ten that are broken in ten ways are each told their cause and their cure."""

import pytest

from accounts.advice import probe_advice
from diagnostics.probing import network, probes
from tests.conftest import Mailbox
from tests.diagnostics.conftest import saying
from tests.pipeline.test_sync import mail
from tests.servers.certificates import make_ca
from tests.servers.dovecot import Dovecot
from tests.servers.ports import free_port

pytestmark = pytest.mark.django_db


def told(examination):
    """The first probe that failed, with its cause and cure."""
    failed = next(result for result in examination.results if result.verdict == "failed")
    advice = probe_advice(failed.name, failed.error_type, failed.facts)
    return failed.name, advice.sentence, advice.next_step


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_a_healthy_mailbox_passes_with_a_time_per_probe(security, healthy_dovecot, connect, examined, sync):
    box = Mailbox(healthy_dovecot)
    box.append(mail("one"))
    account = connect(box, security=security)
    sync(account)
    examination = examined(account, connections=True)
    assert examination.passed
    assert {result.name for result in examination.results} == set(probes.BY_NAME)
    assert {result.name for result in examination.results if result.verdict != "ok"} == {"objectid", "utf8"}
    assert all(0 <= result.seconds < 10 for result in examination.results)
    assert sum(result.seconds for result in examination.results) <= examination.seconds


def other_name(box, connect, authority, tmp_path):
    certificate, key = authority.issue("other", host="elsewhere.example")
    return certificate, key


def a_dovecot(tmp_path, authority, **trouble):
    certificate, key = authority.issue("odd", **trouble)
    return Dovecot(tmp_path, authority, settings=f"ssl_cert = <{certificate}\nssl_key = <{key}")


def test_the_name_is_not_found(mailbox, connect, examined):
    assert told(examined(connect(mailbox, host="no-such-host.invalid"))) == (
        "dns",
        "The server's name was not found.",
        "Check the host's spelling (mostly imap.… and the provider's name) and this machine's internet "
        "connection.",
    )


def test_nothing_listens_at_the_port(mailbox, connect, examined):
    assert told(examined(connect(mailbox, port=free_port()))) == (
        "tcp",
        "The server is there, but nothing answers at this port.",
        "If it worked before, the server is down: wait until it is back. Else check the "
        "port (993 for TLS, 143 for STARTTLS) and whether a firewall closes it.",
    )


def test_the_certificate_has_expired(authority, tmp_path, connect, examined):
    with a_dovecot(tmp_path, authority, expired=True) as server:
        examination = examined(connect(Mailbox(server)))
    assert told(examination) == (
        "tls",
        "The server's certificate has expired, so no password was sent.",
        "Ask the provider to renew it, or renew it if the server is yours. Nothing has to be changed here.",
    )
    assert examination.of("tls").facts["days_left"] == -2


def test_the_certificate_is_for_another_name(authority, tmp_path, connect, examined):
    with a_dovecot(tmp_path, authority, host="elsewhere.example") as server:
        assert told(examined(connect(Mailbox(server)))) == (
            "tls",
            "The server's certificate is made out for another name, so no password was sent.",
            "Enter the host exactly as the provider writes it in its instructions for mail programs: "
            "in the account's settings, or manage.py add_account … --replace.",
        )


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_the_certificate_is_of_an_authority_that_nobody_knows(security, mailbox, connect, examined, tmp_path):
    stranger = make_ca(tmp_path, name="stranger").ca_file.read_text()
    examination = examined(connect(mailbox, security=security, ca_pem=stranger))
    assert told(examination) == (
        "tls",
        "The server's certificate comes from an authority that this machine does not know, so no password "
        "was sent.",
        "If the server is yours, give its authority's certificate in the account's settings (or with "
        "--ca-file); if not, check the host's spelling, and whether a virus scanner or proxy "
        "looks into the connection.",
    )
    assert examination.of("tls").facts["days_left"] == 89


def test_tls_is_chosen_for_a_port_that_begins_in_clear(mailbox, connect, examined):
    assert told(examined(connect(mailbox, port=mailbox.server.imap_port))) == (
        "tls",
        "This port does not speak TLS from the start, so no password was sent.",
        "Use STARTTLS as security with this port (mostly 143), or port 993 with TLS.",
    )


def test_starttls_is_chosen_for_a_port_that_speaks_tls(mailbox, connect, examined, monkeypatch):
    monkeypatch.setattr(network, "SILENCE_BEFORE_GREETING", 0.3)
    account = connect(mailbox, security="starttls", port=mailbox.server.imaps_port)
    assert told(examined(account)) == (
        "greeting",
        "This port speaks TLS from the start, but another kind of security is set.",
        "Use TLS as security with this port (mostly 993), or port 143 with STARTTLS.",
    )


def test_starttls_is_taken_away_on_the_way(scripted, connect, examined):
    assert told(examined(connect(Mailbox(scripted), security="starttls"))) == (
        "tls",
        "The server offers no encryption (STARTTLS) at this port, so no password was sent.",
        "Use port 993 with TLS. If the provider promises STARTTLS here, something between you and "
        "the server takes it away.",
    )
    assert not [line for line in scripted.commands if b"LOGIN" in line or b"AUTHENTICATE" in line]


@pytest.mark.parametrize(
    ("first", "speaks"), [(b"+OK POP3 ready\r\n", "pop3"), (b"220 mx ESMTP\r\n", "smtp"), (b"", "http")]
)
@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_what_answers_is_no_imap_server(first, speaks, security, mailbox, connect, examined, monkeypatch):
    monkeypatch.setattr(network, "SILENCE_BEFORE_GREETING", 0.3)
    with saying(first, b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        examination = examined(connect(mailbox, security=security, port=port))
    assert told(examination) == (
        "tls" if security == "tls" else "greeting",
        "What answers at this port is not an IMAP server.",
        "Check host and port: IMAP is at 993 with TLS, or at 143 with STARTTLS.",
    )
    assert examination.results[2].facts["speaks"] == speaks


def test_the_greeting_is_a_farewell(scripted, connect, examined):
    scripted.greeting = b"* BYE too busy"
    assert told(examined(connect(Mailbox(scripted), security="none"))) == (
        "greeting",
        "The server ends the connection with its greeting: it is busy, or does not want this machine.",
        "Try again in some minutes; if it stays, ask the provider whether this machine's address is blocked.",
    )


def test_passwords_are_not_taken_over_this_connection(scripted, connect, examined):
    scripted.capabilities = b"IMAP4rev1 STARTTLS LOGINDISABLED"
    assert told(examined(connect(Mailbox(scripted), security="none"))) == (
        "login",
        "The server takes no password over this connection, because it is not encrypted or passwords are "
        "switched off.",
        "Use TLS with port 993; if that is set already, ask the provider how programs sign in.",
    )
    assert not [line for line in scripted.commands if b" LOGIN " in line]


def test_the_password_is_wrong(mailbox, connect, examined):
    assert told(examined(connect(mailbox, secret="something else"))) == (
        "login",
        "The server refuses this login and password.",
        "Check both at the provider's web mail (many providers want an app password here), then enter them "
        "again: on the account's page, or manage.py add_account … --replace.",
    )
