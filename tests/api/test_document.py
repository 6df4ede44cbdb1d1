"""The document that describes the API, and its pages."""

import json
import re

import pytest
from django.test import Client
from django.urls import reverse
from pydantic import ValidationError

from accounts.api.problems import STATUS
from mailhelper.api import api
from pipeline.api import shapes
from tests.installation import BASE

pytestmark = pytest.mark.once
PINNED = BASE / "docs" / "openapi.json"
WISHES = ("FetchWish", "DiagnosticsWish", "NewAccount", "NewConnection", "AccountChanges")


def described() -> str:
    return json.dumps(api.get_openapi_schema(), indent=1, default=str, sort_keys=True) + "\n"


def test_the_api_is_the_one_that_is_written_down():
    """Whoever changes a shape changes docs/openapi.json, too: python -m tests.api.pin"""
    assert described() == PINNED.read_text()


def test_it_is_openapi_3_1(client):
    assert client.get("/api/openapi.json").json()["openapi"].startswith("3.1")


def test_the_page_of_the_documents_asks_nobody_else(db):
    page = Client().get(reverse("api:openapi-view"))
    assert page.status_code == 200
    assert "http://" not in page.text and "https://" not in page.text and "<script>" not in page.text


def test_the_root_leads_to_the_documents(client):
    assert client.get("/api/")["Location"] == reverse("api:openapi-view")


def test_every_operation_says_what_a_token_needs():
    for path, ways in api.get_openapi_schema()["paths"].items():
        for method, told in ways.items():
            assert "scope `" in told["description"] or "unlocked session" in told["description"], (
                method,
                path,
            )


def test_the_manual_names_every_error_with_its_status():
    table = re.findall(r"^\| (\d{3}) \| (.+?) \|", (BASE / "docs" / "api.md").read_text(), flags=re.MULTILINE)
    named = {(code, int(status)) for status, codes in table for code in re.findall(r"`(\w+)`", codes)}
    assert named == STATUS.items()


@pytest.mark.parametrize(
    "shape",
    [
        shapes.FetchWish,
        shapes.DiagnosticsWish,
        shapes.NewAccount,
        shapes.NewConnection,
        shapes.AccountChanges,
    ],
)
def test_what_a_reader_can_try_out_has_an_example_that_is_accepted(shape):
    [example] = shape.model_json_schema()["examples"]
    shape.model_validate(example)
    with pytest.raises(ValidationError):
        shape.model_validate(example | {"misspelt": 1})
