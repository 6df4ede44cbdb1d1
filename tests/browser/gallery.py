"""Rows for every page: four accounts of one person, each in a state of its own, with a month behind them."""

import random
from datetime import UTC, datetime, timedelta

from django.utils import timezone

from accounts import actions, grants, tokens
from accounts.models import GrantPurpose, Scope
from diagnostics.alerting import alerts
from diagnostics.models import AccountHealth, HealthFlip
from mailhelper.demo.mails import mailboxes
from pipeline import heartbeats
from pipeline.broker import PipelineBroker
from pipeline.figures import histogram
from pipeline.models import AccountRun, Granularity, JobRun, JobStatus, PipelineJob, Rollup, RunStatus
from pipeline.rollups import start_of
from tests.conftest import Mailbox

PHASES = {"connect": 0.31, "folder_list": 0.42, "fetch": 1.4, "parse": 0.2, "save": 0.6, "disconnect": 0.05}


class Gallery:
    """Accounts that are healthy, degraded, broken, and being synced."""

    def __init__(self, anna, connect, dovecot, sync):
        self.anna = anna
        self._random = random.Random(7)
        self._boxes = {box.name: box for box in mailboxes(datetime.now(UTC))}
        self.gmx = self._account(connect, dovecot, sync, "GMX")
        self.gmail = self._account(connect, dovecot, sync, "Gmail")
        self.verein = self._account(connect, dovecot, sync, "Verein")
        self.posteo = connect(Mailbox(dovecot), name="Posteo", secret="no longer right")
        sync(self.posteo)
        heartbeats.beat("tick")
        for account in (self.gmx, self.gmail, self.verein, self.posteo):
            key = actions.account_key(account, anna.user_key)
            grants.grant(account, key, GrantPurpose.BACKGROUND)
            type(account).objects.filter(pk=account.pk).update(
                created_at=timezone.now() - timedelta(days=80),
                connection_changed_at=timezone.now() - timedelta(days=80),
                next_due=timezone.now() + timedelta(minutes=self._random.randint(3, 14)),
            )
            self._month(account)
        self._degrade()
        self._break()
        self._examine(connect)
        self._jobs()
        self._synced_now()
        keys = actions.account_keys([self.gmx, self.verein], anna.user_key)
        tokens.make(anna.user, "Nightly script", Scope.OPERATE, 90, keys)
        tokens.make(anna.user, "Prometheus", Scope.METRICS, 365)

    def _account(self, connect, dovecot, sync, name: str):
        box = Mailbox(dovecot)
        for folder in self._boxes[name].folders:
            if folder.name != "INBOX":
                box.create(folder.name)
            for mail in folder.mails:
                box.append(mail.raw, folder.name, flags=mail.flags, date=mail.date)
        account = connect(box, name=name)
        sync(account)
        return account

    def _month(self, account) -> None:
        today = start_of(Granularity.DAY, timezone.now())
        for ago in range(1, 30):
            attempts, failed = 96, self._random.choice([0, 0, 0, 0, 0, 0, 0, 2])
            mails = self._random.randint(8, 80)
            seconds = {phase: spent * self._random.uniform(0.8, 1.3) for phase, spent in PHASES.items()}
            Rollup.objects.create(
                account=account,
                granularity=Granularity.DAY,
                start=today - timedelta(days=ago),
                attempts=attempts,
                successes=attempts - failed,
                errors={"timeout": failed} if failed else {},
                mails=mails,
                bytes=mails * 40_000,
                seconds={phase: spent * attempts for phase, spent in seconds.items()},
                phases={phase: histogram([spent] * attempts) for phase, spent in seconds.items()},
            )

    def _degrade(self) -> None:
        now = timezone.now()
        attempts = [(3, "timeout"), (2, ""), (1, "timeout")]
        AccountHealth.objects.filter(account=self.gmail).update(
            status="degraded",
            reason="timeout",
            since=now - timedelta(hours=1),
            attempts=[[(now - timedelta(minutes=15 * ago)).isoformat(), error] for ago, error in attempts],
            last_error_type="timeout",
            last_failure_at=now - timedelta(minutes=15),
        )
        self._flip(self.gmail, 60, "healthy", "degraded", "timeout")
        alerts.decide(self.anna.user, "degraded", "gallery:1", account=self.gmail, reason="timeout")

    def _break(self) -> None:
        now = timezone.now()
        AccountHealth.objects.filter(account=self.posteo).update(
            status="broken",
            reason="invalid_credentials",
            since=now - timedelta(hours=2),
            last_success_at=now - timedelta(hours=3),
            breaker_opened_at=now - timedelta(hours=2),
            probe_at=now + timedelta(hours=2),
            refused_since=now - timedelta(hours=2),
        )
        self._flip(self.posteo, 30 * 60, "broken", "healthy")
        self._flip(self.posteo, 31 * 60, "healthy", "broken", "no_success")
        self._flip(self.posteo, 120, "healthy", "broken", "invalid_credentials")
        alerts.decide(
            self.anna.user, "broken", "gallery:2", account=self.posteo, reason="invalid_credentials"
        )

    def _flip(self, account, minutes: int, before: str, after: str, reason: str = "") -> None:
        at = timezone.now() - timedelta(minutes=minutes)
        HealthFlip.objects.create(account=account, at=at, before=before, after=after, reason=reason)

    def _examine(self, connect) -> None:
        keys = {self.posteo.pk: actions.account_key(self.posteo, self.anna.user_key)}
        job_id = PipelineBroker().enqueue_diagnostics_job(self.anna.user, self.posteo, keys)
        for run_id in AccountRun.objects.filter(jobs=job_id).values_list("pk", flat=True):
            PipelineBroker().execute_fetch_job(run_id)

    def _jobs(self) -> None:
        now = timezone.now()
        for number, (account, error) in enumerate(
            [(self.gmx, ""), (self.gmail, "timeout"), (self.verein, ""), (self.gmx, "")]
        ):
            at = now - timedelta(minutes=15 * (number + 1))
            ended = {"created_at": at, "started_at": at, "ended_at": at + timedelta(seconds=2.3 + number)}
            job = PipelineJob.objects.create(
                user=self.anna.user,
                trigger="schedule",
                status=JobStatus.FAILED if error else JobStatus.SUCCESS,
                **ended,
            )
            run = AccountRun.objects.create(
                account=account,
                status=RunStatus.FAILED if error else RunStatus.SUCCESS,
                error_type=error,
                mails_done=12 - number,
                mails_total=12,
                phase="fetch",
                attempt=4 if error else 1,
                phase_seconds=PHASES,
                **ended,
            )
            JobRun.objects.create(job=job, run=run)

    def _synced_now(self) -> None:
        """A run of Verein that is under way."""
        now = timezone.now()
        job = PipelineJob.objects.create(
            user=self.anna.user, trigger="page", status=JobStatus.RUNNING, started_at=now
        )
        run = AccountRun.objects.create(
            account=self.verein,
            status=RunStatus.RUNNING,
            phase="fetch",
            mails_done=340,
            mails_total=1200,
            bytes_done=8_200_000,
            bytes_total=21_000_000,
            seconds_left=12,
            attempt=1,
            owner="worker",
            started_at=now,
            lease_until=now + timedelta(minutes=5),
        )
        JobRun.objects.create(job=job, run=run)
        self.running_job, self.ended_job = job, PipelineJob.objects.filter(status=JobStatus.FAILED).first()
