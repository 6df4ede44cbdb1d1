from django.conf import settings

from accounts import actions
from accounts.actions import Filters
from accounts.filter_rules import MEGABYTE
from accounts.management import filter_options
from accounts.management.doors import Door, account_named, person, unlock


class Command(Door):
    help = (
        "Show or change which mail of an account is fetched. What a filter leaves out is counted as "
        "excluded; changing it later fetches what it admits then. Nothing stored is deleted. Example: "
        "manage.py filters anna@example.org --name GMX --since 2024-01-01 --exclude 'Lists/*'"
    )

    def add_arguments(self, parser):
        parser.add_argument("email", help="whose account it is")
        parser.add_argument("--name", required=True, help="the account")
        parser.add_argument("--clear", action="store_true", help="first forget all filters it has")
        filter_options.add_to(parser)

    def handle(self, email, name, clear, **options):
        user = person(email)
        account = account_named(user, name)
        user_key = unlock(user)
        before = actions.filters_of(account, actions.account_key(account, user_key))
        after = filter_options.changed(Filters() if clear else before, options)
        if after != before:
            actions.set_filters(account, user_key, after)
        for line in _lines(after):
            self.stdout.write(line)
        if after != before:
            self.stdout.write("The next sync goes by this.")


def _lines(filters: Filters) -> list[str]:
    megabytes = (filters.max_mail_bytes or 0) / MEGABYTE
    told = {
        "only folders like": ", ".join(filters.include),
        "without folders like": ", ".join(filters.exclude),
        "since": filters.since,
        "unread only of what arrived before": filters.unread_before
        and f"{filters.unread_before:%Y-%m-%d %H:%M} UTC",
        "header alone of mails over": f"{megabytes:g} MB" if megabytes else "",
    }
    lines = [f"{what}: {value}" for what, value in told.items() if value]
    most = settings.MAILHELPER_MAX_MAIL_BYTES / MEGABYTE
    return lines or [f"No filter: all mail up to {most:g} MB is fetched, but trash and junk."]
