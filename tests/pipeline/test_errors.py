"""Each way to fail: its error_type, and what the person is told."""

import pytest

from accounts.advice import advise
from accounts.errors import ErrorType
from mail.models import LedgerEntry
from mail.queries import account_figures
from pipeline.models import AccountRun
from tests.conftest import Mailbox
from tests.pipeline.test_sync import mail
from tests.servers.certificates import make_ca
from tests.servers.dovecot import Dovecot
from tests.servers.ports import free_port
from tests.servers.scripted import Drop, Hang

pytestmark = pytest.mark.django_db


def say(*lines: bytes):
    """A script that answers with these lines, the tag put in for TAG."""

    def script(session, tag, rest):
        session.say(*(line.replace(b"TAG", tag) for line in lines))
        return True

    return script


def drop(session, tag, rest):
    raise Drop


def hang(session, tag, rest):
    raise Hang


def test_every_error_type_has_a_sentence_and_a_next_step():
    for error_type in ErrorType:
        advice = advise(error_type)
        assert advice.sentence.endswith(".") and advice.next_step.endswith(".")


def test_a_wrong_password(mailbox, connect, sync):
    run = sync(connect(mailbox, secret="something else"))
    assert (run.status, run.error_type) == ("failed", "invalid_credentials")
    assert run.error == "The server refuses this login and password."
    assert run.next_step


@pytest.mark.parametrize("security", ["tls", "starttls", "none"])
def test_all_three_kinds_of_security_sync(security, mailbox, connect, sync):
    mailbox.append(mail(security))
    assert sync(connect(mailbox, security=security)).emails_fetched == 1


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_a_certificate_of_an_unknown_ca_gets_no_password(security, mailbox, connect, sync, tmp_path):
    stranger = make_ca(tmp_path, name="stranger")
    for ca_pem in ("", stranger.ca_file.read_text()):
        account = connect(mailbox, name=f"with {len(ca_pem)}", security=security, ca_pem=ca_pem)
        assert sync(account).error_type == "tls_failed"


@pytest.mark.parametrize("trouble", [{"host": "elsewhere.example"}, {"expired": True}])
def test_a_certificate_for_another_host_or_expired(trouble, authority, tmp_path, connect, sync):
    certificate, key = authority.issue("odd", **trouble)
    settings = f"ssl_cert = <{certificate}\nssl_key = <{key}"
    with Dovecot(tmp_path, authority, settings=settings) as server:
        assert sync(connect(Mailbox(server))).error_type == "tls_failed"


def test_a_stripped_starttls_gets_no_password(scripted, connect, sync):
    run = sync(connect(Mailbox(scripted), security="starttls"))
    assert run.error_type == "tls_failed"
    assert not [line for line in scripted.commands if b"LOGIN" in line or b"AUTHENTICATE" in line]


def test_nobody_listens(mailbox, connect, sync):
    assert sync(connect(mailbox, port=free_port())).error_type == "connection_refused"


def test_a_host_that_does_not_exist(mailbox, connect, sync):
    assert sync(connect(mailbox, host="no-such-host.invalid")).error_type == "dns_failed"


@pytest.mark.parametrize(
    ("command", "script", "error_type"),
    [
        ("LOGIN", drop, "connection_reset"),
        ("LOGIN", say(b"TAG NO no"), "auth_failed"),
        ("LOGIN", say(b"TAG NO [UNAVAILABLE] later"), "temporarily_unavailable"),
        ("LOGIN", say(b"TAG NO [AUTHENTICATIONFAILED] no"), "invalid_credentials"),
        ("LOGIN", say(b"TAG NO [EXPIRED] renew"), "needs_reauth"),
        ("LOGIN", say(b"* BYE [UNAVAILABLE] bye", b"TAG NO bye"), "temporarily_unavailable"),
        ("LIST", drop, "connection_reset"),
        ("LIST", say(b"TAG OK nothing"), "protocol_error"),
        ("LIST", say(b"* LIST (\\Odd", b"TAG OK done"), "protocol_error"),
        ("LIST", say(b"TAG NO not now"), "protocol_error"),
        ("EXAMINE", say(b"TAG NO [NOPERM] not yours"), "mailbox_gone"),
        ("EXAMINE", say(b"* 1 EXISTS", b"TAG OK [READ-ONLY] done"), "protocol_error"),
    ],
)
def test_what_a_server_says_decides_the_error_type(
    command, script, error_type, scripted, scripted_account, sync
):
    scripted.append("", "INBOX", mail("one"))
    scripted.scripts[command] = script
    run = sync(scripted_account)
    assert (run.status, run.error_type) == ("failed", error_type)
    assert run.error and run.next_step


def test_a_greeting_of_bye(scripted, scripted_account, sync):
    scripted.greeting = b"* BYE too busy"
    assert sync(scripted_account).error_type == "temporarily_unavailable"


@pytest.mark.parametrize("command", ["LOGIN", "LIST", "FETCH"])
def test_a_server_that_never_answers_ends_at_the_runs_time(command, scripted, scripted_account, sync):
    scripted.append("", "INBOX", mail("one"))
    scripted.scripts[command] = hang
    assert sync(scripted_account, timeout_seconds=1).error_type == "timeout"


def test_a_server_that_trickles_ends_at_the_runs_time(scripted, scripted_account, sync):
    def trickle(session, tag, rest):
        while not scripted.over.wait(0.05):
            session.send(b"*")
        return True

    scripted.scripts["LIST"] = trickle
    assert sync(scripted_account, timeout_seconds=1).error_type == "timeout"


def test_time_that_runs_out_after_a_stored_batch_is_a_success(scripted, scripted_account, sync, monkeypatch):
    monkeypatch.setattr("mail.fetch.BATCH_MAILS", 1)
    for number in range(3):
        scripted.append("", "INBOX", mail(str(number)))

    def hang_at_the_second(session, tag, rest):
        if b"BODY" in rest and sum(b"BODY" in line for line in scripted.commands) > 1:
            raise Hang
        return False

    scripted.scripts["FETCH"] = hang_at_the_second
    run = sync(scripted_account, timeout_seconds=1)
    assert (run.status, run.emails_fetched) == ("success", 1)
    assert account_figures(scripted_account).pending == 2


def test_a_folder_that_refuses_to_open_does_not_stop_the_others(scripted, scripted_account, sync):
    scripted.create("", "Refused")
    scripted.append("", "INBOX", mail("one"))
    scripted.scripts["EXAMINE"] = lambda session, tag, rest: (
        b"Refused" in rest and say(b"TAG NO no")(session, tag, rest)
    )
    run = sync(scripted_account)
    assert (run.status, run.error_type, run.emails_fetched) == ("failed", "mailbox_gone", 1)


def without_body(session, number, uid):
    session.say(b"* %d FETCH (UID %d BODY[] NIL)" % (number, uid))


def broken_answer(session, number, uid):
    session.say(b"* %d FETCH (UID %d BODY[" % (number, uid))


def lost_connection(session, number, uid):
    raise Drop


def no_answer(session, number, uid):
    pass


@pytest.mark.parametrize("poison", [without_body, broken_answer, lost_connection, no_answer])
def test_a_mail_that_cannot_be_had_is_quarantined_after_five_runs(poison, scripted, scripted_account, sync):
    for number in range(4):
        scripted.append("", "INBOX", mail(str(number)))

    def fetch(session, tag, rest):
        if b"BODY" not in rest:
            return False
        wanted = [uid for uid in session.box.mails if _in(rest, uid)]
        for uid in wanted:
            if uid == 3:
                poison(session, uid, uid)
            else:
                session.say_fetch(uid, uid, session.box.mails[uid], b"BODY.PEEK[]")
        session.ok(tag)
        return True

    scripted.scripts["FETCH"] = fetch
    for attempt in range(1, 6):
        assert sync(scripted_account).status == "success"
        entry = LedgerEntry.objects.get(uid=3)
        assert (entry.attempts, entry.error_type) == (attempt, "unfetchable")
        assert account_figures(scripted_account).stored == 3
    assert (entry.state, entry.reason) == ("quarantined", "unfetchable")
    scripted.commands.clear()
    sync(scripted_account)
    assert not [line for line in scripted.commands if b"BODY" in line]


def _in(rest: bytes, uid: int) -> bool:
    from tests.servers.scripted import _wanted

    return _wanted(rest.split()[1], uid)


def test_a_server_that_is_lost_is_no_mails_fault(scripted, scripted_account, sync):
    scripted.append("", "INBOX", mail("one"))

    def drop_and_stay_away(session, tag, rest):
        if b"BODY" not in rest:
            return False
        scripted.scripts["LOGIN"] = drop
        raise Drop

    scripted.scripts["FETCH"] = drop_and_stay_away
    assert sync(scripted_account).error_type == "connection_reset"
    assert LedgerEntry.objects.get().attempts == 0


def test_a_literal_beyond_the_limit_is_not_read(scripted, scripted_account, sync, settings):
    settings.MAILHELPER_MAX_MAIL_BYTES = 1_000
    scripted.append("", "INBOX", mail("liar"))
    scripted.append("", "INBOX", mail("honest"))

    def lie(session, tag, rest):
        if b"BODY" not in rest or not _in(rest, 1):
            return False
        session.say(b"* 1 FETCH (UID 1 BODY[] {5000000000}")
        raise Hang

    scripted.scripts["FETCH"] = lie
    assert sync(scripted_account).status == "success"
    assert LedgerEntry.objects.get(uid=1).attempts == 1


def test_answers_without_flags_or_dates_are_taken(scripted, scripted_account, sync):
    scripted.append("", "INBOX", mail("one"))

    def bare(session, tag, rest):
        if b"BODY" in rest:
            return False
        session.say(b"* 1 FETCH (UID 1 RFC822.SIZE 60 INTERNALDATE NIL)", b"* 2 EXPUNGE", b"* 1 RECENT")
        session.ok(tag)
        return True

    scripted.scripts["FETCH"] = bare
    assert sync(scripted_account).emails_fetched == 1


def test_fewer_answers_than_mails_mark_nothing_as_gone(scripted, scripted_account, sync):
    for number in range(3):
        scripted.append("", "INBOX", mail(str(number)))
    sync(scripted_account)
    scripted.scripts["FETCH"] = say(b"* 1 FETCH (UID 1 FLAGS ())", b"TAG OK done")
    sync(scripted_account)
    sums = account_figures(scripted_account)
    assert (sums.on_server, sums.stored, sums.gone) == (3, 3, 0)


def test_the_servers_words_are_kept_only_sealed(scripted, scripted_account, sync):
    scripted.scripts["LOGIN"] = say(b"TAG NO a very odd word: xylophone")
    run = AccountRun.objects.get(pk=sync(scripted_account).run_id)
    assert run.sealed_evidence
    assert "xylophone" not in repr(vars(run))


def test_a_mail_without_a_size_is_accounted_for_and_fetched(scripted, scripted_account, sync):
    for number in range(3):
        scripted.append("", "INBOX", mail(str(number)))

    def no_sizes(session, tag, rest):
        if b"RFC822.SIZE" not in rest:
            return False
        session.say(b"* 1 FETCH (UID 1 INTERNALDATE NIL)")
        session.ok(tag)
        return True

    scripted.scripts["FETCH"] = no_sizes
    assert sync(scripted_account).emails_fetched == 3
    assert account_figures(scripted_account).unexplained == 0


def test_a_batch_far_larger_than_announced_is_read_mail_by_mail(scripted, scripted_account, sync):
    for number in range(4):
        scripted.append("", "INBOX", mail(str(number), "x" * 150_000))

    def lie(session, tag, rest):
        if b"RFC822.SIZE" not in rest:
            return False
        for uid in session.box.mails:
            session.say(b"* %d FETCH (UID %d RFC822.SIZE 10)" % (uid, uid))
        session.ok(tag)
        return True

    scripted.scripts["FETCH"] = lie
    assert sync(scripted_account).emails_fetched == 4
    bodies = [line for line in scripted.commands if b"BODY" in line]
    assert len(bodies) == 5  # the batch, then each alone


@pytest.mark.parametrize(
    "line",
    [
        b"* 1 FETCH (UID 0 FLAGS ())",
        b"* 1 FETCH (UID 99999999999999999999 FLAGS ())",
        b"* 1 FETCH (UID 1 FLAGS ())\r\n* 1 FETCH (UID 1 FLAGS (\\Seen))",
        b"* 1 FETCH (FLAGS (UID 7) UID 1)",
        b"* 1 FETCH (FLAGS ({3}\r\nabc) UID 1)",
    ],
)
def test_odd_answers_about_uids_never_break_the_ledger(line, scripted, scripted_account, sync):
    scripted.append("", "INBOX", mail("one"))
    scripted.scripts["FETCH"] = lambda session, tag, rest: (
        rest.startswith(b"FETCH 1:*") and say(line, b"TAG OK done")(session, tag, rest)
    )
    run = sync(scripted_account)
    assert run.error_type in ("", "protocol_error")
    assert set(LedgerEntry.objects.values_list("uid", flat=True)) <= {1}


@pytest.mark.parametrize("uidvalidity", [0, 2**32, 2**70])
def test_an_impossible_uidvalidity_is_a_protocol_error(uidvalidity, scripted, scripted_account, sync):
    scripted.boxes[b"INBOX"].uidvalidity = uidvalidity
    assert sync(scripted_account).error_type == "protocol_error"


def test_a_folder_name_with_a_line_break_comes_and_goes_as_a_literal(scripted, scripted_account, sync):
    name = b"two\r\nlines"

    def listing(session, tag, rest):
        session.say(b'* LIST () "/" {%d}' % len(name), name, b'* LIST () "/" INBOX')
        session.ok(tag)
        return True

    def examine(session, tag, rest):
        if not rest.startswith(b"{"):
            return False
        session.say(b"+ go on")
        assert session._rfile.read(len(name) + 2) == name + b"\r\n"
        session._examine(tag, b'"INBOX"')
        return True

    scripted.append("", "INBOX", mail("one"))
    scripted.scripts |= {"LIST": listing, "EXAMINE": examine}
    assert sync(scripted_account).status == "success"
    assert account_figures(scripted_account).stored == 2


def test_a_folder_that_the_server_lists_no_more_keeps_its_mail(scripted, scripted_account, sync):
    scripted.create("", "Old")
    scripted.append("", "Old", mail("kept"))
    sync(scripted_account)
    box = scripted.boxes.pop(b"Old")
    sync(scripted_account)
    assert account_figures(scripted_account).stored == 1
    sync(scripted_account)
    assert account_figures(scripted_account).on_server == 0
    scripted.boxes[b"Old"] = box
    assert sync(scripted_account).emails_fetched == 0
    assert account_figures(scripted_account).stored == 1


@pytest.mark.parametrize("answer", [b"TAG NO not today", b"TAG OK nothing"])
def test_an_outage_quarantines_nothing(answer, scripted, scripted_account, sync):
    for number in range(3):
        scripted.append("", "INBOX", mail(str(number)))
    scripted.scripts["FETCH"] = lambda session, tag, rest: b"BODY" in rest and say(answer)(session, tag, rest)
    for _ in range(6):
        assert sync(scripted_account).error_type == "protocol_error"
    assert set(LedgerEntry.objects.values_list("state", "attempts")) == {("pending", 0)}


def test_an_empty_answer_for_a_mail_with_bytes_is_not_stored(scripted, scripted_account, sync):
    for number in range(2):
        scripted.append("", "INBOX", mail(str(number)))

    def empty_first(session, tag, rest):
        if b"BODY" not in rest or not _in(rest, 1):
            return False
        session.say(b'* 1 FETCH (UID 1 BODY[] "")')
        if _in(rest, 2):
            session.say_fetch(2, 2, session.box.mails[2], b"BODY.PEEK[]")
        session.ok(tag)
        return True

    scripted.scripts["FETCH"] = empty_first
    assert sync(scripted_account).emails_fetched == 1
    assert account_figures(scripted_account).pending == 1
    del scripted.scripts["FETCH"]
    assert sync(scripted_account).emails_fetched == 1


def test_a_folder_opened_without_a_count_marks_nothing_as_gone(scripted, scripted_account, sync):
    for number in range(3):
        scripted.append("", "INBOX", mail(str(number)))
    sync(scripted_account)
    scripted.scripts["EXAMINE"] = say(b"* OK [UIDVALIDITY 1] ok", b"TAG OK [READ-ONLY] done")
    assert sync(scripted_account).error_type == "protocol_error"
    assert account_figures(scripted_account).stored == 3


def test_a_folder_without_uidvalidity_does_not_stop_the_others(scripted, scripted_account, sync):
    scripted.create("", "Odd")
    scripted.append("", "INBOX", mail("one"))
    scripted.scripts["EXAMINE"] = lambda session, tag, rest: (
        b"Odd" in rest and say(b"* 0 EXISTS", b"TAG OK [READ-ONLY] done")(session, tag, rest)
    )
    run = sync(scripted_account)
    assert (run.error_type, run.emails_fetched) == ("protocol_error", 1)


def test_a_folder_lost_between_survey_and_fetch_does_not_stop_the_others(scripted, scripted_account, sync):
    scripted.create("", "Fleeting")
    scripted.append("", "Fleeting", mail("gone"))
    scripted.append("", "INBOX", mail("one"))
    scripted.create("", "Last")  # which stays open after the survey
    opened = []

    def once(session, tag, rest):
        opened.append(rest)
        return (
            sum(b"Fleeting" in one for one in opened) > 1
            and b"Fleeting" in rest
            and say(b"TAG NO lost")(session, tag, rest)
        )

    scripted.scripts["EXAMINE"] = once
    run = sync(scripted_account)
    assert (run.error_type, run.emails_fetched) == ("mailbox_gone", 1)


def test_a_mailbox_that_changes_while_we_look_is_looked_at_again(scripted, scripted_account, sync):
    scripted.append("", "INBOX", mail("one"))
    arrivals = [mail("two")]

    def arriving(session, tag, rest):
        if b"(FLAGS)" in rest and arrivals:
            scripted.append("", "INBOX", arrivals.pop())
            session.say(b"* 2 EXISTS")
        return False

    scripted.scripts["FETCH"] = arriving
    assert sync(scripted_account).emails_fetched == 2
    sums = account_figures(scripted_account)
    assert (sums.on_server, sums.stored, sums.unexplained) == (2, 2, 0)


@pytest.mark.parametrize(
    "date", [b"31-Dec-9999 23:59:59 -1200", b"01-Jan-2026 00:00:00 +9999", b"31-Feb-2026 1"]
)
def test_an_impossible_date_costs_no_mail(date, scripted, scripted_account, sync):
    scripted.append("", "INBOX", mail("one"))

    def dated(session, tag, rest):
        if b"RFC822.SIZE" not in rest:
            return False
        session.say(b'* 1 FETCH (UID 1 RFC822.SIZE 60 INTERNALDATE "' + date + b'")')
        session.ok(tag)
        return True

    scripted.scripts["FETCH"] = dated
    assert sync(scripted_account).emails_fetched == 1
    assert sync(scripted_account).status == "success"


def test_a_folder_name_never_becomes_a_command(scripted, connect, sync):
    name = b'Trash\r\nX9 DELETE "INBOX'
    account = connect(Mailbox(scripted), security="none")

    def listing(session, tag, rest):
        session.say(b'* LIST (\\Trash) "/" {%d}' % len(name), name, b'* LIST () "/" INBOX')
        session.ok(tag)
        return True

    scripted.scripts["LIST"] = listing
    assert sync(account).status == "success"
    assert not [line for line in scripted.commands if b"DELETE" in line]


def test_what_a_server_says_before_login_is_forgotten(scripted, scripted_account, sync):
    scripted.greeting = b'* OK ready\r\n* LIST () "/" Injected'
    sync(scripted_account)
    assert scripted_account.folders.count() == 1


def test_a_server_that_counts_to_the_stars_is_still_bound_in_time(scripted, scripted_account, sync):
    scripted.scripts["EXAMINE"] = say(
        b"* 99999999999999 EXISTS", b"* OK [UIDVALIDITY 1] ok", b"TAG OK [READ-ONLY] done"
    )
    scripted.scripts["FETCH"] = hang
    assert sync(scripted_account, timeout_seconds=1).error_type == "timeout"


def test_dialling_ends_at_the_runs_time(mailbox, connect, sync, monkeypatch):
    import socket

    silent = socket.socket()
    silent.bind(("127.0.0.1", 0))
    silent.listen(0)
    fillers = [socket.socket() for _ in range(4)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(silent.getsockname())
    account = connect(mailbox, host="127.0.0.1", port=silent.getsockname()[1], security="none")
    run = sync(account, timeout_seconds=1)
    assert run.error_type == "timeout" and run.duration < 10
    for one in (silent, *fillers):
        one.close()


def test_a_mail_key_put_into_the_database_by_somebody_else_gets_no_mail(anna, bert, mailbox, account, sync):
    from accounts.models import Vault

    mailbox.append(mail("one"))
    Vault.objects.filter(user=anna.user).update(mail_public_key=bert.user.vault.mail_public_key)
    assert sync(account).error_type == "no_key"
    assert account_figures(account).stored == 0


def test_an_excluded_folder_whose_count_is_refused_keeps_its_last_one(scripted, scripted_account, sync):
    scripted.create("", "Trash")
    scripted.append("", "Trash", mail("one"))
    sync(scripted_account)
    scripted.scripts["STATUS"] = say(b"TAG NO not now")
    assert sync(scripted_account).status == "success"
    assert account_figures(scripted_account).excluded == 1


def test_a_folder_left_out_for_a_while_is_not_downloaded_again(anna, scripted, scripted_account, sync):
    from accounts import actions

    uid = scripted.append("", "INBOX", mail("gone soon"))
    scripted.append("", "INBOX", mail("stays"))
    sync(scripted_account)
    scripted.expunge("", "INBOX", [uid])
    sync(scripted_account)
    key = actions.account_key(scripted_account, anna.user_key)
    connection = actions.connection_of(scripted_account, key)
    for filters in (actions.Filters(exclude=("*",)), actions.Filters()):
        actions.replace_connection(
            scripted_account, anna.user_key, scripted_account.port, "none", connection, filters
        )
        assert sync(scripted_account).emails_fetched == 0
    sums = account_figures(scripted_account)
    assert (sums.on_server, sums.stored, sums.gone) == (1, 1, 1)


def test_a_failed_run_says_in_which_phase(scripted, scripted_account, sync):
    scripted.scripts["LIST"] = drop
    assert sync(scripted_account).phase == "folder_list"
    scripted.scripts["LOGIN"] = drop
    assert sync(scripted_account).phase == "connect"


def test_a_server_lost_in_the_last_batch_is_told(scripted, scripted_account, sync):
    for number in range(3):
        scripted.append("", "INBOX", mail(str(number)))
    bodies = []

    def drop_twice_then_refuse(session, tag, rest):
        if b"BODY" not in rest:
            return False
        bodies.append(rest)
        if len(bodies) == 2:
            scripted.scripts["LOGIN"] = say(b"TAG NO [AUTHENTICATIONFAILED] no")
        raise Drop

    scripted.scripts["FETCH"] = drop_twice_then_refuse
    assert sync(scripted_account).error_type == "invalid_credentials"
    assert set(LedgerEntry.objects.values_list("attempts", flat=True)) == {0}


@pytest.mark.parametrize("code", [b"SERVERBUG", b"UNAVAILABLE", b"INUSE"])
def test_trouble_with_one_mail_or_one_folder_is_not_the_whole_mailboxs(
    code, scripted, scripted_account, sync
):
    for number in range(3):
        scripted.append("", "INBOX", mail(str(number)))
    scripted.create("", "Odd")
    refuse = say(b"TAG NO [" + code + b"] not this one")
    scripted.scripts |= {
        "FETCH": lambda session, tag, rest: b"BODY" in rest and _in(rest, 2) and refuse(session, tag, rest),
        "EXAMINE": lambda session, tag, rest: b"Odd" in rest and refuse(session, tag, rest),
    }
    run = sync(scripted_account)
    assert (run.error_type, run.emails_fetched) == ("mailbox_gone", 2)
    assert LedgerEntry.objects.get(uid=2).attempts == 1


def test_a_refused_count_of_a_folder_left_out_stops_nothing(scripted, scripted_account, sync):
    scripted.create("", "Trash")
    scripted.append("", "INBOX", mail("one"))
    scripted.scripts["STATUS"] = say(b"TAG BAD what?")
    run = sync(scripted_account)
    assert (run.status, run.emails_fetched) == ("success", 1)


def test_a_folder_that_gives_no_flags_does_not_stop_the_others(scripted, scripted_account, sync):
    scripted.create("", "Odd")
    scripted.append("", "Odd", mail("odd"))
    scripted.append("", "INBOX", mail("one"))
    scripted.scripts["FETCH"] = lambda session, tag, rest: (
        session.box is scripted.boxes[b"Odd"] and say(b"TAG NO not now")(session, tag, rest)
    )
    run = sync(scripted_account)
    assert (run.error_type, run.emails_fetched) == ("mailbox_gone", 1)
