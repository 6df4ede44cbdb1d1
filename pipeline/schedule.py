"""When an account is due by itself. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from accounts.models import MailAccount

ONE_DAY = timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def next_due(
    account_id: UUID, now: datetime, interval: timedelta, fixed_times: Sequence[str], zone: ZoneInfo
) -> datetime:
    """The first due time after `now`; missed ones are not made up for. Pure.

    With an interval each account has its own place in it, so that many do not start together. Fixed times
    ("09:00") are wall-clock times in `zone`; one that a clock change skips comes as much later.
    """
    if not fixed_times:
        place = interval * (account_id.int % 86_400 / 86_400)
        return EPOCH + place + ((now - EPOCH - place) // interval + 1) * interval
    today = now.astimezone(zone).date()
    days = (today + timedelta(days=offset) for offset in range(2))
    wall = (datetime.combine(day, time.fromisoformat(at), zone) for day in days for at in fixed_times)
    return min(moment for moment in (at.astimezone(UTC) for at in wall) if moment > now)


def next_midnight(now: datetime, zone: ZoneInfo) -> datetime:
    tomorrow = now.astimezone(zone).date() + ONE_DAY
    return datetime.combine(tomorrow, time(), zone).astimezone(UTC)


def next_due_of(account: MailAccount, now: datetime) -> datetime:
    zone = account.user.zone
    return next_due(account.pk, now, interval_of(account), account.fixed_times, zone)


def interval_of(account: MailAccount) -> timedelta:
    return ONE_DAY if account.fixed_times else timedelta(minutes=account.interval_minutes)
