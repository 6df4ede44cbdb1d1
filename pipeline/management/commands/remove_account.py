from accounts.errors import UsageError
from accounts.management.doors import Door, account_named, ask, person, unlock
from mail.queries import account_figures
from pipeline.broker import PipelineBroker


class Command(Door):
    help = (
        "Remove an account with its stored mail and its ledger; the mail at the provider stays. "
        "Example: manage.py remove_account anna@example.org --name GMX"
    )

    def add_arguments(self, parser):
        parser.add_argument("email")
        parser.add_argument("--name", required=True)
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, email, name, yes, **options):
        user = person(email)
        unlock(user)
        account = account_named(user, name)
        if not yes:
            self._ask(account)
        label = account.label
        PipelineBroker().remove_account(account)
        self.stdout.write(f"{label} is removed.")

    def _ask(self, account):
        self.say(
            f"{account.label} has {account.messages.count()} mails stored here; they are deleted, also those "
            f"that are gone from the server. (manage.py export_mail {account.user.email} DIR keeps a copy of "
            f"the {account_figures(account).stored} that are still there.)"
        )
        if ask("Type the account's name to go on: ").strip() != account.label:
            raise UsageError("That is not its name. Nothing was changed.")
