"""A folder in trouble is named to its owner, is an id in clear, and spoils no look at the others."""

from dataclasses import replace

import pytest

from accounts import actions
from diagnostics import reports
from diagnostics.models import DiagnosticReport
from diagnostics.probing import climb, folders, probes, troubled
from diagnostics.probing.line import Line
from diagnostics.screen import folder_lines
from mail.queries import folder_names
from tests.conftest import Mailbox
from tests.pipeline.test_errors import drop, hang, say
from tests.pipeline.test_sync import mail

pytestmark = pytest.mark.django_db

REFUSED = say(b"TAG NO [NOPERM] not yours")
FAREWELL = say(b"* BYE Internal error occurred")
NOISE = say(b"XX OK what?")


@pytest.fixture
def account(connect, scripted):
    scripted.append("", "INBOX", mail("one"))
    for name in ("Alpha", "Beta", "Zeta"):
        scripted.create("", name)
    return connect(Mailbox(scripted), security="none")


def at(*names: bytes, do):
    """A script that does so where one of these folders is opened."""

    def script(session, tag, rest):
        return rest.strip(b'"') in names and do(session, tag, rest)

    return script


@pytest.fixture
def synced(account, sync):
    sync(account)
    return account


def ids(account, key, *names):
    found = {name: str(folder_id) for folder_id, name in folder_names(account, key).items()}
    return [found[name] for name in names]


@pytest.fixture
def key(anna, account):
    return actions.account_key(account, anna.user_key)


@pytest.mark.parametrize("trouble", [REFUSED, drop, FAREWELL, NOISE], ids=["no", "drop", "bye", "noise"])
def test_the_folders_that_do_not_open_are_kept_by_the_ids_of_their_rows(
    trouble, scripted, synced, examined, key
):
    scripted.scripts["EXAMINE"] = at(b"Alpha", b"Zeta", do=trouble)
    found = examined(synced).of("flags")
    assert (found.verdict, found.error_type) == ("failed", "mailbox_gone")
    assert found.facts["refusing"] == ids(synced, key, "Alpha", "Zeta")
    assert (found.facts["opened"], found.facts["refused"], found.facts["refused_synced"]) == (2, 2, 2)


def test_a_connection_that_is_lost_at_one_folder_is_no_end_for_the_probes_after_it(
    scripted, account, examined
):
    scripted.scripts["EXAMINE"] = at(b"Zeta", do=drop)
    examination = examined(account)
    assert examination.of("fetch").verdict == "ok"
    assert examination.of("flags").facts["opened"] == 3


def test_a_folder_that_hangs_takes_its_step_and_not_the_look_at_the_others(
    scripted, account, examined, monkeypatch
):
    monkeypatch.setattr(Line.step.__wrapped__, "__defaults__", (0.5,))
    scripted.scripts["EXAMINE"] = at(b"Alpha", do=hang)
    found = examined(account).of("flags")
    assert (found.facts["refused"], found.facts["opened"]) == (1, 3)


def test_a_probe_whose_time_ends_at_a_folder_lays_nothing_to_that_folder(
    scripted, account, examined, monkeypatch
):
    short = [
        replace(probe, seconds=0.5) if probe.name == "flags" else probe for probe in probes.in_order("none")
    ]
    monkeypatch.setattr(probes, "in_order", lambda security: short)
    monkeypatch.setattr(folders, "LAST_SECONDS", 0.1)
    scripted.scripts["EXAMINE"] = at(b"Beta", do=hang)
    found = examined(account).of("flags")
    assert (found.error_type, found.facts["opened"], found.facts["refused"]) == ("timeout", 2, 0)
    assert "refusing" not in found.facts


def test_a_server_that_drops_every_folder_is_itself_the_trouble(scripted, account, examined):
    scripted.scripts["EXAMINE"] = drop
    found = examined(account).of("flags")
    assert found.error_type == "connection_reset"


def test_a_server_that_is_gone_after_a_folder_is_not_taken_for_the_folders_refusal(
    scripted, account, examined
):
    def last_breath(session, tag, rest):
        scripted.scripts["LOGIN"] = drop
        return drop(session, tag, rest)

    scripted.scripts["EXAMINE"] = at(b"Zeta", do=last_breath)
    found = examined(account).of("flags")
    assert (found.error_type, found.facts["opened"]) == ("connection_reset", 3)


def test_reconnecting_has_an_end_and_what_was_seen_until_then_is_told(
    scripted, account, examined, monkeypatch
):
    monkeypatch.setattr(climb, "RECONNECTS", 1)
    scripted.scripts["EXAMINE"] = at(b"Alpha", b"Beta", do=drop)
    found = examined(account).of("flags")
    assert (found.error_type, found.facts["reason"]) == ("connection_reset", "broke_too_often")
    assert (found.facts["opened"], found.facts["refused"]) == (1, 2)
    assert found.folder_names == {"2": "Alpha", "3": "Beta"}


def test_a_folder_without_a_row_is_its_place_in_the_list_and_named_beside_the_facts(
    scripted, account, examined, key
):
    scripted.scripts["EXAMINE"] = at(b"Beta", do=REFUSED)
    found = examined(account).of("flags")
    assert found.facts["refusing"] == ["3"]
    assert found.folder_names == {"3": "Beta"}


def test_folders_without_their_numbers_are_named_too(scripted, account, examined):
    scripted.scripts["EXAMINE"] = at(b"Beta", do=say(b"* 0 EXISTS", b"TAG OK [READ-ONLY] done"))
    found = examined(account).of("flags")
    assert (found.error_type, found.facts["unnumbered"]) == ("protocol_error", ["3"])
    assert "Beta" in folder_lines(found.facts, found.folder_names)[0]


def test_of_very_many_folders_no_more_than_fifty_are_told(scripted, account, examined):
    names = [f"Many{number:02}".encode() for number in range(60)]
    for name in names:
        scripted.create("", name)
    scripted.scripts["EXAMINE"] = at(*names, do=REFUSED)
    found = examined(account).of("flags")
    assert (found.facts["refused"], len(found.facts["refusing"])) == (60, troubled.MOST_TOLD)


def test_no_name_is_stored_in_clear_or_stands_in_the_text_to_download(scripted, synced, examined, key):
    scripted.create("", "Secretly")
    scripted.scripts["EXAMINE"] = at(b"Alpha", b"Secretly", do=REFUSED)
    examination = examined(synced)
    assert set(examination.folder_names.values()) == {"Alpha", "Secretly"}
    report = reports.save(synced, key, examination)
    stored = str(DiagnosticReport.objects.values().get())
    text = reports.as_text(report, reports.open_evidence(report, key))
    [row_id] = ids(synced, key, "Alpha")
    assert row_id in stored and row_id not in text and "refusing" not in text
    assert not [name for name in ("Alpha", "Secretly") if name in stored + text]


def test_each_kind_is_a_line_with_the_names_that_are_known():
    facts = {"refusing": ["a", "b", "3", "gone"], "differing": {"b": [9, 2, 0]}}
    assert folder_lines(facts, {"a": "Alpha", "b": "Beta"}) == [
        "Folders that do not open: “Alpha”, “Beta”, number 3 in alphabetical order, INBOX first",
        "Folders that differ: “Beta” (only on the server 2)",
    ]
    assert folder_lines({"mails": 3}, {"a": "Alpha"}) == []
