"""Settings of an account are tried in a thread of the web process, and saved where they work.

The page that waits reads the row. A process that dies in between leaves a row that is not heard of any more.
"""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog
from django.db import connections, transaction
from django.utils import timezone
from django.utils.translation import gettext

from accounts import actions, traces, vault
from accounts.errors import ErrorType, MailhelperError, SealBroken, UsageError
from accounts.events import Event
from accounts.models import MailAccount, User
from diagnostics import reports
from diagnostics.probing import ladder, probes
from diagnostics.probing.probe import Examination, ProbeResult
from mail.sealer import place
from pipeline.examination import is_syncing
from pipeline.models import ConnectionTrial

TOTAL_SECONDS = 180
AT_ONCE = 4  # in this process, whose threads also serve the pages
SILENCE = timedelta(seconds=max(probe.seconds for probe in probes.ALL) + 15)
KEPT = timedelta(hours=1)
# Nothing that is wrong with the settings: the same ones may work later.
PASSING = frozenset(
    {
        ErrorType.TIMEOUT,
        ErrorType.CONNECTION_RESET,
        ErrorType.CONNECTION_REFUSED,
        ErrorType.DNS_FAILED,
        ErrorType.TEMPORARILY_UNAVAILABLE,
        ErrorType.THROTTLED,
        ErrorType.TOO_MANY_CONNECTIONS,
        ErrorType.BUG,
    }
)

log = structlog.stdlib.get_logger("mailhelper.trials")
_seats = threading.BoundedSemaphore(AT_ONCE)


@dataclass(frozen=True)
class Wish:
    """An account as its owner wants it: `draft` is tried, `save` makes it so, `begin` is what then follows.

    `account` is the one whose settings change, `typed` what can be corrected.
    """

    draft: MailAccount
    account_key: bytes
    typed: dict
    save: Callable[[], MailAccount]
    begin: Callable[[MailAccount], None]
    account: MailAccount | None = None

    def __repr__(self):
        return "Wish(…)"


class Abandoned(MailhelperError):
    """The trial's row is gone, and with it whoever waited."""


def start(user: User, user_key: bytes, wish: Wish) -> ConnectionTrial:
    """Try it, and save it when it passes. Raises UsageError when too many are under way."""
    if not _seats.acquire(blocking=False):
        raise UsageError(gettext("Too many connections are being tried just now. Try again in a minute."))
    try:
        trial = _begin(user, user_key, wish)
        in_background(lambda: _try(trial, user_key, wish))
    except BaseException:
        _seats.release()
        raise
    return trial


def _begin(user: User, user_key: bytes, wish: Wish) -> ConnectionTrial:
    trial = ConnectionTrial(user=user, account=wish.account)
    packed = json.dumps(wish.typed).encode()
    trial.sealed_settings = vault.seal(user_key, packed, *place(trial, "sealed_settings"))
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        before = ConnectionTrial.objects.filter(user=user).first()
        if before and is_running(before):
            raise UsageError(gettext("Another connection of yours is being tried. Wait until it has ended."))
        ConnectionTrial.objects.filter(user=user).delete()
        trial.save(force_insert=True)
    return trial


def in_background(work: Callable[[], None]) -> None:
    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    threading.Thread(target=run, daemon=True, name="connection-trial").start()


def _try(trial: ConnectionTrial, user_key: bytes, wish: Wish) -> None:
    try:
        examination = _examined(trial, wish)
        _put_down(trial, user_key, examination)
        if examination.passed:
            keep(trial, wish)
    except Abandoned:
        pass
    except UsageError:
        pass  # a name that was taken meanwhile: the page offers to save it again, and says why not
    except Exception as error:  # nobody else hears of it: this is a thread of its own
        log.error(Event.TRIAL_FAILED, user_id=trial.user_id, trial_id=trial.pk, **traces.named(error))
    finally:
        _seats.release()
        ConnectionTrial.objects.filter(pk=trial.pk).update(finished_at=timezone.now())


def _examined(trial: ConnectionTrial, wish: Wish) -> Examination:
    steps: list[dict] = []

    def begin(name: str) -> None:
        _note(trial, step=name, steps=steps)

    def end(result: ProbeResult) -> None:
        steps.append(reports.in_clear(result))

    return ladder.examine(
        actions.connection_of(wish.draft, wish.account_key),
        wish.draft,
        wish.account_key,
        on_probe=begin,
        on_result=end,
        syncing=lambda: is_syncing(wish.draft),
        total_seconds=TOTAL_SECONDS,
    )


def _note(trial: ConnectionTrial, **fields) -> None:
    if not ConnectionTrial.objects.filter(pk=trial.pk).update(heard_at=timezone.now(), **fields):
        raise Abandoned


def _put_down(trial: ConnectionTrial, user_key: bytes, examination: Examination) -> None:
    words = {result.name: result.evidence for result in examination.results if result.evidence}
    evidence = vault.seal(user_key, json.dumps(words).encode(), *place(trial, "sealed_evidence"))
    _note(
        trial,
        step="",
        steps=[reports.in_clear(result) for result in examination.results],
        sealed_evidence=evidence,
        passed=examination.passed,
    )


def keep(trial: ConnectionTrial, wish: Wish) -> MailAccount:
    """Save what was tried, once. Raises UsageError, and Abandoned where it is saved or gone already, or its
    person was deactivated meanwhile."""
    with transaction.atomic():
        unsaved = ConnectionTrial.objects.select_for_update(of=("self",)).filter(pk=trial.pk, saved_at=None)
        row = unsaved.filter(user__is_active=True).first()
        if row is None:
            raise Abandoned
        row.account, row.saved_at, row.sealed_settings = wish.save(), timezone.now(), b""
        row.save(update_fields=["account", "saved_at", "sealed_settings"])
    wish.begin(row.account)
    return row.account


def is_running(trial: ConnectionTrial) -> bool:
    return trial.finished_at is None and not is_silent(trial)


def is_silent(trial: ConnectionTrial) -> bool:
    """Its process died."""
    return trial.finished_at is None and trial.heard_at < timezone.now() - SILENCE


def typed_in(trial: ConnectionTrial, user_key: bytes) -> dict | None:
    """What was typed; None when it is saved, or the seal does not open."""
    try:
        packed = vault.unseal(user_key, trial.sealed_settings, *place(trial, "sealed_settings"))
    except SealBroken:
        return None
    return json.loads(packed)


def evidence_in(trial: ConnectionTrial, user_key: bytes) -> dict[str, str]:
    if trial.sealed_evidence is None:
        return {}
    return json.loads(vault.unseal(user_key, trial.sealed_evidence, *place(trial, "sealed_evidence")))


def can_be_kept(trial: ConnectionTrial) -> bool:
    """Whether a person may save it though it did not pass: the server is down, or has trouble of its own."""
    if trial.finished_at is None or trial.saved_at:
        return False
    failed = [step["error_type"] for step in trial.steps if step["verdict"] == "failed" and step["decides"]]
    let_in = any(step["name"] == "login" and step["verdict"] == "ok" for step in trial.steps)
    return bool(trial.passed) or (bool(failed) and (let_in or PASSING.issuperset(failed)))


def forget_old() -> None:
    ConnectionTrial.objects.filter(started_at__lt=timezone.now() - KEPT).delete()
