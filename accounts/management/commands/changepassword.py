from accounts.errors import PasswordMustBeRewrapped
from accounts.management.doors import Door


class Command(Door):
    help = "Django's own command is refused here: it would lock people out of their mail."

    def add_arguments(self, parser):
        parser.add_argument("username", nargs="?")
        parser.add_argument("--database")

    def handle(self, **options):
        raise PasswordMustBeRewrapped
