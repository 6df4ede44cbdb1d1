"""Requests of every form that the document allows, and of many that it does not, against the running server.

Cora asks by her session, Dora by a token, and somebody by nothing. Nothing may break, nothing may answer what
the document does not say, and nobody may be told what is another's. The event stream has tests of its own.
"""

import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from tests.api.conftest import PEOPLE, signed_in, with_token

pytestmark = pytest.mark.once
# A name that is taken, a cursor of no page: the document cannot say it all. Asking by nothing is tested here.
UNFIT = [positive_data_acceptance, ignored_auth]
# It would put tokens of its own in the place of ours.
AS_WE_ARE = schemathesis.Config.from_dict({"generation": {"with-security-parameters": False}})


@pytest.fixture(scope="module")
def ids(site, house):
    return {email: ids_of(site, signed_in(site, house, email)) for email in PEOPLE}


def ids_of(site, session) -> dict[str, str]:
    """One of each kind."""

    def asked(path: str):
        return session.get(f"{site.url}/api{path}").json()

    account_id = asked("/accounts")[0]["account_id"]
    return {
        "account_id": account_id,
        "job_id": asked("/jobs/history")["items"][0]["job_id"],
        "report_id": asked(f"/accounts/{account_id}/diagnostics")[0]["report_id"],
        "message_id": asked("/mail")["items"][0]["message_id"],
    }


@pytest.mark.parametrize("who", ["cora", "dora", "nobody"])
def test_nothing_breaks_and_nobody_is_told_what_is_anothers(site, house, ids, who):
    asking = {
        "cora": lambda: signed_in(site, house, PEOPLE[0]),
        "dora": lambda: with_token(house, PEOPLE[1]),
        "nobody": requests.Session,
    }[who]()
    strangers = [email for email in PEOPLE if not email.startswith(who)]
    secrets = [word for email in strangers for word in (email, *ids[email].values())]
    asked = set()

    def answered(case) -> None:
        response = case.call(session=asking)
        case.validate_response(response, excluded_checks=UNFIT)
        assert not [word for word in secrets if word in response.text], (case, response.text)
        asked.add((case.operation.label, response.status_code))

    for operation in operations(site):
        # Whoever deleted what is theirs would leave nothing to ask of.
        known = [ids[email] for email in (strangers if operation.method == "delete" else PEOPLE)]
        for mode in modes(operation):
            ask_often(operation, mode, known, answered)
    if who == "nobody":
        assert {status for _, status in asked} <= {401, 404, 405, 422}
    else:
        assert {status for _, status in asked} >= {200, 404, 422}


def operations(site):
    address = f"{site.url}/api/openapi.json"
    schema = schemathesis.openapi.from_url(address, config=AS_WE_ARE).exclude(path_regex="/events$")
    return [result.ok() for result in schema.get_all_operations()]


def modes(operation) -> list[GenerationMode]:
    """Where nothing is asked for, nothing can be wrong."""
    takes = [*operation.path_parameters, *operation.query, *operation.headers, *operation.body]
    return list(GenerationMode) if takes else [GenerationMode.POSITIVE]


def ask_often(operation, mode: GenerationMode, known: list[dict], answered) -> None:
    @hypothesis.settings(
        max_examples=hypothesis.settings.default.max_examples // 2,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    )
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode), ids=st.sampled_from([{}, *known]))
    def ask(case, ids):
        if mode == GenerationMode.POSITIVE:
            put_in(case, ids)
        answered(case)

    ask()


def put_in(case, ids: dict[str, str]) -> None:
    """Ids that are there, in place of those that nobody has."""
    for name in ids.keys() & (case.path_parameters or {}).keys():
        case.path_parameters[name] = ids[name]
    if isinstance(case.body, dict) and "account" in case.body and ids:
        case.body["account"] = ids["account_id"]
    if "account" in (case.query or {}) and ids:
        case.query["account"] = ids["account_id"]
