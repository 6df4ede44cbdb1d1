"""A job as a stream of events: each change once, its end, and five minutes at most."""

import json

import pytest

from accounts.api.problems import Problem
from pipeline.api import events
from pipeline.broker import PipelineBroker
from pipeline.queries import own_job
from tests.api.conftest import by_token
from tests.api.test_jobs import work_off

pytestmark = [pytest.mark.django_db, pytest.mark.once]


class Clock:
    """Passes only while somebody waits; `meanwhile` is what happens then."""

    def __init__(self, *meanwhile):
        self.now, self._meanwhile = 0.0, list(meanwhile)

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds
        if self._meanwhile:
            self._meanwhile.pop(0)()


def parsed(chunk: str) -> tuple[str, dict]:
    lines = dict(line.split(": ", 1) for line in chunk.strip().splitlines())
    assert lines["event"] == "job" and chunk.endswith("\n\n")
    return lines["id"], json.loads(lines["data"])


def hang_up(stream) -> None:
    """As a client that has heard the first event."""
    next(stream.streaming_content)
    stream._iterator.close()  # stream.close() would close the test's database connection, too


@pytest.fixture
def job_id(anna, account):
    from accounts import actions

    keys = {account.pk: actions.account_key(account, anna.user_key)}
    return PipelineBroker().enqueue_fetch_job(anna.user, account, keys=keys)


def test_each_change_is_told_once_and_the_end_ends_the_stream(script, job_id):
    clock = Clock(lambda: None, work_off)
    told = [parsed(chunk) for chunk in events.changes(job_id, "", clock, clock.wait)]
    assert [job["status"] for _, job in told] == ["pending", "success"]
    assert told[-1][1] == script.get(f"/jobs/{job_id}").json()
    assert clock.now == 2


def test_a_client_that_comes_again_is_told_what_it_has_not_heard(job_id):
    clock = Clock(work_off)
    (seen, _), (last, _) = [parsed(chunk) for chunk in events.changes(job_id, "", clock, clock.wait)]
    clock = Clock()
    [again] = events.changes(job_id, seen, clock, clock.wait)
    assert parsed(again)[0] == last
    assert list(events.changes(job_id, last, clock, clock.wait)) == []


def test_a_client_that_knows_the_end_is_told_not_to_come_again(script, job_id):
    work_off()
    stream = script.get(f"/jobs/{job_id}/events")
    [(last, _)] = [parsed(chunk.decode()) for chunk in stream.streaming_content]
    assert script.get(f"/jobs/{job_id}/events", **{"Last-Event-ID": last}).status_code == 204


def test_a_stream_speaks_the_persons_language_to_its_end(anna, account, mailbox):
    anna.user.language = "de"
    anna.user.save(update_fields=["language"])
    mailbox.server.add_user(mailbox.login, "another")
    script = by_token(anna, accounts=[account])
    path = f"/jobs/{script.post('/jobs/fetch').json()['job_id']}"
    work_off()
    stream = script.get(f"{path}/events")
    [(last, told)] = [parsed(chunk.decode()) for chunk in stream.streaming_content]
    assert told["runs"][0]["error"] == script.get(path).json()["runs"][0]["error"] != ""
    assert script.get(f"{path}/events", **{"Last-Event-ID": last}).status_code == 204


def test_a_silent_stream_says_that_it_is_there_and_ends_after_five_minutes(job_id):
    clock = Clock()
    chunks = list(events.changes(job_id, "", clock, clock.wait))
    assert chunks[1:] == [": nothing new\n\n"] * 19
    assert clock.now == events.SECONDS


def test_the_stream_of_a_job_that_is_deleted_ends(anna, job_id):
    clock = Clock(lambda: anna.user.jobs.all().delete())
    assert len(list(events.changes(job_id, "", clock, clock.wait))) == 1


def test_a_job_that_is_deleted_while_it_is_asked_for_is_not_found(script, job_id, monkeypatch):
    def deleted_meanwhile(user, job_id):
        job = own_job(user, job_id)
        user.jobs.all().delete()
        return job

    monkeypatch.setattr("pipeline.api.owned.own_job", deleted_meanwhile)
    answer = script.get(f"/jobs/{job_id}/events")
    assert (answer.status_code, answer.json()["error_type"]) == (404, "not_found")


def test_streams_leave_room_for_others_and_give_their_seats_back(script, job_id):
    work_off()
    open_ones = [script.get(f"/jobs/{job_id}/events") for _ in range(events.AT_ONCE_OF_ONE)]
    refused = script.get(f"/jobs/{job_id}/events")
    assert (refused.status_code, refused.json()["error_type"]) == (429, "too_many_streams")
    assert refused["Retry-After"] == "5"
    for stream in open_ones:
        assert stream["Content-Type"] == "text/event-stream"
        assert stream["X-Accel-Buffering"] == "no"
        hang_up(stream)
    again = script.get(f"/jobs/{job_id}/events")
    assert again.status_code == 200
    hang_up(again)


def test_one_person_leaves_a_seat_to_the_others_and_all_together_leave_threads_to_the_pages():
    seats, anna, bert, carl = events.Seats(), 1, 2, 3
    for user_id in (anna, anna, bert):
        seats.take(user_id)
    for user_id in (anna, carl):
        with pytest.raises(Problem):
            seats.take(user_id)
    seats.leave(bert)
    seats.take(carl)


def test_a_strangers_job_has_no_stream(bert, job_id):
    assert by_token(bert).get(f"/jobs/{job_id}/events").status_code == 404
