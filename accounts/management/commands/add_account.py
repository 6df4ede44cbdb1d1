from pathlib import Path

from django.db import transaction

from accounts import actions, advice, grants, worker_key
from accounts.errors import NameTaken, UsageError
from accounts.management import filter_options
from accounts.management.doors import IMAP_PASSWORD, Door, account_named, ask_secret, person, unlock
from accounts.models import GrantPurpose, Security


class Command(Door):
    help = (
        "Connect a mailbox. The mailbox's password comes from MAILHELPER_IMAP_PASSWORD or a prompt. Example: "
        "manage.py add_account anna@example.org --name GMX --host imap.gmx.net --port 993 --security tls "
        "--login anna@gmx.net --background"
    )

    def add_arguments(self, parser):
        parser.add_argument("email", help="whose account it is")
        parser.add_argument("--name", required=True, help="what the account is called here (stays readable)")
        parser.add_argument("--host", required=True, help="the IMAP server's name, as imap.gmx.net")
        parser.add_argument("--port", type=int, required=True, help="993 with tls, 143 with starttls")
        parser.add_argument("--security", choices=Security.values, required=True)
        parser.add_argument("--login", required=True, help="what the server calls the mailbox's owner")
        parser.add_argument(
            "--background", action="store_true", help="let the workers sync it for 90 days without you"
        )
        parser.add_argument(
            "--ca-file", type=Path, help="PEM file of the CA that signed the server's certificate"
        )
        filter_options.add_to(parser)
        parser.add_argument(
            "--replace",
            action="store_true",
            help="give the account of this name new settings; its mail and filters stay",
        )

    def handle(self, email, name, host, port, security, login, **options):
        if not 1 <= port <= 65535:
            raise UsageError(f"{port} is not a port: 1 to 65535.")
        user = person(email)
        user_key = unlock(user)
        connection = actions.Connection(
            host.strip(), login, ask_secret(IMAP_PASSWORD, f"Password of {login}"), _pem(options["ca_file"])
        )
        with transaction.atomic():
            if options["replace"]:
                account = account_named(user, name)
                before = actions.filters_of(account, actions.account_key(account, user_key))
                filters = filter_options.changed(before, options)
                actions.replace_connection(account, user_key, port, security, connection, filters)
                self.stdout.write(f"{account.label} has new settings; its stored mail stays.")
            else:
                filters = filter_options.changed(actions.Filters(), options)
                account = _added(user, user_key, name, port, security, connection, filters)
                self.stdout.write(
                    f"{account.label} is saved. The first sync shows whether it works; "
                    "manage.py diagnose examines it step by step."
                )
            if options["background"]:
                grants.grant(account, actions.account_key(account, user_key), GrantPurpose.BACKGROUND)
                self.stdout.write("Background sync is allowed for 90 days.")
        if options["background"] and not worker_key.is_on_this_machine():
            self.stderr.write(self.style.WARNING(advice.other_worker_key()))


def _added(*details):
    try:
        return actions.add_account(*details)
    except NameTaken as error:
        raise UsageError(f"{error} --replace gives it new settings.") from error


def _pem(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return actions.checked_ca(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as a PEM file.") from error
