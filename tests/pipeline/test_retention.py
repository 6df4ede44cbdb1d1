"""What is over for long goes; what anything stands on stays."""

import json
from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.utils import timezone

from accounts import actions, grants, invitations, tokens
from accounts.models import ApiToken, GrantPurpose, Invitation, KeyGrant
from diagnostics.alerting import alerts, channels, rules
from diagnostics.models import AccountHealth, Alert, AlertDelivery, DiagnosticReport, HealthFlip
from mail.models import LedgerEntry, Message
from pipeline import heartbeats, queries, tasks
from pipeline.models import AccountRun, JobEvent, PipelineJob, Rollup
from pipeline.operations import retention
from tests.mail.stocked import Stock, letter
from tests.pipeline.test_pages import ended

pytestmark = pytest.mark.django_db
OLD = timedelta(days=200)


def prune(dry_run=False) -> dict[str, int]:
    return {name: count for name, count in retention.prune(dry_run) if count}


def aged(row, age=OLD, *fields):
    type(row).objects.filter(pk=row.pk).update(**dict.fromkeys(fields, timezone.now() - age))
    return row


def old_run(account, age=OLD, **fields) -> AccountRun:
    run = ended(account, **fields)
    job = PipelineJob.objects.create(
        user=account.user, trigger="schedule", status="failed", ended_at=timezone.now()
    )
    job.runs.add(run)
    for described in ({"run": run}, {"job": job}):
        JobEvent.objects.create(arrow="created", after="pending", **described)
    aged(job, age, "created_at", "ended_at")
    return aged(run, age, "created_at", "ended_at")


@pytest.fixture
def few_kept(monkeypatch):
    monkeypatch.setattr(retention, "RUNS_KEPT", 2)


def test_old_runs_go_with_their_jobs_and_events_and_the_last_ones_stay(account, few_kept):
    first, *others = [old_run(account, OLD - timedelta(days=n), status="failed") for n in range(4)]
    examined = old_run(account, kind="diagnostics", status="failed")
    would_go = prune(dry_run=True)
    assert would_go == {"runs": 2, "jobs": 2} == prune()
    assert set(AccountRun.objects.all()) == {*others[1:], examined}
    assert PipelineJob.objects.count() == 3
    assert not JobEvent.objects.filter(run=first.pk).exists()
    assert prune() == {}


def test_what_is_young_or_active_stays_however_much_there_is(account, few_kept):
    for _ in range(4):
        ended(account, status="failed")
    assert prune() == {}


def test_an_account_that_was_imported_once_stays_imported(account, few_kept):
    old_run(account, OLD + timedelta(days=9), status="success")
    for n in range(3):
        old_run(account, OLD - timedelta(days=n), status="failed")
    assert prune()["runs"] == 1
    assert not queries.awaits_first_import(account)


def test_0_days_keep_for_ever(account, few_kept, settings, anna):
    settings.MAILHELPER_KEEP_RUNS_DAYS = settings.MAILHELPER_KEEP_ALERTS_DAYS = 0
    for _ in range(4):
        old_run(account, status="failed")
    aged(alerts.decide(anna.user, "slow", "a"), OLD, "decided_at")
    assert prune() == {}


def test_figures_by_day_stay(account, few_kept):
    for _ in range(3):
        old_run(account, status="failed")
    before = Rollup.objects.count()
    prune()
    assert Rollup.objects.count() == before


def test_old_alerts_go_with_their_deliveries_and_nothing_is_told_twice(anna, account):
    channels.add_channel(anna.user, "email", "Mail", "anna@example.com")
    AccountHealth.objects.create(
        account=account, status="broken", reason="timeout", since=timezone.now() - OLD
    )
    older = alerts.decide(anna.user, "degraded", "older", account=account, reason="timeout")
    aged(alerts.decide(anna.user, "recovered", "over", account=account), OLD, "decided_at")
    aged(older, OLD + timedelta(days=1), "decided_at")
    rules.decide_due()
    AlertDelivery.objects.update(status="sent", sent_at=timezone.now() - OLD)
    told = aged(Alert.objects.latest("decided_at"), OLD, "decided_at")
    waiting = aged(alerts.decide(anna.user, "slow", "waits"), OLD, "decided_at")
    assert prune() == {"alerts": 2}
    assert set(Alert.objects.all()) == {told, waiting}
    assert rules.decide_due() == 0


def test_changes_of_health_stay_as_long_as_the_page_shows_them(account, settings):
    settings.MAILHELPER_KEEP_ALERTS_DAYS = 1
    for days in (95, 80):
        flip = HealthFlip.objects.create(account=account, before="healthy", after="broken")
        aged(flip, timedelta(days=days), "at")
    assert prune() == {"health_changes": 1}


def test_old_examinations_go_but_the_last_and_the_last_that_passed(account):
    reports = [DiagnosticReport.objects.create(account=account, passed=passed) for passed in (1, 1, 0, 0)]
    for days, report in enumerate(reversed(reports)):
        aged(report, OLD + timedelta(days=days), "at")
    assert prune() == {"reports": 2}
    assert set(DiagnosticReport.objects.all()) == {reports[1], reports[3]}


def test_ended_grants_invitations_sessions_and_attempts_go(anna, account):
    key = actions.account_key(account, anna.user_key)
    job_grant = grants.grant(account, key, GrantPurpose.JOB)
    first, last = (grants.grant(account, key, GrantPurpose.BACKGROUND) for _ in range(2))
    grants.revoke(KeyGrant.objects.all())
    for grant in (job_grant, first, last):
        aged(grant, timedelta(days=31), "revoked_at")
    invitations.invite(anna.user)
    aged(Invitation.objects.get(), OLD, "expires_at")
    Session.objects.create(session_key="over", expire_date=timezone.now() - timedelta(seconds=1))
    Session.objects.create(session_key="runs", expire_date=timezone.now() + timedelta(hours=1))
    for name, days in (("x", 2), ("y", 0)):
        attempt = AccessAttempt.objects.create(username=name, failures_since_start=1)
        aged(attempt, timedelta(days=days), "attempt_time")
    assert prune() == {"grants": 2, "invitations": 1, "sessions": 1, "sign_in_attempts": 1}
    assert KeyGrant.objects.get() == last  # by it an account's health says that its background sync ended
    assert Session.objects.get().pk == "runs" and AccessAttempt.objects.get().username == "y"


def test_tombstones_of_moved_mail_go_and_those_of_mail_that_is_only_here_stay(anna, account):
    stock = Stock(anna, account)
    moved, lost = stock.put(letter("moved"), letter("lost"))
    stock.lose(moved)
    stock.lose(lost)
    archive = stock.folder("Archive")
    LedgerEntry.objects.create(folder=archive, uidvalidity=1, uid=1, state="stored", message=moved)
    LedgerEntry.objects.create(folder=archive, uidvalidity=1, uid=2, state="gone")
    assert prune() == {"tombstones": 2}
    assert list(lost.entries.values_list("state", flat=True)) == ["gone"]
    assert Message.objects.count() == 2


def test_the_tick_has_it_done_once_a_day(rings, clock):
    for hours in (0, 1, 22, 2):
        clock.shift(timedelta(hours=hours))
        tasks.beat()
    assert rings.for_pruning == 2
    assert heartbeats.machinery().workers == 0


def test_the_command_says_what_would_go_and_what_went(anna, capsys):
    invitations.invite(anna.user)
    aged(Invitation.objects.get(), OLD, "expires_at")
    call_command("prune", "--dry-run")
    assert "invitations: 1 would go" in capsys.readouterr().out
    call_command("prune", "--json")
    told = json.loads(capsys.readouterr().out)
    assert told["deleted"]["invitations"] == 1 and not told["dry_run"]
    call_command("prune")
    assert "invitations: 0\n" in capsys.readouterr().out


def test_tokens_go_a_month_after_their_end(anna):
    tokens.make(anna.user, "script", "read", 30)
    token = ApiToken.objects.get()
    for days, count in ((29, 1), (31, 0)):
        aged(token, timedelta(days=days), "expires_at")
        prune()
        assert ApiToken.objects.count() == count
