"""Servers that are broken or hostile: no mail is lost, hidden or mixed up, and no answer is without bound."""

import pytest

from accounts import actions
from mail import imap, imap_text
from mail.models import LedgerEntry, Message
from mail.queries import account_figures, folder_named, pending_size
from pipeline import queries, runs
from pipeline.broker import PipelineBroker
from pipeline.models import AccountRun
from tests.pipeline.test_errors import drop, say
from tests.pipeline.test_frugal import many
from tests.pipeline.test_sync import figures, mail
from tests.servers.scripted import NEW_YEAR, Box, Drop, _wanted

pytestmark = pytest.mark.django_db
FULL = b"IMAP4rev1 LIST-STATUS SPECIAL-USE CONDSTORE QRESYNC ESEARCH ENABLE"


@pytest.fixture
def three(scripted):
    scripted.append_many("", "INBOX", many(3))
    return scripted


def before(server, command: str, line: bytes, where: bytes = b"") -> None:
    """Say a line before the answer to each such command."""

    def script(session, tag, rest):
        if where in rest:
            session.say(line)
        return False

    server.scripts[command] = script


def kinds(account, **where) -> list[str]:
    return list(account.findings.filter(**where).values_list("kind", flat=True))


# What is offered and then refused


@pytest.mark.parametrize("what", ["ENABLE", "CONDSTORE", "QRESYNC", "CHANGEDSINCE", "SEARCH"])
def test_a_capability_that_is_claimed_and_refused_costs_no_mail(what, three, scripted_account, sync):
    three.capabilities = FULL if what in ("ENABLE", "QRESYNC") else b"IMAP4rev1 CONDSTORE ESEARCH"
    command = {"CHANGEDSINCE": "FETCH", "ENABLE": "ENABLE", "SEARCH": "SEARCH"}.get(what, "EXAMINE")
    three.scripts[command] = lambda session, tag, rest: (
        (what == command or what.encode() in rest) and say(b"TAG BAD syntax")(session, tag, rest)
    )
    sync(scripted_account)
    three.append("", "INBOX", mail("new"))
    three.expunge("", "INBOX", [1])
    assert sync(scripted_account).status == "success"
    assert figures(scripted_account) == {"on_server": 3, "stored": 3, "gone": 1}


def test_qresync_is_enabled_before_a_folder_is_opened(three, scripted_account, sync):
    three.capabilities = FULL
    sync(scripted_account)
    verbs = [command.split()[1] for command in three.commands]
    assert verbs.index(b"ENABLE") < verbs.index(b"EXAMINE")


# One mail or folder among others


def test_sizes_that_are_refused_for_one_mail_are_had_for_the_others(three, scripted_account, sync):
    def refuse(session, tag, rest):
        asked = b"RFC822.SIZE" in rest and _wanted(rest.split()[1], 2)
        return asked and say(b"TAG NO one is broken")(session, tag, rest)

    three.scripts["FETCH"] = refuse
    assert sync(scripted_account).status == "success"
    sizes = dict(LedgerEntry.objects.values_list("uid", "size"))
    assert sizes[2] is None and sizes[1] and sizes[3]
    assert figures(scripted_account) == {"on_server": 3, "stored": 3}


def test_sizes_that_were_told_before_a_refusal_are_kept(three, scripted_account, sync):
    def script(session, tag, rest):
        if b"RFC822.SIZE" not in rest:
            return False
        for uid in (1, 3):
            session.say_fetch(uid, uid, session.box.mails[uid], b"RFC822.SIZE")
        session.say(tag + b" NO some messages could not be fetched")
        return True

    three.scripts["FETCH"] = script
    sync(scripted_account)
    assert figures(scripted_account) == {"on_server": 3, "stored": 3}


def test_a_mail_at_whose_size_the_server_breaks_off_is_fetched_all_the_same(three, scripted_account, sync):
    three.create("", "Zoo")
    three.append("", "Zoo", mail("zoo"))
    three.scripts["FETCH"] = lambda s, tag, rest: b"1:3 (RFC822.SIZE" in rest and drop(s, tag, rest)
    assert sync(scripted_account).status == "success"
    assert figures(scripted_account) == {"on_server": 4, "stored": 4}


def test_flags_that_are_refused_at_the_end_leave_what_was_told(three, scripted_account, sync):
    three.capabilities = b"IMAP4rev1 CONDSTORE"

    def script(session, tag, rest):
        if b"(FLAGS" not in rest:
            return False
        for uid in session.box.mails:
            session.say(b"* %d FETCH (UID %d FLAGS ())" % (uid, uid))
        session.say(tag + b" NO [EXPUNGEISSUED] some are gone")
        return True

    three.scripts["FETCH"] = script
    sync(scripted_account)
    assert account_figures(scripted_account).stored == 3
    assert scripted_account.folders.get().highestmodseq is None  # so that the next look is a whole one


def test_a_folder_that_breaks_the_connection_does_not_stop_the_others(three, scripted_account, sync):
    three.create("", "Broken")
    three.scripts["EXAMINE"] = lambda s, tag, rest: b"Broken" in rest and drop(s, tag, rest)
    run = sync(scripted_account)
    assert (run.status, run.error_type, run.emails_fetched) == ("failed", "connection_reset", 3)


def test_a_folder_whose_name_is_refused_as_a_literal_does_not_stop_the_others(three, scripted_account, sync):
    def listed(session, tag, rest):
        session.say(b'* LIST () "/" {7}')
        session.send(b"A\r\nb c!\r\n")
        return False

    three.scripts["LIST"] = listed
    three.scripts["EXAMINE"] = lambda s, tag, rest: b"{" in rest and say(b"TAG NO no literal")(s, tag, rest)
    run = sync(scripted_account)
    assert (run.error_type, run.emails_fetched) == ("mailbox_gone", 3)


def test_one_header_that_cannot_be_had_costs_one(scripted, scripted_account, sync):
    for number in range(3):
        scripted.append("", "INBOX", mail(f"big {number}"), size=90_000_000)

    def script(session, tag, rest):
        if b"HEADER" in rest and (b"1:3" in rest or b"FETCH 2 " in rest):
            raise Drop
        return False

    scripted.scripts["FETCH"] = script
    for _ in range(2):
        sync(scripted_account)
    assert LedgerEntry.objects.exclude(message=None).count() == 2


# Answers that say something else than they seem to


def test_a_mail_whose_text_names_a_uid_is_stored_under_its_own(three, scripted_account, sync, folders):
    three.append("", "INBOX", b"Subject: UID 1 x")

    def script(session, tag, rest):
        if b"BODY.PEEK[]" not in rest:
            return False
        for uid in (1, 2, 3):
            session.say_fetch(uid, uid, session.box.mails[uid], b"BODY.PEEK[]")
        session.say(b'* 4 FETCH (BODY[] "Subject: UID 1 x" UID 4)')
        session.ok(tag)
        return True

    three.scripts["FETCH"] = script
    sync(scripted_account)
    stored = {uid: one.raw for uid, one in folders(scripted_account)["INBOX"].items()}
    assert stored == three.served("", "INBOX")


def test_a_part_of_a_mail_is_not_taken_for_the_whole(scripted, scripted_account, sync):
    scripted.append("", "INBOX", mail("one"))

    def script(session, tag, rest):
        if b"BODY.PEEK[]" not in rest:
            return False
        session.say(b"* 1 FETCH (UID 1 BODY[]<0> {5}")
        session.send(b"Subje)\r\n")
        session.ok(tag)
        return True

    scripted.scripts["FETCH"] = script
    sync(scripted_account)
    assert account_figures(scripted_account).stored == 0


def test_news_of_flags_do_not_wipe_sizes(three, scripted_account, sync):
    def script(session, tag, rest):
        if b"RFC822.SIZE" not in rest:
            return False
        for uid, one in session.box.mails.items():
            session.say_fetch(uid, uid, one, b"RFC822.SIZE")
        session.say(b"* 1 FETCH (UID 1 FLAGS (\\Seen) MODSEQ (5))")
        session.ok(tag)
        return True

    three.scripts["FETCH"] = script
    sync(scripted_account)
    assert not LedgerEntry.objects.filter(size=None).exists()


@pytest.mark.parametrize("word", [b"0", b"4294967296", b"1::2", b":"])
def test_a_vanished_that_is_no_uid_set_is_no_bug_of_ours(word, three, scripted_account, sync):
    three.capabilities = FULL
    sync(scripted_account)
    three.boxes[b"INBOX"].change_flags(1, [b"\\Seen"])
    before(three, "EXAMINE", b"* VANISHED (EARLIER) " + word)
    before(three, "FETCH", b"* VANISHED " + word, b"(FLAGS")
    assert sync(scripted_account).error_type != "bug"
    assert figures(scripted_account) == {"on_server": 3, "stored": 3}


def test_a_uid_that_cannot_be_does_not_make_a_survey_complete(three, scripted_account, sync):
    sync(scripted_account)

    def script(session, tag, rest):
        if b"(FLAGS" not in rest:
            return False
        session.say(*(b"* 1 FETCH (UID %d FLAGS ())" % uid for uid in (1, 2, 77)))
        session.ok(tag)
        return True

    three.scripts["FETCH"] = script
    sync(scripted_account)
    assert LedgerEntry.objects.get(uid=3).state == "stored"


def test_a_uidnext_that_is_too_low_hides_no_change_of_flags(three, scripted_account, sync):
    three.capabilities = b"IMAP4rev1 CONDSTORE"
    sync(scripted_account)
    inbox = three.boxes[b"INBOX"]
    inbox.change_flags(3, [b"\\Flagged"])

    def examine(session, tag, rest):
        session.box = inbox
        session.say(b"* 3 EXISTS", b"* OK [UIDVALIDITY 1] ok", b"* OK [UIDNEXT 2] ok")
        session.say(b"* OK [HIGHESTMODSEQ %d] ok" % inbox.modseq, tag + b" OK done")
        return True

    three.scripts["EXAMINE"] = examine
    sync(scripted_account)
    assert LedgerEntry.objects.get(uid=3).flags == 4


def test_flags_of_more_mails_than_there_are_are_refused(three, scripted_account, sync):
    def script(session, tag, rest):
        if b"(FLAGS" in rest:
            session.say(*(b"* %d FETCH (UID %d FLAGS ())" % (uid, uid) for uid in range(10, 2_010)))
        return False

    three.scripts["FETCH"] = script
    assert sync(scripted_account).error_type == "protocol_error"
    assert not LedgerEntry.objects.exists()


def test_a_server_that_miscounts_for_good_leaves_one_finding(three, scripted_account, sync):
    three.capabilities = FULL
    sync(scripted_account)
    before(three, "EXAMINE", b"* VANISHED (EARLIER) 1")
    for number in range(4):
        three.append("", "INBOX", mail(f"more {number}"))
        assert sync(scripted_account).emails_fetched == 1
    assert kinds(scripted_account) == ["counts_differ"]


def test_an_inbox_that_the_server_calls_junk_is_synced(scripted, scripted_account, sync):
    scripted.boxes[b"INBOX"].flags = b"\\Junk"
    scripted.append("", "INBOX", mail("one"))
    assert sync(scripted_account).emails_fetched == 1


def test_the_inbox_is_one_folder_whatever_its_case(three, scripted_account, sync):
    sync(scripted_account)
    three.scripts["LIST"] = say(b'* LIST () "/" Inbox', b"TAG OK done")
    assert sync(scripted_account).emails_fetched == 0
    assert figures(scripted_account) == {"on_server": 3, "stored": 3}


# Mails that are taken for others


def test_mails_that_begin_with_blank_lines_are_not_taken_for_one(scripted, scripted_account, sync):
    first = b"\r\n\r\nMessage-ID: <a@x>\r\nSubject: a\r\n\r\nfirst!\r\n"
    second = first.replace(b"a@x", b"b@x").replace(b"first", b"other")
    for raw in (first, second):
        scripted.append("", "INBOX", raw, date=NEW_YEAR)
        sync(scripted_account)
    assert Message.objects.count() == 2


def test_one_id_for_two_mails_of_one_size_hides_neither(scripted, scripted_account, sync):
    scripted.capabilities = b"IMAP4rev1 OBJECTID"
    for name in ("a", "b"):
        scripted.append("", "INBOX", mail(name), email_id="M")
        sync(scripted_account)
    assert Message.objects.count() == 2


def test_mails_that_were_all_replaced_are_looked_at_twice_and_told_of(three, scripted_account, sync):
    sync(scripted_account)
    three.expunge("", "INBOX", [1, 2, 3])
    three.append("", "INBOX", mail("new"))
    three.commands.clear()
    sync(scripted_account)
    assert sum(b"(FLAGS)" in command for command in three.commands) == 2
    assert figures(scripted_account) == {"on_server": 1, "stored": 1, "gone": 3}
    assert kinds(scripted_account) == ["mails_replaced"]


# Filters and what is stored


@pytest.fixture
def filtered(anna, scripted_account):
    def filtered(**filters):
        actions.set_filters(scripted_account, anna.user_key, actions.Filters(**filters))

    return filtered


@pytest.mark.parametrize("flags", [(), ("\\Draft",)])
def test_a_reset_leaves_no_stored_mail_out(flags, scripted, scripted_account, sync, filtered):
    """Neither has a header by which it is known again."""
    scripted.append("", "INBOX", b"Subject: old\r\n\r\n" + b"x" * 2_000, flags=flags, date=NEW_YEAR)
    sync(scripted_account)
    filtered(max_mail_bytes=1_000)
    PipelineBroker().mark_for_reset(scripted_account, scripted_account.folders.get())
    sync(scripted_account)
    assert figures(scripted_account) == {"on_server": 1, "stored": 1}
    assert not Message.objects.filter(entries=None).exists()


def test_a_folder_that_is_left_out_or_gone_is_doubted_no_more(scripted, scripted_account, sync, filtered):
    for name in ("A", "B"):
        scripted.create("", name)
        scripted.append("", name, mail(name))
    sync(scripted_account)
    for name in ("A", "B"):
        scripted.expunge("", name, [1])
    sync(scripted_account)
    assert kinds(scripted_account, ended_at=None) == ["folder_emptied"] * 2
    filtered(exclude=("A",))
    del scripted.boxes[b"B"]
    for _ in range(2):
        sync(scripted_account)
    assert not kinds(scripted_account, ended_at=None)


# Bounds


def test_sizes_beyond_all_measure_do_not_overflow_a_sum(scripted, scripted_account, sync, settings):
    settings.MAILHELPER_MAX_MAIL_BYTES = 2**62
    for number in range(12):
        scripted.append("", "INBOX", mail(str(number)), size=9 * 10**17)
    sync(scripted_account, max_mails=0)
    assert pending_size(scripted_account) == (12, 12 * 2**40)


def test_what_a_server_says_when_it_refuses_is_kept_in_short(scripted, scripted_account, sync):
    scripted.scripts["LIST"] = say(b"TAG NO " + b"\xff" * 2_000_000)
    sync(scripted_account)
    assert len(AccountRun.objects.get().sealed_evidence) < 20_000


@pytest.mark.parametrize(("command", "where"), [("LIST", b""), ("EXAMINE", b""), ("FETCH", b"FLAGS")])
def test_an_answer_has_its_bound(command, where, three, scripted_account, sync, monkeypatch):
    monkeypatch.setattr(imap, "ANSWER_BYTES", 10_000)
    before(three, command, b"\r\n".join([b"* OK " + b"x" * 200] * 1_000), where)
    assert sync(scripted_account).error_type == "protocol_error"


def test_a_server_that_talks_without_end_before_the_login_is_left(scripted, scripted_account, sync):
    scripted.greeting = b"\r\n".join([b"* OK hello " + b"x" * 10_000] * 200)
    assert sync(scripted_account).error_type == "protocol_error"


@pytest.mark.parametrize("piece", [b"FLAGS (", b'X-GM-LABELS ("', b'X-GM-LABELS (\\"', b'BODY[] "', b"UID "])
def test_a_line_of_one_repeated_piece_is_read(piece):
    """With backtracking each took minutes, in which no other thread of the process went on."""
    text = b"1 FETCH (" + piece * (600_000 // len(piece))
    imap_text.uid_and_flags(text)
    imap_text.uid_and_section((text,), b"")


def test_keywords_are_forgotten_with_the_session(three, scripted_account, sync):
    three.set_flags("", "INBOX", 1, ("$Secret",))
    sync(scripted_account)
    assert imap_text._few_flags.cache_info().currsize == 0


# Wishes


def test_an_estimate_asks_for_no_header_either(scripted, scripted_account, sync):
    scripted.append("", "INBOX", mail("big"), size=90_000_000)
    sync(scripted_account, max_mails=0)
    assert not any(b"HEADER" in command for command in scripted.commands)
    sync(scripted_account)
    assert any(b"HEADER" in command for command in scripted.commands)


def test_an_estimate_is_no_first_import(three, scripted_account, sync):
    sync(scripted_account, max_mails=0)
    assert queries.awaits_first_import(scripted_account)
    sync(scripted_account)
    assert not queries.awaits_first_import(scripted_account)


def test_a_wish_also_reaches_a_run_that_is_about_to_be_claimed(three, scripted_account, anna):
    keys = {scripted_account.pk: actions.account_key(scripted_account, anna.user_key)}
    PipelineBroker().enqueue_fetch_job(anna.user, scripted_account, keys=keys)
    runs.ask_for_another_look(scripted_account)
    assert AccountRun.objects.get().look_again


def test_a_folder_is_meant_exactly_or_alone(scripted, scripted_account, sync, anna):
    for name in ("work", "Work", "Home"):
        scripted.boxes[name.encode()] = Box()
    sync(scripted_account)
    key = actions.account_key(scripted_account, anna.user_key)
    found = {name: folder_named(scripted_account, key, name) for name in ("work", "WORK", "home")}
    assert found["work"] and found["home"] and found["WORK"] is None


def test_copies_in_one_folder_are_fetched_once(scripted, scripted_account, sync):
    scripted.append("", "INBOX", mail("same"), date=NEW_YEAR)
    for _ in range(2):
        scripted.append("", "INBOX", mail("same"), date=NEW_YEAR)
    run = sync(scripted_account)
    assert (run.emails_fetched, run.emails_linked) == (1, 2)
    assert figures(scripted_account) == {"on_server": 3, "stored": 3}


def test_a_mail_that_a_bug_misread_is_not_linked_by_its_id(scripted, scripted_account, sync, monkeypatch):
    def broken(raw):
        raise TypeError

    scripted.capabilities = b"IMAP4rev1 OBJECTID"
    scripted.append("", "INBOX", mail("one"))
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.intake.parse_message", broken)
        sync(scripted_account)
    scripted.create("", "Other")
    scripted.copy("", "INBOX", [1], "Other")
    sync(scripted_account)
    assert Message.objects.get().parsed
