"""The whole database in one file, and back: as SQLite and as PostgreSQL do it themselves."""

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from django.apps import apps
from django.contrib.sessions.models import Session
from django.db import connection

from accounts.errors import MailhelperError, UsageError

SESSIONS = Session._meta.db_table
_OURS = ("accounts", "mail", "diagnostics", "pipeline")
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")


class DumpFailed(MailhelperError):
    pass


def file_name() -> str:
    return "database.sqlite3" if connection.vendor == "sqlite" else "database.pgdump"


def dump(path: Path) -> None:
    """What the database holds at one moment, while others go on; sessions are left out."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    _dump_sqlite(path) if connection.vendor == "sqlite" else _dump_postgresql(path)


def load(path: Path) -> None:
    """Put this in the place of all that the database holds, or change nothing."""
    _load_sqlite(path) if connection.vendor == "sqlite" else _load_postgresql(path)


def _dump_sqlite(path: Path) -> None:
    """VACUUM copies what is there: remains of deleted rows stay behind."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM INTO %s", [str(path)])
    with closing(sqlite3.connect(path)) as copy:
        copy.execute("PRAGMA journal_mode = OFF")
        copy.execute("PRAGMA secure_delete = ON")
        copy.execute(f"DELETE FROM {SESSIONS}")
        copy.commit()


def _load_sqlite(path: Path) -> None:
    connection.ensure_connection()
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as copy:
        _require_whole(copy)
        copy.backup(connection.connection)
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _require_whole(copy: sqlite3.Connection) -> None:
    """Pages are copied as they are, whatever they hold."""
    try:
        [(found,)] = copy.execute("PRAGMA quick_check(1)")
    except sqlite3.DatabaseError as error:
        found = str(error)
    if found != "ok":
        raise DumpFailed(f"The file in the backup is damaged: {found}")


def _dump_postgresql(path: Path) -> None:
    sessions = f"--exclude-table-data={SESSIONS}"
    how = ["--format=custom", "--no-owner", "--no-privileges", sessions, f"--file={path}"]
    done = subprocess.run(**_client("pg_dump", *how), stderr=subprocess.PIPE, check=False)
    _require("pg_dump", done.returncode, done.stderr)


def _load_postgresql(path: Path) -> None:
    """In one transaction of psql, which pg_restore alone has no way to empty the database in."""
    with (
        subprocess.Popen(
            [_program("pg_restore"), "--no-owner", "--no-privileges", "--file=-", str(path)],
            env=_environment(),
            stdout=subprocess.PIPE,
        ) as script,
        subprocess.Popen(
            **_client("psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--output=/dev/null"),
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as psql,
    ):
        try:
            psql.stdin.write(f"BEGIN;\n{_drops()}".encode())
            shutil.copyfileobj(script.stdout, psql.stdin)
            if script.wait() == 0:
                psql.stdin.write(b"\nCOMMIT;\n")
            psql.stdin.close()
        except BrokenPipeError:
            pass  # it says why below
        said = psql.stderr.read()
    _require("psql", psql.returncode, said)
    _require("pg_restore", script.returncode, b"the file cannot be read")


def _drops() -> str:
    """Of the tables that are ours, also those of another release; others may share the database."""
    known = {model._meta.db_table for model in apps.get_models(include_auto_created=True)}
    known.add("django_migrations")
    names = connection.introspection.table_names()
    ours = [name for name in names if name in known or name.startswith(tuple(f"{app}_" for app in _OURS))]
    return "".join(f"DROP TABLE {connection.ops.quote_name(name)} CASCADE;\n" for name in ours)


def _client(program: str, *arguments: str) -> dict:
    """Who and where by the settings; the password goes by the environment."""
    command, secret = connection.client.settings_to_cmd_args_env(connection.settings_dict, [])
    _, *where, name = command
    return {
        "args": [_program(program), *where, f"--dbname={name}", "--no-password", *arguments],
        "env": _environment() | (secret or {}),
    }


def _environment() -> dict[str, str]:
    """Without what else this process was given, such as its keys."""
    return {name: value for name, value in os.environ.items() if name in _PASSED_ON or name[:2] == "PG"}


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise UsageError(
            f"{name} is not on this machine: install PostgreSQL's client programs (on Debian "
            "postgresql-client), not older than the server."
        )
    return found


def _require(program: str, status: int, said: bytes) -> None:
    if status:
        words = said.decode(errors="replace").strip().splitlines() or [f"ended with status {status}"]
        raise DumpFailed(f"{program}: {words[0]}")
