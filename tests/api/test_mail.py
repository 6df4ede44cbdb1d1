"""Stored mail by the API, in an unlocked session."""

import pytest

from mail.models import Message
from mail.reading import MAX_TEXT
from tests.mail.stocked import Stock

pytestmark = [pytest.mark.django_db, pytest.mark.once]
RAW = (
    b"From: Lotte <lotte@example.net>\r\nTo: anna@example.org\r\nSubject: Invoice 7\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n"
    b"<p>Please pay <b>soon</b>.</p><script>x</script>\r\n"
)


def test_a_mail_is_found_in_the_list_and_opened(session, account, sync, mailbox):
    mailbox.append(RAW)
    sync(account)
    [head] = session.get("/mail?unread=true").json()["items"]
    assert (head["subject"], head["sender"]) == (
        "Invoice 7",
        [{"name": "Lotte", "email": "lotte@example.net"}],
    )
    assert (head["folders"], head["unread"], head["only_here"]) == (["INBOX"], True, False)
    mail = session.get(f"/mail/{head['message_id']}").json()
    assert mail.items() >= head.items()
    assert "<b>soon</b>" in mail["html"] and "script" not in mail["html"]
    source = session.get(f"/mail/{head['message_id']}/source")
    assert (source.content, source["Content-Type"]) == (RAW, "message/rfc822")
    assert source["Content-Disposition"] == f'attachment; filename="mail-{head["message_id"]}.eml"'
    assert session.get("/mail?flagged=true").json()["items"] == []


def test_a_text_that_is_only_begun_says_so(session, anna, account):
    Stock(anna, account).put(b"Subject: short\r\n\r\nText\r\n", b"Subject: long\r\n\r\n" + b"word " * 50_000)
    heads = session.get("/mail").json()["items"]
    mails = {head["subject"]: session.get(f"/mail/{head['message_id']}").json() for head in heads}
    assert (mails["short"]["cut"], mails["long"]["cut"]) == (False, True)
    assert len(mails["long"]["text"]) == MAX_TEXT


def test_the_list_is_read_page_by_page(session, anna, account):
    stock = Stock(anna, account)
    stock.put(*(b"Subject: %d\r\n\r\nText\r\n" % number for number in range(120)))
    cursor, seen = "", []
    while cursor is not None:
        page = session.get(f"/mail?cursor={cursor}").json()
        seen += [mail["message_id"] for mail in page["items"]]
        cursor = page["next"]
    assert len(seen) == len(set(seen)) == Message.objects.count() == 120
