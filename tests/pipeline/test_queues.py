"""The embedded queue, where its folder is not as it should be."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from pipeline.queues import EmbeddedQueue


def test_a_queue_that_cannot_be_opened_names_its_folder(tmp_path):
    (tmp_path / "queue.sqlite3").mkdir()
    with pytest.raises(ImproperlyConfigured) as raised:
        EmbeddedQueue("mailhelper", filename=str(tmp_path / "queue.sqlite3"))
    assert f"The queue in {tmp_path} cannot be opened" in str(raised.value)
    assert "MAILHELPER_VAR" in str(raised.value)
