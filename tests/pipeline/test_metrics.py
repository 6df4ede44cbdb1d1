"""What Prometheus is told, and who may ask."""

import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from accounts import actions, grants, tokens
from accounts.models import GrantPurpose, RemoteHost, Scope
from diagnostics.alerting import alerts, channels
from diagnostics.models import AccountHealth, AlertDelivery, AlertKind, Status
from pipeline import heartbeats, tasks
from pipeline.figures import cumulative, histogram
from pipeline.models import AccountRun, Granularity, Heartbeat, Rollup
from tests.pipeline.test_sync import mail

pytestmark = pytest.mark.django_db

# Names, types and labels are what dashboards and rules of others stand on.
CONTRACT = {
    "mailhelper_sync_attempts": ("counter", {"provider", "status"}),
    "mailhelper_sync_errors": ("counter", {"provider", "error_type"}),
    "mailhelper_mails_fetched": ("counter", {"provider"}),
    "mailhelper_mails_linked": ("counter", {"provider"}),
    "mailhelper_fetched_bytes": ("counter", {"provider"}),
    "mailhelper_sync_phase_seconds": ("histogram", {"phase"}),
    "mailhelper_runs": ("gauge", {"kind", "status"}),
    "mailhelper_runs_due": ("gauge", set()),
    "mailhelper_leases": ("gauge", {"state"}),
    "mailhelper_oldest_due_run_age_seconds": ("gauge", set()),
    "mailhelper_scheduler_last_tick_timestamp_seconds": ("gauge", set()),
    "mailhelper_last_backup_timestamp_seconds": ("gauge", set()),
    "mailhelper_workers": ("gauge", set()),
    "mailhelper_queue_up": ("gauge", set()),
    "mailhelper_queue_rings": ("gauge", {"state"}),
    "mailhelper_accounts": ("gauge", {"provider", "status"}),
    "mailhelper_breakers": ("gauge", {"scope", "state"}),
    "mailhelper_key_grants": ("gauge", {"purpose"}),
    "mailhelper_background_grants_expiring": ("gauge", {"days"}),
    "mailhelper_ledger_mails": ("gauge", {"state"}),
    "mailhelper_alerts": ("counter", {"kind"}),
    "mailhelper_alert_deliveries": ("counter", {"channel", "status"}),
    "mailhelper_alert_deliveries_waiting": ("gauge", {"channel"}),
}


@pytest.fixture
def operator(anna):
    anna.user.is_staff = True
    anna.user.save()
    return anna


@pytest.fixture
def scrape(client, operator):
    """Ask as Prometheus does: scrape(Accept=…) gives the answer."""
    secret = tokens.make(operator.user, "Prometheus", Scope.METRICS, 90).secret

    def scrape(**headers):
        answer = client.get("/metrics", headers={"Authorization": f"Bearer {secret}", **headers})
        assert answer.status_code == 200
        return answer

    return scrape


@pytest.fixture
def given(scrape):
    """The figures of now: given("runs_due"), given("leases", state="held"); None where there is none."""

    def given(name, **labels):
        found = {
            tuple(sorted(sample.labels.items())): sample.value
            for family in families(scrape())
            for sample in family.samples
            if sample.name == f"mailhelper_{name}"
        }
        return found.get(tuple(sorted(labels.items())))

    return given


def families(answer) -> list:
    return list(text_string_to_metric_families(answer.content.decode()))


# Who may ask


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer mailhelper_" + "x" * 43, "Basic eDp5"])
def test_without_a_token_nothing_is_told(client, header):
    answer = client.get("/metrics", headers={"Authorization": header} if header else {})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert b"mailhelper_workers" not in answer.content


def test_a_token_for_something_else_is_not_enough_and_neither_is_a_session(client, operator):
    secret = tokens.make(operator.user, "Script", Scope.MANAGE, 90).secret
    assert client.get("/metrics", headers={"Authorization": f"Bearer {secret}"}).status_code == 403
    client.force_login(operator.user)
    assert client.get("/metrics").status_code == 401


def test_it_is_read_and_never_kept(client, scrape):
    assert "no-store" in scrape().headers["Cache-Control"]
    assert client.post("/metrics").status_code == 405


# Its shape


def test_names_types_and_labels_stay_as_they_are(scrape, account, mailbox, sync):
    mailbox.server.set_password(mailbox.login, "another one")
    sync(account)
    found = {
        family.name: (family.type, {label for sample in family.samples for label in sample.labels} - {"le"})
        for family in families(scrape())
    }
    assert found == CONTRACT


def test_promtool_has_nothing_against_it(scrape, account, sync):
    sync(account)
    done = subprocess.run(["promtool", "check", "metrics"], input=scrape().content, capture_output=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


def test_who_asks_for_openmetrics_gets_it(scrape):
    answer = scrape(Accept="application/openmetrics-text; version=1.0.0, text/plain;q=0.5")
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert {family.name for family in openmetrics(answer.content.decode())} >= {"mailhelper_workers"}


def test_it_is_as_many_queries_whatever_there_is(
    scrape, connect, mailbox, sync, django_assert_max_num_queries, operator
):
    mailbox.append(mail("one"))
    for number in range(3):
        sync(connect(mailbox, name=f"Box {number}"))
    with django_assert_max_num_queries(12):
        scrape()


def test_no_label_names_a_person_an_account_or_a_host(scrape, connect, mailbox, sync):
    account = connect(mailbox, name="canary-label")
    account.provider = "canary-provider"
    account.save()
    sync(account)
    text = scrape().content.decode()
    for word in ("canary", str(account.pk), mailbox.login, "anna", mailbox.server.host):
        assert word not in text
    assert 'mailhelper_sync_attempts_total{provider="other",status="success"} 1.0' in text


# Its figures


def test_syncs_count_with_mails_bytes_and_errors(given, account, mailbox, sync):
    mailbox.append(mail("one"))
    sync(account)
    mailbox.server.set_password(mailbox.login, "another one")
    sync(account)
    assert given("sync_attempts_total", provider="other", status="success") == 1
    failed = given("sync_attempts_total", provider="other", status="failed")
    assert failed == given("sync_errors_total", provider="other", error_type="invalid_credentials") >= 1
    assert given("mails_fetched_total", provider="other") == 1
    assert (
        given("fetched_bytes_total", provider="other") == AccountRun.objects.get(status="success").bytes_done
    )
    assert given("ledger_mails", state="stored") == 1
    assert given("sync_phase_seconds_count", phase="fetch") == 1


def test_old_runs_are_not_read(given, account, sync, django_assert_max_num_queries):
    """Counters come from rollups: without its runs the figures are the same."""
    sync(account)
    AccountRun.objects.all().delete()
    assert given("sync_attempts_total", provider="other", status="success") == 1


def test_counters_begin_anew_with_the_month_and_never_go_down_within_it(given, account, clock):
    clock.move_to(datetime(2026, 3, 31, 23, 59, tzinfo=UTC))
    Rollup.objects.bulk_create(
        Rollup(account=account, granularity=Granularity.DAY, start=start, attempts=2, successes=2)
        for start in (datetime(2026, 2, 28, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC), timezone.now())
    )
    assert given("sync_attempts_total", provider="other", status="success") == 4
    clock.shift(timedelta(minutes=2))
    assert given("sync_attempts_total", provider="other", status="success") == 0


def test_a_run_that_waits_is_due_and_one_that_is_claimed_holds_a_lease(given, account, granted, clock, rings):
    granted(account)
    tasks.beat()
    clock.shift(timedelta(minutes=3))
    assert (given("runs", kind="fetch", status="pending"), given("runs_due")) == (1, 1)
    assert given("oldest_due_run_age_seconds") == pytest.approx(180, abs=5)
    AccountRun.objects.update(status="running", lease_until=timezone.now() + timedelta(minutes=1))
    assert (given("leases", state="held"), given("runs_due")) == (1, 0)
    clock.shift(timedelta(minutes=2))
    assert (given("leases", state="held"), given("leases", state="lapsed")) == (0, 1)


def test_the_machinery_is_told(given, clock, rings):
    assert given("scheduler_last_tick_timestamp_seconds") == 0
    tasks.beat()
    heartbeats.beat(f"{Heartbeat.WORKER}one")
    assert given("scheduler_last_tick_timestamp_seconds") == pytest.approx(timezone.now().timestamp(), abs=5)
    assert (given("workers"), given("queue_up")) == (1, 1)
    assert given("queue_rings", state="waiting") is not None


def test_a_queue_that_is_gone_is_told_and_hides_nothing_else(given, monkeypatch):
    def lost(*args):
        raise OSError("secret-host")

    monkeypatch.setattr("huey.contrib.djhuey.HUEY.storage.queue_size", lost)
    assert (given("queue_up"), given("queue_rings", state="waiting"), given("workers")) == (0, None, 0)


def test_a_database_that_is_gone_is_a_503_without_its_words(client, scrape, monkeypatch):
    def gone(*args):
        raise OperationalError("no connection to secret-host")

    secret = tokens.make(tokens.ApiToken.objects.get().user, "Other", Scope.METRICS, 90).secret
    monkeypatch.setattr(heartbeats, "machinery", gone)
    answer = client.get("/metrics", headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code == 503
    assert b"secret-host" not in answer.content


def test_health_breakers_and_grants_are_told(given, anna, account, connect, mailbox, clock):
    now = timezone.now()
    gone = {"breaker_opened_at": now, "failed_probes": 0}
    AccountHealth.objects.update_or_create(
        account=account, defaults={"status": Status.BROKEN, "probe_at": now + timedelta(hours=1), **gone}
    )
    RemoteHost.objects.update_or_create(host_key=account.host_key, defaults={"probe_at": now, **gone})
    paused = connect(mailbox, name="Paused")
    paused.enabled = False
    paused.save()
    assert given("accounts", provider="other", status="broken") == 1
    assert given("accounts", provider="other", status="paused") == 1
    assert given("breakers", scope="account", state="open") == 1
    assert given("breakers", scope="server", state="half_open") == 1
    grants.grant(account, actions.account_key(account, anna.user_key), GrantPurpose.BACKGROUND)
    assert given("key_grants", purpose="background") == 1
    assert given("background_grants_expiring", days="7") == 0
    clock.shift(timedelta(days=84))
    assert given("background_grants_expiring", days="7") == 1
    assert given("background_grants_expiring", days="1") == 0


def test_alerts_and_their_deliveries_are_told(given, anna, account, clock):
    channels.add_channel(anna.user, "email", "Mail", "anna@example.org")
    alerts.decide(anna.user, AlertKind.BROKEN, "key", account=account)
    assert given("alerts_total", kind="broken") == 1
    assert given("alert_deliveries_waiting", channel="email") == 1
    AlertDelivery.objects.update(status="failed")
    assert given("alert_deliveries_total", channel="email", status="failed") == 1
    assert given("alert_deliveries_waiting", channel="email") == 0


# Histograms


def test_our_buckets_add_up_to_those_of_prometheus():
    values = [0.005, 0.3, 0.9, 1.0, 1.9, 50.0, 100_000.0]
    found = dict(cumulative(histogram(values)))
    for bound, count in found.items():
        assert count == sum(value < float(bound) for value in values) or bound == "+Inf"
    assert found["+Inf"] == len(values)
    assert "1.0" in found
    assert list(found.values()) == sorted(found.values())
