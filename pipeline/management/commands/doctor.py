import json
import sys

from accounts import advice
from accounts.management.doors import Door
from pipeline.operations import doctor
from pipeline.operations.doctor import Verdict


class Command(Door):
    help = (
        "Examine the installation: settings, keys, database, queue, workers, disk, backups. Makes "
        "no change to one that is there (where none is, reading the settings makes the data folder "
        "and the secret key); exit status 1 when something failed. Example: manage.py doctor --json"
    )

    def add_arguments(self, parser):
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, **options):
        checks = []
        for finding in doctor.examine():
            words = advice.installation(finding.code, finding.facts)
            checks.append(
                {"check": finding.check, "verdict": finding.verdict, "code": finding.code} | vars(words)
            )
            if not options["json"]:
                self.say(" ".join(filter(None, (self._mark(finding), words.sentence, words.next_step))))
        ok = all(one["verdict"] != Verdict.FAILED for one in checks)
        if options["json"]:
            self.stdout.write(json.dumps({"ok": ok, "checks": checks}))
        if not ok:
            sys.exit(1)

    def _mark(self, finding):
        style = {Verdict.OK: self.style.SUCCESS, Verdict.WARNING: self.style.WARNING}
        mark = style.get(finding.verdict, self.style.ERROR)(f"{finding.verdict:7}")
        return f"{mark} {finding.check:10}"
