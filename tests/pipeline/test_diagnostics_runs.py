"""Diagnostics through the broker: a report at the end of its run, and nothing else is touched by it."""

import pytest
from django.forms.models import model_to_dict

from accounts import actions, advice
from diagnostics import vitals
from diagnostics.models import AccountHealth, DiagnosticReport
from diagnostics.probing import ladder
from pipeline import gate, runs
from pipeline.broker import PipelineBroker
from pipeline.models import AccountRun, JobType, PipelineJob
from pipeline.queries import awaits_first_import
from tests.conftest import Mailbox
from tests.pipeline.conftest import attempt
from tests.pipeline.test_errors import drop, say
from tests.pipeline.test_sync import mail

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(connect, scripted):
    scripted.append("", "INBOX", mail("one"))
    return connect(Mailbox(scripted), security="none")


@pytest.fixture
def diagnose(anna, account, rings):
    """Ask for it, and do what a worker does when it hears the ring: the ended run."""

    def diagnose(keys=None):
        key = actions.account_key(account, anna.user_key)
        keys = {account.pk: key} if keys is None else keys
        job_id = PipelineBroker().enqueue_diagnostics_job(anna.user, account, keys)
        run = AccountRun.objects.get(jobs=job_id)
        PipelineBroker().execute_fetch_job(run.pk)
        run.refresh_from_db()
        return run

    return diagnose


def test_a_run_ends_well_with_a_report(diagnose, anna, account):
    run = diagnose()
    report = DiagnosticReport.objects.get()
    assert (run.kind, run.status, run.error_type) == (JobType.DIAGNOSTICS, "success", "")
    assert (report.run_id, report.passed) == (run.pk, True)
    job = PipelineJob.objects.get()
    assert (job.type, job.status) == (JobType.DIAGNOSTICS, "success")
    assert run.emails_fetched == 0


def test_a_mailbox_in_trouble_is_no_failure_of_the_run_and_touches_no_health(diagnose, scripted, account):
    scripted.scripts["LOGIN"] = say(b"TAG NO [AUTHENTICATIONFAILED] no")
    run = diagnose()
    assert run.status == "success" and not DiagnosticReport.objects.get().passed
    assert not AccountHealth.objects.exists()
    assert vitals.vitals_of(account).last_success_at is None


@pytest.mark.parametrize("a_sync", ["runs", "waits", "is not there"])
def test_a_connection_too_many_is_laid_to_our_own_sync_where_one_runs(
    a_sync, diagnose, scripted, account, granted, rings
):
    if a_sync != "is not there":
        PipelineBroker().enqueue_fetch_job(granted(account).user, account)
    if a_sync == "runs":
        runs.claim(AccountRun.objects.get(kind=JobType.FETCH).pk)
    scripted.scripts["LOGIN"] = say(b"TAG NO [LIMIT] Too many simultaneous connections")
    diagnose()
    [login] = [probe for probe in DiagnosticReport.objects.get().probes if probe["name"] == "login"]
    told = advice.probe_advice("login", login["error_type"], login["facts"])
    assert login["error_type"] == "too_many_connections"
    assert ("a sync of it is using one" in told.sentence) == (a_sync == "runs")
    assert ("Close other mail programs" in told.next_step) != (a_sync == "runs")


def test_a_sync_that_runs_is_not_blamed_for_a_refused_password(diagnose, scripted, account, granted, rings):
    PipelineBroker().enqueue_fetch_job(granted(account).user, account)
    runs.claim(AccountRun.objects.get(kind=JobType.FETCH).pk)
    scripted.scripts["LOGIN"] = say(b"TAG NO [AUTHENTICATIONFAILED] no")
    diagnose()
    assert "syncing" not in str(DiagnosticReport.objects.get().probes)


def test_the_ring_comes_after_the_commit(anna, account, rings, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        job_id = PipelineBroker().enqueue_diagnostics_job(anna.user, account)
    assert rings == [str(AccountRun.objects.get(jobs=job_id).pk)]


def test_asking_twice_joins(anna, account, rings):
    for _ in range(2):
        PipelineBroker().enqueue_diagnostics_job(anna.user, account)
    assert AccountRun.objects.count() == 1 and PipelineJob.objects.count() == 2


def test_somebody_elses_account_is_refused(bert, account, rings):
    with pytest.raises(ValueError, match="somebody else"):
        PipelineBroker().enqueue_diagnostics_job(bert.user, account)


def test_without_a_key_it_ends_as_a_fetch_does(diagnose, account):
    run = diagnose(keys={})
    assert (run.status, run.error_type) == ("skipped", "no_key")
    assert not DiagnosticReport.objects.exists() and not AccountHealth.objects.exists()


def test_the_health_that_is_there_stays_as_it_is(diagnose, scripted, account, sync):
    scripted.scripts["LOGIN"] = say(b"TAG NO [AUTHENTICATIONFAILED] no")
    sync(account)
    before = model_to_dict(AccountHealth.objects.get())
    del scripted.scripts["LOGIN"]
    assert diagnose().status == "success"
    assert model_to_dict(AccountHealth.objects.get()) == before
    assert before["refused_since"]


def test_a_worker_that_is_lost_three_times_counts_for_nothing(anna, account, rings, clock):
    PipelineBroker().enqueue_diagnostics_job(
        anna.user, account, {account.pk: actions.account_key(account, anna.user_key)}
    )
    run = AccountRun.objects.get()
    for _ in range(runs.LAPSES_THAT_LOSE):
        assert runs.claim(run.pk)
        clock.shift(120)
        runs.free_lapsed()
    run.refresh_from_db()
    assert (run.status, run.error_type) == ("failed", "worker_lost")
    assert not AccountHealth.objects.exists()
    assert not gate.locked_host(account).failures


def test_it_runs_beside_a_fetch_and_is_not_taken_for_one(diagnose, account, sync, anna):
    diagnose()
    [report] = PipelineBroker().get_account_health(anna.user)
    assert report.last_run is None and awaits_first_import(account)
    assert PipelineBroker().get_performance_metrics(anna.user, "24h").attempts == 0
    sync(account)
    diagnose()
    [report] = PipelineBroker().get_account_health(anna.user)
    assert report.last_run.emails_fetched == 1 and not awaits_first_import(account)


def test_a_wish_for_a_fetch_makes_no_examination_start_again(anna, account, rings, sync):
    sync(account)
    PipelineBroker().enqueue_diagnostics_job(anna.user, account)
    PipelineBroker().release_quarantined(account)
    assert not AccountRun.objects.get(kind=JobType.DIAGNOSTICS).look_again


def test_it_beats_between_the_probes_and_stops_when_nobody_waits(diagnose, monkeypatch):
    seen = []

    real = ladder.examine

    def examine(*arguments, on_result, **options):
        def watch(result):
            run = AccountRun.objects.get()
            seen.append((result.name, run.phase))
            if result.name == "inbox":
                PipelineBroker().cancel_job(run.jobs.get().pk)
            on_result(result)

        return real(*arguments, on_result=watch, **options)

    monkeypatch.setattr(ladder, "examine", examine)
    run = diagnose()
    assert run.status == "cancelled" and not DiagnosticReport.objects.exists()
    assert seen[0][1] == "connect" and seen[-1][0] == "inbox"


def test_whoever_lost_the_run_writes_no_report(diagnose, monkeypatch):
    real = ladder.examine

    def examine(*arguments, **options):
        found = real(*arguments, **options)
        AccountRun.objects.update(fence=99)
        return found

    monkeypatch.setattr(ladder, "examine", examine)
    assert diagnose().status == "running"
    assert not DiagnosticReport.objects.exists()


def test_the_bytes_count_towards_the_days_budget(diagnose, account):
    diagnose()
    account.refresh_from_db()
    assert account.bytes_today > 100


def test_a_retry_in_waiting_says_at_which_step_it_failed(scripted, account, granted, rings):
    scripted.scripts["LIST"] = drop
    run = attempt(granted(account))
    assert (run.status, run.retries, run.error_facts["probe"]) == ("pending", 1, "folder_list")
