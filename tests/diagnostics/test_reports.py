"""Examinations are kept, opened by their owner's key alone, and compared; nobody is named in them."""

import json
import secrets
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts import actions, advice
from accounts.errors import SealBroken
from diagnostics import reports
from diagnostics.models import DiagnosticReport
from diagnostics.probing.probe import Examination, ProbeResult
from diagnostics.probing.redact import Redactor, printable
from tests.conftest import Mailbox
from tests.pipeline.test_errors import say
from tests.pipeline.test_sync import mail

pytestmark = pytest.mark.django_db


@pytest.fixture
def key(anna, account):
    return actions.account_key(account, anna.user_key)


def result(name="tls", verdict="ok", error_type="", evidence="", decides=True, **facts):
    return ProbeResult(name, verdict, 0.1, error_type, facts, evidence, decides)


@pytest.fixture
def saved(account, key):
    """Keep an examination of these results: saved(result(…), …, at=…)."""

    def saved(*results, at=None):
        report = reports.save(account, key, Examination(results, 1.0))
        if at:
            DiagnosticReport.objects.filter(pk=report.pk).update(at=at)
            report.refresh_from_db()
        return report

    return saved


def test_verdicts_stand_in_clear_and_evidence_opens_by_the_accounts_key_alone(key, saved, bert):
    report = saved(result(evidence="what it said", days_left=3))
    stored = DiagnosticReport.objects.values().get()
    assert stored["probes"] == [
        {
            "name": "tls",
            "verdict": "ok",
            "seconds": 0.1,
            "error_type": "",
            "facts": {"days_left": 3},
            "decides": True,
        }
    ]
    assert b"what it said" not in bytes(stored["sealed_evidence"])
    report = DiagnosticReport.objects.get()
    assert reports.open_evidence(report, key) == {"tls": "what it said"}
    with pytest.raises(SealBroken):
        reports.open_evidence(report, bert.user_key)
    report.pk = secrets.token_hex(16)
    with pytest.raises(SealBroken):
        reports.open_evidence(report, key)


def test_the_last_fifty_are_kept(account, saved, clock):
    for _ in range(reports.KEPT + 2):
        clock.shift(timedelta(minutes=1))
        newest = saved(result())
    assert account.reports.count() == reports.KEPT
    assert account.reports.first() == newest
    oldest = account.reports.last()
    assert (newest.at - oldest.at) // timedelta(minutes=1) == reports.KEPT - 1


def test_passing_needs_all_that_decide_and_nothing_else(saved):
    information = result("sort", "failed", "protocol_error", decides=False)
    assert saved(result(), information).passed
    assert saved(result(verdict="warning", reason="certificate_expires_soon")).passed
    assert saved(result(verdict="skipped", because="security_none")).passed
    assert not saved(result(verdict="skipped", because="time")).passed
    assert not saved(result(), result("login", "failed", "timeout")).passed


def test_what_changed_since_it_last_passed(saved, clock):
    now = timezone.now()
    offered = ["IDLE", "SORT"]
    saved(result("dns", a=1, aaaa=0), at=now - timedelta(days=3))
    before = saved(
        result("tls", days_left=80),
        result("capability", capabilities=offered),
        result("flags", opened=3, renumbered=0),
        result("login"),
        at=now - timedelta(days=2),
    )
    saved(result("tls", "failed", "timeout"), at=now - timedelta(days=1))
    after = saved(
        result("tls", days_left=78),
        result("capability", capabilities=["IDLE", "MOVE"]),
        result("flags", opened=2, renumbered=1),
        result("login", "failed", "auth_failed"),
        at=now,
    )
    assert reports.last_passed_before(after) == before
    assert [tuple(vars(change).values()) for change in reports.compare(before, after)] == [
        ("capability", "capabilities", ["SORT"], ["MOVE"]),
        ("flags", "opened", 3, 2),
        ("flags", "renumbered", 0, 1),
        ("login", "verdict", "ok", "failed"),
        ("login", "error_type", "", "auth_failed"),
    ]


def test_every_change_has_its_words():
    compared = {what for facts in reports._COMPARED.values() for what in facts}
    for what in (*compared, "error_type"):
        assert advice.change("tls", what, 0, 3).startswith("Encryption and certificate, ")
    assert advice.change("capability", "capabilities", ["SORT"], ["MOVE", "IDLE"]) == (
        "Capabilities before the login: lost: SORT; new: MOVE IDLE"
    )


def test_what_an_earlier_failure_made_meaningless_is_no_change(saved, clock):
    before = saved(result("login"), result("inbox", mails=1))
    clock.shift(timedelta(days=1))
    after = saved(result("login", "failed", "timeout"), result("inbox", "skipped", because="login"))
    assert {change.probe for change in reports.compare(before, after)} == {"login"}


def test_a_renewed_certificate_is_a_change_and_the_passing_of_days_is_none(saved, clock):
    before = saved(result(days_left=10))
    clock.shift(timedelta(days=5))
    assert reports.compare(before, saved(result(days_left=5))) == []
    assert reports.compare(before, saved(result(days_left=90))) == [
        reports.Change("tls", "days_left", 10, 90)
    ]


def test_evidence_names_no_person_and_no_place():
    redact = Redactor(actions.Connection("imap.example.net", "anna.b@example.net", "Geheim§1"))
    redact.learn_folders(["Straße", "Work/[x]", "INBOX"])
    text = (
        "anna.b@example.net ANNA.B at IMAP.example.net with Geheim§1, geheim§1 from 192.0.2.7 "
        "[2001:db8::1] by bert@example.org in straße and Work/[x], INBOX at 12:30:59"
    )
    assert redact(text) == (
        "<login> <user> at <host> with <secret>, <secret> from <address> "
        "[<address>] by <e-mail> in <folder> and <folder>, INBOX at 12:30:59"
    )


def test_evidence_cannot_act_on_a_terminal():
    assert printable("\x1b[2J\a\nnext") == "\\x1b[2J\\x07\nnext"


def test_nothing_secret_reaches_a_report(anna, connect, scripted, examined):
    """The server repeats all it knows in everything it says, with odd names and an address."""
    canaries = {name: f"canary{secrets.token_hex(6)}" for name in ("folder", "keyword", "subject", "user")}
    scripted.append("", "INBOX", mail(canaries["subject"]), flags=(canaries["keyword"],))
    scripted.create("", canaries["folder"])
    box = Mailbox(scripted, f"{canaries['user']}@example.net")
    account = connect(box, name=f"label{secrets.token_hex(6)}", security="none")
    said = (
        f"{box.login} {box.password} {canaries['user']} {canaries['folder']} 127.0.0.1 x@y.example".encode()
    )
    scripted.greeting = b"* OK " + said
    scripted.capabilities = b"IMAP4rev1 ID NAMESPACE SORT"
    for command in ("ID", "NAMESPACE", "LSUB", "SORT"):
        scripted.scripts[command] = say(b"* OK " + said, b"TAG NO " + said)
    report = reports.save(account, key := actions.account_key(account, anna.user_key), examined(account))
    evidence = reports.open_evidence(report, key)
    assert "<login>" in evidence["greeting"] and "<secret>" in evidence["namespace"]
    texts = [reports.as_text(report, evidence), json.dumps(evidence), json.dumps(report.probes)]
    secret_words = [*canaries.values(), box.password, account.label, "127.0.0.1", "y.example"]
    for text in texts:
        assert [word for word in secret_words if word in text] == []


def test_a_report_to_attach_reads_like_this(saved, clock):
    report = saved(result("dns", evidence="", a=1), result("login", "failed", "auth_failed", "NO\nno"))
    assert reports.as_text(report, {"login": "NO\nno"}) == (
        "mailhelper diagnostics, 2026-03-01 12:00 UTC: not passed in 1.0 s\n"
        f"provider other, port {report.account.port}, security tls\n"
        "\n"
        'dns: ok in 0.100 s {"a": 1}\n'
        "login: failed auth_failed in 0.100 s {}\n"
        "    NO\n"
        "    no\n"
    )
