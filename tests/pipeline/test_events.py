"""Which events there are: the end of every job, each change of an account's health."""

import json

import pytest

from accounts import actions
from diagnostics.alerting import channels
from diagnostics.models import Alert, HealthFlip
from pipeline import metrics, tasks
from pipeline.broker import PipelineBroker
from pipeline.models import PipelineJob, Trigger
from tests.pipeline.conftest import attempt
from tests.pipeline.test_alerting import at_commit, hear_all, receiver  # noqa: F401

pytestmark = pytest.mark.django_db


@pytest.fixture
def listening(anna, receiver, rings):  # noqa: F811
    """The events that Anna's program got, once the workers have done what was rung for."""
    channels.add_channel(anna.user, "webhook", "Hook", receiver.url, events=True)

    def heard() -> list[dict]:
        hear_all(rings)
        return [event for request in receiver.requests for event in json.loads(request.body)["events"]]

    return heard


def test_a_job_that_went_well_and_the_health_it_showed(
    scripted_account,
    granted,
    listening,
    rings,
    at_commit,  # noqa: F811
):
    with at_commit():
        run = attempt(granted(scripted_account), trigger=Trigger.SCHEDULE)
    assert rings.for_alerts == 1
    job, flip = PipelineJob.objects.get(), HealthFlip.objects.get()
    ended, changed = sorted(listening(), key=lambda event: event["kind"], reverse=True)
    assert ended.pop("id") and changed.pop("id")
    assert ended == {
        "kind": "job_ended",
        "job_id": str(job.pk),
        "type": "fetch",
        "trigger": "schedule",
        "status": "success",
        "emails_fetched": run.emails_fetched,
        "emails_linked": run.emails_linked,
        "accounts": 1,
        "failed": 0,
        "error_types": {},
        "created_at": job.created_at.isoformat(),
        "ended_at": job.ended_at.isoformat(),
    }
    assert changed == {
        "kind": "health_changed",
        "account_id": str(scripted_account.pk),
        "account": "GMX",
        "before": "new",
        "after": "healthy",
        "reason": "",
        "since": flip.at.isoformat(),
    }
    assert not Alert.objects.exists()


def test_it_is_rung_for_at_once_also_when_health_has_not_changed(
    scripted_account,
    granted,
    listening,
    rings,
    at_commit,  # noqa: F811
):
    attempt(granted(scripted_account))
    listening()
    with at_commit():
        attempt(scripted_account)
    assert rings.for_alerts == 1
    assert [event["kind"] for event in listening()].count("job_ended") == 2


def test_a_job_that_failed_says_of_what(scripted_account, listening):
    attempt(scripted_account)
    event = next(event for event in listening() if event["kind"] == "job_ended")
    assert (event["status"], event["accounts"], event["failed"]) == ("failed", 1, 1)
    assert event["error_types"] == {"no_key": 1}


def test_a_job_that_was_cancelled_has_ended_and_nothing_of_it_has_failed(anna, scripted_account, listening):
    job_id = PipelineBroker().enqueue_fetch_job(anna.user, scripted_account)
    PipelineBroker().cancel_job(job_id)
    [event] = listening()
    assert (event["job_id"], event["status"], event["failed"]) == (str(job_id), "cancelled", 0)


def test_the_end_of_an_examination_is_one_too(anna, scripted_account, granted, listening):
    granted(scripted_account)
    PipelineBroker().enqueue_diagnostics_job(anna.user, scripted_account)
    tasks.run.call_local(str(PipelineJob.objects.get().runs.get().pk))
    assert "diagnostics" in {event["type"] for event in listening() if event["kind"] == "job_ended"}


def test_what_only_time_changes_is_an_event_as_well(clock, account, granted, sync, listening):
    granted(account)
    sync(account)
    listening()
    actions.set_enabled(account, False)
    tasks.beat()
    event = listening()[-1]
    assert (event["kind"], event["before"], event["after"]) == ("health_changed", "healthy", "manual")


def test_the_figures_of_alerts_do_not_count_what_goes_away_again(scripted_account, listening):
    attempt(scripted_account, trigger=Trigger.SCHEDULE)
    assert Alert.objects.filter(kind="job_ended").exists()
    samples = [sample for family in metrics.Figures().collect() for sample in family.samples]
    of_alerts = [sample for sample in samples if "alert" in sample.name]
    assert of_alerts and not any(sample.value for sample in of_alerts)
    assert not any("job_ended" in sample.labels.values() for sample in of_alerts)
