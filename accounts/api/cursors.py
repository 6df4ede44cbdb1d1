"""Lists that a script reads page by page."""

from typing import Annotated

from pydantic import Field

from accounts import cursors
from accounts.api.problems import FieldError, Problem

Cursor = Annotated[str, Field(max_length=100, description="`next` of the page before; empty for the first")]
NO_CURSOR = "Input should be the `next` of a page before, unchanged, or empty"  # as pydantic words it
Limit = Annotated[int, Field(ge=1, le=100)]


def place_in(cursor: str) -> cursors.Place | None:
    """None for the first page. Raises Problem."""
    place = cursors.read(cursor)
    if cursor and place is None:
        raise Problem("invalid", errors=[FieldError(field="query.cursor", detail=NO_CURSOR)])
    return place


def page(rows, field: str, cursor: str, limit: int) -> tuple[list, str | None]:
    """The rows after the cursor, newest first, and where the next page begins."""
    if place := place_in(cursor):
        rows = rows.filter(cursors.older_than(place, field))
    found = list(rows.order_by(f"-{field}", "-pk")[: limit + 1])
    shown = found[:limit]
    return shown, cursors.write(getattr(shown[-1], field), shown[-1].pk) if len(found) > limit else None
