"""What the tests of alerts share: receivers that are real, a clock, accounts that nobody connects to."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone

from accounts import actions
from diagnostics.alerting import channels
from diagnostics.models import AccountHealth, Alert, Status
from tests.servers.http_receiver import HttpReceiver
from tests.servers.smtp import SmtpServer

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOST, LOGIN, PASSWORD = "canary-host.example.org", "canary-login", "canary-password"


@pytest.fixture
def clock():
    """A day on which a test may move."""
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


@pytest.fixture
def smtp(settings):
    with SmtpServer() as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
        settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
        settings.DEFAULT_FROM_EMAIL = "mailhelper@example.org"
        yield server.room


@pytest.fixture
def receiver():
    with HttpReceiver() as server:
        yield server


def made_account(person, label="GMX"):
    connection = actions.Connection(HOST, LOGIN, PASSWORD)
    return actions.add_account(person.user, person.user_key, label, 993, "tls", connection)


@pytest.fixture
def gmx(anna):
    """Anna's account, whose server is never asked."""
    return made_account(anna)


@pytest.fixture
def email(anna, smtp):
    return channels.add_channel(anna.user, "email", "Mail", "anna@example.org").channel


@pytest.fixture
def webhook(anna, receiver):
    return channels.add_channel(anna.user, "webhook", "Hook", f"{receiver.url}/hook").channel


def put_down(account, status, reason="", **facts) -> AccountHealth:
    """What the recording of health leaves behind."""
    row, _ = AccountHealth.objects.get_or_create(account=account, defaults={"since": timezone.now()})
    since = row.since if row.status == status else timezone.now()
    AccountHealth.objects.filter(pk=row.pk).update(status=status, reason=reason, since=since, **facts)
    row.refresh_from_db()
    return row


def kinds(user) -> list[str]:
    """Of the person's alerts, oldest first."""
    return list(Alert.objects.filter(user=user).order_by("decided_at").values_list("kind", flat=True))


BROKEN, DEGRADED, HEALTHY, MANUAL = Status.BROKEN, Status.DEGRADED, Status.HEALTHY, Status.MANUAL
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
