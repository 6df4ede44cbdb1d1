"""Is it well? Facts about an account's health; the status is computed from them."""

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.fields import BytesField
from accounts.models import MailAccount, WorkerSecret


class Status(models.TextChoices):
    """NEW: no sync has succeeded with these settings. MANUAL: all is well, and nothing runs by itself."""

    NEW = "new"
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    BROKEN = "broken"
    MANUAL = "manual"


class AccountHealth(models.Model):
    """Facts, and the status that was last put down; the status of now is computed from them.

    `last_partial_at`: all but some folders were synced. `attempts` are the last five ended runs as
    [time, error_type], `failures` the times of failed runs since the last success; `probe_at` is when the
    next run by itself makes sense: after a refused password, a server's back-off hint, or with an open
    breaker. `paused_until` is when a used-up budget or a server's request to stay away ends.
    `backlog_since` is since when pending and quarantined mails have not become fewer.
    """

    account = models.OneToOneField(MailAccount, on_delete=models.CASCADE, related_name="health")
    last_success_at = models.DateTimeField(null=True)
    last_partial_at = models.DateTimeField(null=True)
    last_failure_at = models.DateTimeField(null=True)
    last_error_type = models.CharField(max_length=32, blank=True)
    last_error_facts = models.JSONField(default=dict)
    attempts = models.JSONField(default=list)
    failures = models.JSONField(default=list)
    breaker_opened_at = models.DateTimeField(null=True)
    probe_at = models.DateTimeField(null=True)
    failed_probes = models.PositiveIntegerField(default=0)
    refused_since = models.DateTimeField(null=True)
    pending = models.PositiveIntegerField(default=0)
    quarantined = models.PositiveIntegerField(default=0)
    backlog_since = models.DateTimeField(null=True)
    paused_until = models.DateTimeField(null=True)
    certificate_expires_at = models.DateTimeField(null=True)
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.NEW)
    reason = models.CharField(max_length=32, blank=True)
    since = models.DateTimeField(default=timezone.now)
    snoozed_until = models.DateTimeField(null=True)


class HealthFlip(models.Model):
    """One change of an account's health, with the figures behind it; `run_id` has the server's words."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(MailAccount, on_delete=models.CASCADE, related_name="flips")
    at = models.DateTimeField(default=timezone.now)
    before = models.CharField(max_length=12, choices=Status.choices)
    after = models.CharField(max_length=12, choices=Status.choices)
    reason = models.CharField(max_length=32, blank=True)
    facts = models.JSONField(default=dict)
    run_id = models.UUIDField(null=True)

    class Meta:
        ordering = ["-at"]
        indexes = [models.Index(fields=["account", "-at"], name="flip_newest_first")]


class AlertKind(models.TextChoices):
    BROKEN = "broken"
    DEGRADED = "degraded"
    RECOVERED = "recovered"
    DEAD_MAN = "dead_man"
    JOB_FAILED = "job_failed"
    QUARANTINE = "quarantine"
    SLOW = "slow"
    GRANT_EXPIRING = "grant_expiring"
    SCHEDULER_DEAD = "scheduler_dead"
    CHANNEL_DISABLED = "channel_disabled"
    TEST = "test"
    JOB_ENDED = "job_ended"
    HEALTH_CHANGED = "health_changed"


EVENTS = (AlertKind.JOB_ENDED, AlertKind.HEALTH_CHANGED)  # for programs (diagnostics/alerting/events.py)


class Alert(models.Model):
    """One message decided for one person; `key` makes deciding it twice impossible.

    The words are found when it is read or sent, from kind, reason and facts, in the person's language.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="alerts")
    account = models.ForeignKey(MailAccount, on_delete=models.CASCADE, null=True, related_name="alerts")
    key = models.CharField(max_length=200, unique=True)
    kind = models.CharField(max_length=32, choices=AlertKind.choices)
    reason = models.CharField(max_length=32, blank=True)
    facts = models.JSONField(default=dict)
    decided_at = models.DateTimeField(default=timezone.now)
    read_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-decided_at"]
        indexes = [
            models.Index(fields=["user", "-decided_at"], name="alert_newest_first"),
            models.Index(fields=["user"], condition=models.Q(kind__in=EVENTS), name="event_on_its_way"),
        ]


class AlertPreferences(models.Model):
    """What a person wants to hear of, by kind: {"degraded": {"on": true, "minutes": 30}}; else the defaults.

    From `quiet_from` to `quiet_until`, in the person's time zone, messages wait.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="alert_preferences"
    )
    rules = models.JSONField(default=dict)
    quiet_from = models.TimeField(null=True)
    quiet_until = models.TimeField(null=True)


class ChannelKind(models.TextChoices):
    EMAIL = "email"
    WEBHOOK = "webhook"
    APPRISE = "apprise"


class AlertChannel(models.Model):
    """A way to a person. Address, URL and signing key are a secret that only workers open.

    `events`: a program listens at this web hook, and hears of each job's end and each change of health, too.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="channels")
    kind = models.CharField(max_length=12, choices=ChannelKind.choices)
    label = models.CharField(max_length=100)
    events = models.BooleanField(default=False)
    secret = models.OneToOneField(WorkerSecret, on_delete=models.CASCADE, related_name="channel")
    failures = models.PositiveIntegerField(default=0)
    disabled_at = models.DateTimeField(null=True)
    disabled_reason = models.CharField(max_length=32, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["label"]
        constraints = [
            models.UniqueConstraint(fields=["user", "label"], name="one_channel_per_label"),
            models.CheckConstraint(
                condition=models.Q(events=False) | models.Q(kind=ChannelKind.WEBHOOK),
                name="only_web_hooks_take_events",
            ),
        ]


class DeliveryStatus(models.TextChoices):
    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"


class AlertDelivery(models.Model):
    """An alert on its way through one channel.

    Alerts that go together share a `message`, which is the stable Message-ID or Idempotency-Key of each
    attempt. While one process sends it, `lease_until` keeps the others away.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="deliveries")
    channel = models.ForeignKey(AlertChannel, on_delete=models.CASCADE, related_name="deliveries")
    status = models.CharField(max_length=12, choices=DeliveryStatus.choices, default=DeliveryStatus.WAITING)
    due_at = models.DateTimeField(default=timezone.now)
    message = models.UUIDField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    error_type = models.CharField(max_length=32, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["alert", "channel"], name="an_alert_goes_once_through_a_channel")
        ]
        indexes = [models.Index(fields=["status", "due_at"], name="delivery_by_turn")]


class DiagnosticReport(models.Model):
    """One examination. Verdict and time of each probe in clear; what the server said is sealed.

    `probes` is a list of {"name", "verdict", "seconds", "error_type", "facts"}.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(MailAccount, on_delete=models.CASCADE, related_name="reports")
    at = models.DateTimeField(default=timezone.now)
    seconds = models.FloatField(default=0)
    passed = models.BooleanField()
    probes = models.JSONField(default=list)
    sealed_evidence = BytesField(null=True)
    run_id = models.UUIDField(null=True)

    class Meta:
        ordering = ["-at"]
        indexes = [models.Index(fields=["account", "-at"], name="report_newest_first")]
