"""What Prometheus is told."""

import pytest

from accounts import tokens
from accounts.models import Scope

pytestmark = pytest.mark.django_db


@pytest.fixture
def scrape(client, anna):
    anna.user.is_staff = True
    anna.user.save()
    secret = tokens.make(anna.user, "Prometheus", Scope.METRICS, 90).secret

    def scrape(**headers):
        return client.get("/metrics", headers={"Authorization": f"Bearer {secret}", **headers})

    return scrape


def test_x(scrape, account, sync, django_assert_num_queries):
    sync(account)
    with django_assert_num_queries(12):
        answer = scrape()
    print(answer.content.decode())
    assert answer.status_code == 200
    import subprocess

    done = subprocess.run(["promtool", "check", "metrics"], input=answer.content, capture_output=True)
    print(done.stdout.decode(), done.stderr.decode(), done.returncode)
    answer = scrape(Accept="application/openmetrics-text; version=1.0.0")
    print(answer.headers)
    from prometheus_client.openmetrics.parser import text_string_to_metric_families as om

    list(om(answer.content.decode()))
