"""Secrets that workers use without anybody's key, such as where alerts go: sealed to the worker key."""

from accounts import vault, worker_key
from accounts.errors import ErrorType, SealBroken, SyncError, UsageError
from accounts.models import WorkerSecret


def keep(value: bytes) -> WorkerSecret:
    """A new row that holds this value."""
    row = WorkerSecret(worker_key=worker_key.current())
    row.sealed_value = seal(row, value)
    row.save(force_insert=True)
    return row


def seal(row: WorkerSecret, value: bytes) -> bytes:
    return vault.seal_to(row.worker_key.public_key, value, *_place(row))


def open_secret(row: WorkerSecret) -> bytes:
    """Raises SyncError no_key where this machine's worker key does not open it."""
    try:
        return unseal(row, worker_key.key_pair().private)
    except (SealBroken, UsageError) as error:
        raise SyncError(ErrorType.NO_KEY, reason="worker_key") from error


def unseal(row: WorkerSecret, private: bytes) -> bytes:
    """Raises SealBroken."""
    return vault.unseal_with(private, row.sealed_value, *_place(row))


def _place(row: WorkerSecret) -> tuple[object, ...]:
    return row._meta.db_table, row.pk, "sealed_value"
