"""What stands in deploy/ for Prometheus and Grafana fits what /metrics gives."""

import json
import re
import subprocess

import pytest
import yaml

from tests.installation import BASE
from tests.pipeline.test_metrics import CONTRACT

RULES = BASE / "deploy" / "prometheus" / "alerts.yml"
CONFIG = BASE / "deploy" / "prometheus" / "prometheus.yml"
DASHBOARD = BASE / "deploy" / "grafana" / "mailhelper.json"
OF_PROMETHEUS = {"instance", "job", "le"}


def promtool(*arguments) -> str:
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rules() -> list[dict]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def panels() -> list[dict]:
    return json.loads(DASHBOARD.read_text())["panels"]


def expressions() -> list[str]:
    shown = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [rule["expr"] for rule in rules()] + shown


def family_of(name: str) -> str:
    return re.sub(r"_(total|bucket|sum|count)$", "", name)


def labels_of(name: str) -> set[str]:
    return OF_PROMETHEUS | CONTRACT.get(family_of(name), ("", set()))[1]


def unknown_in(expression: str) -> set[str]:
    """Names of metrics and labels in the expression that /metrics does not give."""
    names = {family_of(name) for name in re.findall(r"\bmailhelper_\w+", expression)}
    grouped = {label for inner in re.findall(r"by \((.*?)\)", expression) for label in inner.split(", ")}
    unknown = names - set(CONTRACT) | grouped - set().union(*map(labels_of, names))
    for name, matchers in re.findall(r"(\w+)\{(.*?)\}", expression):
        unknown |= set(re.findall(r"(\w+)\s*[=!]", matchers)) - labels_of(name)
    return unknown


def test_the_search_sees_names_that_are_not_given():
    asked = 'sum by (person, le) (mailhelper_runs{state="x"}) + mailhelper_dreams_total{le="1"} > 1'
    assert unknown_in(asked) == {"person", "state", "mailhelper_dreams"}


@pytest.mark.parametrize("expression", expressions())
def test_rules_and_dashboard_name_only_what_is_given(expression):
    assert "mailhelper" in expression
    assert unknown_in(expression) == set()


def test_the_dashboard_shows_every_metric():
    shown = " ".join(target["expr"] for panel in panels() for target in panel["targets"])
    missing = {name for name in CONTRACT if not re.search(rf"\b{name}(_total|_bucket)?\b", shown)}
    assert missing == {"mailhelper_queue_up"}  # an alert of its own
    assert len({panel["id"] for panel in panels()}) == len(panels())


def test_promtool_understands_the_rules_and_each_does_what_it_says():
    promtool("check", "rules", RULES)
    tests = BASE / "tests" / "deploy" / "alerts_test.yml"
    promtool("test", "rules", tests)
    tried = re.findall(r'alertname="(\w+)"', tests.read_text())
    assert tried == [rule["alert"] for rule in rules()]


def test_promtool_understands_the_dashboards_expressions(tmp_path):
    shown = [target["expr"] for panel in panels() for target in panel["targets"]]
    plain = [expr.replace("$__rate_interval", "5m").replace("$instance", "one") for expr in shown]
    recorded = [{"record": f"panel:{number}", "expr": expr} for number, expr in enumerate(plain)]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recorded}]}))
    promtool("check", "rules", file)


def test_promtool_understands_the_example_of_a_configuration(tmp_path):
    token = tmp_path / "token"
    token.write_text("x")
    text = CONFIG.read_text().replace("/etc/prometheus/mailhelper.token", str(token))
    (tmp_path / "prometheus.yml").write_text(text)
    (tmp_path / "alerts.yml").write_bytes(RULES.read_bytes())
    promtool("check", "config", tmp_path / "prometheus.yml")
