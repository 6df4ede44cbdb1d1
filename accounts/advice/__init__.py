"""What a failure means and what to do next, in words for people: the only place with such sentences."""

from accounts.advice.alerts import AlertWords, alert, channel_kind, delivery, outcome_of_test, rule
from accounts.advice.errors import advise, next_try, no_scheduler, no_worker, other_worker_key
from accounts.advice.findings import finding, unexplained
from accounts.advice.health import health, status_word
from accounts.advice.mails import SEAL_BROKEN, not_shown
from accounts.advice.operations import after_restore, installation, no_space
from accounts.advice.probes import (
    change,
    fact_label,
    fact_value,
    folder,
    folder_at,
    folders,
    probe_advice,
    probe_label,
    verdict_word,
    why_skipped,
)
from accounts.advice.problems import insufficient_scope, problem, refused
from accounts.advice.words import Advice

__all__ = [
    "SEAL_BROKEN",
    "Advice",
    "AlertWords",
    "advise",
    "after_restore",
    "alert",
    "change",
    "channel_kind",
    "delivery",
    "fact_label",
    "fact_value",
    "finding",
    "folder",
    "folder_at",
    "folders",
    "health",
    "installation",
    "insufficient_scope",
    "next_try",
    "no_scheduler",
    "no_space",
    "no_worker",
    "not_shown",
    "other_worker_key",
    "outcome_of_test",
    "probe_advice",
    "probe_label",
    "problem",
    "refused",
    "rule",
    "status_word",
    "unexplained",
    "verdict_word",
    "why_skipped",
]
