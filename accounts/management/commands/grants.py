import json

from accounts import actions, advice, grants, worker_key
from accounts.errors import SealBroken
from accounts.management.doors import Door, account_named, person, unlock
from accounts.models import GrantPurpose, KeyGrant


class Command(Door):
    help = (
        "List, give or take the permission to sync in the background. "
        "Example: manage.py grants anna@example.org --background --account GMX"
    )

    def add_arguments(self, parser):
        parser.add_argument("email")
        change = parser.add_mutually_exclusive_group()
        change.add_argument(
            "--background", action="store_true", help="allow it for 90 days (asks the password)"
        )
        change.add_argument("--revoke", action="store_true", help="take it back at once")
        parser.add_argument("--account", metavar="N", help="only the account of this name")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, email, account, **options):
        user = person(email)
        accounts = [account_named(user, account)] if account else list(user.mail_accounts.all())
        if options["background"]:
            keys = actions.account_keys(accounts, unlock(user))
            for one in accounts:
                if one.pk in keys:
                    grants.grant(one, keys[one.pk], GrantPurpose.BACKGROUND)
                else:
                    self.stderr.write(self.style.WARNING(f"{one.label}: {SealBroken()}"))
            if not worker_key.is_on_this_machine():
                self.stderr.write(self.style.WARNING(advice.other_worker_key()))
        elif options["revoke"]:
            grants.revoke(KeyGrant.objects.filter(account__in=accounts))
            grants.stop_background(accounts)
        self._show(user, accounts, options["json"])

    def _show(self, user, accounts, as_json):
        rows = [_row(account) for account in accounts]
        if as_json:
            self.stdout.write(json.dumps({"user": user.email, "accounts": rows}))
            return
        for row in rows:
            until = f"until {row['expires_at'][:16].replace('T', ' ')} UTC" if row["background"] else "no"
            self.stdout.write(f"{row['name']}: background sync {until}")
        if not rows:
            self.stdout.write(f"{user.email} has no accounts yet.")


def _row(account):
    valid = grants.valid_grants().filter(account=account, purpose=GrantPurpose.BACKGROUND).first()
    return {
        "name": account.label,
        "background": valid is not None,
        "expires_at": valid.expires_at.isoformat() if valid else None,
        "last_used_at": valid.last_used_at.isoformat() if valid and valid.last_used_at else None,
    }
