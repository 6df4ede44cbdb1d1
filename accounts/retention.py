"""What is over for so long that it may go. Each app says so of its rows; pipeline/operations deletes them."""

from datetime import UTC, datetime, timedelta

from axes.models import AccessAttempt
from django.contrib.sessions.models import Session
from django.db.models import OuterRef, Q, QuerySet, Subquery

from accounts.models import ApiToken, GrantPurpose, Invitation, KeyGrant

ENDED_KEPT = timedelta(days=30)
ATTEMPTS_KEPT = timedelta(days=1)
NEVER = datetime.min.replace(tzinfo=UTC)


def days_before(now: datetime, days: int) -> datetime:
    """0 days keep for ever: nothing is that old."""
    return now - timedelta(days=days) if days else NEVER


def expired(now: datetime) -> dict[str, QuerySet]:
    ended = now - ENDED_KEPT
    return {
        "grants": _ended_grants(ended),
        "invitations": Invitation.objects.filter(Q(used_at__lt=ended) | Q(expires_at__lt=ended)),
        "api_tokens": ApiToken.objects.filter(expires_at__lt=ended),
        "sessions": Session.objects.filter(expire_date__lt=now),
        "sign_in_attempts": AccessAttempt.objects.filter(attempt_time__lt=now - ATTEMPTS_KEPT),
    }


def _ended_grants(before: datetime) -> QuerySet[KeyGrant]:
    """Of background grants the last of each account stays: it says why nothing is synced by itself."""
    background = KeyGrant.objects.filter(account=OuterRef("account"), purpose=GrantPurpose.BACKGROUND)
    last = Subquery(background.order_by("-created_at", "-pk").values("pk")[:1])
    replaced = ~Q(purpose=GrantPurpose.BACKGROUND) | ~Q(pk=last)
    return KeyGrant.objects.filter(replaced, revoked_at__lt=before)
