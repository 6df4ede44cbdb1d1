"""An examination of the installation itself: makes no change to one that is there.

Each check yields what it found, as a code with its facts; the words stand in accounts/advice/operations.py.
"""

import shutil
import socket
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parseaddr
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks.security.base import SECRET_KEY_INSECURE_PREFIX, SECRET_KEY_MIN_LENGTH
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http.request import validate_host
from django.utils import timezone

from accounts import worker_key
from accounts.errors import UsageError
from pipeline import heartbeats
from pipeline.models import Heartbeat
from pipeline.readiness import queue_state

BACKUP_PATIENCE = timedelta(days=7)
DUE_PATIENCE = timedelta(minutes=5)
CLOCKS_DIFFER = timedelta(seconds=5)
SHORTEST_LEASE = 60  # connecting may take 45 s
CONNECT_SECONDS = 3
SMTP = "django.core.mail.backends.smtp.EmailBackend"
LITTLE_SPACE, NO_SPACE = 1_000_000_000, 100_000_000


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    check: str
    verdict: Verdict
    code: str
    facts: dict = field(default_factory=dict)


def examine() -> Iterator[Finding]:
    """In this order; without the database, what is read from it is left out."""
    yield from _check("settings", _settings())
    yield from _check("pages", _pages())
    yield from _check("alerts", _alerts())
    yield from _check("keys", _key_files())
    yield from _check("disk", _disk())
    yield from _check("queue", _queue())
    reached = list(_check("database", _database()))
    yield from reached
    if reached[0].code not in ("unreachable", "not_migrated"):
        yield from _check("worker key", _worker_key())
        yield from _check("clock", _clock())
        yield from _check("workers", _workers())
        yield from _check("backups", _backups())


def _check(name: str, found: Iterator[tuple]) -> Iterator[Finding]:
    """What a check has to say, or that all is well."""
    said = False
    for verdict, code, *facts in found:
        said = True
        yield Finding(name, verdict, code, *facts)
    if not said:
        yield Finding(name, Verdict.OK, "ok")


def _settings():
    secret = settings.SECRET_KEY
    if len(secret) < SECRET_KEY_MIN_LENGTH or secret.startswith(SECRET_KEY_INSECURE_PREFIX):
        yield Verdict.FAILED, "weak_secret_key"
    if settings.DEBUG:
        yield Verdict.FAILED, "debug"
    if "*" in settings.ALLOWED_HOSTS:
        yield Verdict.WARNING, "all_hosts"
    if settings.MAILHELPER_LEASE_SECONDS < SHORTEST_LEASE:
        yield Verdict.WARNING, "short_lease", {"seconds": settings.MAILHELPER_LEASE_SECONDS}


def _pages():
    """How people reach them: by https, through a proxy of ours."""
    if not settings.MAILHELPER_URL:
        yield Verdict.WARNING, "no_url"
        return
    if not _is_address(settings.MAILHELPER_URL):
        yield Verdict.FAILED, "url_not_understood"
        return
    url = urlsplit(settings.MAILHELPER_URL)
    if not validate_host(url.hostname, settings.ALLOWED_HOSTS):
        yield Verdict.FAILED, "host_not_allowed", {"host": url.hostname}
    if url.scheme == "http":
        return
    if not settings.SESSION_COOKIE_SECURE:
        yield Verdict.WARNING, "plain_cookies"
    if not settings.MAILHELPER_PROXIES:
        yield Verdict.WARNING, "no_proxies"
    if (origin := f"{url.scheme}://{url.netloc}") not in settings.CSRF_TRUSTED_ORIGINS:
        yield Verdict.WARNING, "origin_not_trusted", {"origin": origin}


def _is_address(text: str) -> bool:
    try:
        url = urlsplit(text)
    except ValueError:
        return False
    return url.scheme in ("http", "https") and bool(url.hostname)


def _alerts():
    """Whether they can leave; nothing is sent."""
    if settings.MAILHELPER_PING_URL and not _is_address(settings.MAILHELPER_PING_URL):
        yield Verdict.WARNING, "ping_url_not_understood"
    if "@" not in parseaddr(settings.DEFAULT_FROM_EMAIL)[1]:
        yield Verdict.WARNING, "sender_not_understood"
    if settings.EMAIL_BACKEND == SMTP:
        host, port = settings.EMAIL_HOST, settings.EMAIL_PORT or (465 if settings.EMAIL_USE_SSL else 25)
        try:
            socket.create_connection((host, port), timeout=CONNECT_SECONDS).close()
        except (OSError, UnicodeError) as error:  # that one for a name that cannot be one
            reason = getattr(error, "strerror", None) or error
            yield Verdict.WARNING, "smtp_unreachable", {"host": host, "port": port, "reason": reason}


def _key_files():
    worker_file = settings.MAILHELPER_WORKER_KEY_FILE
    for path in (worker_file, worker_file.with_name("secret.key")):
        if not path.exists():
            continue
        if _others_may(path):
            yield Verdict.FAILED, "key_readable", {"path": path}
        if path.resolve().is_relative_to(settings.VAR):
            yield Verdict.FAILED, "key_among_data", {"path": path, "folder": settings.VAR}
    if _others_may(settings.VAR):
        yield Verdict.WARNING, "data_readable", {"path": settings.VAR}
    try:
        worker_key.key_pair()
    except worker_key.NoWorkerKey:
        pass  # whether one is needed, the database says
    except UsageError as error:
        yield Verdict.FAILED, "no_key", {"reason": error}


def _others_may(path: Path) -> bool:
    return bool(stat.S_IMODE(path.stat().st_mode) & 0o077)


def _disk():
    free = shutil.disk_usage(settings.VAR).free
    if free < LITTLE_SPACE:
        verdict = Verdict.FAILED if free < NO_SPACE else Verdict.WARNING
        yield verdict, "little_space", {"path": settings.VAR, "megabytes": free // 1_000_000}


def _queue():
    if queue_state() != "ok":
        yield Verdict.FAILED, "queue_unreachable"


def _database():
    try:
        connection.ensure_connection()
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            yield Verdict.FAILED, "not_migrated"
        elif connection.vendor == "sqlite":
            yield from _integrity()
    except DatabaseError as error:
        yield Verdict.FAILED, "unreachable", {"reason": str(error).strip().partition("\n")[0]}


def _integrity():
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA quick_check(1)")
        [(found,)] = cursor.fetchall()
    if found != "ok":
        yield Verdict.FAILED, "damaged"


def _worker_key():
    if worker_key.fits() is False:
        yield Verdict.WARNING, "other_worker_key"


def _clock():
    """A sign of life from the future was written before the clock went back."""
    now = timezone.now()
    differs = abs(now - _now_of_database())
    if differs > CLOCKS_DIFFER:
        yield Verdict.FAILED, "clocks_differ", {"seconds": round(differs.total_seconds())}
    if Heartbeat.objects.filter(at__gt=now + CLOCKS_DIFFER).exists():
        yield Verdict.FAILED, "clock_went_back"


def _now_of_database() -> datetime:
    if connection.vendor == "sqlite":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0]


def _workers():
    found = heartbeats.machinery()
    if not found.workers:
        yield Verdict.FAILED, "no_workers"
    elif not found.ticks:
        yield Verdict.FAILED, "no_tick"
    if found.oldest_due and timezone.now() - found.oldest_due > DUE_PATIENCE:
        waits = timezone.now() - found.oldest_due
        yield Verdict.WARNING, "due_waits", {"minutes": round(waits.total_seconds() / 60)}


def _backups():
    last = heartbeats.last(Heartbeat.BACKUP)
    if last is None:
        yield Verdict.WARNING, "no_backup"
    elif timezone.now() - last > BACKUP_PATIENCE:
        yield Verdict.WARNING, "old_backup", {"days": (timezone.now() - last).days}
