"""Where a page of a list begins: the time and the id of a row, in a text that may stand in an address."""

from datetime import UTC, datetime
from uuid import UUID

from django.db.models import Q

Place = tuple[datetime, UUID]


def write(at: datetime, pk: UUID) -> str:
    moment = at.astimezone(UTC).isoformat().removesuffix("+00:00")  # a plus would be a space in an address
    return f"{moment}Z~{pk}"


def read(text: str) -> Place | None:
    """None for what no page gave out."""
    at, _, pk = text.partition("~")
    try:
        return datetime.fromisoformat(at).astimezone(UTC), UUID(pk)
    except (ValueError, OverflowError):
        return None


def older_than(place: Place, field: str) -> Q:
    """Of a list that is ordered by -field and -pk. The last part lets an index begin there."""
    at, pk = place
    older = Q(**{f"{field}__lt": at}) | Q(**{field: at}, pk__lt=pk)
    return older & Q(**{f"{field}__lte": at})
