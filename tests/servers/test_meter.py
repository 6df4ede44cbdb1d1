import imaplib

import pytest

from .dovecot import Dovecot
from .meter import Figures, Meter
from .test_dovecot import MAIL, strict


@pytest.fixture(scope="module")
def dovecot(tmp_path_factory, authority):
    with Dovecot(tmp_path_factory.mktemp("dovecot"), authority) as dovecot:
        dovecot.add_user("ann", "secret")
        dovecot.append_many("ann", "INBOX", [MAIL] * 3)
        yield dovecot


@pytest.fixture
def meter(dovecot):
    with Meter(dovecot.imap_port) as meter:
        yield meter


@pytest.fixture
def imap(meter):
    with imaplib.IMAP4(meter.host, meter.port) as imap:
        imap.login("ann", "secret")
        meter.reset()
        yield imap


def test_each_command_that_waits_for_its_answer_is_a_round_trip(meter, imap):
    imap.select("INBOX", readonly=True)
    imap.uid("FETCH", "1:*", "(FLAGS)")
    assert meter.figures.round_trips == 2
    assert [line.split(b" ", 1)[1] for line in meter.commands] == [
        b"EXAMINE INBOX",
        b"UID FETCH 1:* (FLAGS)",
    ]


def test_commands_sent_together_are_one_round_trip(meter, imap):
    imap.send(b"A1 NOOP\r\nA2 NOOP\r\nA3 NOOP\r\n")
    while not imap.readline().startswith(b"A3"):
        pass
    assert meter.figures.round_trips == 1
    assert meter.commands == [b"A1 NOOP", b"A2 NOOP", b"A3 NOOP"]


def test_bytes_are_counted_both_ways(meter, imap):
    imap.send(b"A1 NOOP\r\n")
    answer = imap.readline()
    assert meter.figures == Figures(round_trips=1, bytes_in=len(answer), bytes_out=len(b"A1 NOOP\r\n"))


def test_a_reset_forgets_what_was_and_counts_on(meter, imap):
    imap.noop()
    meter.reset()
    assert (meter.figures, meter.commands) == (Figures(0, 0, 0), [])
    imap.noop()
    assert meter.figures.round_trips == 1


def test_two_connections_are_counted_together(meter, imap):
    with imaplib.IMAP4(meter.host, meter.port) as other:
        meter.reset()
        imap.noop()
        other.noop()
        assert meter.figures.round_trips == 2


def test_under_tls_bytes_and_round_trips_are_counted_and_no_command_is_seen(dovecot):
    with (
        Meter(dovecot.imaps_port) as meter,
        imaplib.IMAP4_SSL(meter.host, meter.port, ssl_context=strict(dovecot.ca_file)) as imap,
    ):
        imap.login("ann", "secret")
        meter.reset()
        imap.noop()
        assert meter.figures.round_trips == 1
        assert meter.figures.bytes_in > 0
        assert not any(b"NOOP" in line for line in meter.commands)
