"""manage.py schedule: when an account is synced by itself, and how much it may transfer."""

import re
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts import actions, grants
from accounts.models import GrantPurpose, MailAccount, User

pytestmark = pytest.mark.django_db


def schedule(*options: str) -> str:
    out = StringIO()
    call_command("schedule", "anna@example.org", *options, stdout=out)
    return out.getvalue()


def test_it_lists_what_is_set(account):
    assert "GMX: every 15 min, not by itself" in schedule()
    assert "0.0 MB today of unlimited" in schedule()


def test_an_interval_or_fixed_times(account):
    MailAccount.objects.update(next_due="2026-03-01T00:00Z")
    assert "every 30 min" in schedule("--name", "gmx", "--every", "30")
    assert MailAccount.objects.get().next_due is None
    assert "at 08:00, 18:30" in schedule("--name", "GMX", "--at", "18:30", "--at", "8:00")
    assert "every 60 min" in schedule("--name", "GMX", "--every", "60")


def test_pause_resume_and_budget(account):
    assert "paused" in schedule("--name", "GMX", "--pause")
    assert not MailAccount.objects.get().enabled
    assert "paused" not in schedule("--name", "GMX", "--resume")
    assert "of 250 MB" in schedule("--name", "GMX", "--budget", "250")
    assert "of unlimited" in schedule("--name", "GMX", "--budget", "0")


def test_a_time_zone_is_the_persons(account):
    schedule("--time-zone", "Europe/Berlin")
    assert User.objects.get().time_zone == "Europe/Berlin"


@pytest.mark.parametrize(
    "options",
    [
        ("--name", "GMX", "--every", "0"),
        ("--name", "GMX", "--every", "1441"),
        ("--name", "GMX", "--at", "25:00"),
        ("--name", "GMX", "--at", "noon"),
        ("--name", "GMX", "--budget", "-1"),
        ("--name", "nobody's", "--every", "5"),
        ("--every", "5"),
        ("--pause",),
        ("--time-zone", "Europe/Atlantis"),
    ],
)
def test_nonsense_is_refused_and_changes_nothing(options, account):
    before = MailAccount.objects.values().get()
    with pytest.raises(CommandError) as refused:
        schedule(*options)
    assert str(refused.value).endswith(".")
    assert MailAccount.objects.values().get() == before


def test_without_an_account_it_says_how_to_add_one(anna):
    assert "add_account" in schedule()


def test_an_account_in_background_sync_has_its_next_time_before_the_first_tick(anna, account):
    grants.grant(account, actions.account_key(account, anna.user_key), GrantPurpose.BACKGROUND)
    assert re.search(r"GMX: every 15 min, next \d{4}-\d\d-\d\d \d\d:\d\d UTC;", schedule())
