"""Whatever a server does, a probe fails by its name, the ladder ends in time, and no exception comes out."""

import time
from socket import AF_INET, SOCK_STREAM

import pytest

from accounts.actions import Connection
from accounts.errors import MailhelperError, SyncError
from diagnostics.probing import ladder, line, network, probes
from diagnostics.probing.dialogue import Dialogue
from mail.deadline import Deadline
from tests.conftest import Mailbox
from tests.diagnostics.conftest import saying
from tests.pipeline.test_errors import drop, hang, say
from tests.pipeline.test_sync import mail
from tests.servers.scripted import Drop

pytestmark = pytest.mark.django_db

ALL = b"IMAP4rev1 ID NAMESPACE CONDSTORE QRESYNC ESEARCH LIST-STATUS OBJECTID IDLE SORT THREAD=REFERENCES"


@pytest.fixture
def account(connect, scripted):
    scripted.append("", "INBOX", mail("one"))
    return connect(Mailbox(scripted), security="none")


@pytest.fixture
def impatient(monkeypatch):
    """Each probe has a fifth of a second."""
    quick = tuple(probe.__class__(**vars(probe) | {"seconds": 0.2}) for probe in probes.ALL)
    monkeypatch.setattr(probes, "in_order", lambda security: quick)


def trickle(session, tag, rest):
    """A byte now and then, and no end."""
    while not session.server.over.wait(0.02):
        session.send(b"*")
    return True


def flood(session, tag, rest):
    line = b"* OK " + b"x" * 1000
    for _ in range(40_000):
        session.say(line)
    session.ok(tag)
    return True


LIES = {
    "hangs": hang,
    "drops": drop,
    "says goodbye": say(b"* BYE enough"),
    "trickles": trickle,
    "answers with a tag of its own": say(b"XX OK done"),
    "answers with noise": say(b"\x00\xff}{", b"TAG OK"),
    "claims a literal of a terabyte": say(b"* 1 FETCH (UID 1 BODY[] {1099511627776}"),
}


@pytest.mark.parametrize("command", ["CAPABILITY", "LOGIN", "LIST", "EXAMINE", "FETCH", "SEARCH", "STATUS"])
@pytest.mark.parametrize("lie", LIES)
def test_no_exception_comes_out_and_it_ends_in_time(lie, command, scripted, account, examined, impatient):
    scripted.capabilities = ALL
    scripted.scripts[command] = LIES[lie]
    start = time.monotonic()
    examination = examined(account)
    assert time.monotonic() - start < 8
    assert [result.name for result in examination.results] == [probe.name for probe in probes.ALL]
    assert "bug" not in {result.error_type for result in examination.results}
    if command in ("CAPABILITY", "LOGIN", "LIST", "EXAMINE") and lie != "answers with noise":
        assert not examination.passed


@pytest.mark.parametrize(
    ("lie", "error_type"),
    [
        ("hangs", "timeout"),
        ("trickles", "timeout"),
        ("drops", "connection_reset"),
        ("says goodbye", "temporarily_unavailable"),
        ("answers with a tag of its own", "protocol_error"),
    ],
)
def test_the_failure_has_its_name(lie, error_type, scripted, account, examined, impatient):
    scripted.scripts["LIST"] = LIES[lie]
    examination = examined(account)
    assert examination.of("folder_list").error_type == error_type
    assert examination.of("inbox").verdict == "ok", "over a new connection"


def test_a_flood_is_not_taken_in(scripted, account, examined):
    scripted.capabilities = b"IMAP4rev1 NAMESPACE"
    scripted.scripts["NAMESPACE"] = flood
    examination = examined(account)
    assert examination.of("namespace").error_type == "protocol_error"
    assert examination.passed


def test_a_flood_of_short_answers_is_not_kept(scripted, account, examined, monkeypatch):
    monkeypatch.setattr(line, "MOST_ANSWERS", 50)
    scripted.capabilities = b"IMAP4rev1 NAMESPACE"
    scripted.scripts["NAMESPACE"] = say(*[b"* NAMESPACE NIL NIL NIL"] * 51, b"TAG OK")
    assert examined(account).of("namespace").error_type == "protocol_error"


def test_a_mail_that_runs_into_the_conversation_leaves_no_word_behind(scripted, account, examined):
    """A literal that is longer than it was said to be: the rest of the mail is read as an answer."""

    def fetch(session, tag, rest):
        if b"BODY" not in rest:
            return False
        session.say(b"* 1 FETCH (UID 1 BODY[] {4}", b"Very private words", b"P99 OK more private words")
        return True

    scripted.scripts["FETCH"] = fetch
    examination = examined(account)
    assert examination.of("fetch").error_type == "protocol_error"
    assert not [result for result in examination.results if "private" in result.evidence + str(result.facts)]


def test_further_connections_are_closed_with_their_probe(account, examined, monkeypatch):
    opened, closed = [], []
    real_open, real_close = Dialogue.open, Dialogue.close
    monkeypatch.setattr(Dialogue, "open", lambda self, *a: (opened.append(self), real_open(self, *a)))
    monkeypatch.setattr(Dialogue, "close", lambda self: (closed.append(self), real_close(self)))

    def look(result):
        if result.name == "connections":
            assert len(opened) == 9 and set(opened) <= set(closed)

    assert examined(account, connections=True, on_result=look).of("connections").facts["allowed"] == 10


def test_a_flood_before_the_login_ends_far_sooner(scripted, account, examined):
    def capability(session, tag, rest):
        for _ in range(2_000):
            session.say(b"* OK " + b"x" * 1000)
        session.say(b"* CAPABILITY IMAP4rev1")
        session.ok(tag)
        return True

    scripted.scripts["CAPABILITY"] = capability
    assert examined(account).of("capability").error_type == "protocol_error"


def test_a_server_that_is_gone_in_the_middle_is_not_dialled_for_each_probe(scripted, account, examined):
    def last_breath(session, tag, rest):
        scripted.scripts["LOGIN"] = drop
        return drop(session, tag, rest)

    scripted.capabilities = ALL
    scripted.scripts["FETCH"] = last_breath
    examination = examined(account)
    failed = [result.name for result in examination.results if result.verdict == "failed"]
    assert failed == ["id", "namespace", "flags", "envelope"]
    assert {result.facts.get("because") for result in examination.results[-14:]} == {"lost"}
    assert not examination.passed
    assert len([line for line in scripted.commands if b" LOGIN " in line]) == 1 + ladder.LOST_FOR_GOOD


def test_when_the_whole_time_is_over_the_rest_is_not_asked(scripted, account, examined):
    scripted.scripts["LIST"] = hang
    start = time.monotonic()
    examination = examined(account, total_seconds=0.5)
    assert time.monotonic() - start < 5
    assert examination.of("folder_list").error_type == "timeout"
    assert examination.results[-1].facts == {"because": "time"}
    assert not examination.passed


def test_a_bug_of_ours_fails_its_probe_alone(account, examined, monkeypatch):
    def broken(climb):
        raise ZeroDivisionError

    with_bug = tuple(
        probe.__class__(**vars(probe) | {"ask": broken}) if probe.name == "namespace" else probe
        for probe in probes.ALL
    )
    monkeypatch.setattr(probes, "in_order", lambda security: with_bug)
    examination = examined(account)
    assert examination.of("namespace").error_type == "bug"
    assert examination.of("namespace").facts["exception"] == "ZeroDivisionError"
    assert examination.of("fetch").verdict == "ok"


def test_whoever_wants_to_stop_is_heard(account, examined, scripted):
    class Enough(MailhelperError):
        pass

    def stop(result):
        if result.name == "login":
            raise Enough

    with pytest.raises(Enough):
        examined(account, on_result=stop)
    assert not [line for line in scripted.commands if b" LIST " in line]


def test_whoever_wants_to_stop_is_heard_while_bytes_come(account, examined, scripted):
    class Enough(MailhelperError):
        pass

    def stop(count):
        raise Enough

    with pytest.raises(Enough):
        examined(account, on_bytes=stop)


def test_a_server_that_is_silent_at_the_handshake(connect, mailbox, examined, monkeypatch):
    monkeypatch.setattr(line, "HANDSHAKE_SECONDS", 0.2)
    monkeypatch.setattr(network, "HELLO_SECONDS", 0.2)
    with saying(b"", hold=True) as port:
        examination = examined(connect(mailbox, port=port))
    assert (examination.of("tls").verdict, examination.of("tls").error_type) == ("failed", "timeout")


def test_the_password_is_not_sent_where_the_certificate_is_not_trusted(connect, mailbox, examined):
    for security in ("tls", "starttls"):
        examination = examined(connect(mailbox, name=security, security=security, ca_pem=""))
        assert examination.of("login").facts == {"because": "tls"}


def test_a_login_is_refused_by_ourselves_where_nothing_was_verified(scripted):
    connection = Connection("localhost", "anna", "secret")
    options = {"max_literal": 1000, "on_bytes": lambda count: None, "heard": []}
    talk = Dialogue(connection, "starttls", deadline=Deadline(5), **options)
    talk.dial((AF_INET, SOCK_STREAM, 0, "", ("127.0.0.1", scripted.imap_port)))
    talk.greet()
    talk.learn_capabilities()
    with pytest.raises(SyncError):
        talk.log_in()
    assert [command.split(b" ")[1] for command in scripted.commands] == [b"CAPABILITY"]
    talk.close()


def test_what_is_injected_before_starttls_ends_is_forgotten(scripted, connect, examined):
    """A man in the middle adds plain answers to the one that begins TLS."""
    scripted.capabilities = b"IMAP4rev1 STARTTLS"
    inject = say(b"TAG OK begin", b"* CAPABILITY IMAP4rev1 AUTH=PLAIN", b"P1 OK")

    def inject_and_leave(*asked):
        inject(*asked)
        raise Drop  # or it would wait for a line, which not every ClientHello holds

    scripted.scripts["STARTTLS"] = inject_and_leave
    examination = examined(connect(Mailbox(scripted), security="starttls"))
    assert examination.of("tls").error_type in ("tls_failed", "connection_reset")
    assert not [line for line in scripted.commands if b"LOGIN" in line or b"AUTHENTICATE" in line]
