from pathlib import Path

from accounts import advice, worker_key
from accounts.errors import UsageError
from accounts.management.doors import Door, ask
from pipeline.operations import backup

WORD = "replace"


class Command(Door):
    help = (
        "Put a backup into this installation. Refused while workers run; whether web pages are served is not "
        "checked: stop them before. "
        "Example: manage.py restore /backups/2026-11-24"
    )

    def add_arguments(self, parser):
        parser.add_argument("source", type=Path, metavar="DIR", help="what manage.py backup made")
        parser.add_argument("--replace", action="store_true", help="in the place of everything that is here")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, source, replace, yes, **options):
        if replace and not yes and backup.holds_people():
            self._ask()
        manifest = backup.restore(source, replace=replace)
        self.say(f"Restored what was there on {manifest.made_at[:19].replace('T', ' ')} UTC.")
        self.say(advice.after_restore(has_worker_key=worker_key.is_on_this_machine()))

    def _ask(self):
        self.say("All people, accounts and mails of this installation go; the backup takes their place.")
        if ask(f"Type {WORD} to go on: ").strip() != WORD:
            raise UsageError("Nothing was changed.")
