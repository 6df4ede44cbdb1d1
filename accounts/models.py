"""Who: people, their vaults, their mail accounts, and who may open what for how long."""

import uuid
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models, transaction
from django.db.models.functions import Lower
from django.utils import timezone

from accounts.errors import PasswordMustBeRewrapped
from accounts.fields import BytesField


class UserManager(BaseUserManager):
    def get_by_natural_key(self, email):
        return self.get(email=email.lower())

    def create_user(self, *args, **kwargs):
        raise PasswordMustBeRewrapped

    create_superuser = create_user


class User(AbstractBaseUser, PermissionsMixin):
    """A person. Passwords change only together with the vault (accounts.actions)."""

    email = models.EmailField(unique=True)
    language = models.CharField(max_length=8, choices=settings.LANGUAGES, default="en")
    time_zone = models.CharField(max_length=64, default="UTC")
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    date_joined = models.DateTimeField(default=timezone.now)

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    objects = UserManager()

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="one_person_per_address")]

    @property
    def zone(self) -> ZoneInfo:
        """The person's time zone; UTC where this machine does not know it any more."""
        try:
            return ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError):
            return ZoneInfo("UTC")

    def set_password(self, raw_password):
        # Django hashes for an unsaved user so that unknown addresses take as long as known ones.
        if not self._state.adding:
            raise PasswordMustBeRewrapped
        super().set_password(raw_password)

    def save(self, *args, update_fields=None, **kwargs):
        with transaction.atomic():
            if update_fields is None or "password" in update_fields:
                self._refuse_another_password()
            super().save(*args, update_fields=update_fields, **kwargs)

    def _refuse_another_password(self):
        row = User.objects.select_for_update().filter(pk=self.pk)
        stored = row.values_list("password", flat=True).first()
        new_without_one = stored is None and not (self.password and self.has_usable_password())
        if self.password != stored and not new_without_one:
            raise PasswordMustBeRewrapped


class Vault(models.Model):
    """A person's keys, wrapped. Salt and cost of the password's half stand in `User.password`."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.OneToOneField(User, on_delete=models.CASCADE)
    user_key_by_password = BytesField()
    user_key_by_recovery_key = BytesField()
    mail_public_key = BytesField()
    sealed_mail_private_key = BytesField()


class Invitation(models.Model):
    """A link by which one person may sign up. Without `invited_by` it is the one for the first operator."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    token_digest = models.CharField(max_length=64, unique=True)
    makes_operator = models.BooleanField(default=False)
    invited_by = models.ForeignKey(User, on_delete=models.CASCADE, null=True, related_name="invitations")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)
    used_by = models.OneToOneField(User, on_delete=models.SET_NULL, null=True, related_name="invitation")


class WorkerKey(models.Model):
    """A public key that grants are sealed to; the private one lies in a file outside the data folder."""

    ALGORITHM = "mlkem768-x25519"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    algorithm = models.CharField(max_length=32, default=ALGORITHM)
    public_key = BytesField(unique=True)
    created_at = models.DateTimeField(default=timezone.now)
    retired_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["algorithm"], condition=models.Q(retired_at=None), name="one_current_worker_key"
            )
        ]


class WorkerSecret(models.Model):
    """A secret that workers use by themselves, such as where a person's alerts go."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    worker_key = models.ForeignKey(WorkerKey, on_delete=models.CASCADE)
    sealed_value = BytesField()
    created_at = models.DateTimeField(default=timezone.now)


class Security(models.TextChoices):
    TLS = "tls"
    STARTTLS = "starttls"
    NONE = "none"


class MailAccount(models.Model):
    """One mailbox of one person. Its label is readable; host, login, secret and filters are sealed."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="mail_accounts")
    label = models.CharField(max_length=100)
    provider = models.CharField(max_length=32)
    port = models.PositiveIntegerField()
    security = models.CharField(max_length=8, choices=Security.choices)
    auth_method = models.CharField(max_length=16, default="password")
    enabled = models.BooleanField(default=True)
    interval_minutes = models.PositiveIntegerField(default=15)
    fixed_times = models.JSONField(default=list)
    next_due = models.DateTimeField(null=True)
    daily_budget_bytes = models.BigIntegerField(null=True)
    bytes_today = models.BigIntegerField(default=0)
    bytes_day = models.DateField(null=True)
    sealed_account_key = BytesField()
    sealed_connection = BytesField()
    sealed_folder_rules = BytesField()
    connection_changed_at = models.DateTimeField(default=timezone.now)
    schedule_changed_at = models.DateTimeField(default=timezone.now)
    host_key = BytesField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["label"]
        constraints = [
            models.UniqueConstraint("user", Lower("label"), name="one_account_per_label"),
            models.CheckConstraint(
                condition=models.Q(port__gte=1, port__lte=65535), name="account_port_exists"
            ),
            models.CheckConstraint(
                condition=models.Q(security__in=Security.values), name="account_security_known"
            ),
        ]

    def __str__(self):
        return self.label

    @property
    def in_log(self) -> dict:
        """By which it may be named in the log."""
        return {"account_id": self.pk, "user_id": self.user_id}


class GrantPurpose(models.TextChoices):
    JOB = "job"
    BACKGROUND = "background"


class GrantEnd(models.TextChoices):
    REVOKED = "revoked"  # by its owner
    EXPIRED = "expired"
    REPLACED = "replaced"
    ROTATED = "rotated"  # the worker key it was sealed to is gone
    USED = "used"  # its job is over


class KeyGrant(models.Model):
    """One account's key, sealed to the workers' key, for a purpose and a time."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(MailAccount, on_delete=models.CASCADE, related_name="grants")
    worker_key = models.ForeignKey(WorkerKey, on_delete=models.CASCADE)
    purpose = models.CharField(max_length=16, choices=GrantPurpose.choices)
    sealed_key = BytesField()
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    end_reason = models.CharField(max_length=12, choices=GrantEnd.choices, blank=True)
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account"],
                condition=models.Q(purpose="background", revoked_at=None),
                name="one_background_grant_per_account",
            )
        ]


class RemoteHost(models.Model):
    """A mail server as all people's accounts share it, known by a keyed digest of host and port.

    `connection_cap` is set while it is lower than what is configured. `failures` holds [time, account id].
    """

    host_key = BytesField(unique=True)
    connection_cap = models.PositiveIntegerField(null=True)
    cap_lowered_at = models.DateTimeField(null=True)
    failures = models.JSONField(default=list)
    breaker_opened_at = models.DateTimeField(null=True)
    probe_at = models.DateTimeField(null=True)
    failed_probes = models.PositiveIntegerField(default=0)


class Scope(models.TextChoices):
    """What a token may do: operate includes read, manage includes both; metrics are of all people."""

    METRICS = "metrics"
    READ = "read"
    OPERATE = "operate"
    MANAGE = "manage"

    def includes(self, needed: str) -> bool:
        included = {Scope.OPERATE: (Scope.READ,), Scope.MANAGE: (Scope.READ, Scope.OPERATE)}
        return needed == self or needed in included.get(self, ())


class ApiToken(models.Model):
    """What a script of a person signs its requests with; the secret itself is nowhere here."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100)
    digest = models.CharField(max_length=64, unique=True)
    scope = models.CharField(max_length=8, choices=Scope.choices)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint("user", Lower("name"), name="one_token_per_name"),
            models.CheckConstraint(condition=models.Q(scope__in=Scope.values), name="token_scope_known"),
        ]

    def __str__(self):
        return self.name

    def allows(self, needed: str) -> bool:
        return Scope(self.scope).includes(needed)


class TokenKey(models.Model):
    """An account's key, sealed under what only the token's secret gives."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    token = models.ForeignKey(ApiToken, on_delete=models.CASCADE, related_name="keys")
    account = models.ForeignKey(MailAccount, on_delete=models.CASCADE, related_name="token_keys")
    sealed_account_key = BytesField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["token", "account"], name="one_key_per_account")]
