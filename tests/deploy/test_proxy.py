"""Behind a proxy that speaks TLS: `serve` as the runbook sets it up, and Caddy itself before it."""

import http.cookiejar
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest
from django.urls import resolve, reverse

from pipeline.processes import free_port
from tests.deploy.conftest import DEPLOY
from tests.installation import Installation

CADDY = shutil.which("caddy", path=str(Path(sys.executable).parent))
ORIGIN = "https://localhost"


@pytest.fixture
def served(tmp_path):
    """The port of a `serve` whose database's URL lies in a file."""
    home = tmp_path / "served"
    installed = Installation(home)
    secret = home / "database_url"
    secret.write_text(installed.environment["DATABASE_URL"] + "\n")
    port = free_port()
    process = installed.start(
        *("serve", "--port", str(port)),
        DATABASE_URL="sqlite:////nowhere/at.all",
        DATABASE_URL_FILE=str(secret),
        MAILHELPER_SECURE_COOKIES="1",
        MAILHELPER_PROXIES="1",
        ALLOWED_HOSTS="localhost,127.0.0.1",
    )
    assert f":{port}/" in process.stdout.readline()
    yield port
    process.terminate()
    process.communicate(timeout=30)


@pytest.fixture
def caddy(served, tmp_path):
    """Our Caddyfile, with a certificate of Caddy's own and on a port of its own."""
    home, port = tmp_path, free_port()
    ours = (DEPLOY / "Caddyfile").read_text()
    local = f"{{\n\tadmin off\n\thttps_port {port}\n\thttp_port {free_port()}\n\tskip_install_trust\n}}\n"
    site = "{$MAILHELPER_HOST:mail.example.org} {\n"
    assert site in ours
    (home / "Caddyfile").write_text(local + ours.replace(site, f"{site}\ttls internal\n"))
    environment = {"HOME": str(home), "MAILHELPER_HOST": "localhost"}
    process = subprocess.Popen(
        [CADDY, "run", "--config", home / "Caddyfile", "--adapter", "caddyfile"],
        env=environment | {"MAILHELPER_UPSTREAM": f"127.0.0.1:{served}"},
        stderr=subprocess.DEVNULL,
    )
    try:
        yield port, _once_it_answers(home / ".local/share/caddy/pki/authorities/local/root.crt", port)
    finally:
        process.terminate()
        process.wait(20)


def _once_it_answers(authority: Path, port: int) -> ssl.SSLContext:
    deadline = time.monotonic() + 20
    while not authority.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    context = ssl.create_default_context(cafile=authority)
    while not _answers(port, context) and time.monotonic() < deadline:
        time.sleep(0.05)
    return context


def _connected(port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    return context.wrap_socket(socket.create_connection(("localhost", port), 10), server_hostname="localhost")


def _answers(port: int, context: ssl.SSLContext) -> bool:
    try:
        _connected(port, context).close()
    except OSError:
        return False
    return True


class Browser:
    def __init__(self, url: str, *handlers, **headers: str):
        self.url, self.headers = url, headers
        self.jar = http.cookiejar.CookieJar(
            http.cookiejar.DefaultCookiePolicy(secure_protocols=("http", "https"))
        )
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar), *handlers)

    def ask(self, path: str, data: bytes | None = None, **headers: str):
        request = urllib.request.Request(self.url + path, data, self.headers | headers)
        try:
            return self.opener.open(request, timeout=20)
        except urllib.error.HTTPError as error:
            return error

    def sign_in(self, origin: str) -> int:
        page = self.ask(reverse("sign_in")).read().decode()
        token = re.search(r'csrfmiddlewaretoken" value="([^"]+)', page)[1]
        form = {"csrfmiddlewaretoken": token, "email": "anna@example.org", "password": "wrong"}
        data = urllib.parse.urlencode(form).encode()
        return self.ask(reverse("sign_in"), data, Origin=origin, Referer=f"{origin}/").status


def test_what_came_by_tls_is_taken_through_caddy_and_by_the_word_of_any_proxy_here(served, caddy):
    """One test, as the two servers take seconds to start."""
    by_proxy = Browser(f"http://127.0.0.1:{served}", Host="localhost", **{"X-Forwarded-Proto": "https"})
    assert by_proxy.sign_in(ORIGIN) == 422
    assert all(cookie.secure for cookie in by_proxy.jar) and len(by_proxy.jar)

    without_its_word = Browser(f"http://127.0.0.1:{served}", Host="localhost")
    assert without_its_word.sign_in(ORIGIN) == 403

    port, context = caddy
    through = Browser(f"https://localhost:{port}", urllib.request.HTTPSHandler(context=context))
    assert through.sign_in(f"https://localhost:{port}") == 422
    assert through.ask(reverse("healthz")).headers["Strict-Transport-Security"]
    # The pages may be faster to refuse it than Caddy, but not each time.
    assert 413 in (through.ask(reverse("sign_in"), b"x" * 4_000_000).status for _ in range(20))

    with ExitStack() as held:  # more of them than the pages have threads
        for _ in range(12):
            sock = held.enter_context(_connected(port, context))
            sock.sendall(b"POST /sign-in/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\na=")
        assert through.ask(reverse("healthz")).status == 200


def test_nginx_does_not_hold_back_the_events_of_a_job():
    config = (DEPLOY / "nginx.conf").read_text()
    [(pattern, block)] = re.findall(r"location ~ (\S+) \{(.*?)\n    \}", config, re.DOTALL)
    path = "/api/jobs/5a1c9d1e-0000-4000-8000-000000000000/events"
    assert resolve(path) and re.search(pattern, path)
    assert "proxy_buffering off;" in block


def test_nginx_tells_each_place_who_asks_and_how():
    config = (DEPLOY / "nginx.conf").read_text()
    places = re.findall(r"location [^{]+\{.*?\n    \}", config, re.DOTALL)
    assert len(places) == 2
    for line in (
        "proxy_pass http://127.0.0.1:8000;",
        "proxy_set_header Host $host;",
        "proxy_set_header X-Forwarded-For $remote_addr;",
        "proxy_set_header X-Forwarded-Proto $scheme;",
    ):
        assert all(line in place for place in places)
