"""What a person reads when the disk is full."""

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Invitation, User
from tests.pipeline.test_pages import signed_in, words

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def operator(anna):
    User.objects.filter(pk=anna.user.pk).update(is_staff=True)
    browser = signed_in(Client(raise_request_exception=False), anna)
    assert browser.get(reverse("people")).status_code == 200
    return browser


@pytest.fixture
def full_disk(operator):
    """As far as invitations go."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA page_count")
        cursor.execute(f"PRAGMA max_page_count = {cursor.fetchone()[0]}")
    number = 0
    try:
        while True:
            number += 1
            Invitation.objects.create(token_digest=f"{number:064}", expires_at=timezone.now())
    except Exception as error:
        assert "full" in str(error)
    yield
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA max_page_count = 1073741823")


def test_a_page_says_so_and_what_is_only_read_is_still_shown(operator, full_disk):
    response = operator.post(reverse("invite"))
    assert response.status_code == 507
    assert "This machine's disk is full." in words(response.text).replace("&#x27;", "'")
    assert operator.get(reverse("people")).status_code == 200
