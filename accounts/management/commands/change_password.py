from accounts import actions
from accounts.management.doors import NEW_PASSWORD, RECOVERY_KEY, Door, ask_secret, person, unlock


class Command(Door):
    help = (
        "Change a person's password and wrap their keys anew; their mail stays readable. "
        "Example: manage.py change_password anna@example.org --recover"
    )

    def add_arguments(self, parser):
        parser.add_argument("email")
        parser.add_argument(
            "--recover", action="store_true", help="use the recovery key, not the old password"
        )

    def handle(self, email, recover, **options):
        user = person(email)
        if recover:
            recovery_key = ask_secret(RECOVERY_KEY, f"Recovery key of {user.email}")
            user_key = actions.unlock_by_recovery_key(user, recovery_key)
        else:
            user_key = unlock(user)
        actions.change_password(user, user_key, ask_secret(NEW_PASSWORD, "New password", twice=True))
        self.stdout.write(f"The password of {user.email} is changed. The recovery key stays valid.")
