"""What: folders, the ledger that accounts for every mail on the server, and the sealed mail itself."""

import uuid

from django.db import models
from django.db.models.functions import Coalesce
from django.utils import timezone

from accounts.fields import BytesField
from accounts.models import MailAccount


class Folder(models.Model):
    """A folder as the server had it at `as_of`; its name is sealed under the account key.

    `looked_at` is when all its UIDs and flags were read last, `reset_asked_at` when a person asked to have
    every mail looked up anew. `missing_since` and `emptied_at` are first looks at something surprising,
    which a later run has to confirm: the folder was not listed, or all its mails were gone.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(MailAccount, on_delete=models.CASCADE, related_name="folders")
    sealed_name = BytesField()
    name_index = BytesField()
    special_use = models.CharField(max_length=16, blank=True)
    special_use_guessed = models.BooleanField(default=False)
    excluded = models.BooleanField(default=False)
    uidvalidity = models.BigIntegerField(null=True)
    uidnext = models.BigIntegerField(null=True)
    highestmodseq = models.BigIntegerField(null=True)
    server_count = models.BigIntegerField(null=True)
    as_of = models.DateTimeField(null=True)
    looked_at = models.DateTimeField(null=True)
    reset_asked_at = models.DateTimeField(null=True)
    missing_since = models.DateTimeField(null=True)
    emptied_at = models.DateTimeField(null=True)
    gone_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "name_index"], name="one_folder_per_name")]


class EntryState(models.TextChoices):
    PENDING = "pending"
    STORED = "stored"
    EXCLUDED = "excluded"
    QUARANTINED = "quarantined"
    GONE = "gone"


class SystemFlag(models.IntegerChoices):
    """The flags of RFC 9051 section 2.3.2 as one bit each."""

    SEEN = 1
    ANSWERED = 2
    FLAGGED = 4
    DELETED = 8
    DRAFT = 16


class ContentKey(models.Model):
    """The key of the mail that one claim of a run stored, sealed to its owner's mail key."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(MailAccount, on_delete=models.CASCADE)
    sealed_key = BytesField()
    created_at = models.DateTimeField(default=timezone.now)


class Message(models.Model):
    """One mail, however many folders hold it. What it says is sealed; size and date are not.

    `server_size` is what the server says of its size, which servers may have wrong: a mail is known again by
    it. `header_only` where its body is over the size limit.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(MailAccount, on_delete=models.CASCADE, related_name="messages")
    content_key = models.ForeignKey(ContentKey, on_delete=models.RESTRICT)
    sealed_envelope = BytesField(null=True)
    raw_index = BytesField()
    header_index = BytesField(null=True)
    message_id_index = BytesField(null=True)
    object_id_index = BytesField(null=True)
    size = models.BigIntegerField()
    server_size = models.BigIntegerField(null=True)
    internal_date = models.DateTimeField(null=True)
    header_only = models.BooleanField(default=False)
    parsed = models.BooleanField(default=False)
    error_type = models.CharField(max_length=32, blank=True)
    stored_at = models.DateTimeField(default=timezone.now)
    # reserved for triage
    urgency = models.PositiveSmallIntegerField(null=True)
    importance = models.PositiveSmallIntegerField(null=True)
    category = models.CharField(max_length=32, blank=True)
    spam = models.BooleanField(null=True)
    sealed_triage = BytesField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "raw_index"], name="each_mail_stored_once")]
        indexes = [
            models.Index(fields=["account", "-internal_date", "server_size"], name="message_newest_first"),
            models.Index(
                "account",
                Coalesce("internal_date", "stored_at").desc(),
                models.F("id").desc(),
                name="message_as_listed",
            ),
            models.Index(fields=["account", "header_index"], name="message_by_header"),
            models.Index(
                fields=["account", "object_id_index"],
                condition=models.Q(object_id_index__isnull=False),
                name="message_by_object_id",
            ),
        ]


class MessageBody(models.Model):
    """The bytes the server sent, zstd, then sealed."""

    message = models.OneToOneField(Message, on_delete=models.CASCADE, primary_key=True, related_name="body")
    sealed_raw = BytesField()


class LedgerEntry(models.Model):
    """One UID of one folder under one UIDVALIDITY, and what became of it."""

    id = models.BigAutoField(primary_key=True)
    folder = models.ForeignKey(Folder, on_delete=models.CASCADE, related_name="entries")
    uidvalidity = models.BigIntegerField()
    uid = models.BigIntegerField()
    state = models.CharField(max_length=12, choices=EntryState.choices, default=EntryState.PENDING)
    reason = models.CharField(max_length=32, blank=True)
    error_type = models.CharField(max_length=32, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    size = models.BigIntegerField(null=True)
    internal_date = models.DateTimeField(null=True)
    flags = models.PositiveSmallIntegerField(default=0)
    sealed_keywords = BytesField(null=True)
    keywords_index = BytesField(null=True)
    sealed_labels = BytesField(null=True)
    labels_index = BytesField(null=True)
    object_id_index = BytesField(null=True)
    modseq = models.BigIntegerField(null=True)
    message = models.ForeignKey(Message, on_delete=models.RESTRICT, null=True, related_name="entries")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["folder", "uidvalidity", "uid"], name="one_entry_per_uid"),
            models.CheckConstraint(condition=models.Q(state__in=EntryState.values), name="entry_state_known"),
            models.CheckConstraint(
                condition=~models.Q(state="stored") | models.Q(message__isnull=False),
                name="a_stored_entry_has_its_message",
            ),
        ]
        indexes = [
            models.Index(fields=["folder", "uidvalidity", "state"], name="entry_by_state"),
            models.Index(fields=["folder", "uidvalidity", "flags"], name="entry_by_flags"),
        ]


class FindingKind(models.TextChoices):
    """What a sync met that a person should know of, though it went on."""

    FOLDER_MISSING = "folder_missing"
    FOLDER_EMPTIED = "folder_emptied"
    MAILS_REPLACED = "mails_replaced"
    UIDVALIDITY_CHANGED = "uidvalidity_changed"
    MODSEQ_WENT_DOWN = "modseq_went_down"
    NO_MODSEQ = "no_modseq"
    COUNTS_DIFFER = "counts_differ"


class Finding(models.Model):
    """Something surprising in an account's mailbox, or in one folder of it; open until it is over."""

    id = models.BigAutoField(primary_key=True)
    account = models.ForeignKey(MailAccount, on_delete=models.CASCADE, related_name="findings")
    folder = models.ForeignKey(Folder, on_delete=models.CASCADE, related_name="findings")
    kind = models.CharField(max_length=32, choices=FindingKind.choices)
    facts = models.JSONField(default=dict)
    found_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["folder", "kind"],
                condition=models.Q(ended_at=None),
                name="one_open_finding_of_a_kind",
            ),
            models.CheckConstraint(
                condition=models.Q(kind__in=FindingKind.values), name="finding_kind_known"
            ),
        ]
        indexes = [models.Index(fields=["account", "-found_at"], name="finding_newest_first")]
