"""How long the figures of a million runs take from their rollups, and from the runs themselves.

python -m bench.figures [RUNS]      (1,000,000: accounts synced every 15 minutes for 30 days; 4 minutes)
"""

import os
import random
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import django

from tests.installation import Installation

RUNS_A_DAY = 96
DAYS = 30
AT_ONCE = 2_000
USUAL_ACCOUNTS = 10
REPEATS = 5


def main(count: int) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        os.environ |= Installation(Path(name)).environment
        django.setup()
        start = time.monotonic()
        accounts = max(1, count // (RUNS_A_DAY * DAYS) - USUAL_ACCOUNTS)
        people = [fill("anna@example.org", USUAL_ACCOUNTS), fill("bert@example.org", accounts)]
        print(f"filled in {time.monotonic() - start:.0f} s: {counts()}")
        for user in people:
            measure(user)


def fill(email: str, accounts: int):
    from accounts.models import MailAccount, User
    from pipeline.models import AccountRun, Rollup

    user = User.objects.create(email=email, password="!")
    no_seals = {f"sealed_{name}": b"" for name in ("account_key", "connection", "folder_rules")}
    rows = [
        MailAccount(
            user=user, label=f"{n}", provider=f"{n % 5}", port=993, security="tls", host_key=b"", **no_seals
        )
        for n in range(accounts)
    ]
    for account in MailAccount.objects.bulk_create(rows):
        runs = list(runs_of(account))
        AccountRun.objects.bulk_create(runs, batch_size=AT_ONCE)
        Rollup.objects.bulk_create(rollups_of(account, runs))
    return user


def runs_of(account, count=RUNS_A_DAY * DAYS):
    """The newest first, a quarter of an hour apart."""
    from django.utils import timezone

    from pipeline.models import AccountRun

    now, random_of = timezone.now(), random.Random(account.label)
    for number in range(count):
        ended = now - timedelta(minutes=15 * number)
        mails = max(0, round(random_of.gauss(0, 12)))
        spent = {
            phase: random_of.lognormvariate(0, 0.5) * seconds
            for phase, seconds in (("connect", 0.4), ("folder_list", 0.3), ("disconnect", 0.05))
        }
        if mails:
            work = ("fetch", "parse", "save")
            spent |= {phase: mails * random_of.lognormvariate(-5, 0.7) for phase in work}
        failed = random_of.random() < 0.02
        yield AccountRun(
            account=account,
            status="failed" if failed else "success",
            error_type=random_of.choice(["timeout", "dns_failed", "connection_reset"]) if failed else "",
            attempt=1,
            emails_fetched=mails,
            bytes_done=mails * 40_000,
            phase_seconds={phase: round(seconds, 4) for phase, seconds in spent.items()},
            created_at=ended,
            started_at=ended,
            ended_at=ended,
        )


def rollups_of(account, runs):
    from pipeline.models import Granularity, Rollup
    from pipeline.rollups import KEPT, attempt_of, run_of, start_of
    from pipeline.tally import total

    at = {}
    for run in runs:
        arrow = "succeeded" if run.status == "success" else "failed"
        tally = total([attempt_of(arrow, run.error_type), run_of(run)])
        for granularity in Granularity:
            if runs[0].ended_at - run.ended_at < KEPT[granularity]:
                at.setdefault((granularity, start_of(granularity, run.ended_at)), []).append(tally)
    for (granularity, start), tallies in at.items():
        yield Rollup(account=account, granularity=granularity, start=start, **vars(total(tallies)))


def counts() -> str:
    from accounts.models import MailAccount
    from pipeline.models import AccountRun, Rollup

    models = AccountRun, MailAccount, Rollup
    return ", ".join(f"{model.objects.count():,} {model._meta.verbose_name}s" for model in models)


def measure(user) -> None:
    from pipeline.broker import PipelineBroker
    from pipeline.models import AccountRun
    from pipeline.queries import WINDOWS

    broker, account = PipelineBroker(), user.mail_accounts.first()
    print(f"a person with {user.mail_accounts.count()} accounts:")
    for window in WINDOWS:
        everything = best_of(lambda window=window: broker.get_performance_metrics(user, window))
        one = best_of(lambda window=window: broker.get_performance_metrics(user, window, account))
        print(f"{window:>5}: all accounts {1000 * everything:7.1f} ms   one account {1000 * one:5.1f} ms")
    rows = AccountRun.objects.filter(account__user=user).values_list("status", "phase_seconds")
    read = best_of(lambda: sum(1 for _ in rows.iterator(AT_ONCE)))
    print(f"       only reading every run {1000 * read:7.1f} ms")


def best_of(call) -> float:
    """Seconds."""
    took = []
    for _ in range(REPEATS):
        start = time.monotonic()
        call()
        took.append(time.monotonic() - start)
    return min(took)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
