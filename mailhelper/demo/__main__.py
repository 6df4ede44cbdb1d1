"""The demo: three real mailboxes, one person, web and worker, and the first sync, all on this machine.

Everything lies in var/demo (made anew each time) and on free ports; Ctrl-C stops every process.
"""

import argparse
import fcntl
import os
import secrets
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

BASE = Path(__file__).resolve().parent.parent.parent
EMAIL = "demo@example.org"
IN_ANOTHER_TERMINAL = (  # also what .env may set otherwise
    *("MAILHELPER_VAR", "MAILHELPER_WORKER_KEY_FILE", "DATABASE_URL", "REDIS_URL"),
    "MAILHELPER_ALLOW_PRIVATE_HOSTS",
)
INTERRUPTED = 130  # 128 + SIGINT, as shells count


def main() -> int:
    from pipeline.processes import ProcessEnded, end_with_parent, port_number

    end_with_parent()
    parser = argparse.ArgumentParser(prog="make demo", description="mailhelper with demo data.")
    parser.add_argument("--once", action="store_true", help="end after the first sync")
    parser.add_argument(
        "--port", type=port_number, default=8000, help="of the page; another when it is taken (8000)"
    )
    options = parser.parse_args()
    try:
        with _home() as home:
            _configure(home)
            return _demo(home, options)
    except ProcessEnded as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.")
        return INTERRUPTED


@contextmanager
def _home() -> Iterator[Path]:
    """An empty folder of our own: var/demo, or a temporary one while another demo runs."""
    shared = BASE / "var" / "demo"
    shared.mkdir(parents=True, exist_ok=True)
    with (shared / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            with tempfile.TemporaryDirectory(prefix="mailhelper-demo-") as folder:
                yield Path(folder)
            return
        for part in ("data", "keys", "imap"):
            shutil.rmtree(shared / part, ignore_errors=True)
        yield shared


def _configure(home: Path) -> None:
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "mailhelper.settings",
        "MAILHELPER_VAR": str(home / "data"),
        "MAILHELPER_WORKER_KEY": "",
        "MAILHELPER_WORKER_KEY_FILE": str(home / "keys" / "worker.key"),
        "DATABASE_URL": f"sqlite:///{home / 'data' / 'mailhelper.sqlite3'}",
        "REDIS_URL": "",
        "SECRET_KEY": "",
        "DEBUG": "0",
        "MAILHELPER_ALLOW_PRIVATE_HOSTS": "1",
        "ALLOWED_HOSTS": "localhost,127.0.0.1",
    }
    import django

    django.setup()


def _demo(home: Path, options: argparse.Namespace) -> int:
    from django.core.management import call_command

    from mailhelper.demo.imap_server import DemoImapServer
    from mailhelper.demo.mails import mailboxes
    from pipeline import processes

    processes.stop_like_ctrl_c()
    call_command("migrate", verbosity=0)
    boxes = mailboxes(datetime.now(UTC))
    password = secrets.token_urlsafe(12)
    with DemoImapServer(home / "imap", boxes) as server:
        user, keys = _person_with_accounts(boxes, server, password)
        port = processes.free_port(options.port)
        with processes.web_and_worker(BASE, port, os.environ) as running:
            succeeded = _first_sync(user, keys, running)
            call_command("ledger", user=EMAIL)
            if options.once or not succeeded:
                return 0 if succeeded else 1
            print(f"\nThe page:  http://localhost:{port}/\nSign in:   {EMAIL}\nPassword:  {password}")
            print("\nCommands for the demo's data, in another terminal, begin with:")
            for name in IN_ANOTHER_TERMINAL:
                print(f"  export {name}={shlex.quote(os.environ[name])}")
            print("\nCtrl-C stops everything.", flush=True)
            processes.stay(running)
    print("Stopped.")
    return 0


def _person_with_accounts(boxes, server, password: str):
    from accounts import actions, grants
    from accounts.models import GrantPurpose, Security
    from mailhelper.demo.imap_server import HOST

    user = actions.add_person(EMAIL, password, operator=True).user
    user_key = actions.unlock(user, password)
    keys = {}
    for box in boxes:
        connection = actions.Connection(HOST, box.login, server.password_of(box.name))
        account = actions.add_account(
            user, user_key, box.name, server.port_of(box.name), Security.NONE, connection
        )
        keys[account.pk] = actions.account_key(account, user_key)
        grants.grant(account, keys[account.pk], GrantPurpose.BACKGROUND)
    return user, keys


def _first_sync(user, keys, running) -> bool:
    from rich.console import Console

    from pipeline import foreground, processes
    from pipeline.broker import PipelineBroker
    from pipeline.console import Bars, Lines
    from pipeline.models import JobStatus, Trigger

    print("The first sync of three mailboxes:", flush=True)
    job_id = PipelineBroker().enqueue_fetch_job(
        user, max_mails=None, timeout_seconds=None, keys=keys, trigger=Trigger.COMMAND
    )
    screen = Bars(Console()) if sys.stdout.isatty() else Lines(print)

    def watch(reports):
        processes.require_running(running)
        screen(reports)

    with screen:
        [report] = foreground.follow([job_id], watch)
    return report.status == JobStatus.SUCCESS


if __name__ == "__main__":
    sys.exit(main())
