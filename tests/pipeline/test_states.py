"""docs/states.md is walked: every arrow leads where it is drawn to, and from anywhere else nothing moves."""

import re
from contextlib import suppress
from itertools import product
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone

from accounts.models import MailAccount
from pipeline import jobs, runs
from pipeline.models import JobEvent, JobStatus, PipelineJob, RunStatus, Trigger
from pipeline.states import JOB_ARROWS, RUN_ARROWS
from tests.conftest import Mailbox

pytestmark = pytest.mark.django_db

_ARROW = re.compile(r"^    (\S+) --> (\S+): (\w+)", re.M)


def drawn(title: str) -> set[tuple[str, str, str]]:
    """(from, to, arrow) of the diagram under a heading; creation starts at [*]."""
    text = Path(settings.BASE_DIR, "docs/states.md").read_text()
    section = text.partition(f"## {title}")[2].partition("```\n")[0]
    return set(_ARROW.findall(section))


def test_the_run_diagram_is_the_table_of_arrows():
    table = {(before or "[*]", after, arrow) for arrow, (before, after) in RUN_ARROWS.items()}
    assert drawn("A run") == table


def test_the_job_diagram_is_the_table_of_arrows():
    table = {
        (before or "[*]", after, arrow)
        for arrow, (starts, ends) in JOB_ARROWS.items()
        for before, after in product(starts, ends)
    }
    assert drawn("A job") == table


@pytest.fixture
def job(anna, account):
    return jobs.create(anna.user, [account], trigger=Trigger.COMMAND)


@pytest.fixture
def run(job, account):
    return runs.join_or_create(job, account, runs.Asked(max_mails=5))


@pytest.fixture
def claim(run):
    return runs.Claim(run.pk, run.fence, run.account_id)


def put(run, status: RunStatus) -> None:
    ended = None if status in ("pending", "running") else timezone.now()
    lease = {"owner": runs.this_process(), "lease_until": runs._lease_end()} if status == "running" else {}
    type(run).objects.filter(pk=run.pk).update(status=status, ended_at=ended, **lease)


def lapse(claim, lapses=0):
    rows = runs.AccountRun.objects.filter(pk=claim.run_id)
    rows.exclude(owner="").update(lapses=lapses, lease_until=timezone.now() - runs.timedelta(seconds=1))
    runs.free_lapsed()


def refuse(claim):
    MailAccount.objects.update(enabled=False)
    runs.claim(claim.run_id)


def without_jobs(take):
    def taken(claim):
        PipelineJob.objects.all().delete()
        take(claim)

    return taken


def stop(claim):
    runs.AccountRun.objects.filter(pk=claim.run_id).update(cancel_asked=True)
    runs.stop(claim)


TAKE_RUN = {
    "claimed": lambda claim: runs.claim(claim.run_id),
    "refused": refuse,
    "withdrawn": without_jobs(lambda claim: runs.ask_to_stop(claim.run_id)),
    "retried": lambda claim: runs.retry(claim, timezone.now(), "timeout"),
    "yielded": runs.give_turn,
    "widened": lambda claim: runs.succeed(claim, (1, None, None)),
    "released": runs.release,
    "lapsed": lapse,
    "lost": lambda claim: lapse(claim, lapses=2),
    "succeeded": lambda claim: runs.succeed(claim, (5, None, None)),
    "failed": lambda claim: runs.fail(claim, "timeout", None),
    "skipped": lambda claim: runs.skip(claim, "no_key"),
    "stopped": stop,
}


def test_every_arrow_of_a_run_is_walked_here():
    assert TAKE_RUN.keys() == RUN_ARROWS.keys() - {"created"}


def test_a_run_is_created_pending(run):
    assert run.status == "pending"
    assert JobEvent.objects.get(run=run).arrow == "created"


@pytest.mark.parametrize(("arrow", "start"), list(product(TAKE_RUN, RunStatus.values)))
def test_a_run_moves_along_an_arrow_only_from_where_it_starts(arrow, start, run, claim):
    before, after = RUN_ARROWS[arrow]
    put(run, start)
    events = JobEvent.objects.filter(run=run)
    events.all().delete()
    with suppress(runs.LeaseLost):
        TAKE_RUN[arrow](claim)
    run.refresh_from_db()
    if start == before:
        event = events.get()
        assert (run.status, event.arrow, event.before, event.after) == (after, arrow, before, after)
    else:
        assert run.status == start
        assert not events.exists()


WORKERS_ARROWS = ["retried", "yielded", "widened", "released", "succeeded", "failed", "skipped", "stopped"]


@pytest.mark.parametrize("arrow", WORKERS_ARROWS)
def test_a_zombie_takes_no_arrow(arrow, run, claim):
    put(run, "running")
    runs.AccountRun.objects.update(fence=claim.fence + 1)
    with suppress(runs.LeaseLost):
        TAKE_RUN[arrow](claim)
    run.refresh_from_db()
    assert run.status == "running"


TAKE_JOB = {
    "started": lambda job: jobs._take("started", job.pk, JobStatus.RUNNING),
    "waited": lambda job: jobs.wait(job.pk),
    "resumed": lambda job: jobs._take("resumed", job.pk, JobStatus.RUNNING),
    "ended": lambda job: jobs.close(job.pk),
    "cancelled": lambda job: jobs.cancel(job.pk),
}


@pytest.mark.parametrize(("arrow", "start"), list(product(TAKE_JOB, JobStatus.values)))
def test_a_job_moves_along_an_arrow_only_from_where_it_starts(arrow, start, job):
    starts, ends = JOB_ARROWS[arrow]
    finished = None if start in JOB_ARROWS["ended"][0] else timezone.now()
    PipelineJob.objects.update(status=start, ended_at=finished)
    JobEvent.objects.all().delete()
    TAKE_JOB[arrow](job)
    job.refresh_from_db()
    if start in starts:
        event = JobEvent.objects.get()
        assert job.status in ends
        assert (event.arrow, event.before, event.after) == (arrow, start, job.status)
    else:
        assert job.status == start
        assert not JobEvent.objects.exists()


def test_a_job_is_not_retrying_while_another_of_its_runs_is_executed(run, job, connect, dovecot):
    other = runs.join_or_create(job, connect(Mailbox(dovecot), name="Verein"), runs.Asked())
    runs.claim(other.pk)
    runs.retry(runs.claim(run.pk), timezone.now(), "timeout")
    job.refresh_from_db()
    assert job.status == "running"


def test_an_arrow_leads_nowhere_else(job):
    with pytest.raises(ValueError):
        jobs._take("started", job.pk, JobStatus.SUCCESS)


def test_the_start_of_a_job_is_its_first_claim(run, job):
    runs.claim(run.pk)
    job.refresh_from_db()
    assert (job.status, job.started_at is not None) == ("running", True)


def test_a_job_is_retrying_while_its_only_run_waits_and_running_again_after(run, job):
    runs.retry(runs.claim(run.pk), timezone.now(), "timeout")
    job.refresh_from_db()
    assert job.status == "retrying"
    runs.claim(run.pk)
    job.refresh_from_db()
    assert job.status == "running"
