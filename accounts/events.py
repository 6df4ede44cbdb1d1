"""What the log can tell: each event named once."""

from enum import StrEnum


class Event(StrEnum):
    # a run, a tick, an examination
    RUN_SUCCEEDED = "run_succeeded"
    RUN_FAILED = "run_failed"
    LEASE_LOST = "lease_lost"
    ACCOUNT_NOT_SCHEDULED = "account_not_scheduled"
    HEALTH_NOT_NOTED = "health_not_noted"
    PROBE_FAILED = "probe_failed"
    TRIAL_FAILED = "trial_failed"
    # the machinery
    WORKER_READY = "worker_ready"
    QUEUE_UNREACHABLE = "queue_unreachable"
    HEARTBEAT_NOT_WRITTEN = "heartbeat_not_written"
    WATCHDOG_FAILED = "watchdog_failed"
    PROCESS_RESTARTED = "process_restarted"
    THREAD_FAILED = "thread_failed"
    ROWS_PRUNED = "rows_pruned"
    # messages to people
    ALERT_NOT_DECIDED = "alert_not_decided"
    DELIVERY_FAILED = "delivery_failed"
    PING_FAILED = "ping_failed"
    # the web
    REQUEST_SERVED = "request_served"
    REQUEST_REFUSED = "request_refused"
    REQUEST_FAILED = "request_failed"
    # what a library says, in its own words
    LIBRARY_SAID = "library_said"
