"""Examine a mailbox: ask one question after the other, each within its own time, and tell how it went.

Read-only towards the mailbox (EXAMINE, BODY.PEEK). Nothing that a server does comes out as an exception.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import structlog
from django.db import DatabaseError

from accounts import traces
from accounts.actions import Connection, filters_of
from accounts.errors import ErrorType, MailhelperError, SyncError
from accounts.events import Event
from accounts.models import MailAccount
from diagnostics.probing import probes
from diagnostics.probing.climb import Climb
from diagnostics.probing.probe import Examination, Probe, ProbeResult, Told, Verdict, skipped
from diagnostics.probing.redact import Redactor, printable
from mail.deadline import Deadline
from mail.wire import Refused

TOTAL_SECONDS = 600
LOST_FOR_GOOD = 2
SHOWN_CHARACTERS = 400  # of a line of evidence

log = structlog.stdlib.get_logger("mailhelper.ladder")


def examine(
    connection: Connection,
    account: MailAccount,
    account_key: bytes,
    *,
    on_result: Callable[[ProbeResult], None] = lambda result: None,
    on_probe: Callable[[str], None] = lambda name: None,
    on_bytes: Callable[[int], None] = lambda count: None,
    connections: bool = False,
    syncing: Callable[[], bool] = lambda: False,
    total_seconds: float = TOTAL_SECONDS,
) -> Examination:
    """Ask everything. `on_result` hears each answer as it comes; what it raises comes out of here.

    `connections`: also ask how many are allowed at a time. `syncing` says whether a sync of ours is at this
    mailbox. Seconds are wall-clock.
    """
    start = time.monotonic()
    climb = Climb(
        connection,
        account,
        account_key,
        filters_of(account, account_key),
        Deadline(total_seconds),
        on_bytes,
        Redactor(connection),
        connections,
        syncing,
    )
    results = []
    try:
        for result in _results(climb, on_probe):
            results.append(result)
            on_result(result)
    finally:
        climb.close()
    # A server may have named a folder before it listed it.
    results = [replace(result, evidence=_shortened(climb.redact(result.evidence))) for result in results]
    return Examination(tuple(results), time.monotonic() - start)


def _shortened(evidence: str) -> str:
    """Only what was redacted is cut: of a name in two halves neither is known."""
    return "\n".join(line[:SHOWN_CHARACTERS] for line in evidence.split("\n"))


def _results(climb: Climb, on_probe: Callable[[str], None]) -> Iterator[ProbeResult]:
    bad: dict[str, str] = {}  # probes that nothing can be built on, and which one made them so
    for probe in probes.in_order(climb.security):
        on_probe(probe.name)
        result = _asked(probe, climb, bad)
        if not _can_be_built_on(result):
            bad[probe.name] = result.facts.get("because", probe.name)
        yield result


def _can_be_built_on(result: ProbeResult) -> bool:
    if result.verdict == Verdict.SKIPPED:
        return result.good
    return result.verdict != Verdict.FAILED


def _asked(probe: Probe, climb: Climb, bad: dict[str, str]) -> ProbeResult:
    start = time.monotonic()
    if because := _why_meaningless(probe, climb, bad):
        told, error_type, words = skipped(because), "", ""
    else:
        told, error_type, words = _tried(probe, climb)
    seconds = round(time.monotonic() - start, 4)
    heard = "\n".join(filter(None, (climb.take_heard(), words)))
    return ProbeResult(
        probe.name,
        told.verdict.value,
        seconds,
        error_type,
        told.facts,
        printable(climb.redact(heard)),
        probe.decides,
        climb.take_names(),
    )


def _why_meaningless(probe: Probe, climb: Climb, bad: dict[str, str]) -> str:
    if climb.deadline.passed():
        return "time"
    if climb.lost >= LOST_FOR_GOOD:
        return "lost"
    return next((bad[name] for name in probe.needs if name in bad), "")


def _tried(probe: Probe, climb: Climb) -> tuple[Told, str, str]:
    """What came of it, the error's type, and the words that came with the error."""
    try:
        with climb.probing(probe.seconds, probe.quiet):
            return probe.ask(climb), "", ""
    except SyncError as error:
        facts = error.facts | _beside(climb, error.error_type)
        return Told(Verdict.FAILED, facts), error.error_type.value, _words(probe, error)
    except (MailhelperError, DatabaseError):
        raise  # somebody wants us to stop, or it is no matter of the server
    except Exception as error:  # a bug of ours is this probe's failure, and no other's
        facts = traces.named(error)
        log.error(Event.PROBE_FAILED, **climb.account.in_log, probe=probe.name, **facts)
        return Told(Verdict.FAILED, facts), ErrorType.BUG.value, ""


def _beside(climb: Climb, error_type: ErrorType) -> dict[str, bool]:
    """The connection too many may be one of ours."""
    return {"syncing": True} if error_type == ErrorType.TOO_MANY_CONNECTIONS and climb.syncing() else {}


def _words(probe: Probe, error: SyncError) -> str:
    """Where mail is read, only what the server itself says in refusing; anything else may hold mail."""
    return "" if probe.quiet and not isinstance(error.__cause__, Refused) else error.evidence
