"""The options by which commands set an account's filters."""

from dataclasses import replace
from datetime import date

from django.conf import settings
from django.utils import timezone

from accounts.actions import Filters
from accounts.errors import UsageError

MEGABYTE = 1_000_000
MAX_PATTERN = 255
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
            filters = replace(filters, **{name: _patterns(options[name])})
    if options["since"] is not None:
        filters = replace(filters, since=_day(options["since"]))
    if options["unread_only"]:
        filters = replace(filters, unread_before=timezone.now())
    if options["max_mail_mb"] is not None:
        filters = replace(filters, max_mail_bytes=_bytes(options["max_mail_mb"]))
    return filters


def _patterns(patterns: list[str]) -> tuple[str, ...]:
    if not all(pattern.strip() for pattern in patterns):
        raise UsageError("A pattern must not be empty.")
    if not all(pattern.isprintable() and len(pattern) <= MAX_PATTERN for pattern in patterns):
        raise UsageError(f"A pattern has at most {MAX_PATTERN} characters, none of them a control character.")
    return tuple(patterns)


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is not a day, such as 2024-01-31.") from error
    if day > timezone.now().date():
        raise UsageError(f"{text} is yet to come, so that no mail would be fetched before it.")
    return day


def _bytes(megabytes: float) -> int:
    most = settings.MAILHELPER_MAX_MAIL_BYTES
    if not 1 <= megabytes * MEGABYTE <= most:
        raise UsageError(
            f"--max-mail-mb is more than 0 and at most {most / MEGABYTE:g}, the limit of this installation."
        )
    return round(megabytes * MEGABYTE)
