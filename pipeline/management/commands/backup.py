from pathlib import Path

from accounts.management.doors import Door
from pipeline.operations import backup


class Command(Door):
    help = (
        "Copy the database into a new folder while people and workers go on. "
        "Example: manage.py backup /backups/2026-11-24"
    )

    def add_arguments(self, parser):
        parser.add_argument("target", type=Path, metavar="DIR", help="does not exist yet, or is empty")

    def handle(self, target, **options):
        manifest = backup.make(target)
        size = sum(path.stat().st_size for path in target.iterdir())
        self.stdout.write(f"{target}: {size:,} bytes, as of {manifest.made_at[:19].replace('T', ' ')} UTC.")
        self.stdout.write(
            "The worker key and the secret key are not in it: keep copies of these files elsewhere."
        )
