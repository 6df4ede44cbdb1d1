from accounts.actions import address_of
from accounts.errors import UsageError
from accounts.management.doors import Door, ask, person
from pipeline.operations.removal import belongings_of, remove_person


class Command(Door):
    help = (
        "Delete a person with their accounts, stored mail and history; mail at the providers stays. "
        "Example: manage.py remove_person anna@example.org"
    )

    def add_arguments(self, parser):
        parser.add_argument("email")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, email, yes, **options):
        user = person(email)
        if not yes:
            self._ask(user)
        remove_person(user)
        self.stdout.write(f"{address_of(email)} is removed, with everything of theirs.")

    def _ask(self, user):
        goes = belongings_of(user)
        self.say(
            f"{user.email} has {goes.accounts:,} accounts with {goes.mails:,} mails stored here; all go. "
            f"(manage.py export_mail {user.email} DIR keeps a copy and needs their password.)"
        )
        if address_of(ask("Type their address to go on: ")) != user.email:
            raise UsageError("That is not their address. Nothing was deleted.")
