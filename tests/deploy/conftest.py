"""What the files in deploy/ and the runbook name has to be there."""

import argparse
import re

import pytest
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand

from tests.installation import BASE

DEPLOY = BASE / "deploy"
OF_OTHERS = {"FORWARDED_ALLOW_IPS"}  # gunicorn's


def known_settings() -> set[str]:
    """The names that settings.py reads, and those of the files that may hold them."""
    source = (BASE / "mailhelper" / "settings.py").read_text()
    names = set(re.findall(r'(?:env(?:\.\w+)?|environ\.get)\(\s*"([A-Z_]+)"', source))
    return names | {f"{name}_FILE" for name in names} | OF_OTHERS


def parse_command(words: list[str]) -> argparse.Namespace:
    """As manage.py would read these arguments. Raises CommandError, KeyError."""
    name, *arguments = words
    app = get_commands()[name]
    command = app if isinstance(app, BaseCommand) else load_command_class(app, name)
    return command.create_parser("manage.py", name).parse_args(arguments)


@pytest.fixture(scope="session")
def settings_names():
    return known_settings()
