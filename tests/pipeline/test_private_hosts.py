"""Mail servers in private networks are reached only where the operator allows it."""

import pytest

from mail.private_hosts import is_public
from tests.diagnostics.conftest import examined  # noqa: F401

PRIVATE = [
    *("127.0.0.1", "127.8.9.10", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.10", "169.254.169.254"),
    *("100.64.0.1", "198.18.0.1", "192.0.0.8", "224.0.0.1", "224.0.1.1", "239.1.1.1", "255.255.255.255"),
    *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "fec0::1", "ff02::1", "ff0e::1"),
    *(
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a00:1",
        "2002:7f00:1::",
        "::7f00:1",
    ),
    *("2001:db8::1", "64:ff9b:1::a00:1"),
]
PUBLIC = ["82.165.230.17", "1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]


@pytest.fixture
def forbidden(settings):
    settings.MAILHELPER_ALLOW_PRIVATE_HOSTS = False


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_no_place_on_the_internet_is_private(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_mail_server_on_the_internet_is_public(address):
    assert is_public(address)


@pytest.mark.django_db
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_sync_does_not_reach_a_private_host_also_by_a_name(host, forbidden, connect, mailbox, sync):
    run = sync(connect(mailbox, security="none", host=host))
    assert (run.status, run.error_type) == ("failed", "private_host")
    assert "MAILHELPER_ALLOW_PRIVATE_HOSTS" in run.next_step


@pytest.mark.django_db
def test_it_is_refused_before_a_single_byte_is_sent(forbidden, connect, mailbox, sync, monkeypatch):
    reached = []
    monkeypatch.setattr("socket.socket.connect", lambda sock, address: reached.append(address))
    assert sync(connect(mailbox, security="none")).error_type == "private_host"
    assert reached == []


@pytest.mark.django_db
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_an_examination_does_not_reach_it_either(host, forbidden, connect, mailbox, examined):  # noqa: F811
    examination = examined(connect(mailbox, security="none", host=host))
    assert examination.of("tcp").error_type == "private_host"
    assert not examination.passed and examination.of("login").verdict == "skipped"


@pytest.mark.django_db
def test_it_is_reached_where_the_operator_allows_it(connect, mailbox, sync):
    assert sync(connect(mailbox, security="none")).status == "success"
