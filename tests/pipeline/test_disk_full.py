"""A full disk has a name of its own and costs nothing: with room again, the sync goes on."""

import os
import subprocess
import sys
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from accounts import actions, advice
from accounts.errors import disk_is_full
from mail.models import Message, MessageBody
from pipeline import runs
from pipeline.broker import PipelineBroker
from pipeline.models import AccountRun, JobEvent, Phase
from tests.installation import BASE, Installation
from tests.pipeline.test_sync import mail

pytestmark = pytest.mark.django_db(transaction=True)
MAILS = 6


@contextmanager
def no_room_for(model):
    """No further row of this model: SQLite may not grow, PostgreSQL says what it says of a full disk."""
    with connection.cursor() as cursor:
        (_forbid_pages if connection.vendor == "sqlite" else _refuse_rows)(cursor, model)
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            if connection.vendor == "sqlite":
                cursor.execute("PRAGMA max_page_count = 1073741823")
                JobEvent.objects.filter(arrow="fills").delete()
            else:
                cursor.execute("DROP FUNCTION IF EXISTS disk_is_full CASCADE")


def _forbid_pages(cursor, model):
    """Rows that fill the last page of the table come first, where a row is small."""
    cursor.execute("PRAGMA page_count")
    cursor.execute(f"PRAGMA max_page_count = {cursor.fetchone()[0] + (8 if model is MessageBody else 0)}")
    while model is JobEvent:
        try:
            JobEvent.objects.create(arrow="fills", after="x" * 16)
        except DatabaseError as error:
            assert disk_is_full(error)
            return


def _refuse_rows(cursor, model):
    cursor.execute(
        "CREATE FUNCTION disk_is_full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$"
    )
    cursor.execute(
        f"CREATE TRIGGER full_disk BEFORE INSERT ON {model._meta.db_table} EXECUTE FUNCTION disk_is_full()"
    )


@pytest.fixture
def filled(mailbox, account):
    for number in range(MAILS):
        mailbox.append(mail(f"number {number}") + os.urandom(20_000).hex().encode())
    return account


def whole(mailbox, account, folders) -> bool:
    """Whether every mail is here, once."""
    stored = {uid: one.raw for uid, one in folders(account)["INBOX"].items()}
    return stored == mailbox.served() and Message.objects.count() == len(stored) == MAILS


def test_a_sync_that_meets_a_full_disk_says_so_and_the_next_one_goes_on(mailbox, filled, sync, folders):
    with no_room_for(MessageBody):
        run = sync(filled)
    assert (run.status, run.error_type, run.retries) == ("failed", "disk_full", 0)
    assert run.error == "This machine's disk is full." and "Nothing is lost" in run.next_step
    assert sync(filled).status == "success"
    assert whole(mailbox, filled, folders)


def test_where_not_even_that_can_be_written_the_same_run_goes_on(anna, mailbox, filled, folders, caplog):
    broker = PipelineBroker()
    job = broker.create_fetch_job_here(anna.user, [filled])
    key = actions.account_key(filled, anna.user_key)
    filling = no_room_for(JobEvent)

    @contextmanager
    def watch(phase):
        if phase == Phase.SAVE:
            filling.__enter__()
        yield

    assert broker.execute_fetch_job(*job.run_ids, key, watch=watch)
    run = AccountRun.objects.get()
    assert run.status == "running" and "disk_full" in caplog.text
    filling.__exit__(None, None, None)
    AccountRun.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert runs.free_lapsed() == [run.pk]
    assert broker.execute_fetch_job(run.pk, key)
    run.refresh_from_db()
    assert (run.status, run.attempt) == ("success", 2)
    assert whole(mailbox, filled, folders)


def test_other_trouble_of_the_database_is_not_called_a_full_disk(db):
    with pytest.raises(DatabaseError) as raised, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT 'disk is full' FROM nowhere")
    assert not disk_is_full(raised.value)
    assert not disk_is_full(OSError(27, "File too large"))


@pytest.mark.once
def test_a_backup_that_finds_no_room_leaves_nothing(tmp_path):
    house = Installation(tmp_path)
    disk = tmp_path / "disk"
    disk.mkdir()
    script = 'mount -t tmpfs -o size=200k tmpfs "$1"; "$2" manage.py backup "$1/made"; echo $?; ls -A "$1"'
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh", str(disk), sys.executable],
        cwd=BASE,
        env=house.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "1\n", done
    assert done.stderr == "CommandError: " + advice.no_space() + "\n"
