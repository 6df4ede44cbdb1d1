"""Who may open an account's key without its owner, for how long, and how that ends."""

import base64
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from accounts import keyfile, vault
from accounts.errors import ErrorType, SealBroken, SyncError, UsageError
from accounts.models import GrantPurpose, KeyGrant, MailAccount, WorkerKey

LIFETIME = {GrantPurpose.JOB: timedelta(hours=24), GrantPurpose.BACKGROUND: timedelta(days=90)}


class NoWorkerKey(UsageError):
    def __init__(self):
        super().__init__(
            "This machine has no worker key, but grants are sealed to one. Bring its file back, "
            "or run manage.py rotate_worker_key and let people give their grants anew."
        )


def worker_key_pair() -> vault.KeyPair:
    """This machine's worker key. Raises NoWorkerKey, or UsageError when what is there is no key."""
    if settings.MAILHELPER_WORKER_KEY:
        return _key_pair(settings.MAILHELPER_WORKER_KEY.encode())
    try:
        return _key_pair(settings.MAILHELPER_WORKER_KEY_FILE.read_bytes())
    except FileNotFoundError as error:
        raise NoWorkerKey from error
    except OSError as error:
        raise UsageError(f"The worker key's file cannot be read: {error.strerror}.") from error


def _made_worker_key_pair() -> vault.KeyPair:
    if not settings.MAILHELPER_WORKER_KEY:
        keyfile.read_or_make(
            settings.MAILHELPER_WORKER_KEY_FILE, lambda: _text_of(vault.new_key_pair().private)
        )
    return worker_key_pair()


def _key_pair(text: bytes) -> vault.KeyPair:
    try:
        return vault.key_pair_of(base64.b64decode(text))
    except (ValueError, SealBroken) as error:
        raise UsageError(
            "The worker key (MAILHELPER_WORKER_KEY or its file) is not a worker key. Bring the right one "
            "back, or move the file away and run manage.py rotate_worker_key."
        ) from error


def _text_of(private: bytes) -> bytes:
    return base64.b64encode(private)


def current_worker_key() -> WorkerKey:
    """The public key that grants are sealed to. The first machine to ask makes it."""
    current = WorkerKey.objects.filter(retired_at=None).first()
    return current or _register(_made_worker_key_pair().public)


def this_machine_opens_grants() -> bool:
    """Whether workers on this machine could use what is granted; a web host's machine need not."""
    try:
        return worker_key_pair().public == current_worker_key().public_key
    except UsageError:
        return False


def _register(public_key: bytes) -> WorkerKey:
    try:
        with transaction.atomic():
            return WorkerKey.objects.create(public_key=public_key)
    except IntegrityError:
        return WorkerKey.objects.get(retired_at=None)


def rotate_worker_key() -> int:
    """Replace the worker key and destroy the old one; running grants move over. Returns how many did.

    With MAILHELPER_WORKER_KEY the new key is the one in the environment, and grants to the old one end.
    """
    if in_environment := bool(settings.MAILHELPER_WORKER_KEY):
        old, new = None, worker_key_pair()
        if WorkerKey.objects.filter(retired_at=None, public_key=new.public).exists():
            raise UsageError("MAILHELPER_WORKER_KEY is the current key already: put the new one there first.")
    else:
        old, new = _old_key_pair(), vault.new_key_pair()
    path = settings.MAILHELPER_WORKER_KEY_FILE
    file = nullcontext() if in_environment else keyfile.replacing(path, _text_of(new.private))
    with file, transaction.atomic():
        opened = list(_opened(valid_grants(), old.private)) if old else []
        WorkerKey.objects.filter(retired_at=None).update(retired_at=timezone.now())
        current = WorkerKey.objects.create(public_key=new.public)
        for row, key in opened:
            row.worker_key, row.sealed_key = current, _sealed(row, key, current)
            row.save(update_fields=["worker_key", "sealed_key"])
        revoke(KeyGrant.objects.exclude(worker_key=current))
    return len(opened)


def _old_key_pair() -> vault.KeyPair | None:
    try:
        return worker_key_pair()
    except NoWorkerKey:
        return None  # lost: its grants end


def end_expired() -> int:
    """Destroy the sealed keys of grants whose time is over."""
    return revoke(KeyGrant.objects.filter(expires_at__lte=timezone.now()))


def _opened(grants, private: bytes) -> Iterator[tuple[KeyGrant, bytes]]:
    """Each grant that this private key opens, with the account's key."""
    for row in grants:
        try:
            yield row, _open(row, private)
        except SealBroken:
            continue


def grant(account: MailAccount, key: bytes, purpose: GrantPurpose) -> KeyGrant:
    """Seal the account's key to the workers. A background grant takes the place of the one before."""
    worker_key = current_worker_key()
    row = KeyGrant(
        account=account,
        worker_key=worker_key,
        purpose=purpose,
        expires_at=timezone.now() + LIFETIME[purpose],
    )
    row.sealed_key = _sealed(row, key, worker_key)
    with transaction.atomic():
        if purpose == GrantPurpose.BACKGROUND:
            revoke(account.grants.filter(purpose=GrantPurpose.BACKGROUND))
        row.save(force_insert=True)
    return row


def revoke(grants) -> int:
    """End these grants for good: the sealed key goes with them. Returns how many were ended."""
    return grants.filter(revoked_at=None).update(revoked_at=timezone.now(), sealed_key=b"")


def valid_grants():
    running = KeyGrant.objects.filter(revoked_at=None, expires_at__gt=timezone.now())
    return running.filter(worker_key__retired_at=None).select_related("worker_key")


def open_account_key(account: MailAccount, grant_id: UUID | None) -> bytes:
    """The account's key by the run's own grant or the account's background grant.

    Raises SyncError no_key when neither is there, or this machine's worker key does not open it.
    """
    own_or_background = Q(pk=grant_id) | Q(purpose=GrantPurpose.BACKGROUND)
    candidates = list(valid_grants().filter(own_or_background, account=account).order_by("-purpose"))
    try:
        private = worker_key_pair().private if candidates else b""
    except UsageError as error:
        raise SyncError(ErrorType.NO_KEY, reason="worker_key") from error
    for candidate in candidates:
        try:
            key = _open(candidate, private)
        except SealBroken:
            continue
        KeyGrant.objects.filter(pk=candidate.pk).update(last_used_at=timezone.now())
        return key
    raise SyncError(ErrorType.NO_KEY, reason="worker_key" if candidates else "no_grant")


def _sealed(row: KeyGrant, key: bytes, worker_key: WorkerKey) -> bytes:
    return vault.seal_to(worker_key.public_key, key, *_place(row))


def _open(row: KeyGrant, private: bytes) -> bytes:
    return vault.unseal_with(private, row.sealed_key, *_place(row))


def _place(row: KeyGrant) -> tuple[object, ...]:
    return row._meta.db_table, row.pk, "sealed_key", row.account_id, row.purpose
