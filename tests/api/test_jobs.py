"""Jobs by the API: asked for once, followed to their end, told in one shape."""

import threading

import pytest
from django.db import connections

from accounts import grants
from accounts.models import GrantPurpose, Scope
from pipeline.broker import PipelineBroker
from pipeline.models import AccountRun, PipelineJob, Trigger
from pipeline.tasks import run
from tests.api.conftest import by_token

pytestmark = pytest.mark.django_db
KEY = "Idempotency-Key"


def work_off() -> None:
    """What the workers would do, by the grants alone."""
    for run_id in AccountRun.objects.filter(status="pending").values_list("pk", flat=True):
        run.call_local(str(run_id))


def errors_of(answer) -> list[str]:
    """The fields that a refusal names."""
    assert answer.status_code == 422
    return [error["field"] for error in answer.json()["errors"]]


@pytest.fixture
def mails(mailbox):
    for number in range(3):
        mailbox.append(b"Subject: %d\r\n\r\nHello\r\n" % number)


def test_a_token_that_opens_the_account_fetches_it_while_nobody_is_signed_in(script, account, mails):
    asked = script.post("/jobs/fetch", {"account": str(account.pk)})
    assert asked.status_code == 202
    job = asked.json()
    assert asked["Location"] == f"/api/jobs/{job['job_id']}"
    assert (job["trigger"], job["status"], job["max_mails"]) == ("api", "pending", 100)
    work_off()
    done = script.get(f"/jobs/{job['job_id']}").json()
    assert (done["status"], done["emails_fetched"]) == ("success", 3)
    assert done["runs"][0]["mails_done"] == 3
    assert not grants.valid_grants().exists()  # the workers keep nothing


def test_a_token_without_the_key_is_told_what_to_do(anna, account):
    answer = by_token(anna, Scope.OPERATE).post("/jobs/fetch", {"account": str(account.pk)})
    assert (answer.status_code, answer.json()["error_type"]) == (423, "locked")
    assert "background sync" in answer.json()["next_step"]
    assert not PipelineJob.objects.exists()


def test_background_sync_is_enough_of_a_key(anna, account, mails):
    from accounts import actions

    grants.grant(account, actions.account_key(account, anna.user_key), GrantPurpose.BACKGROUND)
    job = by_token(anna, Scope.OPERATE).post("/jobs/fetch").json()
    work_off()
    assert by_token(anna, name="other").get(f"/jobs/{job['job_id']}").json()["status"] == "success"


def test_all_accounts_are_fetched_as_far_as_the_token_opens_them(script, account, connect, mailbox, mails):
    connect(mailbox, name="Later")
    job = script.post("/jobs/fetch").json()
    work_off()
    runs = {one["name"]: one for one in script.get(f"/jobs/{job['job_id']}").json()["runs"]}
    assert runs["GMX"]["status"] == "success"
    assert (runs["Later"]["status"], runs["Later"]["error_type"]) == ("skipped", "no_key")
    assert runs["Later"]["next_step"]


def test_who_has_no_account_is_told_so(anna, db):
    answer = by_token(anna).post("/jobs/fetch")
    assert (answer.status_code, answer.json()["error_type"]) == (422, "no_accounts")


def test_limits_reach_the_run(script, account, mails):
    job = script.post("/jobs/fetch", {"max_mails": 2, "timeout_seconds": None}).json()
    assert (job["max_mails"], job["timeout_seconds"]) == (2, None)
    work_off()
    assert script.get(f"/jobs/{job['job_id']}").json()["emails_fetched"] == 2


@pytest.mark.parametrize(
    "limits",
    [{"max_mails": -1}, {"max_mails": 2**31}, {"timeout_seconds": 0}, {"max_mails": "5"}, {"max_mail": 5}],
)
def test_limits_out_of_range_make_no_job(script, limits):
    assert script.post("/jobs/fetch", limits).status_code == 422
    assert not PipelineJob.objects.exists()


def test_the_same_wish_under_one_key_makes_one_job(script):
    first = script.post("/jobs/fetch", {"max_mails": 5}, **{KEY: "night-24"})
    work_off()
    again = script.post("/jobs/fetch", {"max_mails": 5}, **{KEY: "night-24"})
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["job_id"] == again.json()["job_id"]
    assert again.json()["status"] == "success"
    assert PipelineJob.objects.count() == 1


@pytest.mark.parametrize("key", ["", "night 24", "k" * 256])
def test_a_key_is_1_to_255_visible_characters(script, key):
    assert script.post("/jobs/fetch", **{KEY: key}).status_code == 422


def test_another_wish_under_the_same_key_is_refused(script, account):
    script.post("/jobs/fetch", {"max_mails": 5}, **{KEY: "k"})
    for wish in ({"max_mails": 6}, {"account": str(account.pk), "max_mails": 5}):
        answer = script.post("/jobs/fetch", wish, **{KEY: "k"})
        assert (answer.status_code, answer.json()["error_type"]) == (422, "key_reused")
    examined = script.post("/jobs/diagnostics", {"account": str(account.pk)}, **{KEY: "k"})
    assert examined.json()["error_type"] == "key_reused"
    assert PipelineJob.objects.count() == 1


def test_a_request_that_was_refused_uses_up_no_key(anna, account, script):
    weak = by_token(anna, Scope.OPERATE, name="weak")
    assert weak.post("/jobs/fetch", **{KEY: "k"}).status_code == 423
    assert script.post("/jobs/fetch", **{KEY: "k"}).status_code == 202


def test_two_people_may_use_the_same_key(script, bert, connect, mailbox):
    theirs = by_token(bert, accounts=[connect(mailbox, owner=bert)])
    jobs = {one.post("/jobs/fetch", **{KEY: "k"}).json()["job_id"] for one in (script, theirs)}
    assert len(jobs) == 2


@pytest.mark.django_db(transaction=True)
def test_requests_that_come_at_the_same_time_under_one_key_make_one_job(anna, account):
    script = by_token(anna, accounts=[account])
    start, answers = threading.Barrier(4), []

    def ask():
        start.wait()
        try:
            answers.append(script.post("/jobs/fetch", **{KEY: "k"}))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert [answer.status_code for answer in answers] == [202] * 4
    assert len({answer.json()["job_id"] for answer in answers}) == PipelineJob.objects.count() == 1


def test_a_cancelled_job_is_told_and_cancelling_it_again_is_harmless(script):
    job = script.post("/jobs/fetch").json()
    for _ in range(2):
        answer = script.post(f"/jobs/{job['job_id']}/cancel")
        assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
        assert answer.json()["ended_at"]


def test_what_failed_is_retried_by_a_new_job(script, account, mailbox, mails):
    from accounts.models import MailAccount

    job = script.post("/jobs/fetch").json()
    MailAccount.objects.update(sealed_account_key=b"")  # the grant holds it; nothing is lost
    secret = mailbox.password
    mailbox.server.add_user(mailbox.login, "another")
    work_off()
    failed = script.get(f"/jobs/{job['job_id']}").json()
    assert failed["status"] == "failed"
    assert failed["runs"][0]["error_type"] == "invalid_credentials"
    assert "password" in failed["runs"][0]["next_step"]
    mailbox.server.add_user(mailbox.login, secret)
    again = script.post(f"/jobs/{job['job_id']}/retry")
    assert again.status_code == 202 and again.json()["job_id"] != job["job_id"]
    work_off()
    assert script.get(f"/jobs/{again.json()['job_id']}").json()["status"] == "success"


def test_where_nothing_failed_there_is_nothing_to_retry(script, mails):
    job = script.post("/jobs/fetch").json()
    work_off()
    answer = script.post(f"/jobs/{job['job_id']}/retry")
    assert (answer.status_code, answer.json()["error_type"]) == (409, "nothing_to_retry")


def test_an_account_is_examined_and_its_report_read(script, account):
    job = script.post("/jobs/diagnostics", {"account": str(account.pk)}).json()
    assert job["type"] == "diagnostics"
    work_off()
    [head] = script.get(f"/accounts/{account.pk}/diagnostics").json()
    assert head["passed"] and head["run_id"] == job["runs"][0]["run_id"]
    report = script.get(f"/accounts/{account.pk}/diagnostics/{head['report_id']}").json()
    verdicts = {probe["name"]: probe["verdict"] for probe in report["probes"]}
    assert (verdicts["tls"], verdicts["login"], verdicts["fetch"]) == ("ok", "ok", "skipped")
    assert all(probe["evidence"] == "" for probe in report["probes"])


def test_jobs_look_the_same_whichever_way_they_were_started(anna, script, account, sync, mails):
    by_page = PipelineBroker().enqueue_fetch_job(anna.user, account, trigger=Trigger.PAGE)
    by_api = script.post("/jobs/fetch").json()
    items = {one["job_id"]: one for one in script.get("/jobs/history").json()["items"]}
    assert items.keys() == {str(by_page), by_api["job_id"]}
    assert items[str(by_page)] | {"trigger": ""} != items[by_api["job_id"]] | {"trigger": ""}
    assert [sorted(one) for one in items.values()] == [sorted(by_api)] * 2
    assert items[by_api["job_id"]] == script.get(f"/jobs/{by_api['job_id']}").json()


def test_the_history_is_read_page_by_page_without_loss_or_repetition(anna, script, account):
    made = [str(PipelineBroker().enqueue_fetch_job(anna.user, account)) for _ in range(7)]
    cursor, seen = "", []
    while cursor is not None:
        page = script.get(f"/jobs/history?limit=3&cursor={cursor}").json()
        seen += [job["job_id"] for job in page["items"]]
        cursor = page["next"]
    assert seen == made[::-1]


def test_the_history_is_narrowed(anna, script, account, connect, mailbox):
    other = connect(mailbox, name="Other")
    ours = str(PipelineBroker().enqueue_fetch_job(anna.user, account))
    theirs = script.post("/jobs/diagnostics", {"account": str(account.pk)}).json()["job_id"]
    PipelineBroker().cancel_job(PipelineBroker().enqueue_fetch_job(anna.user, other))

    def found(query: str) -> list[str]:
        return [job["job_id"] for job in script.get(f"/jobs/history?{query}").json()["items"]]

    assert found("type=diagnostics") == [theirs]
    assert found("trigger=page&status=pending") == [ours]
    assert found(f"account={account.pk}") == [theirs, ours]
    assert len(found("status=cancelled")) == 1
    assert found("since=2100-01-01T00:00:00Z") == []
    assert len(found("since=0001-01-01T00:00:00Z&until=9999-12-31T23:59:59Z")) == 3
    for moment in ("0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00"):  # in UTC there is none
        assert script.get(f"/jobs/history?since={moment}").status_code == 422
    assert errors_of(script.get("/jobs/history?cursor=nonsense")) == ["query.cursor"]
    assert script.get("/jobs/history?since=yesterday").status_code == 422
