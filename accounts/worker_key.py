"""The key pair that what workers may open is sealed to: its private half lies outside the data folder."""

import base64

from django.conf import settings
from django.db import IntegrityError, transaction

from accounts import keyfile, vault
from accounts.errors import SealBroken, UsageError
from accounts.models import WorkerKey


class NoWorkerKey(UsageError):
    def __init__(self):
        super().__init__(
            "This machine has no worker key, but grants are sealed to one. Bring its file back, "
            "or run manage.py rotate_worker_key and let people give their grants anew."
        )


def key_pair() -> vault.KeyPair:
    """This machine's worker key. Raises NoWorkerKey, or UsageError when what is there is no key."""
    if settings.MAILHELPER_WORKER_KEY:
        return _parsed(settings.MAILHELPER_WORKER_KEY.encode())
    try:
        return _parsed(settings.MAILHELPER_WORKER_KEY_FILE.read_bytes())
    except FileNotFoundError as error:
        raise NoWorkerKey from error
    except OSError as error:
        raise UsageError(f"The worker key's file cannot be read: {error.strerror}.") from error


def _made_key_pair() -> vault.KeyPair:
    if not settings.MAILHELPER_WORKER_KEY:
        keyfile.read_or_make(
            settings.MAILHELPER_WORKER_KEY_FILE, lambda: text_of(vault.new_key_pair().private)
        )
    return key_pair()


def _parsed(text: bytes) -> vault.KeyPair:
    try:
        return vault.key_pair_of(base64.b64decode(text))
    except (ValueError, SealBroken) as error:
        raise UsageError(
            "The worker key (MAILHELPER_WORKER_KEY or its file) is not a worker key. Bring the right one "
            "back, or move the file away and run manage.py rotate_worker_key."
        ) from error


def text_of(private: bytes) -> bytes:
    return base64.b64encode(private)


def current() -> WorkerKey:
    """The public key that grants are sealed to. The first machine to ask makes it."""
    current = WorkerKey.objects.filter(retired_at=None).first()
    return current or _register(_made_key_pair().public)


def is_on_this_machine() -> bool:
    """Whether workers on this machine could use what is granted; a web host's machine need not."""
    try:
        return key_pair().public == current().public_key
    except UsageError:
        return False


def fits() -> bool | None:
    """Whether this machine has the key that grants are sealed to; None before one was needed. Makes none."""
    row = WorkerKey.objects.filter(retired_at=None).first()
    if row is None:
        return None
    try:
        return key_pair().public == bytes(row.public_key)
    except UsageError:
        return False


def _register(public_key: bytes) -> WorkerKey:
    try:
        with transaction.atomic():
            return WorkerKey.objects.create(public_key=public_key)
    except IntegrityError:
        return WorkerKey.objects.get(retired_at=None)
