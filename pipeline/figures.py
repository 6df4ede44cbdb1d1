"""What is fast enough, and histograms of seconds. Pure."""

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pipeline.models import Phase

BUCKET_WIDTH = 1.1  # so that histograms add up, and a quantile is exact to within 5 %
LEAST_SECONDS = 0.0001
BOUNDS = range(-48, 89, 8)  # 10 ms, 22 ms, … 1 s, 2.1 s, … 73 min: no bucket lies across one
LEAST_MAILS = 10  # of fewer, the round trips say more than the mails
JUDGED_RUNS = 5
WORK = (Phase.FETCH, Phase.PARSE, Phase.SAVE, Phase.PROCESS)

Histogram = Mapping[str, int]  # by bucket, a string as JSON has it
Seconds = Mapping[str, float]


class Operation(StrEnum):
    """Connecting and comparing folders once; fetching, and parsing and saving, 50 mails; all of 100 mails."""

    CONNECT = "connect"
    FOLDER_LIST = "folder_list"
    FETCH = "fetch_50_mails"
    PARSE_SAVE = "parse_save_50_mails"
    TOTAL = "total_100_mails"


class Grade(StrEnum):
    TARGET = "target"
    ACCEPTABLE = "acceptable"
    SLOW = "slow"
    CRITICAL = "critical"


@dataclass(frozen=True)
class Limits:
    """Seconds: below `target` and `acceptable`, above `critical`."""

    target: float
    acceptable: float
    critical: float


OPERATIONS = {
    Operation.CONNECT: Limits(1, 2, 5),
    Operation.FOLDER_LIST: Limits(1, 2, 10),
    Operation.FETCH: Limits(2, 5, 15),
    Operation.PARSE_SAVE: Limits(1, 3, 10),
    Operation.TOTAL: Limits(5, 10, 30),
}


def judge(operation: Operation, seconds: float) -> Grade:
    limits = OPERATIONS[operation]
    if seconds < limits.target:
        return Grade.TARGET
    if seconds < limits.acceptable:
        return Grade.ACCEPTABLE
    return Grade.CRITICAL if seconds > limits.critical else Grade.SLOW


def operations_of(seconds: Seconds, mails: int, attempts: int = 1) -> dict[Operation, float]:
    """The operations that a run of so many attempts and mails did, in seconds as OPERATIONS has them.

    Each attempt connects and compares folders anew, so these are the mean of one. The total of 100 mails is
    one attempt's and the work of 100. What has to do with mails is known from LEAST_MAILS on.
    """
    once = {phase: spent / max(1, attempts) for phase, spent in seconds.items() if phase not in WORK}
    known = {
        operation: once[operation]
        for operation in (Operation.CONNECT, Operation.FOLDER_LIST)
        if once.get(operation)
    }
    if mails < LEAST_MAILS:
        return known
    per_mail = {phase: seconds.get(phase, 0) / mails for phase in WORK}
    return known | {
        Operation.FETCH: 50 * per_mail[Phase.FETCH],
        Operation.PARSE_SAVE: 50 * (per_mail[Phase.PARSE] + per_mail[Phase.SAVE]),
        Operation.TOTAL: sum(once.values()) + 100 * sum(per_mail.values()),
    }


def slow_operations(recent: Sequence[Mapping[Operation, float]]) -> dict[Operation, float]:
    """What the newest run did and is beyond critical at the median of the last that did it, and that median.

    `recent` holds the operations of successful runs, the newest first; fewer than JUDGED_RUNS do not tell.
    """
    slow = {}
    for operation in recent[0] if recent else ():
        last = [done[operation] for done in recent if operation in done][:JUDGED_RUNS]
        if len(last) == JUDGED_RUNS and judge(operation, median := statistics.median(last)) == Grade.CRITICAL:
            slow[operation] = median
    return slow


def bucket(seconds: float) -> str:
    return str(math.floor(math.log(max(seconds, LEAST_SECONDS), BUCKET_WIDTH)))


def histogram(values: Iterable[float]) -> dict[str, int]:
    return dict(Counter(map(bucket, values)))


def quantile(counts: Histogram, share: float) -> float | None:
    """The middle of the bucket in which the value of this rank lies; None of nothing."""
    rank = math.ceil(share * sum(counts.values()))
    for number in sorted(map(int, counts)):
        rank -= counts[str(number)]
        if rank <= 0:
            return BUCKET_WIDTH ** (number + 0.5)
    return None


def cumulative(counts: Histogram) -> list[tuple[str, int]]:
    """As Prometheus has it: how many up to each bound in seconds, and all of them."""
    upto = {n: sum(count for number, count in counts.items() if int(number) < n) for n in BOUNDS}
    bounded = [(str(float(f"{BUCKET_WIDTH**n:.6g}")), count) for n, count in upto.items()]
    return [*bounded, ("+Inf", sum(counts.values()))]
