import json

from accounts import actions, people
from accounts.management.doors import PASSWORD, Door, ask_secret


class Command(Door):
    help = (
        "Add a person; the first one runs this mailhelper. Prints the recovery key once: it opens the mail "
        "when the password is forgotten. "
        "Example: manage.py add_user anna@example.org"
    )

    def add_arguments(self, parser):
        parser.add_argument("email")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, email, **options):
        password = ask_secret(PASSWORD, "New password (at least 10 characters)", twice=True)
        first = not people.operators().exists()
        new = actions.add_person(email, password, operator=first)
        if options["json"]:
            self.stdout.write(json.dumps({"email": new.user.email, "recovery_key": new.recovery_key}))
            return
        self.stdout.write(f"{new.user.email} can sign in now.\n")
        self.stdout.write(f"Recovery key: {new.recovery_key}")
        self.stdout.write("Print it or write it down. It is shown this once, and nobody can restore it.")
