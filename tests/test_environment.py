"""What operators set: what is wrong is named, and never shown."""

import runpy

import pytest
from django.core.exceptions import ImproperlyConfigured

from mailhelper import settings
from mailhelper.environment import Environment

pytestmark = pytest.mark.once
env = Environment()


def refused(read, *arguments, **options) -> str:
    with pytest.raises(ImproperlyConfigured) as raised:
        read(*arguments, **options)
    return str(raised.value)


@pytest.mark.parametrize("read", [env.database, env.email])
def test_a_file_of_a_setting_that_cannot_be_read_is_told_as_such(monkeypatch, tmp_path, read):
    monkeypatch.setenv("SOME_URL_FILE", str(tmp_path / "missing"))
    told = refused(read, "SOME_URL", default="")
    assert told == "The file of SOME_URL_FILE cannot be read: No such file or directory."


def test_a_number_that_cannot_be_meant_is_refused_and_not_shown(monkeypatch):
    monkeypatch.setenv("DAYS", "-5")
    assert "It is a whole number, 0 or more" in (told := refused(env.count, "DAYS", 90)) and "5" not in told
    monkeypatch.setenv("DAYS", "0")
    assert env.count("DAYS", 90) == 0
    assert "1 or more" in refused(env.count, "DAYS", 90, at_least=1)
    monkeypatch.delenv("DAYS")
    assert env.count("DAYS", 90, at_least=1) == 90


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAILHELPER_WORKERS", "0"),
        ("MAILHELPER_LEASE_SECONDS", "0"),
        ("MAILHELPER_CONNECTIONS_PER_HOST", "0"),
        ("MAILHELPER_FAILURES_PER_CLIENT", "0"),
        ("MAILHELPER_API_REQUESTS_PER_MINUTE", "0"),
        ("MAILHELPER_MAX_MAIL_BYTES", "0"),
        ("MAILHELPER_PROXIES", "-1"),
        ("MAILHELPER_KEEP_RUNS_DAYS", "-5"),
        ("MAILHELPER_KEEP_ALERTS_DAYS", "-5"),
    ],
)
def test_settings_ask_it_of_each_number(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    assert refused(runpy.run_path, settings.__file__).startswith(f"{name} is not understood.")
