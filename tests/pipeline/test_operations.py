"""What a person can ask for beyond a sync: one folder, a reset, another try, an estimate."""

import pytest
from django.db import connections

from accounts import actions
from accounts.errors import UsageError
from mail.models import LedgerEntry, Message
from mail.queries import folder_named
from pipeline import estimate, runs
from pipeline.broker import PipelineBroker
from pipeline.models import AccountRun
from tests.conftest import Mailbox
from tests.pipeline.conftest import again
from tests.pipeline.test_frugal import many
from tests.pipeline.test_sync import figures, mail

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rings")]
broker = PipelineBroker()


@pytest.fixture
def keys(anna):
    def keys(account):
        return {account.pk: actions.account_key(account, anna.user_key)}

    return keys


@pytest.fixture
def folder(keys):
    """folder(account, "INBOX")"""

    def folder(account, name):
        return folder_named(account, keys(account)[account.pk], name)

    return folder


def executed(job_id) -> AccountRun:
    return again(AccountRun.objects.get(jobs=job_id))


# One folder


def test_one_folder_is_synced_and_the_others_are_not_opened(scripted, scripted_account, sync, keys, folder):
    scripted.create("", "Work")
    sync(scripted_account)
    for name in ("INBOX", "Work"):
        scripted.append("", name, mail(name))
    scripted.commands.clear()
    work = folder(scripted_account, "work")
    run = executed(
        broker.enqueue_fetch_job(
            scripted_account.user, scripted_account, folder=work, keys=keys(scripted_account)
        )
    )
    assert (run.status, run.emails_fetched, run.folder) == ("success", 1, work)
    assert not any(b"INBOX" in command for command in scripted.commands)
    assert sync(scripted_account).emails_fetched == 1


def test_a_wish_for_all_widens_a_wish_for_one_folder(scripted, scripted_account, sync, keys, folder):
    sync(scripted_account)
    for asked in ({"folder": folder(scripted_account, "INBOX")}, {}):
        job_id = broker.enqueue_fetch_job(
            scripted_account.user, scripted_account, keys=keys(scripted_account), **asked
        )
    assert executed(job_id).folder is None


def test_a_folder_of_another_account_or_one_that_is_left_out_is_refused(
    scripted, scripted_account, connect, sync
):
    scripted.create("", "Trash")
    sync(scripted_account)
    other = connect(Mailbox(scripted), name="Other", security="none")
    trash = scripted_account.folders.get(excluded=True)
    with pytest.raises(UsageError, match="not synced"):
        broker.enqueue_fetch_job(scripted_account.user, scripted_account, folder=trash)
    for ask in (broker.reset_folder, broker.retry_quarantined):
        with pytest.raises(ValueError):
            ask(other, scripted_account.folders.get(excluded=False))
    assert AccountRun.objects.filter(folder__isnull=False).count() == 0


def test_a_folder_that_is_not_listed_any_more_is_told(scripted, scripted_account, sync, keys, folder):
    scripted.create("", "Work")
    sync(scripted_account)
    work = folder(scripted_account, "Work")
    del scripted.boxes[b"Work"]
    job_id = broker.enqueue_fetch_job(
        scripted_account.user, scripted_account, folder=work, keys=keys(scripted_account)
    )
    run = executed(job_id)
    assert (run.error_type, run.error_facts) == ("mailbox_gone", {"reason": "not_listed"})


# Reset


def test_a_reset_links_everything_again_and_fetches_nothing(scripted, scripted_account, sync, keys, folder):
    scripted.append_many("", "INBOX", many(7))
    sync(scripted_account)
    scripted.commands.clear()
    run = executed(
        broker.reset_folder(scripted_account, folder(scripted_account, "INBOX"), keys=keys(scripted_account))
    )
    assert (run.status, run.emails_fetched, run.emails_linked) == ("success", 0, 7)
    assert figures(scripted_account) == {"on_server": 7, "stored": 7}
    assert not any(b"BODY.PEEK[]" in command for command in scripted.commands)
    assert scripted_account.folders.get().reset_asked_at is None


def test_a_reset_mends_a_row_that_speaks_of_another_mail(scripted, scripted_account, sync, keys, folder):
    """As after a server that gave a UID twice."""
    scripted.append_many("", "INBOX", many(2))
    sync(scripted_account)
    scripted.boxes[b"INBOX"].mails[1].raw = mail("quite another")
    assert sync(scripted_account).emails_fetched == 0
    inbox = folder(scripted_account, "INBOX")
    run = executed(broker.reset_folder(scripted_account, inbox, keys=keys(scripted_account)))
    assert (run.emails_fetched, run.emails_linked) == (1, 1)
    assert scripted_account.messages.count() == 3


def test_a_reset_that_is_asked_for_during_a_run_is_not_lost(scripted, scripted_account, sync, keys, folder):
    scripted.append_many("", "INBOX", many(2))
    sync(scripted_account)
    inbox = folder(scripted_account, "INBOX")
    job_id = broker.enqueue_fetch_job(scripted_account.user, scripted_account, keys=keys(scripted_account))
    run = AccountRun.objects.get(jobs=job_id)
    claim = runs.claim(run.pk)
    runs.begin(claim)
    broker.mark_for_reset(scripted_account, inbox)
    runs.succeed(claim, (run.max_mails, run.timeout_seconds, None))
    run = again(run)
    assert (run.status, run.attempt, run.emails_linked) == ("success", 2, 2)


def test_a_reset_before_the_old_look_ends_stays_asked_for(scripted, scripted_account, sync, folder):
    from mail import folders

    scripted.append("", "INBOX", mail("one"))
    sync(scripted_account)
    as_the_look_began = folder(scripted_account, "INBOX")
    folders.ask_for_reset(folder(scripted_account, "INBOX"))
    selected = type("Selected", (), {"exists": 1, "uidnext": 2, "highestmodseq": None})
    folders.record_look(lambda: None, as_the_look_began, selected, "folder_emptied", whole=True)
    assert folder(scripted_account, "INBOX").reset_asked_at is not None


# Another try


def test_quarantined_mails_are_tried_again(scripted, scripted_account, sync, keys):
    scripted.append_many("", "INBOX", many(2))
    sync(scripted_account, max_mails=1)
    waiting = LedgerEntry.objects.filter(state="pending")
    waiting.update(state="quarantined", reason="unfetchable", attempts=5)
    assert sync(scripted_account).emails_fetched == 0
    run = executed(broker.retry_quarantined(scripted_account, keys=keys(scripted_account)))
    assert run.emails_fetched == 1
    assert figures(scripted_account) == {"on_server": 2, "stored": 2}


def test_only_the_folder_asked_for_is_tried_again(scripted, scripted_account, sync, folder):
    for name in ("INBOX", "Work"):
        scripted.create("", name)
        scripted.append("", name, mail(name))
    sync(scripted_account)
    LedgerEntry.objects.update(state="quarantined")
    assert broker.release_quarantined(scripted_account, folder(scripted_account, "Work")) == 1


def test_a_mail_that_a_bug_misread_is_read_again(scripted, scripted_account, sync, keys, monkeypatch):
    def broken(raw):
        raise TypeError

    scripted.append("", "INBOX", mail("one"))
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.intake.parse_message", broken)
        assert sync(scripted_account).error_type == "bug"
    before = Message.objects.select_related("body").get()
    run = executed(broker.retry_quarantined(scripted_account, keys=keys(scripted_account)))
    after = Message.objects.select_related("body").get()
    assert (run.status, before.parsed, after.parsed, after.error_type) == ("success", False, True, "")
    assert before.pk == after.pk and before.body.sealed_raw != after.body.sealed_raw


# Estimate


def test_stock_is_taken_and_nothing_fetched_for_an_estimate(scripted, scripted_account, sync):
    scripted.append_many("", "INBOX", many(30))
    run = sync(scripted_account, max_mails=0)
    assert (run.status, run.emails_fetched) == ("success", 0)
    assert not any(b"BODY" in command for command in scripted.commands)
    told = estimate.estimate(scripted_account)
    size = sum(len(raw) for raw in many(30))
    assert (told.mails, told.bytes) == (30, size)
    assert told.seconds == pytest.approx(30 * 0.002 + size / 2_000_000)
    sync(scripted_account)
    assert estimate.estimate(scripted_account) == estimate.Estimate(0, 0, 0)


def test_an_estimate_learns_from_the_runs_before(scripted, scripted_account, sync):
    scripted.append_many("", "INBOX", many(3))
    sync(scripted_account)
    AccountRun.objects.update(emails_fetched=500, bytes_done=2_000_000, phase_seconds={"fetch": 3, "save": 1})
    assert estimate.pace_of(scripted_account) == pytest.approx(2)


@pytest.mark.parametrize(
    ("told", "pace"),
    [
        ([], None),
        ([(1, 1, 0.1)], None),
        ([(500, 0, 1)], 1),
        ([(500, 0, 2), (1, 1, 0.1)], 2),
        ([(0, 2_000_000, 1), (500, 0, 2)], 1.5),
    ],
)
def test_the_pace_is_what_runs_took_in_terms_of_the_model(told, pace):
    assert estimate.pace(told) == (pace if pace is None else pytest.approx(pace))


@pytest.mark.django_db(transaction=True)
def test_the_time_left_is_told_before_the_first_body(scripted, scripted_account, keys):
    scripted.append_many("", "INBOX", many(20))
    seen = []

    def look(session, tag, rest):
        if b"BODY" in rest:
            seen.extend(AccountRun.objects.values_list("mails_total", "bytes_total", "seconds_left"))
            connections.close_all()
        return False

    scripted.scripts["FETCH"] = look
    executed(broker.enqueue_fetch_job(scripted_account.user, scripted_account, keys=keys(scripted_account)))
    [(mails, size, seconds)] = seen
    assert (mails, size) == (20, sum(len(raw) for raw in many(20)))
    assert seconds == pytest.approx(estimate.expected_seconds(mails, size))
