"""What a sync asks of a server: each test counts round trips and bytes, over a plain connection.

Dovecot hides an extension where a test says so; it would obey it still, so the commands are looked at too.
"""

import pytest

from mail.queries import account_figures
from tests.pipeline.conftest import WAYS
from tests.pipeline.test_sync import mail

pytestmark = pytest.mark.django_db


@pytest.fixture(params=WAYS)
def any_way(request, metered):
    with metered(request.param) as one:
        one.way = request.param
        yield one


def many(count, start=0):
    return [mail(f"mail {number}") for number in range(start, start + count)]


@pytest.mark.once
@pytest.mark.parametrize("way", ["QRESYNC", "STATUS by STATUS"])
def test_a_run_without_changes_costs_the_same_for_1000_and_20000_mails(way, metered):
    costs = []
    with metered(way) as one:
        for more in (1_000, 19_000):
            one.box.server.append_many(one.box.login, "INBOX", many(more, one.account.messages.count()))
            one.sync()
            one.sync()
            assert not one.asked_for(b"FETCH") and not one.asked_for(b"EXAMINE")
            costs.append(one.figures)
        assert account_figures(one.account).stored == 20_000
    small, large = costs
    assert large.round_trips == small.round_trips <= 7
    assert large.bytes_in - small.bytes_in <= 10  # more digits
    assert large.bytes_out == small.bytes_out


def test_without_modseqs_a_run_without_changes_reads_flags_and_no_body(metered):
    with metered("all flags") as one:
        one.box.server.append_many(one.box.login, "INBOX", many(300))
        one.sync()
        one.sync()
        [fetch] = one.asked_for(b"FETCH")
        assert fetch.endswith(b" UID FETCH 1:* (FLAGS)")


def test_changes_are_learnt_in_every_way(any_way):
    server, login = any_way.box.server, any_way.box.login
    server.append_many(login, "INBOX", many(50))
    any_way.sync()
    server.set_flags(login, "INBOX", 7, ("\\Flagged", "$Work"))
    server.expunge(login, "INBOX", [3, 50])
    server.append_many(login, "INBOX", many(4, 50))
    run = any_way.sync()
    assert run.emails_fetched == 4
    figures = account_figures(any_way.account)
    assert (figures.on_server, figures.stored, figures.gone, figures.unexplained) == (52, 52, 2, 0)
    entry = any_way.account.folders.get().entries.get(uid=7)
    assert entry.flags == 4 and entry.keywords_index
    assert not any_way.account.findings.exists()
    assert any_way.sync().emails_fetched == 0


def test_hidden_extensions_are_not_used(any_way):
    any_way.box.append(mail("one"))
    any_way.sync()
    any_way.box.server.set_flags(any_way.box.login, "INBOX", 1, ("\\Seen",))
    any_way.sync()
    for word in WAYS[any_way.way]:
        asked = {"LIST-STATUS": b"RETURN (", "ESEARCH": b"SEARCH RETURN"}.get(word, word.encode())
        assert not any_way.asked_for(asked)


def test_a_changed_folder_is_opened_and_the_others_are_not(metered):
    with metered() as one:
        for name in ("A", "B", "C"):
            one.box.create(name)
            one.box.append(mail(name), folder=name)
        one.sync()
        one.box.append(mail("new"), folder="B")
        assert one.sync().emails_fetched == 1
        assert {command.split(b'"')[1] for command in one.asked_for(b"EXAMINE")} == {b"B"}


def test_few_changes_of_a_large_folder_cost_few_bytes(metered):
    with metered() as one:
        server, login = one.box.server, one.box.login
        server.append_many(login, "INBOX", many(3_000))
        one.sync()
        for uid in (5, 900, 2_999):
            server.set_flags(login, "INBOX", uid, ("\\Seen",))
        server.expunge(login, "INBOX", [1, 1_500])
        one.sync()
        assert not one.asked_for(b"BODY") and one.figures.bytes_in < 3_000


def test_a_first_sync_of_mails_of_one_size_and_second_asks_for_no_header(metered):
    with metered() as one:
        one.box.server.append_many(one.box.login, "INBOX", [mail(f"{number:04}") for number in range(450)])
        assert one.sync().emails_fetched == 450
        assert not one.asked_for(b"HEADER")


def test_a_mail_that_comes_while_changes_are_read_is_neither_lost_nor_a_surprise(
    scripted, scripted_account, sync
):
    scripted.capabilities = b"IMAP4rev1 CONDSTORE"
    scripted.append_many("", "INBOX", many(3))
    sync(scripted_account)
    scripted.append("", "INBOX", mail("one more"))
    arrivals = [mail("and another")]

    def arrive(session, tag, rest):
        if b"CHANGEDSINCE" in rest and arrivals:
            scripted.append("", "INBOX", arrivals.pop())
        return False

    scripted.scripts["FETCH"] = arrive
    assert sync(scripted_account).emails_fetched == 2
    assert not scripted_account.findings.exists()
