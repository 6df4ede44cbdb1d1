"""Who may ask what, and how the API says no."""

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.urls import reverse

from accounts import unlocked
from accounts.models import Scope
from mailhelper.api import MOST_ERRORS, api
from tests.accounts.test_session import sign_in
from tests.api.conftest import Script, by_session, by_token

pytestmark = [pytest.mark.django_db, pytest.mark.once]
NOBODY = "00000000-0000-0000-0000-000000000000"


def operations() -> list[tuple[str, str, dict]]:
    paths = api.get_openapi_schema()["paths"]
    return [(method.upper(), path, told) for path, ways in paths.items() for method, told in ways.items()]


def addressed(path: str, **ids) -> str:
    known = {"job_id": NOBODY, "account_id": NOBODY, "report_id": NOBODY, "message_id": NOBODY}
    return path.format(**known | ids).removeprefix("/api")


@pytest.mark.parametrize(("method", "path", "told"), operations())
def test_nobody_is_answered_nowhere(db, method, path, told):
    answer = Script(Client())(method, addressed(path), body={})
    assert answer.status_code == 401
    assert answer.json()["error_type"] == "unauthenticated"
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(("method", "path", "told"), operations())
def test_a_wrong_token_is_told_so(db, method, path, told):
    answer = Script(Client(), Authorization="Bearer mailhelper_nonsense")(method, addressed(path), body={})
    assert (answer.status_code, answer.json()["error_type"]) in {
        (401, "unauthenticated"),
        (403, "session_only"),
    }


@pytest.mark.parametrize("scope", [Scope.METRICS, Scope.READ, Scope.OPERATE])
def test_each_operation_needs_the_scope_that_its_description_names(anna, scope):
    anna.user.is_staff = True
    anna.user.save(update_fields=["is_staff"])
    script = by_token(anna, scope)
    for method, path, told in operations():
        answer = script(method, addressed(path), body={})
        needed = told["description"].rpartition("needs the scope `")[2].strip("`.")
        if "By an unlocked session alone" in told["description"]:
            assert answer.json()["error_type"] == "session_only", path
        elif scope.includes(needed):
            assert answer.status_code not in (401, 403), path
        else:
            assert answer.json()["error_type"] == "insufficient_scope", path
            assert f"the scope {needed}" in answer.json()["detail"], path
            assert f"the scope {needed}" in answer.json()["next_step"], path


def test_metrics_name_the_scope_that_they_need(anna):
    """No scope includes it."""
    answer = Client().get("/metrics", headers=by_token(anna, Scope.MANAGE)._headers)
    assert (answer.status_code, "the scope metrics" in answer.json()["next_step"]) == (403, True)


def test_a_token_reads_no_mail(anna, script):
    answer = script.get("/mail")
    assert (answer.status_code, answer.json()["error_type"]) == (403, "session_only")


def test_a_token_beside_a_session_reads_no_mail(anna, account, bert):
    """Who asks is never two people."""
    client = sign_in(anna)
    token = by_token(bert)._headers
    assert Script(client).get("/accounts").json() != Script(client, **token).get("/accounts").json() == []
    answer = Script(client, **token).get("/mail")
    assert (answer.status_code, answer.json()["error_type"]) == (403, "session_only")
    assert Script(client, Authorization="Basic of-a-proxy").get("/mail").status_code == 200


def test_a_locked_session_reads_no_mail(anna):
    client = sign_in(anna)
    del client.cookies[unlocked.COOKIE]
    answer = Script(client).get("/mail")
    assert (answer.status_code, answer.json()["error_type"]) == (423, "locked")
    assert "Unlock" in answer.json()["next_step"]


@pytest.fixture
def by_page(anna):
    """As a browser has it, whose requests show that they come from our pages."""
    client = Client(enforce_csrf_checks=True)
    client.get(reverse("sign_in"))
    secret = client.cookies["csrftoken"].value
    typed = {"email": anna.user.email, "password": anna.password, "csrfmiddlewaretoken": secret}
    client.post(reverse("sign_in"), typed)
    return client


def test_a_session_needs_the_csrf_token_to_change_something(by_page, account):
    refused = Script(by_page).post("/notifications/read")
    assert (refused.status_code, refused.json()["error_type"]) == (403, "csrf")
    token = by_page.cookies["csrftoken"].value
    assert Script(by_page).post("/notifications/read", **{"X-CSRFToken": token}).status_code == 200


def test_what_is_wrong_with_a_request_is_named_without_repeating_it(script):
    answer = script.post("/jobs/fetch", {"account": "geheim", "max_mails": -1})
    assert answer.status_code == 422
    assert {error["field"] for error in answer.json()["errors"]} == {
        "body.account",
        "body.max_mails",
    }
    for query in ("/jobs/history?limit=x", "/notifications?limit=x"):
        assert [error["field"] for error in script.get(query).json()["errors"]] == ["query.limit"]
    assert "geheim" not in answer.text


def test_what_is_no_json_is_said_so(anna, script):
    answer = script._client.generic(
        "POST", "/api/jobs/fetch", "{", content_type="application/json", headers=script._headers
    )
    assert (answer.status_code, answer.json()["error_type"]) == (400, "malformed")


def test_a_form_with_files_is_no_json_either(by_page, account):
    token = by_page.cookies["csrftoken"].value
    answer = by_page.post("/api/jobs/fetch", {"account": str(account.pk)}, headers={"X-CSRFToken": token})
    assert (answer.status_code, answer.json()["error_type"]) == (400, "malformed")


def test_a_long_list_of_mistakes_is_told_by_its_beginning(script, account):
    answer = script.post("/jobs/fetch", {f"unknown{number}": 0 for number in range(1000)})
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) == MOST_ERRORS
    answer = script("PATCH", f"/accounts/{account.pk}", {"fixed_times": ["12:00"] * 1441})
    assert answer.status_code == 422


def test_no_answer_is_kept_by_anybody_on_its_way(script, session):
    for answer in (session.get("/mail"), script.get("/health"), script.get("/nonsense")):
        assert "no-store" in answer["Cache-Control"]


def test_an_unknown_address_and_a_wrong_method_are_problems_too(script):
    assert script.get("/nonsense").json()["error_type"] == "not_found"
    answer = script("DELETE", "/health")
    assert (answer.json()["error_type"], answer["Allow"]) == ("method_not_allowed", "GET")


def test_problems_are_told_in_the_persons_language(anna, account):
    anna.user.language = "de"
    anna.user.save(update_fields=["language"])
    answer = by_token(anna).get(f"/jobs/{NOBODY}")
    assert answer.json()["detail"] == "Unter dieser Adresse gibt es nichts, oder es gehört Ihnen nicht."
    assert answer["Content-Language"] == "de"


def test_a_mistake_of_ours_is_a_problem_and_tells_nothing(anna, account, monkeypatch, logged):
    script = by_session(anna)
    script._client.raise_request_exception = False
    monkeypatch.setattr("pipeline.api.accounts._told", lambda accounts: 1 / 0)
    answer = script.get("/accounts")
    assert (answer.status_code, answer.json()["error_type"]) == (500, "bug")
    assert "ZeroDivision" not in answer.text
    [line] = logged.of("request_failed")
    assert line["exception"] == "ZeroDivisionError"


def test_the_log_says_by_which_token_something_was_refused(anna, script, logged):
    script.get("/nonsense")  # where nobody is asked who they are
    script.get(f"/jobs/{NOBODY}")
    unknown, refused = logged.of("request_refused")
    assert "token_id" not in unknown
    assert (refused["token_id"], refused["user_id"]) == (str(anna.user.api_tokens.get().pk), anna.user.pk)


@pytest.mark.parametrize("path", ["/api/health", "/metrics"])
def test_a_database_that_does_not_answer_is_named_and_the_log_knows_more(anna, account, logged, path):
    anna.user.is_staff = True
    anna.user.save(update_fields=["is_staff"])
    scope = Scope.METRICS if path == "/metrics" else Scope.READ
    headers = by_token(anna, scope)._headers
    with connection.execute_wrapper(no_answer):
        answer = Client().get(path, headers=headers)
    assert (answer.status_code, answer.json()["error_type"]) == (503, "unavailable")
    [line] = logged.of("request_failed")
    assert (line["exception"], line["status"]) == ("OperationalError", 503)
    assert "geheim" not in answer.text + logged.text


def no_answer(execute, sql, params, many, context):
    raise OperationalError("connection to geheim refused")


def test_too_many_requests_of_one_token_wait_while_another_is_answered(anna, account, settings, time_machine):
    settings.MAILHELPER_API_REQUESTS_PER_MINUTE = 3
    time_machine.move_to("2026-11-24T12:00:20Z", tick=False)
    first, second = by_token(anna, name="first"), by_token(anna, name="second")
    assert [first.get("/health").status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = first.get("/health")
    assert (refused.json()["error_type"], refused["Retry-After"]) == ("too_many_requests", "40")
    assert second.get("/health").status_code == 200
    time_machine.move_to("2026-11-24T12:01:00Z", tick=False)
    assert first.get("/health").status_code == 200
