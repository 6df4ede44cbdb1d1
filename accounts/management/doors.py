"""What the commands share: secrets from the environment or a prompt, errors as one clear line."""

import getpass
import os
import sys

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from accounts import actions, advice
from accounts.errors import MailhelperError, UsageError, disk_is_full
from accounts.models import MailAccount, User

PASSWORD = "MAILHELPER_PASSWORD"
NEW_PASSWORD = "MAILHELPER_NEW_PASSWORD"
IMAP_PASSWORD = "MAILHELPER_IMAP_PASSWORD"
RECOVERY_KEY = "MAILHELPER_RECOVERY_KEY"
CHANNEL_URL = "MAILHELPER_CHANNEL_URL"
SECRETS = frozenset({PASSWORD, NEW_PASSWORD, IMAP_PASSWORD, RECOVERY_KEY, CHANNEL_URL})
INTERRUPTED = 130  # 128 + SIGINT, as shells count


class Door(BaseCommand):
    """A command whose errors are sentences: exit status 2 for wrong usage, 1 for everything else."""

    def execute(self, *args, **options):
        try:
            return super().execute(*args, **options)
        except UsageError as error:
            raise CommandError(str(error), returncode=2) from error
        except MailhelperError as error:
            raise CommandError(str(error)) from error
        except (DatabaseError, OSError) as error:
            raise CommandError(_words_for(error)) from error
        except (KeyboardInterrupt, EOFError) as stop:
            raise CommandError("Stopped.", returncode=INTERRUPTED) from stop

    def say(self, line: str) -> None:
        """Print a line that a pipe or a log shows at once."""
        self.stdout.write(line)
        self.stdout.flush()


def _words_for(error: DatabaseError | OSError) -> str:
    if disk_is_full(error):
        return advice.no_space()
    if isinstance(error, OSError):
        return f"{error.filename or 'This machine'}: {error.strerror}"
    reason = str(error).strip().partition("\n")[0]
    return f"The database: {reason}. If it is new, set it up: manage.py migrate"


def ask_secret(variable: str, question: str, *, twice: bool = False) -> str:
    """The secret from the environment, or from the terminal. Raises UsageError where there is neither."""
    if secret := os.environ.get(variable):
        return secret
    if not _in_a_terminal():
        raise UsageError(f"Set {variable} in the environment, or run this in a terminal.")
    secret = getpass.getpass(f"{question}: ")
    if twice and getpass.getpass(f"{question} again: ") != secret:
        raise UsageError("The two did not match. Nothing was changed.")
    if not secret:
        raise UsageError("Nothing was typed. Nothing was changed.")
    return secret


def ask(question: str) -> str:
    """Raises UsageError where nobody answers, as under cron."""
    try:
        return input(question)
    except (EOFError, RuntimeError) as error:  # at its end; closed from the start
        if _in_a_terminal():
            raise
        raise UsageError("Nobody answers here. Nothing was changed; --yes goes on without asking.") from error


def _in_a_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def person(email: str) -> User:
    user = User.objects.filter(email=email.strip().lower()).select_related("vault").first()
    if user is None:
        raise UsageError(f"There is no person with the address {email}.")
    return user


def unlock(user: User) -> bytes:
    return actions.unlock(user, ask_secret(PASSWORD, f"Password of {user.email}"))


def account_named(user: User, label: str) -> MailAccount:
    account = user.mail_accounts.filter(label__iexact=label).first()
    if account is None:
        raise UsageError(f"{user.email} has no account named {label}.")
    return account
