"""A new worker key for an old one: what was sealed to it moves over, and the old one is destroyed."""

from collections.abc import Iterator
from contextlib import nullcontext

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts import grants, keyfile, vault, worker_key, worker_secrets
from accounts.errors import SealBroken, UsageError
from accounts.models import GrantEnd, KeyGrant, WorkerKey, WorkerSecret


def rotate_worker_key() -> int:
    """Replace the worker key and destroy the old one. Returns how many running grants moved over.

    With MAILHELPER_WORKER_KEY the new key is the one in the environment, and what was sealed to the old one
    ends: grants, and the secrets of alert channels.
    """
    if in_environment := bool(settings.MAILHELPER_WORKER_KEY):
        old, new = None, worker_key.key_pair()
        if WorkerKey.objects.filter(retired_at=None, public_key=new.public).exists():
            raise UsageError("MAILHELPER_WORKER_KEY is the current key already: put the new one there first.")
    else:
        old, new = _old_key_pair(), vault.new_key_pair()
    path = settings.MAILHELPER_WORKER_KEY_FILE
    file = nullcontext() if in_environment else keyfile.replacing(path, worker_key.text_of(new.private))
    with file, transaction.atomic():
        moving = list(_opened(grants.valid_grants(), grants.open_grant, old))
        secrets = list(_opened(WorkerSecret.objects.all(), worker_secrets.unseal, old))
        WorkerKey.objects.filter(retired_at=None).update(retired_at=timezone.now())
        current = WorkerKey.objects.create(public_key=new.public)
        for row, key in moving:
            row.worker_key = current
            sealed = grants.seal(row, key)
            KeyGrant.objects.filter(pk=row.pk).update(worker_key=current, sealed_key=sealed)
        for row, value in secrets:
            row.worker_key = current
            sealed = worker_secrets.seal(row, value)
            WorkerSecret.objects.filter(pk=row.pk).update(worker_key=current, sealed_value=sealed)
        grants.revoke(KeyGrant.objects.exclude(worker_key=current), GrantEnd.ROTATED)
    return len(moving)


def _old_key_pair() -> vault.KeyPair | None:
    try:
        return worker_key.key_pair()
    except worker_key.NoWorkerKey:
        return None  # lost: what was sealed to it ends


def _opened(rows, unseal, old: vault.KeyPair | None) -> Iterator[tuple[object, bytes]]:
    """Each row that the old key opens, with what it holds."""
    for row in rows if old else ():
        try:
            yield row, unseal(row, old.private)
        except SealBroken:
            continue
