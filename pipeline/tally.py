"""What many runs come to, and the figures of that. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pipeline.figures import WORK, Grade, Histogram, Operation, Seconds, judge, quantile
from pipeline.models import Phase


@dataclass(frozen=True)
class Tally:
    """What attempts and runs came to. `seconds` are sums by phase, `phases` and `operations` histograms."""

    attempts: int = 0
    successes: int = 0
    errors: Mapping[str, int] = field(default_factory=dict)
    mails: int = 0
    linked: int = 0
    bytes: int = 0
    seconds: Seconds = field(default_factory=dict)
    phases: Mapping[str, Histogram] = field(default_factory=dict)
    operations: Mapping[str, Histogram] = field(default_factory=dict)


def total(tallies: Iterable[Tally]) -> Tally:
    tallies = list(tallies)
    return Tally(
        attempts=sum(tally.attempts for tally in tallies),
        successes=sum(tally.successes for tally in tallies),
        errors=_added(tally.errors for tally in tallies),
        mails=sum(tally.mails for tally in tallies),
        linked=sum(tally.linked for tally in tallies),
        bytes=sum(tally.bytes for tally in tallies),
        seconds=_added(tally.seconds for tally in tallies),
        phases=_merged(tally.phases for tally in tallies),
        operations=_merged(tally.operations for tally in tallies),
    )


def _added(many: Iterable[Mapping[str, float]]) -> dict:
    sums: Counter = Counter()
    for one in many:
        sums.update(one)
    return dict(sums)


def _merged(many: Iterable[Mapping[str, Histogram]]) -> dict[str, dict[str, int]]:
    merged: dict[str, dict[str, int]] = defaultdict(dict)
    for one in many:
        for name, counts in one.items():
            sums = merged[name]
            for number, count in counts.items():  # a Counter takes twice as long
                sums[number] = sums.get(number, 0) + count
    return dict(merged)


@dataclass(frozen=True)
class Quantiles:
    """Seconds, of so many runs; None of none."""

    count: int
    p50: float | None
    p95: float | None


@dataclass(frozen=True)
class Judged(Quantiles):
    """Grades of both quantiles."""

    grade: Grade | None
    grade_p95: Grade | None


@dataclass(frozen=True)
class Performance:
    """Rates are shares of the attempts, failures too; None without any.

    Mails and bytes per second are those of the time spent on fetching, parsing and saving. `phases` are
    seconds of a whole run, however it ended; `operations` of runs that succeeded.
    """

    attempts: int
    success_rate: float | None
    error_rates: dict[str, float]
    mails: int
    linked: int
    bytes: int
    mails_per_second: float | None
    bytes_per_second: float | None
    phases: dict[str, Quantiles]
    operations: dict[str, Judged]


def performance(tally: Tally) -> Performance:
    return Performance(
        attempts=tally.attempts,
        success_rate=tally.successes / tally.attempts if tally.attempts else None,
        error_rates={name: count / tally.attempts for name, count in sorted(tally.errors.items())},
        mails=tally.mails,
        linked=tally.linked,
        bytes=tally.bytes,
        **speeds(tally.mails, tally.bytes, tally.seconds),
        phases={phase: Quantiles(**_quantiles(tally.phases.get(phase, {}))) for phase in Phase.values},
        operations={name.value: _judged(name, tally.operations.get(name, {})) for name in Operation},
    )


def speeds(mails: int, size: int, seconds: Seconds) -> dict[str, float | None]:
    work = sum(seconds.get(phase, 0) for phase in WORK)
    return {
        "mails_per_second": mails / work if mails and work else None,
        "bytes_per_second": size / work if mails and work else None,
    }


def _quantiles(counts: Histogram) -> dict:
    return {
        "count": sum(counts.values()),
        "p50": quantile(counts, 0.5),
        "p95": quantile(counts, 0.95),
    }


def _judged(operation: Operation, counts: Histogram) -> Judged:
    found = _quantiles(counts)
    grades = [judge(operation, found[name]) if found["count"] else None for name in ("p50", "p95")]
    return Judged(**found, grade=grades[0], grade_p95=grades[1])
