"""What operators set: what is wrong is named, and never shown."""

import pytest
from django.core.exceptions import ImproperlyConfigured

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
