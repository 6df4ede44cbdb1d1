"""A web hook leads into the operator's own network only where the operator allows it."""

import socket

import pytest
import requests

from accounts import advice
from diagnostics.alerting import by_ping, channels, public_http
from tests.diagnostics.alerts.test_delivery import decided, delivery, statuses
from tests.servers.http_receiver import HttpReceiver


@pytest.fixture
def forbidden(settings):
    settings.MAILHELPER_ALLOW_PRIVATE_HOSTS = False


@pytest.mark.django_db
def test_a_hook_into_a_private_network_is_closed_at_once_and_says_how_to_allow_it(
    anna, webhook, receiver, forbidden, clock
):
    decided(anna)
    assert delivery.deliver_due() == 0
    webhook.refresh_from_db()
    assert (receiver.requests, statuses(), webhook.disabled_reason) == ([], ["failed"], "private_host")
    words = advice.delivery(webhook.disabled_reason, "webhook")
    assert "private network" in words.sentence and "MAILHELPER_ALLOW_PRIVATE_HOSTS=1" in words.next_step


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:10.0.0.1]", "0x7f.1", "10.1"])
def test_nothing_is_connected_to_however_it_is_spelt(forbidden, scheme, host, monkeypatch):
    reached = []
    monkeypatch.setattr("socket.socket.connect", lambda sock, address: reached.append(address))
    with pytest.raises(Exception, match="private_host"), public_http.session() as session:
        session.post(f"{scheme}://{host}:9/", timeout=5)
    assert reached == []


def test_a_name_that_leads_elsewhere_when_it_is_connected_to_is_refused(forbidden, receiver, monkeypatch):
    """Only what is connected to counts: there is no second question that could be answered otherwise."""
    asked, answers = [], ["93.184.215.14", "127.0.0.1"]

    def rebinding(host, port, *args, **kwargs):
        asked.append(host)
        address = (answers[min(len(asked), len(answers)) - 1], port)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address)]

    reached = []
    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    monkeypatch.setattr("socket.socket.connect", lambda sock, address: reached.append(address[0]))
    with pytest.raises(requests.RequestException), public_http.session() as session:
        session.post("http://rebinding.example.org/", timeout=5)
    assert (asked, reached) == (["rebinding.example.org"], ["93.184.215.14"])
    with pytest.raises(Exception, match="private_host"), public_http.session() as session:
        session.post("http://rebinding.example.org/", timeout=5)
    assert reached == ["93.184.215.14"]


def test_a_proxy_of_the_environment_does_not_get_round_it(forbidden, receiver, monkeypatch):
    monkeypatch.setenv("http_proxy", receiver.url)
    with pytest.raises(Exception, match="private_host"), public_http.session() as session:
        session.post("http://localhost:9/", timeout=5)
    assert receiver.requests == []


def test_a_name_of_several_addresses_is_reached_at_the_one_that_answers(receiver):
    url = receiver.url.replace("127.0.0.1", "localhost")  # ::1 comes first on many machines
    with public_http.session() as session:
        assert session.post(url, timeout=5).status_code == 200


@pytest.mark.parametrize(("name", "trusted"), [("localhost", True), ("other.example.org", False)])
def test_the_certificate_has_to_be_that_of_the_name(authority, name, trusted):
    with (
        HttpReceiver(authority.issue(f"hook-of-{name}", host=name)) as server,
        public_http.session() as session,
    ):
        with pytest.raises(requests.exceptions.SSLError):
            session.post(server.url, timeout=5)
        session.verify = str(authority.ca_file)
        if trusted:
            assert session.post(server.url, timeout=5).status_code == 200
        else:
            with pytest.raises(requests.exceptions.SSLError, match="not valid for"):
                session.post(server.url, timeout=5)
        assert len(server.requests) == trusted


def test_the_operators_own_watcher_may_be_in_the_operators_network(forbidden, receiver):
    by_ping.send(receiver.url)
    assert len(receiver.requests) == 1


@pytest.mark.django_db
def test_a_hook_is_used_again_once_the_operator_allows_it(
    anna, webhook, receiver, forbidden, clock, settings
):
    decided(anna)
    delivery.deliver_due()
    settings.MAILHELPER_ALLOW_PRIVATE_HOSTS = True
    webhook.refresh_from_db()
    channels.enable(webhook)
    decided(anna, "two")
    assert delivery.deliver_due() == 1
