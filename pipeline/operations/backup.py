"""Backups: a folder with the database's dump and a manifest, made whole or not at all.

Keys are not in it, nor is the queue (a doorbell), so that a backup alone gives away nothing.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone

from accounts.errors import UsageError
from accounts.models import User
from pipeline import heartbeats
from pipeline.models import Heartbeat
from pipeline.operations import dumps

MANIFEST = "manifest.json"
FORMAT = 1


@dataclass(frozen=True)
class Manifest:
    """`migrations` are those that the database had gone through; `sha256` is by file."""

    format: int
    engine: str
    made_at: str
    migrations: list[str]
    sha256: dict[str, str]


def make(target: Path) -> Manifest:
    """A new backup at `target`, for its owner's eyes only. Raises UsageError, DumpFailed."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{target} is not an empty directory. Nothing was written.")
    made_at = timezone.now()
    with _becoming(target) as folder:
        dump = folder / dumps.file_name()
        dumps.dump(dump)
        manifest = Manifest(
            format=FORMAT,
            engine=connection.vendor,
            made_at=made_at.isoformat(),
            migrations=sorted(map(".".join, MigrationLoader(connection).applied_migrations)),
            sha256={dump.name: _sha256(dump)},
        )
        _write(folder / MANIFEST, json.dumps(asdict(manifest), indent=2))
        _sync(dump)
    heartbeats.note(Heartbeat.BACKUP, made_at)
    return manifest


@contextmanager
def _becoming(target: Path) -> Iterator[Path]:
    """A folder that gets the name `target` when the block succeeds, and goes when it fails."""
    partial = target.with_name(f"{target.name}.partial")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        partial.mkdir(mode=0o700)
    except FileExistsError as error:
        raise UsageError(
            f"{partial} is there: another backup is being made, or one was killed. Remove it in that case."
        ) from error
    try:
        yield partial
        _sync(partial)
        partial.rename(target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    _sync(target.parent)


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(descriptor)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verified(source: Path) -> Manifest:
    """The manifest of a whole backup that this installation can take. Raises UsageError."""
    try:
        manifest = Manifest(**json.loads((source / MANIFEST).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"{source} is no whole backup: it has no manifest that can be read.") from error
    if manifest.engine != connection.vendor:
        raise UsageError(f"It was made of {manifest.engine}, and this is on {connection.vendor}.")
    loader = MigrationLoader(None)
    unknown = set(manifest.migrations) - set(map(".".join, loader.disk_migrations)) - _replaced(loader)
    if manifest.format != FORMAT or unknown:
        raise UsageError("It was made by a newer mailhelper than this one: install that one, then restore.")
    if [dumps.file_name()] != [*manifest.sha256] or _changed(source, manifest):
        raise UsageError(f"{source} was changed or damaged since it was made: its checksum is another one.")
    return manifest


def _replaced(loader: MigrationLoader) -> set[str]:
    return {".".join(old) for migration in loader.disk_migrations.values() for old in migration.replaces}


def _changed(source: Path, manifest: Manifest) -> bool:
    files = {name: source / name for name in manifest.sha256}
    return any(not path.is_file() or _sha256(path) != manifest.sha256[name] for name, path in files.items())


def holds_people() -> bool:
    return _has_table(User) and User.objects.exists()


def require_at_rest() -> None:
    """Raises UsageError while workers work, who would go on with rows that are not there any more."""
    if _has_table(Heartbeat) and heartbeats.beating_workers():
        raise UsageError(
            "Workers are running. Stop them first; those on other machines count as running until they were "
            "silent for two minutes. Stop the web pages, too: whether they are served is not checked."
        )


def _has_table(model) -> bool:
    return model._meta.db_table in connection.introspection.table_names()


def restore(source: Path, *, replace: bool = False) -> Manifest:
    """Raises UsageError, and then nothing was changed; DumpFailed."""
    manifest = verified(source)
    require_at_rest()
    if holds_people() and not replace:
        raise UsageError(
            "This installation has people in it. --replace puts the backup in the place of everything here."
        )
    dumps.load(source / dumps.file_name())
    connection.close()
    call_command("migrate", interactive=False, verbosity=0)
    _begin_anew(manifest)
    return manifest


def _begin_anew(manifest: Manifest) -> None:
    """Nobody is signed in by what was restored, and nobody is taken for alive or for dead."""
    Session.objects.all().delete()
    Heartbeat.objects.exclude(name=Heartbeat.PRUNING).delete()
    heartbeats.note(Heartbeat.BACKUP, datetime.fromisoformat(manifest.made_at))
