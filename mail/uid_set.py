"""Sets of UIDs as IMAP writes them (RFC 9051 sequence-set): ranges, which may be larger than a mailbox."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

MAX_UID = 2**32 - 1


@dataclass(frozen=True)
class UidSet:
    """Sorted, disjoint ranges, both ends included; never expanded, since a server may say 1:4294967295."""

    ranges: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, uids: Iterable[int]) -> "UidSet":
        return cls(_merged((uid, uid) for uid in uids))

    @classmethod
    def parsed(cls, text: bytes) -> "UidSet":
        """Raises ValueError for what is no uid-set."""
        return cls(_merged(_range(part) for part in text.split(b",") if part))

    @classmethod
    def joined(cls, sets: Iterable["UidSet"]) -> "UidSet":
        return cls(_merged(part for one in sets for part in one.ranges))

    def __contains__(self, uid: int) -> bool:
        place = bisect_right(self.ranges, (uid, MAX_UID)) - 1
        return place >= 0 and uid <= self.ranges[place][1]

    def __len__(self) -> int:
        return sum(high - low + 1 for low, high in self.ranges)

    def __str__(self) -> str:
        return ",".join(str(low) if low == high else f"{low}:{high}" for low, high in self.ranges)


def _range(part: bytes) -> tuple[int, int]:
    low, _, high = part.partition(b":")
    ends = sorted((int(low), int(high or low)))
    if not 0 < ends[0] <= ends[1] <= MAX_UID:
        raise ValueError("a UID is from 1 to 2³² - 1")
    return ends[0], ends[1]


def _merged(ranges: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(merged[-1][1], high)
        else:
            merged.append((low, high))
    return tuple(merged)
