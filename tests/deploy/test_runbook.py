"""The runbook names commands, settings and files that there are."""

import re
import shlex

import pytest

from tests.deploy.conftest import parse_command
from tests.installation import BASE

TEXT = (BASE / "docs" / "runbook.md").read_text()


def commands() -> list[str]:
    """What stands after manage.py, in blocks and in the text."""
    typed = re.findall(r"^ *\$ (?:.*\| )?manage\.py ([^|>\n]+)", TEXT, re.MULTILINE)
    named = re.findall(r"`manage\.py ([^`]+)`", TEXT)
    return sorted({" ".join(words.split()) for words in typed + named})


def test_it_names_many_commands():
    assert len(commands()) > 15


@pytest.mark.parametrize("words", commands())
def test_each_command_takes_what_is_typed(words):
    assert parse_command(shlex.split(words))


def test_a_backup_goes_into_a_folder_that_the_next_one_does_not_take():
    targets = [shlex.split(words)[1] for words in commands() if words.startswith("backup ")]
    assert len(targets) > 1 and [one for one in targets if not re.search(r"\d{4}-\d\d-\d\d$", one)] == []


def test_each_setting_is_one(settings_names):
    named = set(re.findall(r"\b(MAILHELPER_[A-Z_]+[A-Z]|[A-Z]+_[A-Z_]*(?:HOSTS|ORIGINS|IPS|URL))\b", TEXT))
    assert named - {"MAILHELPER_HOST"} <= settings_names  # that one is compose.yml's


def test_each_file_that_it_leads_to_is_there():
    links = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert len(links) > 8
    assert [link for link in links if not (BASE / "docs" / link).exists()] == []


def test_each_file_in_the_project_that_it_names_is_there():
    named = set(re.findall(r"(?:/opt/mailhelper/|`)(deploy/[\w./@-]+\.\w+)", TEXT))
    assert named
    assert [name for name in named if not (BASE / name).exists()] == []
