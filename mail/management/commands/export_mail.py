from pathlib import Path

from accounts import actions
from accounts.management.doors import Door, account_named, person, unlock
from mail.export import export_account, prepare_directory, safe_names
from mail.queries import stored_only_here


class Command(Door):
    help = (
        "Decrypt a person's current mail into DIR: per account one Maildir per folder, the bytes the server "
        "sent, flags kept. DIR must be empty or new. Example: manage.py export_mail anna@example.org my-mail"
    )

    def add_arguments(self, parser):
        parser.add_argument("email")
        parser.add_argument("dir", type=Path)
        parser.add_argument("--account", metavar="NAME")
        parser.add_argument(
            "--all",
            action="store_true",
            help="also mail that is stored only here: gone from the server, or in folders that are left out",
        )

    def handle(self, email, dir, account, **options):
        user = person(email)
        accounts = [account_named(user, account)] if account else list(user.mail_accounts.all())
        user_key = unlock(user)
        private_key = actions.mail_private_key(user, user_key)
        prepare_directory(dir)
        directories = safe_names({one.pk: one.label for one in accounts})
        for one in accounts:
            key = actions.account_key(one, user_key)
            export_account(one, key, private_key, dir / directories[one.pk], self._say, options["all"])
            left = 0 if options["all"] else stored_only_here(one).count()
            if left:
                self.say(f"{one.label}: {left} mails stored only here are left out; --all takes them too.")
        self.stdout.write(f"It is all in {dir}, readable by you alone.")

    def _say(self, folder):
        into = "" if folder.directory.name == folder.name else f"  (in {folder.directory.name})"
        self.say(f"{folder.account}: {folder.mails:>6} mails  {folder.name}{into}")
