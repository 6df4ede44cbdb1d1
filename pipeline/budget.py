"""How many bytes of an account may be transferred today, and when it goes on after that."""

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from django.db.models import Case, F, Value, When
from django.utils import timezone

from accounts.models import MailAccount
from accounts.providers import daily_budget_of
from pipeline.schedule import next_midnight


@dataclass
class Budget:
    """One account's, in the days of its owner's time zone. `limit` is in bytes; None is without one."""

    account: MailAccount
    limit: int | None
    spent: int
    day: date

    @classmethod
    def of(cls, account: MailAccount) -> "Budget":
        own = account.daily_budget_bytes
        limit = daily_budget_of(account.provider) if own is None else own or None
        today = timezone.now().astimezone(_zone(account)).date()
        return cls(account, limit, account.bytes_today if account.bytes_day == today else 0, today)

    @property
    def is_used_up(self) -> bool:
        return self.limit is not None and self.spent >= self.limit

    @property
    def resumes_at(self) -> datetime:
        return next_midnight(timezone.now(), _zone(self.account))

    def spend(self, count: int) -> None:
        """Count bytes that came; call it in the transaction of what they brought."""
        self.spent += count
        same_day = Case(When(bytes_day=self.day, then=F("bytes_today")), default=Value(0))
        rows = MailAccount.objects.filter(pk=self.account.pk)
        rows.update(bytes_today=same_day + count, bytes_day=self.day)


def _zone(account: MailAccount) -> ZoneInfo:
    return account.user.zone
