"""The first start prints a link by which its reader signs up and runs this mailhelper."""

import re

import pytest
import requests

from tests.installation import Installation
from tests.servers.ports import free_port

pytestmark = pytest.mark.engines


@pytest.fixture
def house(tmp_path):
    """An installation with nobody in it."""
    return Installation(tmp_path)


def printed(serving, words: str) -> str:
    """The first line with these words, or nothing when the command has ended."""
    return next((line for line in serving.stdout if words in line), "")


def csrf_token(page: str) -> dict[str, str]:
    return {"csrfmiddlewaretoken": re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)[1]}


def test_the_link_of_the_first_start_makes_the_operator(house):
    serving = house.start("serve", "--port", str(free_port()))
    try:
        [link] = re.findall(r"http://\S+/sign-up/\S+/", printed(serving, "Nobody runs it yet"))
        browser = requests.Session()
        form = {"email": "anna@example.org", "password": house.password, "again": house.password}
        form |= {"language": "en", "time_zone": "UTC"} | csrf_token(browser.get(link).text)
        page = browser.post(link.partition("sign-up/")[0] + "sign-up/", form)
        assert page.status_code == 200 and "Your recovery key" in page.text
        assert requests.get(link).status_code == 403
        browser.close()
    finally:
        serving.terminate()
        _, err = serving.communicate(timeout=30)
    people = house.rows("SELECT email, is_staff, is_superuser FROM accounts_user")
    assert people == [("anna@example.org", True, True)]
    assert link.rstrip("/").rpartition("/")[2] not in err
