"""What a person and a script hear when the disk is full."""

import pytest
from django.db import DatabaseError, connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.errors import disk_is_full
from accounts.models import Invitation, User
from pipeline.models import AccountRun, JobEvent, PipelineJob
from tests.api.conftest import by_token
from tests.pipeline.test_pages import signed_in, words

pytestmark = pytest.mark.django_db(transaction=True)
NO_LIMIT = 1_073_741_823  # pages


@pytest.fixture
def full_disk(anna, account):
    """Neither invitations nor jobs have room for one more."""
    User.objects.filter(pk=anna.user.pk).update(is_staff=True)
    pages = {
        "browser": signed_in(Client(raise_request_exception=False), anna),
        "script": by_token(anna, accounts=[account]),
    }
    limit_pages("(SELECT * FROM pragma_page_count)")
    now = timezone.now()
    fill(lambda number: Invitation.objects.create(token_digest=f"{number:064}", expires_at=now))
    fill(lambda number: JobEvent.objects.create(arrow="fills", after="x"))
    ended = {"user": anna.user, "trigger": "api", "status": "failed", "ended_at": now}
    fill(lambda number: PipelineJob.objects.create(**ended))
    yield pages
    limit_pages(NO_LIMIT)


def limit_pages(limit) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {limit}")
        cursor.execute(f"PRAGMA max_page_count = {cursor.fetchone()[0]}")


def fill(make) -> None:
    number = 0
    while True:
        number += 1
        try:
            make(number)
        except DatabaseError as error:
            assert disk_is_full(error)
            return


def test_a_page_says_so_and_what_is_only_read_is_still_shown(full_disk):
    answer = full_disk["browser"].post(reverse("invite"))
    assert answer.status_code == 507
    assert "This machine's disk is full." in words(answer.text).replace("&#x27;", "'")
    assert full_disk["browser"].get(reverse("people")).status_code == 200


def test_a_script_hears_it_by_name_and_no_half_of_its_wish_is_kept(full_disk):
    answer = full_disk["script"].post("/jobs/fetch", {"max_mails": 1})
    assert (answer.status_code, answer.json()["error_type"]) == (507, "disk_full")
    assert "Free some space" in answer.json()["next_step"]
    assert not AccountRun.objects.exists() and not PipelineJob.objects.filter(max_mails=1).exists()
