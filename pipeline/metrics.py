"""The figures of /metrics: read from rows when they are asked for, so that every process gives the same.

A counter counts since the start of the month (UTC) and begins anew with the next one. That is a reset as
Prometheus knows them; a sum over what is kept would fall each midnight and look like a burst. Where an
account is removed, its share is gone, too. Of all runs only those that have not ended are read.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from django.db.models import Count, Q
from django.utils import timezone
from huey.contrib.djhuey import HUEY
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from accounts import grants
from accounts.models import GrantPurpose, MailAccount, RemoteHost
from accounts.provider_list import PROVIDERS
from accounts.providers import OTHER
from diagnostics.alerting.rules import GRANT_WARNINGS
from diagnostics.models import (
    EVENTS,
    AccountHealth,
    Alert,
    AlertDelivery,
    AlertKind,
    ChannelKind,
    DeliveryStatus,
    Status,
)
from mail.queries import figures_of
from pipeline import heartbeats
from pipeline.breaker import Breaker, State
from pipeline.figures import cumulative
from pipeline.models import RUN_ACTIVE, AccountRun, Granularity, JobType, Phase, Rollup, RunStatus
from pipeline.rollups import start_of, tallies_of
from pipeline.tally import Tally, total

PAUSED = "paused"

_KNOWN_PROVIDERS = frozenset(one.name for one in PROVIDERS)
_ENDED = (DeliveryStatus.SENT, DeliveryStatus.FAILED)
_BREAKS = (State.OPEN, State.HALF_OPEN)
_LEDGER = ("stored", "excluded", "quarantined", "pending", "gone", "unexplained")

Values = Mapping[tuple[str, ...], float]


def registry() -> CollectorRegistry:
    """With nothing in it but our figures of this moment."""
    ours = CollectorRegistry(auto_describe=False)
    ours.register(Figures())
    return ours


class Figures(Collector):
    """As many queries whatever the number of rows. No label names a person, an account or a host."""

    def collect(self) -> Iterator[Metric]:
        now = timezone.now()
        month = start_of(Granularity.DAY, now).replace(day=1)
        accounts = list(MailAccount.objects.select_related("health").order_by())
        yield from _syncs(month, {_provider(account.provider) for account in accounts})
        yield from _runs(now)
        yield from _machinery(now)
        yield _accounts(accounts)
        yield _breakers(accounts, now)
        yield from _grants(now)
        yield _ledger(accounts)
        yield from _alerts(month)


def _syncs(month: datetime, used: set[str]) -> Iterator[Metric]:
    found = dict.fromkeys(used, Tally()) | _tallies(month)
    succeeded = {(name, "success"): tally.successes for name, tally in found.items()}
    failed = {(name, "failed"): tally.attempts - tally.successes for name, tally in found.items()}
    yield _counter(
        "sync_attempts",
        "Attempts to sync that succeeded or failed; a pause or a cancellation is neither",
        ("provider", "status"),
        succeeded | failed,
    )
    yield _counter(
        "sync_errors",
        "Attempts to sync that failed, by error_type",
        ("provider", "error_type"),
        {(name, kind): count for name, tally in found.items() for kind, count in tally.errors.items()},
    )
    for name, told, field in (
        ("mails_fetched", "Mails that were fetched and stored", "mails"),
        ("mails_linked", "Mails that were stored already and not fetched again", "linked"),
        ("fetched_bytes", "Bytes of the mails that were fetched", "bytes"),
    ):
        values = {(provider,): getattr(tally, field) for provider, tally in found.items()}
        yield _counter(name, told, ("provider",), values)
    yield _phases(total(found.values()))


def _tallies(month: datetime) -> dict[str, Tally]:
    """By provider, since the month began."""
    rows = Rollup.objects.filter(granularity=Granularity.DAY, start__gte=month)
    by_provider = defaultdict(list)
    for _, _, provider, tally in tallies_of(rows):
        by_provider[_provider(provider)].append(tally)
    return {provider: total(tallies) for provider, tallies in by_provider.items()}


def _provider(name: str) -> str:
    return name if name in _KNOWN_PROVIDERS else OTHER


def _phases(tally: Tally) -> Metric:
    told = "Seconds that each run spent in a phase, since the start of the month (UTC)."
    family = HistogramMetricFamily("mailhelper_sync_phase_seconds", told, labels=("phase",))
    for phase in Phase.values:
        buckets, spent = cumulative(tally.phases.get(phase, {})), tally.seconds.get(phase, 0)
        family.add_metric((phase,), buckets, sum_value=spent)
    return family


def _runs(now: datetime) -> Iterator[Metric]:
    active = AccountRun.objects.filter(status__in=RUN_ACTIVE).order_by().values_list("kind", "status")
    rows = active.annotate(
        Count("pk"),
        due=Count("pk", filter=Q(status=RunStatus.PENDING, owner="", run_after__lte=now)),
        held=Count("pk", filter=Q(lease_until__gt=now)),
        lapsed=Count("pk", filter=Q(lease_until__lte=now)),
    )
    runs = {(kind, status): 0 for kind in JobType.values for status in RUN_ACTIVE}
    due = held = lapsed = 0
    for kind, status, *counts in rows:
        runs[kind, status] = counts[0]
        due, held, lapsed = due + counts[1], held + counts[2], lapsed + counts[3]
    yield _gauge("runs", "Runs that have not ended.", ("kind", "status"), runs)
    yield _gauge("runs_due", "Runs that a worker may take up now.", (), {(): due})
    leases = {("held",): held, ("lapsed",): lapsed}
    yield _gauge("leases", "Claims on runs; the next tick frees what has lapsed.", ("state",), leases)


def _machinery(now: datetime) -> Iterator[Metric]:
    found = heartbeats.machinery()
    oldest = (now - found.oldest_due).total_seconds() if found.oldest_due else 0
    told = "How long the due run that waits longest has waited; 0 where none waits."
    yield _gauge("oldest_due_run_age_seconds", told, (), {(): max(0, oldest)})
    tick = found.tick_at.timestamp() if found.tick_at else 0
    told = "When the scheduler's tick was heard of last; 0 is never."
    yield _gauge("scheduler_last_tick_timestamp_seconds", told, (), {(): tick})
    backup = found.backup_at.timestamp() if found.backup_at else 0
    told = "When the last backup was made by manage.py backup; 0 is never."
    yield _gauge("last_backup_timestamp_seconds", told, (), {(): backup})
    yield _gauge("workers", "Worker processes that were heard of lately.", (), {(): found.workers})
    rings = _rings()
    yield _gauge("queue_up", "Whether the queue answers.", (), {(): bool(rings)})
    told = "Rings for workers in the queue; scheduled ones wait for their time."
    yield _gauge("queue_rings", told, ("state",), rings)


def _rings() -> Values:
    try:
        return {("waiting",): HUEY.pending_count(), ("scheduled",): HUEY.scheduled_count()}
    except Exception:  # whatever the queue's storage raises
        return {}


def _accounts(accounts: Iterable[MailAccount]) -> Metric:
    statuses = (*Status.values, PAUSED)
    known = Counter((_provider(account.provider), _status(account)) for account in accounts)
    used = {provider for provider, _ in known}
    values = {(provider, status): known[provider, status] for provider in used for status in statuses}
    told = "Accounts by the health that was put down last; one that its owner paused is paused."
    return _gauge("accounts", told, ("provider", "status"), values)


def _status(account: MailAccount) -> str:
    if not account.enabled:
        return PAUSED
    return account.health.status if hasattr(account, "health") else Status.NEW


def _breakers(accounts: Iterable[MailAccount], now: datetime) -> Metric:
    scopes = {
        "account": [account.health for account in accounts if hasattr(account, "health")],
        "server": RemoteHost.objects.filter(breaker_opened_at__isnull=False),
    }
    known = Counter((scope, _breaker(row).state(now)) for scope, rows in scopes.items() for row in rows)
    values = {(scope, state): known[scope, state] for scope in scopes for state in _BREAKS}
    told = "Circuit breakers of accounts and of mail servers: open, or half-open for one run to try."
    return _gauge("breakers", told, ("scope", "state"), values)


def _breaker(row: AccountHealth | RemoteHost) -> Breaker:
    return Breaker(opened_at=row.breaker_opened_at, probe_at=row.probe_at)


def _grants(now: datetime) -> Iterator[Metric]:
    background = Q(purpose=GrantPurpose.BACKGROUND)
    ending = {str(wait.days): background & Q(expires_at__lte=now + wait) for wait in GRANT_WARNINGS}
    found = grants.valid_grants().aggregate(
        **{purpose: Count("pk", filter=Q(purpose=purpose)) for purpose in GrantPurpose.values},
        **{f"within_{days}": Count("pk", filter=which) for days, which in ending.items()},
    )
    values = {(purpose,): found[purpose] for purpose in GrantPurpose.values}
    yield _gauge("key_grants", "Grants by which workers open an account now.", ("purpose",), values)
    values = {(days,): found[f"within_{days}"] for days in ending}
    told = "Background grants that end within so many days."
    yield _gauge("background_grants_expiring", told, ("days",), values)


def _ledger(accounts: Iterable[MailAccount]) -> Metric:
    figures = figures_of(accounts).values()
    values = {(state,): sum(getattr(one, state) for one in figures) for state in _LEDGER}
    told = "Mails in folders, by what became of them; unexplained is where the server's count differs."
    return _gauge("ledger_mails", told, ("state",), values)


def _alerts(month: datetime) -> Iterator[Metric]:
    """Without events for programs, whose rows go when they are sent."""
    told = Alert.objects.exclude(kind__in=EVENTS)
    decided = told.filter(decided_at__gte=month).order_by().values_list("kind")
    kinds = [kind for kind in AlertKind.values if kind not in EVENTS]
    alerts = dict.fromkeys(kinds, 0) | dict(decided.annotate(Count("pk")))
    told = "Alerts decided"
    yield _counter("alerts", told, ("kind",), {(kind,): count for kind, count in alerts.items()})
    counted = Q(status=DeliveryStatus.WAITING) | Q(due_at__gte=month)
    rows = (
        AlertDelivery.objects.filter(counted)
        .exclude(alert__kind__in=EVENTS)
        .order_by()
        .values_list("channel__kind", "status")
    )
    known = Counter({(channel, status): count for channel, status, count in rows.annotate(Count("pk"))})
    ended = {(channel, status): known[channel, status] for channel in ChannelKind.values for status in _ENDED}
    told = "Alerts that were sent through a channel, or given up"
    yield _counter("alert_deliveries", told, ("channel", "status"), ended)
    waiting = {(channel,): known[channel, DeliveryStatus.WAITING] for channel in ChannelKind.values}
    yield _gauge("alert_deliveries_waiting", "Alerts that wait to be sent.", ("channel",), waiting)


def _counter(name: str, told: str, labels: tuple[str, ...], values: Values) -> Metric:
    help_text = f"{told}, since the start of the month (UTC)."
    return _filled(CounterMetricFamily(f"mailhelper_{name}", help_text, labels=labels), values)


def _gauge(name: str, told: str, labels: tuple[str, ...], values: Values) -> Metric:
    return _filled(GaugeMetricFamily(f"mailhelper_{name}", told, labels=labels), values)


def _filled(family: CounterMetricFamily | GaugeMetricFamily, values: Values) -> Metric:
    for labels, value in sorted(values.items()):
        family.add_metric(labels, value)
    return family
