"""The options by which commands set an account's filters."""

from dataclasses import replace

from django.utils import timezone

from accounts import filter_rules
from accounts.actions import Filters

_PATTERN = "{} folders whose name is like P, as Projekte/* (* any text, ? one letter); repeatable"


def add_to(parser) -> None:
    parser.add_argument("--include", action="append", metavar="P", help=_PATTERN.format("sync only"))
    parser.add_argument("--exclude", action="append", metavar="P", help=_PATTERN.format("leave out"))
    parser.add_argument("--since", metavar="DAY", help="leave out mail that arrived before, as 2024-01-31")
    parser.add_argument(
        "--unread-only",
        action="store_true",
        help="of the mail that is there now take the unread alone; later mail comes whole",
    )
    parser.add_argument(
        "--max-mail-mb", type=float, metavar="N", help="of a larger mail keep the header alone (megabytes)"
    )


def changed(filters: Filters, options: dict) -> Filters:
    """With what the options say; an option that is not given changes nothing. Raises UsageError."""
    for name in ("include", "exclude"):
        if options[name]:
            filters = replace(filters, **{name: filter_rules.patterns(options[name])})
    if options["since"] is not None:
        filters = replace(filters, since=filter_rules.day(options["since"]))
    if options["unread_only"]:
        filters = replace(filters, unread_before=timezone.now())
    if options["max_mail_mb"] is not None:
        filters = replace(filters, max_mail_bytes=filter_rules.size_limit(options["max_mail_mb"]))
    return filters
