"""What a new person does on the first day: a real server, real workers, a real browser."""

import re
from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import sign_in
from tests.browser.site import Site
from tests.conftest import Mailbox
from tests.installation import Installation

MOIN = b"""Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe_aus_Kiel?=\r
From: Bert <bert@example.org>\r
Content-Type: text/html; charset=utf-8\r
\r
<p onclick="document.title='owned'">Moin, <b>Anna</b>!</p><script>document.title='owned'</script>\r
<img src="https://tracker.invalid/pixel.png">\r
"""


@pytest.fixture
def house(tmp_path):
    return Installation(tmp_path)


@pytest.fixture
def site(house, dovecot):
    """Its machine trusts the mail server's authority."""
    with Site(house, SSL_CERT_FILE=str(dovecot.ca_file), MAILHELPER_WORKERS="4") as site:
        yield site


@pytest.fixture
def mailbox(dovecot):
    box = Mailbox(dovecot)
    for number in range(30):
        box.append(b"Subject: Number %d\r\n\r\nhello\r\n" % number)
    box.append(MOIN)
    return box


def connect(page, box, label: str) -> None:
    """By the pages, with what the person knows of the server."""
    page.get_by_label("E-mail address of the mailbox").fill(f"{label.lower()}@mail.invalid")
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("IMAP server").fill(box.server.host)
    page.get_by_label("Port").fill(str(box.server.imaps_port))
    page.get_by_label("Login").fill(box.login)
    page.get_by_label("Password of the mailbox").fill(box.password)
    page.get_by_label("Name", exact=True).fill(label)
    page.get_by_role("button", name="Test and save").click()


def card(page, label: str):
    return page.get_by_role("article").filter(has=page.get_by_role("link", name=label, exact=True))


def test_from_the_first_start_to_a_mail_that_is_read_and_a_failure_that_is_cured(
    site, house, visitor, mailbox, dovecot
):
    page = visitor()
    page.goto(site.hear(r"(http://\S+/sign-up/\S+)")[1].replace("127.0.0.1", "localhost"))
    page.get_by_label("E-mail address").fill("anna@example.org")
    page.get_by_label("New password", exact=True).fill(house.password)
    page.get_by_label("New password again").fill(house.password)
    page.get_by_role("button", name="Sign up").click()

    recovery_key = page.locator("pre.key").text_content()
    page.reload()
    assert page.locator("pre.key").text_content() == recovery_key
    page.get_by_label("I have kept it").check()
    page.get_by_role("button", name="Continue").click()

    # The connection is tried before her eyes, and the first sync begins.
    connect(page, mailbox, "Kiel")
    expect(page.get_by_role("heading", level=1)).to_have_text("Kiel Healthy", timeout=20_000)
    page.get_by_role("link", name="Overview").first.click()
    expect(card(page, "Kiel")).to_contain_text("Healthy")
    expect(card(page, "Kiel")).to_contain_text("31 of 31 mails")

    page.get_by_role("link", name="Mail", exact=True).click()
    page.get_by_role("link", name="Grüße aus Kiel").click()
    frame = page.frame_locator("iframe")
    expect(frame.get_by_text("Moin, Anna!")).to_be_visible()
    frame.get_by_text("Moin, Anna!").click()
    expect(page).to_have_title("Mail · mailhelper")

    # A second account works, until its password changes at the server.
    second = Mailbox(dovecot)
    page.goto(f"{site.url}/accounts/add/")
    connect(page, second, "Verein")
    expect(page.get_by_role("heading", level=1)).to_have_text("Verein Healthy", timeout=20_000)
    page.goto(site.url)
    expect(card(page, "Verein")).to_contain_text("Healthy")
    dovecot.add_user(second.login, "another password")
    polls = _polls_of(page)
    card(page, "Verein").get_by_role("button", name="Fetch mails").click()
    attention = page.get_by_role("region", name="Needs attention")
    expect(attention).to_contain_text("Verein The server refuses this login and password.")
    [(ended_at,)] = house.rows("SELECT ended_at FROM pipeline_accountrun WHERE status = 'failed'")
    later = [at for at in polls if at > datetime.fromisoformat(ended_at).replace(tzinfo=UTC)]
    assert len(later) <= 2  # one a second: the cause is there within two

    attention.get_by_role("link", name="Enter new password").click()
    page.get_by_label("Password of the mailbox").fill("another password")
    page.get_by_role("button", name="Test and save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Verein Healthy", timeout=20_000)
    page.goto(site.url)
    expect(card(page, "Verein")).to_contain_text("Healthy")
    expect(page.get_by_role("heading", level=1)).to_have_text("All 2 accounts are in sync")

    # Locked, she sees that all is well and reads nothing.
    page.get_by_role("button", name="lock now").click()
    page.goto(f"{site.url}/mail/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Unlock")


def _polls_of(page) -> list[datetime]:
    """When the overview asked whether there is news."""
    asked = []
    page.on("request", lambda request: asked.append(datetime.now(UTC)) if "/pulse/" in request.url else None)
    return asked


def test_two_people_never_see_each_others_rows(site, house, visitor, mailbox):
    pages = {}
    for name in ("anna", "bert"):
        email = f"{name}@example.org"
        house.manage("add_user", email)
        house.add_account(mailbox, email=email, name=f"Box of {name}")
        pages[name] = visitor()
        sign_in(pages[name], site.url, email, house.password)
        pages[name].get_by_role("button", name="Fetch all mails").click()
        expect(pages[name].get_by_role("article")).to_contain_text("31 of 31 mails")
    hers = pages["anna"]
    paths = set()
    for start in ("/", "/mail/", "/accounts/", "/jobs/"):
        hers.goto(site.url + start)
        paths |= {link.get_attribute("href") for link in hers.locator("main a").all()}
    own = {path for path in paths if re.search(r"[0-9a-f]{8}-", path)}
    assert len(own) > 30
    for path in ("/", "/mail/", "/accounts/", "/jobs/", "/notifications/"):
        pages["bert"].goto(site.url + path)
        assert "Box of anna" not in pages["bert"].content()
    statuses = {path: pages["bert"].request.get(site.url + path).status for path in own}
    assert set(statuses.values()) == {404}, statuses
