"""What a probe is, and what it comes to."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from accounts.errors import ErrorType


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    NOT_OFFERED = "not_offered"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Told:
    """What a probe found out, in numbers and our own words; one that fails raises SyncError instead."""

    verdict: Verdict = Verdict.OK
    facts: dict = field(default_factory=dict)


def ok(**facts) -> Told:
    return Told(Verdict.OK, facts)


def warning(reason: str, **facts) -> Told:
    return Told(Verdict.WARNING, {"reason": reason, **facts})


def not_offered() -> Told:
    return Told(Verdict.NOT_OFFERED)


def skipped(because: str, **facts) -> Told:
    """`because` is the probe that made this one meaningless, or one of NOTHING_TO_ASK."""
    return Told(Verdict.SKIPPED, {"because": because, **facts})


NOTHING_TO_ASK = ("security_none", "no_mail", "not_asked", "never_synced")


@dataclass(frozen=True)
class Probe:
    """One question. `decides`: a failure means "not passed"; the others are information.

    `needs` are probes without which it is meaningless, `seconds` its own deadline. After a `quiet` one
    nothing of a mail is kept, not even as evidence. `refused` is what a NO of the server is called here.
    """

    name: str
    ask: Callable[..., Told]
    seconds: float
    decides: bool = False
    needs: tuple[str, ...] = ()
    quiet: bool = False
    refused: ErrorType = ErrorType.PROTOCOL_ERROR


@dataclass(frozen=True)
class ProbeResult:
    """How one probe went. `evidence` is the server's own words, redacted; it is only ever stored sealed.

    `folder_names`, by what the facts refer to folders by, is shown to the person and never stored.
    """

    name: str
    verdict: str
    seconds: float
    error_type: str = ""
    facts: dict = field(default_factory=dict)
    evidence: str = field(default="", repr=False)
    decides: bool = False
    folder_names: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def good(self) -> bool:
        """Whether a mailbox can be passed with this."""
        if self.verdict == Verdict.SKIPPED:
            return self.facts.get("because") in NOTHING_TO_ASK
        return not self.decides or self.verdict in (Verdict.OK, Verdict.WARNING)


@dataclass(frozen=True)
class Examination:
    """All probes of one account, in the order in which they were asked."""

    results: tuple[ProbeResult, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        return all(result.good for result in self.results if result.decides)

    @property
    def folder_names(self) -> dict[str, str]:
        return {ref: name for result in self.results for ref, name in result.folder_names.items()}

    def of(self, name: str) -> ProbeResult:
        return next(result for result in self.results if result.name == name)
