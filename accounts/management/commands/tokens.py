import json

from accounts import actions, tokens
from accounts.errors import UsageError
from accounts.management.doors import Door, account_named, person, unlock
from accounts.models import Scope


class Command(Door):
    help = (
        "List, make or revoke a person's API tokens. A new one is printed once, alone on stdout. "
        "Example: manage.py tokens anna@example.org --make nightly --scope operate --account GMX"
    )

    def add_arguments(self, parser):
        parser.add_argument("email")
        change = parser.add_mutually_exclusive_group()
        change.add_argument("--make", metavar="NAME", help="a new token of this name")
        change.add_argument("--revoke", metavar="NAME", help="end the token of this name at once")
        parser.add_argument("--scope", choices=Scope.values, default=Scope.READ, help="what it may do")
        parser.add_argument("--days", type=int, default=90, choices=tokens.LIFETIMES)
        which = parser.add_mutually_exclusive_group()
        which.add_argument(
            "--account",
            metavar="N",
            action="append",
            default=[],
            help="an account that it may have fetched without its owner (asks the password)",
        )
        which.add_argument("--all-accounts", action="store_true", help="the same of all accounts of today")
        parser.add_argument("--json", action="store_true", help="list them as one JSON object")

    def handle(self, email, make, revoke, account, **options):
        user = person(email)
        if make and options["json"]:
            raise UsageError("--json is for the list; a new token is printed alone.")
        if make:
            return self._make(user, make, account, **options)
        if account or options["all_accounts"]:
            raise UsageError("Accounts are named for a new token: --make NAME.")
        if revoke:
            tokens.revoke(user, revoke)
        self._show(user, options["json"])

    def _show(self, user, as_json):
        shown = tokens.those_of(user)
        if as_json:
            self.stdout.write(json.dumps({"user": user.email, "tokens": [_row(token) for token in shown]}))
            return
        for token in shown:
            self.stdout.write(
                f"{token.name}: {token.scope}, until {token.expires_at:%Y-%m-%d}, {_opens(token)}"
            )
        if not shown:
            self.stdout.write(f"{user.email} has no tokens yet.")

    def _make(self, user, name, labels, *, scope, days, all_accounts, **_):
        accounts = [account_named(user, label) for label in labels]
        accounts = list(user.mail_accounts.all()) if all_accounts else accounts
        keys = actions.account_keys(accounts, unlock(user)) if accounts else {}
        new = tokens.make(user, name, scope, days, keys)
        self.stderr.write(
            f"{new.token.name} is shown only now, and lasts until {new.token.expires_at:%Y-%m-%d}:"
        )
        self.stdout.write(new.secret)


def _opens(token) -> str:
    labels = _labels(token)
    return f"fetches {', '.join(labels)}" if labels else "opens no account"


def _row(token) -> dict:
    used = token.last_used_at
    return {
        "name": token.name,
        "scope": token.scope,
        "expires_at": token.expires_at.isoformat(),
        "last_used_at": used.isoformat() if used else None,
        "accounts": _labels(token),
    }


def _labels(token) -> list[str]:
    return sorted(key.account.label for key in token.keys.all())
