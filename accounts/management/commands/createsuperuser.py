from accounts.errors import PasswordMustBeRewrapped
from accounts.management.doors import Door


class Command(Door):
    help = "Django's own command is refused here: a person without a vault could keep no mail."

    def add_arguments(self, parser):
        parser.add_argument("--email")
        parser.add_argument("--noinput", "--no-input", action="store_true")
        parser.add_argument("--database")

    def handle(self, **options):
        raise PasswordMustBeRewrapped
