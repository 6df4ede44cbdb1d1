"""What people may type as a filter. Each raises UsageError."""

from collections.abc import Iterable
from datetime import date

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext

from accounts.errors import UsageError

MEGABYTE = 1_000_000
MAX_PATTERN = 255


def patterns(typed: Iterable[str]) -> tuple[str, ...]:
    found = tuple(typed)
    if not all(pattern.strip() for pattern in found):
        raise UsageError(gettext("A pattern must not be empty."))
    if not all(pattern.isprintable() and len(pattern) <= MAX_PATTERN for pattern in found):
        raise UsageError(
            gettext("A pattern has at most {most} characters, none of them a control character.").format(
                most=MAX_PATTERN
            )
        )
    return found


def day(text: str) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(gettext("{text!r} is not a day, such as 2024-01-31.").format(text=text)) from error
    if found > timezone.now().date():
        raise UsageError(
            gettext("{text} is yet to come, so that no mail would be fetched before it.").format(text=text)
        )
    return found


def size_limit(megabytes: float) -> int:
    """In bytes."""
    most = settings.MAILHELPER_MAX_MAIL_BYTES
    if not 1 <= megabytes * MEGABYTE <= most:
        raise UsageError(
            gettext(
                "The size limit of a mail is more than 0 and at most {most}, the limit of this installation."
            ).format(most=f"{most / MEGABYTE:g}")
        )
    return round(megabytes * MEGABYTE)
