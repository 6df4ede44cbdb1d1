"""Where a page of a list begins, as a text that comes back."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from accounts import cursors

ID = UUID("00000000-0000-4000-8000-000000000001")


@pytest.mark.parametrize(
    "at",
    [
        datetime(2026, 11, 24, 12, 0, 0, 5, tzinfo=UTC),
        datetime(2026, 11, 24, tzinfo=UTC),
        datetime.min.replace(tzinfo=UTC),  # as a server may say when a mail came
        datetime.max.replace(tzinfo=UTC),
    ],
)
def test_a_place_is_read_as_it_was_written(at):
    assert cursors.read(cursors.write(at, ID)) == (at, ID)


def test_a_place_may_stand_in_an_address_as_it_is():
    assert not set(cursors.write(datetime.now(UTC), ID)) & set("+&# %")


@pytest.mark.parametrize("text", ["", "~", "nonsense", f"0001-01-01T00:00:00+14:00~{ID}", "2026-11-24~x"])
def test_what_no_page_gave_out_is_no_place(text):
    assert cursors.read(text) is None
