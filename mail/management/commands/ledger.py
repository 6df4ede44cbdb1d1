import json
import os
import sys
from dataclasses import asdict

from accounts import actions, advice, grants
from accounts.errors import SealBroken, SyncError, UsageError
from accounts.management.doors import PASSWORD, Door, person, unlock
from accounts.models import MailAccount
from mail import findings
from mail.queries import folder_figures, folder_names

REASONS = {"over_limit": "too large", "since": "too old", "unread_only": "read before", "": "left out"}
COLUMNS = ("on_server", "stored", "excluded", "quarantined", "pending", "gone")


class Command(Door):
    help = (
        "Account for every mail: per folder, what the server counts and what became of it here. "
        "Folder names show under a background grant or with --user and the password. "
        "Example: manage.py ledger --user anna@example.org"
    )

    def add_arguments(self, parser):
        parser.add_argument("--user", metavar="EMAIL")
        parser.add_argument("--account", metavar="NAME")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, user, account, **options):
        accounts = MailAccount.objects.select_related("user__vault").order_by("user__email", "label")
        user_key = None
        if user:
            owner = person(user)
            accounts = accounts.filter(user=owner)
            user_key = unlock(owner) if os.environ.get(PASSWORD) or sys.stdin.isatty() else None
        if account:
            accounts = accounts.filter(label__iexact=account)
            if not accounts:
                raise UsageError(f"There is no account named {account}.")
        report = [_report(one, user_key) for one in accounts]
        if options["json"]:
            self.stdout.write(json.dumps({"accounts": report}, default=str))
            return
        for one in report:
            self._show(one)
        if not report:
            self.stdout.write("There is no such account yet. Add one: manage.py add_account --help")

    def _show(self, report):
        self.stdout.write(self.style.MIGRATE_HEADING(f"{report['name']} ({report['user']})"))
        self.stdout.write("".join(f"{column:>12}" for column in COLUMNS) + "  folder")
        for folder in report["folders"]:
            label = folder["name"] or f"folder-{folder['id']}"
            note = f"  ({folder['note']})" if folder["note"] else ""
            figures = "".join(f"{folder[column]:>12}" for column in COLUMNS)
            self.stdout.write(f"{figures}  {label}{note}")
            if folder["unexplained"]:
                self.stdout.write(
                    self.style.WARNING(f"  {folder['unexplained']} mails unexplained until the next sync")
                )
        if not report["folders"]:
            self.stdout.write("  not synced yet")
        for told in report["findings"]:
            when = f"{told['found_at']:%Y-%m-%d %H:%M}"
            said = f"(over) {told['sentence']}" if told["over"] else f"{told['sentence']} {told['next_step']}"
            self.stdout.write(f"  {when} {said}")


def _report(account, user_key):
    names = _names(account, user_key)
    folders = [_folder(figures, names.get(figures.folder_id)) for figures in folder_figures(account)]
    return {
        "user": account.user.email,
        "name": account.label,
        "folders": sorted(
            folders, key=lambda f: ((f["name"] or "").upper() != "INBOX", f["name"] or f["id"])
        ),
        "findings": [_finding(row, names.get(row.folder_id, "")) for row in findings.told(account)],
    }


def _finding(row, name):
    told = advice.finding(row.kind, row.facts, name)
    return {
        "kind": row.kind,
        "folder_id": str(row.folder_id),
        "found_at": row.found_at,
        "over": row.ended_at is not None,
        "sentence": told.sentence,
        "next_step": told.next_step,
    }


def _folder(figures, name):
    row = asdict(figures)
    use = figures.special_use + (" by its name" if figures.guessed else "")
    return {
        "id": str(row.pop("folder_id")),
        "name": name,
        **{column: row[column] for column in COLUMNS},
        "unexplained": figures.unexplained,
        "as_of": figures.as_of.isoformat() if figures.as_of else None,
        "excluded_by": figures.excluded_by,
        "note": ", ".join(filter(None, [use, *_why_excluded(figures)])),
    }


def _why_excluded(figures):
    if figures.left_out:
        return ["left out"]
    return [f"{count} {REASONS[reason]}" for reason, count in figures.excluded_by.items()]


def _names(account, user_key):
    try:
        key = (
            actions.account_key(account, user_key)
            if user_key
            else grants.open_account_key(account, grant_id=None)
        )
    except (SyncError, SealBroken):
        return {}  # no key: the folders are shown by their ids
    return folder_names(account, key)
