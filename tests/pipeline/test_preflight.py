"""The probes that a sync makes on its way: they cost no login and no round trip, and name what fails."""

from datetime import UTC, datetime, timedelta

import pytest

from accounts import actions
from accounts.advice import probe_advice
from diagnostics.preflight import PREFLIGHT
from mail.deadline import Deadline
from mail.imap import ImapSession
from pipeline.models import AccountRun
from tests.conftest import Mailbox
from tests.pipeline.test_errors import drop, say
from tests.pipeline.test_sync import mail
from tests.servers.dovecot import Dovecot
from tests.servers.ports import free_port

pytestmark = pytest.mark.django_db


def session_of(anna, account, **options):
    key = actions.account_key(account, anna.user_key)
    connection = actions.connection_of(account, key)
    return ImapSession(
        connection, account.port, account.security, deadline=Deadline(20), max_literal=10**6, **options
    )


def test_it_costs_no_login_and_no_round_trip(metered):
    with metered() as account:
        account.box.append(mail("one"))
        account.sync()
        account.sync()
        commands = [line.split(b" ")[1] for line in account.commands if b" " in line]
        assert account.figures.round_trips == 5
        assert commands == [b"CAPABILITY", b"AUTHENTICATE", b"ENABLE", b"LIST", b"LOGOUT"]


@pytest.mark.parametrize("security", ["tls", "starttls", "none"])
def test_a_session_tells_each_step_as_it_begins(security, anna, mailbox, connect):
    steps = []
    session = session_of(anna, connect(mailbox, security=security), on_step=steps.append)
    session.list_folders()
    session.close()
    order = {
        "tls": ["dns", "tcp", "tls", "greeting", "capability", "login", "folder_list"],
        "starttls": ["dns", "tcp", "greeting", "capability", "tls", "capability", "login", "folder_list"],
        "none": ["dns", "tcp", "greeting", "capability", "login", "folder_list"],
    }
    assert steps == order[security]
    assert set(steps) <= set(PREFLIGHT)


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_until_when_the_certificate_is_valid(security, anna, mailbox, connect):
    session = session_of(anna, connect(mailbox, security=security))
    left = session.certificate_expires_at - datetime.now(UTC)
    session.close()
    assert timedelta(days=89) < left <= timedelta(days=90)


def test_without_tls_there_is_no_certificate(anna, mailbox, connect):
    session = session_of(anna, connect(mailbox, security="none"))
    assert session.certificate_expires_at is None
    session.close()


def failed(account, sync):
    report = sync(account)
    run = AccountRun.objects.get(pk=report.run_id)
    return run.error_facts["probe"], report.error, report.next_step


def advice(probe, error_type, **facts):
    told = probe_advice(probe, error_type, facts)
    return probe, told.sentence, told.next_step


def test_a_name_that_is_not_found(mailbox, connect, sync):
    account = connect(mailbox, host="no-such-host.invalid")
    assert failed(account, sync) == advice("dns", "dns_failed")


def test_a_port_at_which_nobody_listens(mailbox, connect, sync):
    account = connect(mailbox, port=free_port())
    assert failed(account, sync) == advice("tcp", "connection_refused")
    assert failed(account, sync)[1] == "The server is there, but nothing answers at this port."


def test_a_port_that_speaks_no_tls(mailbox, connect, sync):
    account = connect(mailbox, port=mailbox.server.imap_port)
    assert failed(account, sync) == advice("tls", "tls_failed", reason="no_tls")


def test_an_expired_certificate(authority, tmp_path, connect, sync):
    certificate, key = authority.issue("odd", expired=True)
    with Dovecot(tmp_path, authority, settings=f"ssl_cert = <{certificate}\nssl_key = <{key}") as server:
        found = failed(connect(Mailbox(server)), sync)
    assert found == advice("tls", "tls_failed", reason="certificate_expired")


def test_a_stripped_starttls(scripted, connect, sync):
    account = connect(Mailbox(scripted), security="starttls")
    assert failed(account, sync) == advice("tls", "tls_failed", reason="no_starttls")


@pytest.mark.parametrize(
    ("command", "script", "probe", "error_type"),
    [
        ("CAPABILITY", drop, "capability", "connection_reset"),
        ("LOGIN", drop, "login", "connection_reset"),
        ("LOGIN", say(b"TAG NO [AUTHENTICATIONFAILED] no"), "login", "invalid_credentials"),
        ("LIST", drop, "folder_list", "connection_reset"),
        ("LIST", say(b"TAG OK nothing"), "folder_list", "protocol_error"),
    ],
)
def test_the_step_at_which_a_sync_failed(command, script, probe, error_type, scripted, connect, sync):
    account = connect(Mailbox(scripted), security="none")
    scripted.scripts[command] = script
    report = sync(account)
    facts = AccountRun.objects.get(pk=report.run_id).error_facts
    assert (facts["probe"], report.error_type) == (probe, error_type)


def test_a_greeting_of_bye(scripted, connect, sync):
    scripted.greeting = b"* BYE no"
    found = failed(connect(Mailbox(scripted), security="none"), sync)
    assert found == advice("greeting", "temporarily_unavailable")


def test_what_fails_after_the_preflight_has_no_probes_name(scripted, connect, sync):
    scripted.append("", "INBOX", mail("one"))
    scripted.scripts["EXAMINE"] = say(b"TAG NO [NOPERM] not yours")
    report = sync(connect(Mailbox(scripted), security="none"))
    assert "probe" not in AccountRun.objects.get(pk=report.run_id).error_facts
    assert report.error_type == "mailbox_gone"


def test_a_server_that_forbids_passwords_gets_none(scripted, connect, sync):
    scripted.capabilities = b"IMAP4rev1 LOGINDISABLED"
    found = failed(connect(Mailbox(scripted), security="none"), sync)
    assert found == advice("login", "auth_failed", reason="login_disabled")
    assert not [line for line in scripted.commands if b" LOGIN " in line]
