"""Is it well? Facts about an account's health; the status is computed from them."""

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.fields import BytesField
from accounts.models import MailAccount


class AccountHealth(models.Model):
    """Facts only: HEALTHY, DEGRADED and BROKEN are computed, never stored here.

    `failures` holds the times of failed runs since the last success; `probe_at` is when the next run by
    itself makes sense: after a refused password, a server's back-off hint, or with an open breaker.
    """

    account = models.OneToOneField(MailAccount, on_delete=models.CASCADE, related_name="health")
    last_success_at = models.DateTimeField(null=True)
    last_failure_at = models.DateTimeField(null=True)
    last_error_type = models.CharField(max_length=32, blank=True)
    failures = models.JSONField(default=list)
    breaker_opened_at = models.DateTimeField(null=True)
    probe_at = models.DateTimeField(null=True)
    failed_probes = models.PositiveIntegerField(default=0)
    refused_since = models.DateTimeField(null=True)


class HealthFlip(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(MailAccount, on_delete=models.CASCADE, related_name="flips")
    at = models.DateTimeField(default=timezone.now)
    before = models.CharField(max_length=12)
    after = models.CharField(max_length=12)
    reason = models.CharField(max_length=32)
    sealed_evidence = BytesField(null=True)


class Alert(models.Model):
    """One message decided for one person; `key` makes deciding it twice impossible."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="alerts")
    account = models.ForeignKey(MailAccount, on_delete=models.CASCADE, null=True)
    key = models.CharField(max_length=200, unique=True)
    kind = models.CharField(max_length=32)
    reason = models.CharField(max_length=32, blank=True)
    decided_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True)
    read_at = models.DateTimeField(null=True)


class DiagnosticReport(models.Model):
    """Verdict and time of each probe in clear; what the server said is sealed."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(MailAccount, on_delete=models.CASCADE, related_name="reports")
    at = models.DateTimeField(default=timezone.now)
    passed = models.BooleanField()
    probes = models.JSONField(default=list)
    sealed_evidence = BytesField(null=True)
