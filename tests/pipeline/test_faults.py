"""Every fault that real servers show: its error_type, what is decided, and the state that follows.

`follows` is "retry" (in the same run), "probe" (a new run confirms it later), "give up" (until the next
schedule) or "" where the fault is survived. OAuth2's faults are not played, since mailhelper speaks no
OAuth2 yet; ENVELOPE's are not, since it never asks for one.
"""

import socket
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from accounts import actions
from mail.queries import account_figures
from pipeline.broker import PipelineBroker
from pipeline.models import AccountRun
from tests.conftest import Mailbox
from tests.pipeline.test_errors import drop, hang, say
from tests.pipeline.test_sync import mail
from tests.servers.dovecot import Dovecot
from tests.servers.scripted import Mail, ScriptedImap

pytestmark = pytest.mark.django_db
MAILS = 3


@dataclass
class Fault:
    name: str
    arrange: Callable[[ScriptedImap], None]
    error_type: str = ""
    follows: str = ""
    stored: int = MAILS
    health: str = ""  # where it is another than what follows says

    def __str__(self):
        return self.name


def scripts(**by_command):
    return lambda server: server.scripts.update(by_command)


def fetching(answer, wanted=b""):
    """A script for FETCH commands that hold `wanted`."""

    def script(session, tag, rest):
        if wanted not in rest:
            return False
        answer(session)
        session.ok(tag)
        return True

    return scripts(FETCH=script)


def greeting(line: bytes):
    return lambda server: setattr(server, "greeting", line)


def login_then(after):
    """The login is accepted; what follows at once is `after`."""

    def arrange(server):
        def login(session, tag, rest):
            session.ok(tag)
            after(session, tag, rest)

        server.scripts["LOGIN"] = login

    return arrange


def extra_folder(refusal: bytes):
    def arrange(server):
        server.create("", "Refused")
        server.scripts["EXAMINE"] = lambda session, tag, rest: (
            b"Refused" in rest and say(refusal)(session, tag, rest)
        )

    return arrange


def examine_without(word: bytes):
    def examine(session, tag, rest):
        lines = [b"* 3 EXISTS", b"* OK [UIDVALIDITY 1] ok", b"* OK [UIDNEXT 4] ok"]
        session.box = session.server.boxes[b"INBOX"]
        session.say(*(line for line in lines if word not in line), tag + b" OK [READ-ONLY] done")
        return True

    return scripts(EXAMINE=examine)


def examine_saying(line: bytes):
    def examine(session, tag, rest):
        session.say(line)
        return False

    return scripts(EXAMINE=examine)


def flags_with(*unsolicited: bytes):
    def script(session, tag, rest):
        if b"(FLAGS)" in rest:
            session.say(*unsolicited)
        return False

    return scripts(FETCH=script)


def bodies_with(*unsolicited: bytes):
    def script(session, tag, rest):
        if b"BODY" in rest:
            session.say(*unsolicited)
        return False

    return scripts(FETCH=script)


def metadata_as(uid_2: bytes):
    """RFC822.SIZE and INTERNALDATE of the second mail as given."""

    def script(session, tag, rest):
        if b"RFC822.SIZE" not in rest:
            return False
        for uid in (1, 3):
            session.say_fetch(uid, uid, session.box.mails[uid], b"RFC822.SIZE")
        session.say(b"* 2 FETCH (UID 2 " + uid_2 + b")")
        session.ok(tag)
        return True

    return scripts(FETCH=script)


def second_body(answer: bytes | None):
    """The body of the second mail is answered so, or not at all."""

    def script(session, tag, rest):
        if b"BODY" not in rest:
            return False
        for uid, one in session.box.mails.items():
            if uid == 2 and answer is not None and _asks_for(rest, uid):
                session.say(answer)
            elif uid != 2 and _asks_for(rest, uid):
                session.say_fetch(uid, uid, one, b"BODY.PEEK[]")
        session.ok(tag)
        return True

    return scripts(FETCH=script)


def _asks_for(rest: bytes, uid: int) -> bool:
    from tests.servers.scripted import _wanted

    return _wanted(rest.split()[1], uid)


def mails(*raws: bytes, flags: tuple[bytes, ...] = ()):
    def arrange(server):
        server.boxes[b"INBOX"].mails = {uid: Mail(raw, list(flags)) for uid, raw in enumerate(raws, 1)}

    return arrange


def folder_named(name: bytes):
    return lambda server: server.boxes.update({name: type(server.boxes[b"INBOX"])()})


def trickle(session, tag, rest):
    while not session.server.over.wait(0.02):
        session.send(b"*")
    return True


def refused(words: bytes):
    return scripts(LOGIN=say(b"TAG " + words))


RESET, PROTOCOL, BUSY = "connection_reset", "protocol_error", "temporarily_unavailable"
BACKOFF = b"Suggested Backoff Time: 30000 milliseconds"

FAULTS = [
    # the connection
    Fault("dropped during LOGIN", scripts(LOGIN=drop), RESET, "retry", stored=0),
    Fault("dropped after LOGIN", login_then(drop), RESET, "retry", stored=0),
    Fault("dropped at LIST", scripts(LIST=drop), RESET, "retry", stored=0),
    Fault("greeting BYE", greeting(b"* BYE try later"), BUSY, "retry", stored=0),
    Fault("greeting that is no IMAP", greeting(b"220 smtp.example ESMTP"), PROTOCOL, "retry", stored=0),
    Fault("half-open: never answers", scripts(LIST=hang), "timeout", "retry", stored=0),
    Fault("trickles for ever", scripts(LIST=trickle), "timeout", "give up", stored=0, health="new"),
    Fault(
        "BYE in the middle",
        scripts(EXAMINE=say(b"* BYE shutting down", b"TAG NO bye")),
        BUSY,
        "retry",
        stored=0,
    ),
    # the login
    Fault(
        "wrong password",
        refused(b"NO [AUTHENTICATIONFAILED] no"),
        "invalid_credentials",
        "probe",
        0,
    ),
    Fault("refused without a code", refused(b"NO LOGIN failed."), "auth_failed", "probe", 0),
    Fault("expired password", refused(b"NO [EXPIRED] renew it"), "needs_reauth", "probe", 0),
    Fault(
        "Gmail wants a browser",
        refused(b"NO [WEBALERT https://example.org/continue] Web login required."),
        "needs_reauth",
        "probe",
        0,
    ),
    Fault(
        "Gmail wants an app password",
        refused(b"NO [ALERT] Application-specific password required: https://example.org (Failure)"),
        "invalid_credentials",
        "probe",
        0,
    ),
    Fault(
        "IMAP switched off",
        refused(b"NO [ALERT] Your account is not enabled for IMAP use."),
        "account_disabled",
        "probe",
        0,
    ),
    Fault(
        "backend down",
        refused(b"NO [UNAVAILABLE] Temporary authentication failure."),
        BUSY,
        "retry",
        stored=0,
    ),
    Fault("Gmail's system error", refused(b"NO System Error (Failure)"), BUSY, "retry", stored=0),
    # too much
    Fault(
        "Gmail: too many connections",
        refused(b"NO [ALERT] Too many simultaneous connections. (Failure)"),
        "too_many_connections",
        "retry",
        stored=0,
    ),
    Fault(
        "Dovecot: too many connections",
        refused(b"NO [UNAVAILABLE] Maximum number of connections from user+IP exceeded"),
        "too_many_connections",
        "retry",
        stored=0,
    ),
    Fault(
        "Gmail: bandwidth",
        refused(b"NO [OVERQUOTA] Account exceeded command or bandwidth limits."),
        "throttled",
        "retry",
        stored=0,
    ),
    Fault(
        "Microsoft: back off",
        refused(b"BAD Request is throttled. " + BACKOFF),
        "throttled",
        "retry",
        stored=0,
    ),
    Fault(
        "Microsoft: not connected",
        scripts(EXAMINE=say(b"TAG BAD User is authenticated but not connected.")),
        "throttled",
        "retry",
        stored=0,
    ),
    Fault("Yahoo: limit", refused(b"NO [LIMIT] Rate limit hit."), "throttled", "retry", stored=0),
    Fault("over quota", scripts(EXAMINE=say(b"TAG NO [OVERQUOTA] full")), "quota", "give up", stored=0),
    # folders
    Fault("LIST fails", scripts(LIST=say(b"TAG NO not now")), PROTOCOL, "retry", stored=0),
    Fault("LIST is empty", scripts(LIST=say(b"TAG OK nothing")), PROTOCOL, "retry", stored=0),
    Fault("a folder refuses SELECT", extra_folder(b"TAG NO no"), "mailbox_gone", "give up", health="healthy"),
    Fault(
        "a folder vanished",
        extra_folder(b"TAG NO [NONEXISTENT] gone"),
        "mailbox_gone",
        "give up",
        health="healthy",
    ),
    Fault("SELECT without UIDNEXT", examine_without(b"UIDNEXT")),
    Fault("SELECT without UIDVALIDITY", examine_without(b"UIDVALIDITY"), PROTOCOL, "retry", stored=0),
    Fault("NOMODSEQ", examine_saying(b"* OK [NOMODSEQ] no")),
    Fault("a folder in bad modified UTF-7", folder_named(b"A&B")),
    Fault("a folder with quotes", folder_named(b'say "hi"')),
    Fault("a folder with the delimiter", folder_named(b"a/b//c")),
    # answers
    Fault("EXPUNGE in the middle of a FETCH", bodies_with(b"* 9 EXPUNGE")),
    Fault("EXISTS in the middle of a FETCH", bodies_with(b"* 4 EXISTS", b"* 1 RECENT")),
    Fault("EXISTS while flags are read", flags_with(b"* 4 EXISTS")),
    Fault("NIL INTERNALDATE", metadata_as(b"RFC822.SIZE 60 INTERNALDATE NIL")),
    Fault("a literal longer than RFC822.SIZE", metadata_as(b"RFC822.SIZE 5")),
    Fault("a literal shorter than RFC822.SIZE", metadata_as(b"RFC822.SIZE 5000")),
    Fault("60 MB", metadata_as(b"RFC822.SIZE 60000000"), stored=2),
    Fault("BODY[] NIL", second_body(b"* 2 FETCH (UID 2 BODY[] NIL)"), stored=2),
    Fault("vanished between survey and FETCH", second_body(None), stored=2),
    Fault("an answer that breaks off", second_body(b"* 2 FETCH (UID 2 BODY["), stored=2),
    # mails
    Fault(
        "NUL and 8-bit in headers",
        mails(b"Subject: a\0b\xff\xe4\r\nFrom: \xc3\xa4\r\n\r\nx", mail("2"), mail("3")),
    ),
    Fault(
        "broken MIME",
        mails(b'Content-Type: multipart/mixed; boundary="x\r\n\r\n--x\r\n', mail("2"), mail("3")),
    ),
    Fault("no header at all", mails(b"\r\n", mail("2"), mail("3"))),
    Fault(
        "flags in any case", mails(mail("1"), mail("2"), mail("3"), flags=(b"\\sEEN", b"$Weird", b"\\Odd"))
    ),
]


def one_attempt(anna, account, **asked):
    broker = PipelineBroker()
    key = actions.account_key(account, anna.user_key)
    [run_id] = broker.create_fetch_job_here(anna.user, [account], **asked).run_ids
    broker.execute_fetch_job(run_id, key)
    return AccountRun.objects.get(pk=run_id)


def followed_by(run) -> str:
    if run.status == "success":
        return ""
    if run.status == "pending":
        return "retry"
    return "probe" if run.retry_at else "give up"


AFTERWARDS = {"": "healthy", "retry": "new", "give up": "degraded", "probe": "degraded"}


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_has_its_name_its_decision_and_its_state(
    fault, anna, connect, scripted, granted, monkeypatch
):
    monkeypatch.setattr("mail.imap_client.SILENCE_SECONDS", 0.3)
    account = granted(connect(Mailbox(scripted), security="none"))
    for number in range(MAILS):
        scripted.append("", "INBOX", mail(str(number)))
    fault.arrange(scripted)
    run = one_attempt(anna, account, timeout_seconds=1 if "trickle" in fault.name else None)
    assert (run.error_type, followed_by(run)) == (fault.error_type, fault.follows)
    [health] = PipelineBroker().get_account_health(anna.user)
    assert health.status == (fault.health or AFTERWARDS[fault.follows])
    assert account_figures(account).stored == fault.stored
    assert run.owner == "" or run.status == "pending"  # kept for this process until its retry


def test_the_uidvalidity_that_goes_down_loses_and_doubles_nothing(anna, connect, scripted):
    account = connect(Mailbox(scripted), security="none")
    scripted.append("", "INBOX", mail("one"))
    for uidvalidity in (7, 3):
        scripted.boxes[b"INBOX"].uidvalidity = uidvalidity
        assert one_attempt(anna, account).status == "success"
    assert account_figures(account).stored == account.messages.count() == 1


# The same from real parts


def test_a_real_server_that_is_killed_in_the_middle(anna, connect, dovecot, authority, tmp_path, monkeypatch):
    monkeypatch.setattr("mail.fetch.BATCH_MAILS", 1)
    with Dovecot(tmp_path, authority) as server:
        box = Mailbox(server)
        for number in range(3):
            box.append(mail(str(number)))
        account = connect(box)
        from mail import store

        real = store.store_batch

        def killed_after(*args):
            real(*args)
            server.kill()

        monkeypatch.setattr(store, "store_batch", killed_after)
        run = one_attempt(anna, account)
        assert (run.status, run.error_type) in [
            ("pending", "connection_refused"),
            ("pending", "connection_reset"),
        ]
        assert account_figures(account).stored == 1
        monkeypatch.setattr(store, "store_batch", real)
        server.start()
        assert one_attempt(anna, account).status == "success"
    assert account_figures(account).stored == 3


def test_nobody_listens(anna, connect, mailbox):
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound and not listening: refused
        run = one_attempt(anna, connect(mailbox, host="127.0.0.1", port=reserved.getsockname()[1]))
    assert (run.error_type, followed_by(run)) == ("connection_refused", "retry")


@pytest.mark.parametrize(
    ("change", "error_type", "follows"),
    [
        ({"secret": "something else"}, "invalid_credentials", "probe"),
        ({"host": "no-such-host.invalid"}, "dns_failed", "retry"),
        ({"ca_pem": ""}, "tls_failed", "give up"),
    ],
)
def test_a_real_server_and_a_wrong_setting(change, error_type, follows, anna, connect, mailbox):
    run = one_attempt(anna, connect(mailbox, **change))
    assert (run.error_type, followed_by(run)) == (error_type, follows)


def test_an_expired_certificate(anna, connect, authority, tmp_path):
    certificate, key = authority.issue("odd", expired=True)
    with Dovecot(tmp_path, authority, settings=f"ssl_cert = <{certificate}\nssl_key = <{key}") as server:
        run = one_attempt(anna, connect(Mailbox(server)))
    assert (run.error_type, followed_by(run)) == ("tls_failed", "give up")


def test_ten_thousand_folders(anna, connect, scripted):
    """Left out, all but one: each costs a STATUS."""
    for number in range(10_000):
        scripted.create("", f"Lists/{number:05}")
    scripted.append("", "INBOX", mail("one"))
    account = connect(Mailbox(scripted), security="none", filters=actions.Filters(include=("INBOX",)))
    run = one_attempt(anna, account)
    assert (run.status, run.folders, run.emails_fetched) == ("success", 10_001, 1)
    assert account.folders.count() == 10_001
