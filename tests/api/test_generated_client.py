"""A client that is generated from the document fetches mail with it."""

import json
import subprocess
import sys
from itertools import count

import pytest

from tests.api.conftest import OWNER, with_token

pytestmark = pytest.mark.once
POLLS = 600
BYTES = {"message/rfc822": "application/octet-stream"}


@pytest.fixture
def client(site, tmp_path, monkeypatch):
    """The package's name is the title of the document."""
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none"]
    command += ["--url", f"{site.url}/api/openapi.json", "--output-path", str(tmp_path / "generated_client")]
    (tmp_path / "config.json").write_text(json.dumps({"content_type_overrides": BYTES, "post_hooks": []}))
    command += ["--config", str(tmp_path / "config.json")]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0 and "WARNING" not in made.stdout, made.stdout + made.stderr
    monkeypatch.syspath_prepend(tmp_path)
    import generated_client

    return generated_client


def test_it_fetches_polls_and_reads_the_result(site, house, client):
    from generated_client.api.accounts import list_accounts
    from generated_client.api.jobs import fetch, read_job
    from generated_client.models import FetchWish, Job, JobStatus

    secret = with_token(house, OWNER, "generated").headers["Authorization"].removeprefix("Bearer ")
    asking = client.AuthenticatedClient(base_url=site.url, token=secret, raise_on_unexpected_status=True)
    [account] = list_accounts.sync(client=asking)
    job = fetch.sync(client=asking, body=FetchWish(account=account.account_id, max_mails=10))
    assert isinstance(job, Job)
    for polls in count():
        job = read_job.sync(job.job_id, client=asking)
        if job.ended_at:
            break
        assert polls < POLLS
    assert job.status == JobStatus.SUCCESS
    assert [run.name for run in job.runs] == [account.name]
