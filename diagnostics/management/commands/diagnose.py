import json
import os
import sys
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from accounts import actions, grants
from accounts.errors import SyncError, UsageError
from accounts.management.doors import PASSWORD, Door, account_named, person, unlock
from diagnostics import reports
from diagnostics.probing.ladder import examine
from diagnostics.screen import LiveLadder, PlainLadder, as_json


class Command(Door):
    help = (
        "Examine a mail account step by step, from the server's name to a whole mail, and say what is wrong "
        "and what helps. Nothing on the server is changed. Asks for the person's password "
        "(MAILHELPER_PASSWORD or a prompt) unless the account has a background grant. Exit status: 0 passed, "
        "1 not passed, 2 wrong usage. Example: manage.py diagnose anna@example.org --account GMX"
    )

    def add_arguments(self, parser):
        parser.add_argument("email", help="whose account it is")
        parser.add_argument("--account", metavar="NAME", required=True, help="the account")
        parser.add_argument(
            "--connections", action="store_true", help="also try how many are allowed at a time (at most 10)"
        )
        parser.add_argument("--evidence", action="store_true", help="also show what the server said")
        parser.add_argument("--json", action="store_true", help="print one JSON object at the end")
        parser.add_argument(
            "--report", metavar="FILE", help="write a report that names neither host nor login nor folders"
        )

    def handle(self, email, account, **options):
        if options["report"] is not None:
            _check_writable(options["report"])
        user = person(email)
        account = account_named(user, account)
        key = _account_key(user, account)
        with self._screen(options) as screen:
            examination = examine(
                actions.connection_of(account, key),
                account,
                key,
                on_probe=screen.begin,
                on_result=screen.show,
                connections=options["connections"],
            )
        report = reports.save(account, key, examination)
        evidence = reports.open_evidence(report, key)
        changes = _changes(report)
        if options["report"]:
            Path(options["report"]).write_text(reports.as_text(report, evidence), encoding="utf-8")
            self.stderr.write(f"The report is in {options['report']}.")
        if options["json"]:
            words = evidence if options["evidence"] else None
            shown = as_json(report, changes, words, examination.folder_names)
            self.stdout.write(json.dumps(shown, default=str))
        else:
            screen.end(report, changes)
        if not report.passed:
            raise SystemExit(1)

    def _screen(self, options):
        if options["json"]:
            return PlainLadder(lambda line: None, evidence=False)
        if sys.stdout.isatty():
            return LiveLadder(Console(highlight=False), options["evidence"])
        return PlainLadder(self.say, options["evidence"])


def _check_writable(name: str) -> None:
    """Before the work, not after it. Raises UsageError."""
    path = Path(name)
    if not name or path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UsageError(f"--report {name!r} cannot be written.")


def _account_key(user, account) -> bytes:
    """By the password at hand, else by the account's background grant, else by a password asked for."""
    if not os.environ.get(PASSWORD):
        with suppress(SyncError):
            return grants.open_account_key(account, grant_id=None)
    return actions.account_key(account, unlock(user))


def _changes(report):
    before = reports.last_passed_before(report)
    return reports.compare(before, report) if before else []
