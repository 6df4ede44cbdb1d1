"""How long fetching will take: a simple model, scaled by what this account's runs took before."""

from dataclasses import dataclass

from accounts.models import MailAccount
from mail.queries import pending_size
from pipeline.models import AccountRun, Phase

# What a home connection and a provider manage; an account's own runs soon say better.
SECONDS_PER_MAIL = 0.002
SECONDS_PER_BYTE = 1 / 2_000_000
RUNS = 5
LEAST_SECONDS = 0.2  # a shorter run says little
WORK = (Phase.FETCH, Phase.PARSE, Phase.SAVE)


@dataclass(frozen=True)
class Estimate:
    """What is still to fetch, in mails and bytes, and about how many seconds that takes."""

    mails: int
    bytes: int
    seconds: float


def estimate(account: MailAccount) -> Estimate:
    """From the ledger: what the server said (STATUS, RFC822.SIZE) when stock was taken last."""
    mails, size = pending_size(account)
    return Estimate(mails, size, expected_seconds(mails, size, pace_of(account)))


def expected_seconds(mails: int, size: int, pace: float = 1) -> float:
    """Pure. A pace of 2 is half as fast as the model."""
    return (mails * SECONDS_PER_MAIL + size * SECONDS_PER_BYTE) * pace


def pace_of(account: MailAccount) -> float:
    """What the account's last runs took, in terms of the model."""
    rows = AccountRun.objects.filter(account=account, emails_fetched__gt=0, ended_at__isnull=False)
    rows = rows.order_by("-created_at").values_list("emails_fetched", "bytes_done", "phase_seconds")
    runs = [(mails, size, sum(spent.get(p, 0) for p in WORK)) for mails, size, spent in rows[:RUNS]]
    return pace(runs) or 1


def pace(runs: list[tuple[int, int, float]]) -> float | None:
    """Pure, of runs as (mails, bytes, seconds). None when they are too short to tell."""
    told = [run for run in runs if run[2] >= LEAST_SECONDS]
    if not told:
        return None
    return sum(seconds for _, _, seconds in told) / sum(expected_seconds(m, b) for m, b, _ in told)
