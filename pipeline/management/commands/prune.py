import json

from accounts.management.doors import Door
from pipeline.operations import retention


class Command(Door):
    help = (
        "Delete what is over for longer than it is kept (MAILHELPER_KEEP_…); the workers do so once a day. "
        "Example: manage.py prune --dry-run"
    )

    def add_arguments(self, parser):
        parser.add_argument("--dry-run", action="store_true", help="only say how much would go")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, dry_run, **options):
        counts = {}
        for name, count in retention.prune(dry_run):
            counts[name] = count
            if not options["json"]:
                self.say(f"{name.replace('_', ' ')}: {count:,}{' would go' if dry_run else ''}")
        if options["json"]:
            self.stdout.write(json.dumps({"dry_run": dry_run, "deleted": counts}))
