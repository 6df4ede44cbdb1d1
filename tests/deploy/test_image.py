"""The image and what runs from it, as far as it shows without a container."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest
import yaml
from compose_spec import PyCompose

from pipeline import processes
from tests.deploy.conftest import DEPLOY, parse_command
from tests.installation import BASE

OURS = ("migrate", "web", "worker", "manage")


@pytest.fixture(scope="module")
def compose() -> dict:
    return yaml.safe_load((DEPLOY / "compose.yml").read_text())


@pytest.fixture(scope="module")
def services(compose) -> dict:
    return compose["services"]


def dockerfile() -> str:
    return (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")


def test_compose_reads_it_and_all_that_is_named_is_defined(compose):
    read = PyCompose.from_json(json.dumps(compose))
    read.validate()
    assert set(OURS) < set(read.service_names())


def test_no_container_may_more_than_it_needs(services):
    for name, service in services.items():
        assert "privileged" not in service, name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "ports" not in service or name == "proxy"
    for name in OURS:
        assert services[name]["read_only"] and services[name]["cap_drop"] == ["ALL"]
    assert set(services["database"]["networks"]) == set(services["queue"]["networks"]) == {"inside"}


def test_keys_and_data_lie_in_volumes_of_their_own(services):
    for name in OURS:
        volumes = dict(str(volume).split(":")[:2] for volume in services[name]["volumes"])
        assert (volumes["data"], volumes["keys"]) == ("/data", "/keys")
    assert "MAILHELPER_VAR=/data" in dockerfile()
    assert "MAILHELPER_WORKER_KEY_FILE=/keys/worker.key" in dockerfile()


def test_no_secret_stands_in_the_environment(services, settings_names):
    for name in OURS:
        environment = services[name]["environment"]
        assert set(environment) <= settings_names
        assert not {"DATABASE_URL", "SECRET_KEY", "MAILHELPER_WORKER_KEY", "EMAIL_URL"} & set(environment)
    assert "POSTGRES_PASSWORD" not in services["database"]["environment"]


def test_each_runs_a_command_that_there_is(services):
    for name in ("migrate", "worker"):
        program, *words = services[name]["command"]
        assert program == "manage.py" and parse_command(words)
    assert services["manage"]["entrypoint"] == ["python", "manage.py"]
    begins = re.search(r"^CMD \[(.*)\]$", dockerfile(), re.MULTILINE)
    words = shlex.split(begins[1].replace(",", " "))
    assert words == ["-m", *processes.WEB_SERVER, "--bind=0.0.0.0:8000"]


def test_what_it_asks_for_health_is_python_that_compiles(services):
    assert "/healthz" in services["web"]["healthcheck"]["test"][-1]
    assert "/readyz" in services["worker"]["healthcheck"]["test"][-1]
    for name in ("web", "worker"):
        kind, program, option, source = services[name]["healthcheck"]["test"]
        assert (kind, program, option) == ("CMD", "python", "-c")
        compile(source, name, "exec")


def test_files_that_it_names_are_there(services):
    assert (DEPLOY / services["web"]["build"]["context"]).resolve() == BASE
    assert (BASE / services["web"]["build"]["dockerfile"]).is_file()
    assert (DEPLOY / "Caddyfile").is_file()
    assert "./Caddyfile:/etc/caddy/Caddyfile:ro" in map(str, services["proxy"]["volumes"])


def test_what_the_image_holds_starts_and_neither_data_nor_settings_are_in_it(tmp_path):
    """The files that its .dockerignore lets through, in a folder of their own."""
    rules = (DEPLOY / "Dockerfile.dockerignore").read_text().split("\n")
    taken = [rule[1:] for rule in rules if rule.startswith("!")]
    assert rules[1] == "*" and not {"var", ".env", ".git", "tests"} & set(taken)
    left_out = shutil.ignore_patterns("demo", "__pycache__")
    for name in taken:
        source = BASE / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / "app" / name, ignore=left_out)
        elif source.is_file():
            shutil.copy(source, tmp_path / "app")
    environment = {
        "PATH": os.environ["PATH"],
        "MAILHELPER_VAR": str(tmp_path / "data"),
        "MAILHELPER_WORKER_KEY_FILE": str(tmp_path / "keys" / "worker.key"),
        "DJANGO_SETTINGS_MODULE": "mailhelper.settings",
    }
    starting = (
        "import mailhelper.wsgi, pipeline.tasks, manage; manage.execute_from_command_line(['', 'check'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", starting],
        cwd=tmp_path / "app",
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
