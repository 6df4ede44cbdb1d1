"""When, and in what order: jobs that people asked for, and the runs that do the work."""

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.fields import BytesField
from accounts.models import KeyGrant, MailAccount
from mail.models import Folder


class JobType(models.TextChoices):
    FETCH = "fetch"
    DIAGNOSTICS = "diagnostics"


class Trigger(models.TextChoices):
    PAGE = "page"
    COMMAND = "command"
    API = "api"
    SCHEDULE = "schedule"


class JobStatus(models.TextChoices):
    PENDING = "pending"
    RUNNING = "running"
    RETRYING = "retrying"
    SUCCESS = "success"
    PARTIAL_FAILURE = "partial_failure"
    FAILED = "failed"
    CANCELLED = "cancelled"


class RunStatus(models.TextChoices):
    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


JOB_OPEN = (JobStatus.PENDING, JobStatus.RUNNING, JobStatus.RETRYING)
RUN_ACTIVE = (RunStatus.PENDING, RunStatus.RUNNING)


class Phase(models.TextChoices):
    CONNECT = "connect"
    FOLDER_LIST = "folder_list"
    FETCH = "fetch"
    PARSE = "parse"
    SAVE = "save"
    PROCESS = "process"
    DISCONNECT = "disconnect"


class PipelineJob(models.Model):
    """What one person asked for at one time; its end is computed from its runs."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="jobs")
    type = models.CharField(max_length=16, choices=JobType.choices, default=JobType.FETCH)
    trigger = models.CharField(max_length=16, choices=Trigger.choices)
    status = models.CharField(max_length=16, choices=JobStatus.choices, default=JobStatus.PENDING)
    accounts = models.ManyToManyField(MailAccount, related_name="jobs")
    runs = models.ManyToManyField("AccountRun", through="JobRun", related_name="jobs")
    max_mails = models.PositiveIntegerField(null=True)
    timeout_seconds = models.PositiveIntegerField(null=True)
    emails_fetched = models.PositiveIntegerField(default=0)
    emails_linked = models.PositiveIntegerField(default=0)
    emails_processed = models.PositiveIntegerField(default=0)
    error_types = models.JSONField(default=dict)
    metrics = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(condition=models.Q(status__in=JobStatus.values), name="job_status_known"),
            models.CheckConstraint(
                condition=models.Q(status__in=JOB_OPEN) ^ models.Q(ended_at__isnull=False),
                name="an_ended_job_has_its_time",
            ),
        ]
        indexes = [
            models.Index(fields=["user", "-created_at"], name="job_newest_first"),
            models.Index(fields=["-created_at", "-id"], name="job_newest_of_all"),
        ]

    def __str__(self):
        return str(self.pk)[:8]


class AccountRun(models.Model):
    """One account's work. At most one run is active per account and kind.

    `look_again`: something was asked for that this attempt may have passed already.
    `attempt` counts claims; `retries` and `lapses` count since the last stored batch. A pending run with
    an owner is kept for that process until `lease_until`. `try_now` is a person's wish for this account,
    `folder` the only one that is wanted. `emails_linked` were stored already and not fetched again.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(MailAccount, on_delete=models.CASCADE, related_name="runs")
    kind = models.CharField(max_length=16, choices=JobType.choices, default=JobType.FETCH)
    grant = models.ForeignKey(KeyGrant, on_delete=models.SET_NULL, null=True)
    folder = models.ForeignKey(Folder, on_delete=models.SET_NULL, null=True)
    priority = models.SmallIntegerField(default=0)
    max_mails = models.PositiveIntegerField(null=True)
    timeout_seconds = models.PositiveIntegerField(null=True)
    status = models.CharField(max_length=16, choices=RunStatus.choices, default=RunStatus.PENDING)
    try_now = models.BooleanField(default=False)
    look_again = models.BooleanField(default=False)
    attempt = models.PositiveIntegerField(default=0)
    retries = models.PositiveSmallIntegerField(default=0)
    lapses = models.PositiveSmallIntegerField(default=0)
    phase = models.CharField(max_length=16, choices=Phase.choices, blank=True)
    mails_done = models.PositiveIntegerField(default=0)
    mails_total = models.PositiveIntegerField(null=True)
    bytes_done = models.BigIntegerField(default=0)
    bytes_total = models.BigIntegerField(null=True)
    seconds_left = models.FloatField(null=True)
    folders = models.PositiveIntegerField(default=0)
    emails_fetched = models.PositiveIntegerField(default=0)
    emails_linked = models.PositiveIntegerField(default=0)
    emails_processed = models.PositiveIntegerField(default=0)
    fence = models.PositiveIntegerField(default=0)
    owner = models.CharField(max_length=100, blank=True)
    lease_until = models.DateTimeField(null=True)
    run_after = models.DateTimeField(default=timezone.now)
    retry_at = models.DateTimeField(null=True)
    cancel_asked = models.BooleanField(default=False)
    error_type = models.CharField(max_length=32, blank=True)
    error_facts = models.JSONField(default=dict)
    sealed_evidence = BytesField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    phase_seconds = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "kind"],
                condition=models.Q(status__in=RUN_ACTIVE),
                name="one_active_run_per_account",
            ),
            models.CheckConstraint(condition=models.Q(status__in=RunStatus.values), name="run_status_known"),
            models.CheckConstraint(
                condition=~models.Q(status="running") | models.Q(lease_until__isnull=False),
                name="a_running_run_has_a_lease",
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=RUN_ACTIVE) ^ models.Q(ended_at__isnull=False),
                name="an_ended_run_has_its_time",
            ),
        ]
        indexes = [
            models.Index(fields=["account", "-created_at"], name="run_newest_first"),
            models.Index(fields=["account", "status", "-created_at"], name="run_newest_by_status"),
            models.Index(fields=["account", "error_type", "-created_at"], name="run_newest_by_error"),
            models.Index(fields=["-created_at", "-id"], name="run_newest_of_all"),
            models.Index(fields=["status", "lease_until"], name="run_by_lease"),
            models.Index(fields=["status", "-priority", "run_after"], name="run_by_turn"),
        ]

    def __str__(self):
        return str(self.pk)[:8]


class JobRun(models.Model):
    job = models.ForeignKey(PipelineJob, on_delete=models.CASCADE)
    run = models.ForeignKey(AccountRun, on_delete=models.CASCADE)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "run"], name="a_job_waits_once_for_a_run")]


class IdempotencyKey(models.Model):
    """What a script called its wish, so that sending it again makes no second job."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="idempotency_keys"
    )
    key = models.CharField(max_length=255)
    wish = models.CharField(max_length=64)
    job = models.ForeignKey(PipelineJob, on_delete=models.CASCADE, null=True, related_name="idempotency_keys")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="a_key_makes_one_job")]


class JobEvent(models.Model):
    """One arrow of docs/states.md that was taken."""

    job = models.ForeignKey(PipelineJob, on_delete=models.CASCADE, null=True, related_name="events")
    run = models.ForeignKey(AccountRun, on_delete=models.CASCADE, null=True, related_name="events")
    at = models.DateTimeField(default=timezone.now)
    arrow = models.CharField(max_length=32)
    before = models.CharField(max_length=16, blank=True)
    after = models.CharField(max_length=16)
    reason = models.CharField(max_length=32, blank=True)


class Heartbeat(models.Model):
    """When something that must not die in silence was last alive, and since when without a long pause.

    Also when what is to be done now and then was done last.
    """

    TICK = "tick"
    WORKER = "worker:"  # and the process
    BACKUP = "backup"
    PRUNING = "pruning"

    name = models.CharField(max_length=120, primary_key=True)
    at = models.DateTimeField()
    since = models.DateTimeField(default=timezone.now)


class Granularity(models.TextChoices):
    HOUR = "hour"
    DAY = "day"


class Rollup(models.Model):
    """What one account's syncs came to in an hour or a day of UTC (pipeline/tally.py).

    `attempts` is every one that succeeded or failed; `errors` counts the failed ones by error_type. The rest
    counts runs, each when it ends: `seconds` are sums by phase, `phases` and `operations` histograms.
    """

    account = models.ForeignKey(MailAccount, on_delete=models.CASCADE, related_name="rollups")
    granularity = models.CharField(max_length=4, choices=Granularity.choices)
    start = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    successes = models.PositiveIntegerField(default=0)
    errors = models.JSONField(default=dict)
    mails = models.PositiveIntegerField(default=0)
    linked = models.PositiveIntegerField(default=0)
    bytes = models.BigIntegerField(default=0)
    seconds = models.JSONField(default=dict)
    phases = models.JSONField(default=dict)
    operations = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "granularity", "start"], name="one_rollup_per_time")
        ]
        indexes = [models.Index(fields=["granularity", "start"], name="rollup_by_age")]


class ConnectionTrial(models.Model):
    """Settings of an account that are tried before they are saved; a person has one at a time.

    `account` is the one that they are for, or that was made of them. `step` is the probe at hand, `steps` are
    those behind as in a DiagnosticReport, and `heard_at` is when one ended last. What was typed and what the
    server said are sealed under the person's key; what was typed is forgotten when it is saved.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="connection_trial"
    )
    account = models.ForeignKey(MailAccount, on_delete=models.CASCADE, null=True)
    sealed_settings = BytesField()
    sealed_evidence = BytesField(null=True)
    step = models.CharField(max_length=32, blank=True)
    steps = models.JSONField(default=list)
    passed = models.BooleanField(null=True)
    started_at = models.DateTimeField(default=timezone.now)
    heard_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)
    saved_at = models.DateTimeField(null=True)
