"""What a server echoes of a mailbox's secrets and names, and what a report for others holds of it."""

import base64

import pytest

from accounts import actions
from diagnostics import reports
from tests.conftest import Mailbox

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "echo",
    [
        lambda box: base64.b64encode(f"\0{box.login}\0{box.password}".encode()),
        lambda box: base64.b64encode(box.password.encode()),
        lambda box: b'LOGIN "' + box.password.replace("\\", "\\\\").replace('"', '\\"').encode() + b'"',
        lambda box: b"x" * 390 + b" user=" + box.password.encode(),
    ],
    ids=["SASL PLAIN", "base64", "quoted", "at the end of a long line"],
)
def test_a_server_that_echoes_the_password_in_other_spellings_is_not_quoted(
    echo, anna, connect, scripted, examined
):
    box = Mailbox(scripted, password='pässwört"with\\q-canary')
    words = echo(box)

    def refuse(session, tag, rest):
        session.say(tag + b" BAD cannot parse " + words)
        return True

    scripted.scripts["LOGIN"] = refuse
    found = examined(connect(box, security="none")).of("login")
    assert "cannot parse" in found.evidence
    for secret in (words.decode()[-30:], "pässwört", base64.b64encode(box.password.encode()).decode()[:12]):
        assert secret not in found.evidence


def test_the_names_of_namespaces_and_of_the_server_are_not_in_a_report(connect, scripted, examined, anna):
    scripted.greeting = b"* OK mbox17.intern.example.net ready"
    scripted.capabilities = b"IMAP4rev1 NAMESPACE ID"

    def namespace(session, tag, rest):
        session.say(
            b'* NAMESPACE (("Geheimprojekt/" "/")) (("Andere/Bert Meier/" "/")) NIL', tag + b" OK done"
        )
        return True

    def identity(session, tag, rest):
        session.say(b'* ID ("name" "Testserver" "host" "mbox17")', tag + b" OK done")
        return True

    scripted.scripts |= {"NAMESPACE": namespace, "ID": identity}
    account = connect(Mailbox(scripted), security="none")
    key = actions.account_key(account, anna.user_key)
    report = reports.save(account, key, examined(account))
    text = reports.as_text(report, reports.open_evidence(report, key))
    for secret in ("Geheimprojekt", "Meier", "mbox17", "example.net"):
        assert secret not in text
    assert "Testserver" in text
