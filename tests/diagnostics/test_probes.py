"""Each probe on a server that passes it and on one that fails it."""

import pytest

from accounts import actions
from diagnostics.probing import extensions, network, probes
from diagnostics.probing.folders import is_odd
from diagnostics.probing.network import speaks
from tests.conftest import Mailbox
from tests.diagnostics.conftest import FOLDER_RIGHTS
from tests.pipeline.test_errors import drop, say
from tests.pipeline.test_sync import mail
from tests.servers.dovecot import Dovecot

pytestmark = pytest.mark.django_db


@pytest.fixture
def box(healthy_dovecot):
    box = Mailbox(healthy_dovecot)
    for number in range(5):
        box.append(mail(f"number {number}"))
    return box


@pytest.fixture
def scripted_account(connect, scripted):
    scripted.append("", "INBOX", mail("one"))
    return connect(Mailbox(scripted), security="none")


def names(examination, verdict):
    return {result.name for result in examination.results if result.verdict == verdict}


def test_the_probes_are_asked_in_this_order(box, connect, examined):
    asked = [result.name for result in examined(connect(box)).results]
    assert asked == [
        *("dns", "tcp", "tls", "greeting", "capability", "login", "capability_after", "id", "namespace"),
        *("folder_list", "inbox", "flags", "envelope", "fetch"),
        *("condstore", "qresync", "esearch", "list_status", "objectid", "idle", "move", "sort", "thread"),
        *("connections", "completeness", "utf8", "compress"),
    ]


def test_with_starttls_the_greeting_comes_before_the_encryption(box, connect, examined):
    asked = [result.name for result in examined(connect(box, security="starttls")).results]
    assert asked[:5] == ["dns", "tcp", "greeting", "tls", "capability"]


def test_those_probes_decide_without_which_no_sync_succeeds():
    until_login = ("dns", "tcp", "tls", "greeting", "capability", "login", "capability_after")
    assert (*until_login, "folder_list", "inbox", "flags", "fetch") == probes.DECIDING


def test_what_healthy_probes_find(box, connect, examined):
    box.create("Entwürfe")
    found = {result.name: result.facts for result in examined(connect(box)).results}
    assert found["dns"]["a"] + found["dns"]["aaaa"] >= 1
    assert found["tls"] == {"version": "TLSv1.3", "chain": "verified", "name": "matches", "days_left": 89}
    assert "AUTH=PLAIN" in found["capability"]["capabilities"]
    assert {"SORT", "QRESYNC"} <= set(found["capability_after"]["capabilities"])
    assert found["namespace"] == {"namespaces": 1}
    assert found["folder_list"]["folders"] == 2
    assert found["inbox"] == {"mails": 5}
    assert (found["flags"]["opened"], found["flags"]["mails"]) == (2, 5)
    assert found["envelope"]["mails"] == 3
    assert found["fetch"] == {"bytes": len(mail("number 4")), "announced": len(mail("number 4"))}
    assert found["sort"] == {"criteria": 5}
    assert found["connections"] == {"because": "not_asked"}


def test_nothing_on_the_server_is_changed(box, connect, examined):
    before = box.server.status(box.login, "INBOX", "MESSAGES UNSEEN RECENT HIGHESTMODSEQ")
    examined(connect(box), connections=True)
    assert box.server.status(box.login, "INBOX", "MESSAGES UNSEEN RECENT HIGHESTMODSEQ") == before
    assert before["UNSEEN"] == 5


def test_a_certificate_that_expires_in_two_weeks_is_a_warning(authority, tmp_path, connect, examined):
    certificate, key = authority.issue("soon", days=13)
    with Dovecot(tmp_path, authority, settings=f"ssl_cert = <{certificate}\nssl_key = <{key}") as server:
        examination = examined(connect(Mailbox(server)))
    found = examination.of("tls")
    assert (found.verdict, found.facts["reason"]) == ("warning", "certificate_expires_soon")
    assert examination.passed


def test_a_self_signed_certificate_is_called_so(authority, tmp_path, connect, examined):
    ca, key = authority.ca_file, authority.folder / "ca.key"
    with Dovecot(tmp_path, authority, settings=f"ssl_cert = <{ca}\nssl_key = <{key}") as server:
        server.ca_file = None
        found = examined(connect(Mailbox(server))).of("tls")
    assert (found.verdict, found.error_type, found.facts["reason"]) == ("failed", "tls_failed", "self_signed")
    assert found.facts["days_left"] == 399


def test_after_a_failure_the_probes_that_would_tell_nothing_say_so(mailbox, connect, examined):
    examination = examined(connect(mailbox, secret="something else"))
    assert not examination.passed
    later = examination.results[6:]
    assert {(result.verdict, result.facts["because"]) for result in later} == {("skipped", "login")}


@pytest.mark.parametrize(
    ("hidden", "not_offered"),
    [
        ("CONDSTORE", {"condstore", "qresync"}),
        ("QRESYNC", {"qresync"}),
        ("ESEARCH", {"esearch"}),
        ("LIST-STATUS", {"list_status"}),
    ],
)
def test_an_extension_that_is_not_named_is_not_tried(hidden, not_offered, dovecot_without, connect, examined):
    box = Mailbox(dovecot_without(hidden))
    box.append(mail("one"))
    examination = examined(connect(box))
    assert names(examination, "not_offered") == not_offered | {"objectid", "utf8", "compress"}
    assert examination.passed


EXTENSIONS = b"ID NAMESPACE IDLE MOVE SORT THREAD=REFERENCES UTF8=ACCEPT COMPRESS=DEFLATE"


def test_an_extension_that_is_named_and_does_not_work_fails_as_information(
    scripted, scripted_account, examined
):
    scripted.capabilities = b"IMAP4rev1 CONDSTORE QRESYNC ESEARCH LIST-STATUS OBJECTID " + EXTENSIONS
    for command in ("SEARCH", "STATUS", "ENABLE"):
        scripted.scripts[command] = say(b"TAG OK and nothing else")
    examination = examined(scripted_account)
    assert names(examination, "failed") == {
        *("id", "namespace", "qresync", "esearch", "objectid", "idle", "sort", "thread"),
        *("utf8", "compress", "completeness"),
    } - {"completeness"}
    assert {result.error_type for result in examination.results} == {"", "protocol_error"}
    assert examination.passed


def test_objectid_and_utf8_really_work_where_they_are_named(scripted, scripted_account, examined):
    scripted.capabilities = b"IMAP4rev1 OBJECTID UTF8=ACCEPT"
    scripted.scripts["ENABLE"] = say(b"* ENABLED UTF8=ACCEPT", b"TAG OK")
    examination = examined(scripted_account)
    assert {"objectid", "utf8"} <= names(examination, "ok")


def test_compression_that_is_none_is_a_failure(scripted, scripted_account, examined):
    scripted.capabilities = b"IMAP4rev1 COMPRESS=DEFLATE"
    scripted.scripts["COMPRESS"] = say(b"TAG OK", b"PZ OK in clear")
    assert examined(scripted_account).of("compress").error_type == "protocol_error"


def test_a_server_without_modseqs_is_warned_of(scripted, scripted_account, examined):
    scripted.capabilities = b"IMAP4rev1 CONDSTORE"
    scripted.boxes[b"INBOX"].modseq = 0
    found = examined(scripted_account).of("condstore")
    assert (found.verdict, found.facts["reason"]) == ("warning", "no_modseq")


def test_a_folder_without_rights_decides_unless_it_is_left_out(anna, connect, box, examined):
    box.create("Locked")
    (box.server._maildir(box.login) / ".Locked" / "dovecot-acl").write_text(FOLDER_RIGHTS)
    account = connect(box)
    found = examined(account).of("flags")
    assert (found.verdict, found.error_type) == ("failed", "mailbox_gone")
    assert (found.facts["refused"], found.facts["refused_synced"]) == (1, 1)
    actions.set_filters(account, anna.user_key, actions.Filters(exclude=("Locked",)))
    examination = examined(account)
    found = examination.of("flags")
    assert (found.verdict, found.facts["reason"]) == ("warning", "folders_refused")
    assert examination.passed


def test_a_missing_inbox(scripted, scripted_account, examined):
    scripted.boxes = {b"Other": scripted.boxes[b"INBOX"]}
    examination = examined(scripted_account)
    found = examination.of("inbox")
    assert (found.verdict, found.error_type) == ("failed", "mailbox_gone")
    assert examination.of("folder_list").facts["reason"] == "no_inbox_listed"
    assert examination.of("fetch").verdict == "ok"
    assert not examination.passed


def test_an_inbox_that_is_not_opened_for_reading_only(scripted, scripted_account, examined):
    opened = (b"* 1 EXISTS", b"* OK [UIDVALIDITY 1]", b"* OK [UIDNEXT 2]", b"TAG OK [READ-WRITE] done")
    scripted.scripts["EXAMINE"] = say(*opened)
    found = examined(scripted_account).of("inbox")
    assert (found.verdict, found.facts["reason"]) == ("warning", "not_read_only")


def test_folders_without_their_numbers(scripted, scripted_account, examined):
    def examine(session, tag, rest):
        session.box = scripted.boxes[b"INBOX"]
        session.say(b"* 1 EXISTS", tag + b" OK [READ-ONLY] done")
        return True

    scripted.scripts["EXAMINE"] = examine
    found = examined(scripted_account).of("flags")
    assert (found.verdict, found.error_type) == ("failed", "protocol_error")
    assert (found.facts["no_uidvalidity"], found.facts["no_uidnext"]) == (1, 1)


def test_a_folder_that_does_not_say_how_many_mails_it_has(scripted, scripted_account, examined):
    scripted.scripts["EXAMINE"] = say(b"* OK [UIDVALIDITY 1] ok", b"TAG OK [READ-ONLY] done")
    found = examined(scripted_account).of("flags")
    assert (found.verdict, found.error_type, found.facts["missing"]) == ("failed", "protocol_error", "EXISTS")


def test_ids_of_mails_on_a_server_that_has_them(pymap, connect, examined):
    box = Mailbox(pymap)
    box.append(mail("one"))
    examination = examined(connect(box, security="none"))
    assert examination.of("objectid").verdict == "ok"
    assert examination.passed


def test_mails_without_flags(scripted, scripted_account, examined):
    scripted.scripts["FETCH"] = say(b"* 1 FETCH (UID 1)", b"TAG OK")
    found = examined(scripted_account).of("flags")
    assert (found.verdict, found.facts["no_flags"]) == ("warning", 1)


@pytest.mark.parametrize(
    ("answer", "verdict", "error_type"),
    [
        (b"* 1 FETCH (UID 1 BODY[] NIL)", "failed", "unfetchable"),
        (b"* 1 FETCH (UID 1 BODY[] {5}\r\nhello)", "warning", ""),
        (b"", "failed", "unfetchable"),
    ],
)
def test_a_mail_that_is_not_given_or_has_another_size(
    answer, verdict, error_type, scripted, scripted_account, examined
):
    def fetch(session, tag, rest):
        if b"BODY.PEEK" not in rest:
            return False
        session.say(*filter(None, [answer]), tag + b" OK")
        return True

    def by_number(session, tag, rest):
        session.say(b"* 1 FETCH (UID 1 FLAGS () RFC822.SIZE 99 ENVELOPE NIL)", tag + b" OK")
        return True

    scripted.scripts["FETCH"] = lambda *asked: fetch(*asked) or by_number(*asked)
    examination = examined(scripted_account)
    found = examination.of("fetch")
    assert (found.verdict, found.error_type) == (verdict, error_type)
    assert examination.of("envelope").facts == {
        "reason": "empty_envelopes",
        "mails": 1,
        "bytes": 52,
        "empty": 1,
    }


def test_a_mail_over_the_size_limit_is_not_fetched(scripted, scripted_account, examined, settings):
    settings.MAILHELPER_MAX_MAIL_BYTES = 10
    scripted.scripts["FETCH"] = say(b"* 1 FETCH (UID 1 FLAGS () RFC822.SIZE 11)", b"TAG OK")
    found = examined(scripted_account).of("fetch")
    assert (found.verdict, found.facts) == ("skipped", {"because": "no_mail"})
    assert not [line for line in scripted.commands if b"BODY" in line]


def test_an_empty_mailbox_passes(connect, healthy_dovecot, examined):
    examination = examined(connect(Mailbox(healthy_dovecot)))
    assert examination.passed
    assert {r.name for r in examination.results if r.facts.get("because") == "no_mail"} == {
        *("envelope", "fetch", "sort", "thread")
    }


@pytest.mark.parametrize(
    ("raw_name", "odd"),
    [
        (b"INBOX", False),
        (b"Entw&APw-rfe", False),
        (b"A&-B", False),
        (b"A&B", True),
        (b"&bad-", True),
        ("Entwürfe".encode(), True),
        (b"two\rlines", True),
        (b"x" * 1001, True),
    ],
)
def test_names_that_are_not_as_imap_asks(raw_name, odd):
    assert is_odd(raw_name) == odd


def test_odd_names_are_counted_and_not_told(scripted, scripted_account, examined):
    for name in (b"A&B", b"caf\xc3\xa9", b"plain"):
        scripted.create("", name)
    found = examined(scripted_account).of("folder_list")
    assert (found.verdict, found.facts["odd_names"], found.facts["folders"]) == ("warning", 2, 4)
    assert "A&B" not in str(found.facts) + found.evidence and "plain" not in found.evidence


def test_how_many_connections_are_allowed(tmp_path, authority, connect, examined):
    limit = "protocol imap {\n  mail_max_userip_connections = 2\n}"
    with Dovecot(tmp_path, authority, settings=limit) as server:
        found = examined(connect(Mailbox(server)), connections=True).of("connections")
        assert (found.verdict, found.facts["allowed"]) == ("warning", 2)
        assert found.facts["error"] == "too_many_connections"


@pytest.mark.parametrize(
    ("answer", "error_type"),
    [
        (say(b"TAG NO [SERVERBUG] no"), "temporarily_unavailable"),
        (drop, "connection_reset"),
        (say(b"TAG NO [AUTHENTICATIONFAILED] no"), "invalid_credentials"),
    ],
)
def test_a_further_connection_that_fails_otherwise_is_no_limit(
    answer, error_type, scripted, scripted_account, examined
):
    def login(session, tag, rest):
        logins = [line for line in scripted.commands if b" LOGIN " in line]
        return len(logins) > 1 and answer(session, tag, rest)

    scripted.scripts["LOGIN"] = login
    found = examined(scripted_account, connections=True).of("connections")
    assert (found.verdict, found.error_type, found.facts) == ("failed", error_type, {})


def test_no_more_than_ten_connections_are_tried(scripted, scripted_account, examined):
    found = examined(scripted_account, connections=True).of("connections")
    assert found.facts == {"allowed": extensions.MOST_CONNECTIONS, "limit_reached": False}
    logins = [line for line in scripted.commands if b" LOGIN " in line]
    assert len(logins) == extensions.MOST_CONNECTIONS


def test_completeness_counts_what_is_in_both_and_in_one_alone(box, connect, examined, sync):
    account = connect(box)
    assert examined(account).of("completeness").facts["because"] == "never_synced"
    sync(account)
    found = examined(account).of("completeness")
    assert (found.verdict, found.facts["both"], found.facts["only_server"]) == ("ok", 5, 0)
    box.append(mail("new"))
    box.server.expunge(box.login, "INBOX", [1, 2])
    found = examined(account).of("completeness")
    folder = account.folders.get()
    assert (found.verdict, found.facts["reason"]) == ("warning", "ledger_differs")
    assert found.facts["differing"] == {str(folder.pk): [3, 1, 2]}


def test_a_folder_that_was_renumbered_is_not_compared(box, connect, examined, sync):
    account = connect(box)
    sync(account)
    box.server.set_uidvalidity(box.login, "INBOX", 4711)
    examination = examined(account)
    assert examination.of("flags").facts["renumbered"] == 1
    assert examination.of("completeness").facts["renumbered"] == 1
    assert examination.of("completeness").facts["folders"] == 0


def test_uids_come_from_a_plain_search_where_there_is_no_esearch(scripted, scripted_account, examined, sync):
    sync(scripted_account)
    scripted.append("", "INBOX", mail("two"))
    found = examined(scripted_account).of("completeness")
    assert (found.facts["both"], found.facts["only_server"], found.facts["only_here"]) == (1, 1, 0)


@pytest.mark.parametrize(
    ("first", "protocol"),
    [
        (b"* OK ready", "imap"),
        (b"* BYE", "imap"),
        (b"HTTP/1.1 400", "http"),
        (b"+OK hello", "pop3"),
        (b"220 mx", "smtp"),
        (b"SSH-2.0-x", "ssh"),
        (b"\x16\x03\x03", "tls"),
        (b"what?", ""),
    ],
)
def test_a_protocol_is_known_by_its_first_bytes(first, protocol):
    assert speaks(first) == protocol


def test_an_address_that_does_not_answer_is_a_warning_where_another_does(box, connect, examined, monkeypatch):
    silent = (2, 1, 6, "", ("127.0.0.9", box.server.imaps_port))
    real = network.resolve
    monkeypatch.setattr(network, "resolve", lambda *asked: [silent, *real(*asked)])
    examination = examined(connect(box))
    assert examination.of("tcp").verdict == "warning"
    assert (examination.of("tcp").facts["addresses"], examination.of("tcp").facts["open"]) == (2, 1)
    assert examination.passed


def test_a_login_that_is_dropped_says_nothing_of_the_password(scripted, scripted_account, examined):
    scripted.scripts["LOGIN"] = drop
    assert examined(scripted_account).of("login").error_type == "connection_reset"


@pytest.mark.parametrize(
    ("words", "error_type", "reason"),
    [
        (b"TAG NO [ALERT] Application-specific password required", "invalid_credentials", "app_password"),
        (b"TAG NO LOGIN failed: BasicAuthBlocked", "account_disabled", "oauth2_only"),
        (b"TAG NO [UNAVAILABLE] later", "temporarily_unavailable", None),
    ],
)
def test_a_refused_login_is_called_by_its_cause(
    words, error_type, reason, scripted, scripted_account, examined
):
    scripted.scripts["LOGIN"] = say(words)
    found = examined(scripted_account).of("login")
    assert (found.error_type, found.facts.get("reason")) == (error_type, reason)


def test_a_server_that_takes_only_oauth2_gets_no_password(scripted, scripted_account, examined):
    scripted.capabilities = b"IMAP4rev1 LOGINDISABLED AUTH=XOAUTH2"
    found = examined(scripted_account).of("login")
    assert (found.error_type, found.facts["reason"]) == ("account_disabled", "oauth2_only")
    assert not [line for line in scripted.commands if b" LOGIN " in line]
