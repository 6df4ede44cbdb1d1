"""What a person was told."""

from datetime import datetime
from uuid import UUID

from ninja import Field, Query, Router, Schema

from accounts.api.callers import OPERATES, READS
from accounts.api.cursors import Cursor, Limit, page
from accounts.api.problems import answers
from diagnostics.alerting import alerts, messages
from diagnostics.models import AlertKind

router = Router(tags=["notifications"], by_alias=False)


class Notification(Schema):
    notification_id: UUID
    kind: AlertKind
    reason: str
    account_id: UUID | None
    headline: str
    sentence: str
    next_step: str
    decided_at: datetime
    read_at: datetime | None


class Notifications(Schema):
    """Newest first."""

    items: list[Notification]
    unread: int
    next: str | None


class NotificationsQuery(Schema):
    unread: bool = Field(False, description="only those that are not read yet")
    cursor: Cursor = ""
    limit: Limit = 50


class Read(Schema):
    read: int


@router.get("", auth=READS, response=answers({200: Notifications}))
def list_notifications(request, asked: Query[NotificationsQuery]):
    told = alerts.told(request.user)
    if asked.unread:
        told = told.filter(read_at=None)
    shown, following = page(told, "decided_at", asked.cursor, asked.limit)
    return {
        "items": [_told(alert, messages.words_of(alert, request.user)) for alert in shown],
        "unread": alerts.unread_count(request.user),
        "next": following,
    }


@router.post("/read", auth=OPERATES, response=answers({200: Read}))
def read_notifications(request):
    """All of them are read."""
    return {"read": alerts.mark_all_read(request.user)}


def _told(alert, words) -> dict:
    return {
        "notification_id": alert.pk,
        "kind": alert.kind,
        "reason": alert.reason,
        "account_id": alert.account_id,
        "headline": words.headline,
        "sentence": words.sentence,
        "next_step": words.next_step,
        "decided_at": alert.decided_at,
        "read_at": alert.read_at,
    }
