"""Who may open an account's key without its owner, for how long, and how that ends."""

from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from accounts import vault, worker_key
from accounts.errors import ErrorType, SealBroken, SyncError, UsageError
from accounts.models import GrantEnd, GrantPurpose, KeyGrant, MailAccount, User

LIFETIME = {GrantPurpose.JOB: timedelta(hours=24), GrantPurpose.BACKGROUND: timedelta(days=90)}


def grant(account: MailAccount, key: bytes, purpose: GrantPurpose) -> KeyGrant:
    """Seal the account's key to the workers. A background grant takes the place of the one before."""
    row = KeyGrant(
        account=account,
        worker_key=worker_key.current(),
        purpose=purpose,
        expires_at=timezone.now() + LIFETIME[purpose],
    )
    row.sealed_key = seal(row, key)
    with transaction.atomic():
        if purpose == GrantPurpose.BACKGROUND:
            revoke(account.grants.filter(purpose=GrantPurpose.BACKGROUND), GrantEnd.REPLACED)
        row.save(force_insert=True)
    return row


def revoke(grants, why: GrantEnd = GrantEnd.REVOKED) -> int:
    """End these grants for good: the sealed key goes with them. Returns how many were ended."""
    running = grants.filter(revoked_at=None)
    return running.update(revoked_at=timezone.now(), end_reason=why, sealed_key=b"")


def stop_background(accounts) -> int:
    """The owner wants no background sync, also where it had lapsed. Returns how many grants were ended."""
    theirs = KeyGrant.objects.filter(account__in=accounts, purpose=GrantPurpose.BACKGROUND)
    theirs.exclude(revoked_at=None).update(end_reason=GrantEnd.REVOKED)
    return revoke(theirs)


def end_expired() -> int:
    """Destroy the sealed keys of grants whose time is over."""
    return revoke(KeyGrant.objects.filter(expires_at__lte=timezone.now()), GrantEnd.EXPIRED)


def extend_background(user: User) -> int:
    """Let a person's background grants last their whole time from now. Returns how many."""
    theirs = valid_grants().filter(account__user=user, purpose=GrantPurpose.BACKGROUND)
    return theirs.update(expires_at=timezone.now() + LIFETIME[GrantPurpose.BACKGROUND])


def valid_grants():
    running = KeyGrant.objects.filter(revoked_at=None, expires_at__gt=timezone.now())
    return running.filter(worker_key__retired_at=None).select_related("worker_key")


def all_in_background(accounts: list[MailAccount]) -> bool:
    """Whether the workers can open each of these without its owner."""
    return _in_background(accounts).count() == len(accounts)


def any_in_background(accounts: list[MailAccount]) -> bool:
    return _in_background(accounts).exists()


def _in_background(accounts: list[MailAccount]):
    return valid_grants().filter(purpose=GrantPurpose.BACKGROUND, account__in=accounts)


def background_ends(accounts: list[MailAccount]) -> dict[UUID, datetime]:
    """Until when the workers may open each of those that they may."""
    return dict(_in_background(accounts).values_list("account", "expires_at"))


def last_background_grants(accounts) -> dict[UUID, KeyGrant]:
    """The newest one of each account that ever had one."""
    rows = KeyGrant.objects.filter(account__in=accounts, purpose=GrantPurpose.BACKGROUND)
    rows = rows.select_related("worker_key").order_by(F("created_at").asc(), "pk")
    return {row.account_id: row for row in rows}


def open_account_key(account: MailAccount, grant_id: UUID | None) -> bytes:
    """The account's key by the run's own grant or the account's background grant.

    Raises SyncError no_key when neither is there, or this machine's worker key does not open it.
    """
    own_or_background = Q(pk=grant_id) | Q(purpose=GrantPurpose.BACKGROUND)
    candidates = list(valid_grants().filter(own_or_background, account=account).order_by("-purpose"))
    try:
        private = worker_key.key_pair().private if candidates else b""
    except UsageError as error:
        raise SyncError(ErrorType.NO_KEY, reason="worker_key") from error
    for candidate in candidates:
        try:
            key = open_grant(candidate, private)
        except SealBroken:
            continue
        KeyGrant.objects.filter(pk=candidate.pk).update(last_used_at=timezone.now())
        return key
    raise SyncError(ErrorType.NO_KEY, reason="worker_key" if candidates else "no_grant")


def seal(row: KeyGrant, key: bytes) -> bytes:
    return vault.seal_to(row.worker_key.public_key, key, *_place(row))


def open_grant(row: KeyGrant, private: bytes) -> bytes:
    """Raises SealBroken."""
    return vault.unseal_with(private, row.sealed_key, *_place(row))


def _place(row: KeyGrant) -> tuple[object, ...]:
    return row._meta.db_table, row.pk, "sealed_key", row.account_id, row.purpose
