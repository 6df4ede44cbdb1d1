"""What can be done with people and accounts. Doors call these and answer."""

import json
import ssl
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from functools import cache
from zoneinfo import available_timezones

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext

from accounts import hashers, vault
from accounts.errors import (
    NameTaken,
    PasswordTooLong,
    SealBroken,
    UsageError,
    WrongPassword,
    WrongRecoveryKey,
)
from accounts.models import MailAccount, Security, User, Vault
from accounts.providers import provider_of

MINUTES_OF_A_DAY = 24 * 60
MOST_MEGABYTES = 10**9
_NO_KEY = vault.seal(vault.new_key(), vault.new_key())  # opens to no recovery key
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Connection:
    """What it takes to reach and open a mailbox; stored sealed under the account key.

    `mail_key_digest` says whose mail key the account's mail is sealed to, so that nobody can put another
    one into the database.
    """

    host: str
    login: str
    secret: str
    ca_pem: str = ""
    mail_key_digest: str = ""

    def __repr__(self):
        return "Connection(…)"


@dataclass(frozen=True)
class Filters:
    """Which mail of an account is fetched. What they leave out is counted as excluded.

    `include` and `exclude` are glob patterns over folder names; an include pattern also admits what is left
    out by default. `since` leaves out what arrived before that day (UTC), `unread_before` what arrived
    before that moment and was read, `max_mail_bytes` the body of what is larger.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    since: date | None = None
    unread_before: datetime | None = None
    max_mail_bytes: int | None = None


@dataclass(frozen=True)
class NewPerson:
    user: User
    user_key: bytes
    recovery_key: str

    def __repr__(self):
        return f"NewPerson({self.user!r}, …)"


def add_person(
    email: str, password: str, *, operator: bool = False, language: str = "en", time_zone: str = "UTC"
) -> NewPerson:
    """Raises UsageError when the address is taken or is none, or the password is weak."""
    email = address_of(email)
    _check_address(email)
    _check_language(language)
    _check_time_zone(time_zone)
    user = User(email=email, language=language, time_zone=time_zone, is_staff=operator, is_superuser=operator)
    _check_password(password, user)
    user_key, recovery_key = vault.new_key(), vault.new_recovery_key()
    user.set_unusable_password()
    try:
        with transaction.atomic():
            user.save()
            Vault.objects.create(**_new_vault(user, user_key, recovery_key))
            _rewrap(user, user_key, password)
    except IntegrityError as error:
        taken = gettext("There is already a person with the address {email}.").format(email=email)
        raise UsageError(taken) from error
    return NewPerson(user, user_key, recovery_key)


def address_of(typed: str) -> str:
    return typed.replace("\0", "").strip().lower()  # PostgreSQL takes no NUL


def _check_address(email: str) -> None:
    try:
        User._meta.get_field("email").clean(email, None)
    except ValidationError as error:
        raise UsageError(gettext("{email!r} is not an e-mail address.").format(email=email)) from error


def _check_password(password: str, user: User) -> None:
    if len(password) > vault.MAX_PASSWORD:
        raise PasswordTooLong
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise UsageError(" ".join(error.messages)) from error


def _new_vault(user: User, user_key: bytes, recovery_key: str) -> dict:
    mail_keys = vault.new_key_pair()
    row = Vault(user=user)
    return {
        "id": row.id,
        "user": user,
        "user_key_by_password": b"",
        "user_key_by_recovery_key": _wrapped_by_recovery_key(row, user_key, recovery_key),
        "mail_public_key": mail_keys.public,
        "sealed_mail_private_key": vault.seal(
            user_key, mail_keys.private, *_place(row, "sealed_mail_private_key")
        ),
    }


def _wrapped_by_recovery_key(row: Vault, user_key: bytes, recovery_key: str) -> bytes:
    wrapping_key = vault.recovery_wrapping_key(recovery_key)
    return vault.seal(wrapping_key, user_key, *_place(row, "user_key_by_recovery_key"))


def _place(row, field: str) -> tuple[str, object, str]:
    return row._meta.db_table, row.pk, field


def _rewrap(user: User, user_key: bytes, password: str) -> None:
    """The one place that writes a password: verifier and wrapped key change together."""
    salt, cost = vault.new_salt(), settings.MAILHELPER_ARGON2_COST
    keys = vault.password_keys(password, salt, cost)
    user.password = hashers.encode(keys.verifier, salt, cost)
    row = user.vault
    row.user_key_by_password = vault.seal(keys.wrapping_key, user_key, *_place(row, "user_key_by_password"))
    with transaction.atomic():
        User.objects.filter(pk=user.pk).update(password=user.password)
        row.save(update_fields=["user_key_by_password"])


def unlock(user: User, password: str) -> bytes:
    """The user key. Raises WrongPassword; one Argon2id answers both questions."""
    keys = hashers.keys_if_right(password, user.password)
    if keys is None or not user.is_active:
        raise WrongPassword
    return vault.unseal(
        keys.wrapping_key, user.vault.user_key_by_password, *_place(user.vault, "user_key_by_password")
    )


def unlock_by_address(email: str, password: str) -> tuple[User, bytes]:
    """Raises WrongPassword after the same work whether or not the address is known."""
    user = _known_by(email)
    if len(password) > vault.MAX_PASSWORD:
        raise WrongPassword
    if user is None or not user.has_usable_password():
        vault.password_keys(password, vault.new_salt(), settings.MAILHELPER_ARGON2_COST)
        raise WrongPassword
    return user, unlock(user, password)


def _known_by(email: str) -> User | None:
    known = User.objects.filter(email=address_of(email), vault__isnull=False)
    return known.select_related("vault").first()


def unlock_by_address_and_recovery_key(email: str, recovery_key: str) -> tuple[User, bytes]:
    """Raises WrongRecoveryKey after the same work whether or not the address is known."""
    user = _known_by(email)
    nobody = Vault(user=User(is_active=False), user_key_by_recovery_key=_NO_KEY).user
    user_key = unlock_by_recovery_key(user or nobody, recovery_key)
    if user is None or not user.is_active:
        raise WrongRecoveryKey
    return user, user_key


def unlock_by_recovery_key(user: User, recovery_key: str) -> bytes:
    wrapping_key = vault.recovery_wrapping_key(recovery_key)
    place = _place(user.vault, "user_key_by_recovery_key")
    try:
        return vault.unseal(wrapping_key, user.vault.user_key_by_recovery_key, *place)
    except SealBroken as error:
        raise WrongRecoveryKey from error


def change_password(user: User, user_key: bytes, new_password: str) -> None:
    _check_password(new_password, user)
    _rewrap(user, user_key, new_password)


def new_recovery_key(user: User, user_key: bytes) -> str:
    """From now on the one before opens nothing here."""
    recovery_key, row = vault.new_recovery_key(), user.vault
    row.user_key_by_recovery_key = _wrapped_by_recovery_key(row, user_key, recovery_key)
    row.save(update_fields=["user_key_by_recovery_key"])
    return recovery_key


def mail_private_key(user: User, user_key: bytes) -> bytes:
    return vault.unseal(
        user_key, user.vault.sealed_mail_private_key, *_place(user.vault, "sealed_mail_private_key")
    )


def account_key(account: MailAccount, user_key: bytes) -> bytes:
    return vault.unseal(user_key, account.sealed_account_key, *_place(account, "sealed_account_key"))


def account_keys(accounts: Iterable[MailAccount], user_key: bytes) -> dict:
    """The keys by account. One whose seal is broken is left out: its run will say that it has no key."""
    keys = {}
    for account in accounts:
        with suppress(SealBroken):
            keys[account.pk] = account_key(account, user_key)
    return keys


def add_account(
    user: User,
    user_key: bytes,
    label: str,
    port: int,
    security: str,
    connection: Connection,
    filters: Filters = Filters(),
) -> MailAccount:
    """Raises UsageError when the label is taken or the connection would send the password in clear."""
    return save_new(drafted(user, user_key, label, port, security, connection, filters))


def drafted(
    user: User,
    user_key: bytes,
    label: str,
    port: int,
    security: str,
    connection: Connection,
    filters: Filters = Filters(),
) -> MailAccount:
    """The same account, not saved yet: it can be examined. Raises UsageError."""
    account = MailAccount(user=user, label=_clean_label(label))
    key = vault.new_key()
    account.sealed_account_key = vault.seal(user_key, key, *_place(account, "sealed_account_key"))
    describe(account, key, port, security, connection, filters)
    return account


def save_new(account: MailAccount) -> MailAccount:
    """Raises NameTaken."""
    _save_named(account, force_insert=True)
    return account


def rename_account(account: MailAccount, label: str) -> None:
    """Raises UsageError."""
    account.label = _clean_label(label)
    _save_named(account, update_fields=["label"])


def _save_named(account: MailAccount, **how) -> None:
    try:
        with transaction.atomic():
            account.save(**how)
    except IntegrityError as error:
        raise NameTaken(account.label) from error


def replace_connection(
    account: MailAccount,
    user_key: bytes,
    port: int,
    security: str,
    connection: Connection,
    filters: Filters,
) -> None:
    """New settings for the same mailbox: its stored mail and its ledger stay, its failures are forgotten."""
    describe(account, account_key(account, user_key), port, security, connection, filters)
    account.connection_changed_at = account.next_due = timezone.now()
    described = ("port", "security", "provider", "host_key", "sealed_connection", "sealed_folder_rules")
    account.save(update_fields=[*described, "connection_changed_at", "next_due"])


def set_schedule(account: MailAccount, interval_minutes: int | None, fixed_times: Iterable[str]) -> None:
    """Sync at an interval or, if given, at fixed times of day ("09:00"). Raises UsageError."""
    minutes = account.interval_minutes if interval_minutes is None else interval_minutes
    if not 1 <= minutes <= MINUTES_OF_A_DAY:
        raise UsageError(gettext("An interval is from 1 to {most} minutes.").format(most=MINUTES_OF_A_DAY))
    account.interval_minutes, account.fixed_times = minutes, sorted({_time_of_day(at) for at in fixed_times})
    account.next_due = None  # the tick gives it its place in line
    account.schedule_changed_at = timezone.now()
    account.save(update_fields=["interval_minutes", "fixed_times", "next_due", "schedule_changed_at"])


def _time_of_day(text: str) -> str:
    try:
        return datetime.strptime(text.strip(), "%H:%M").strftime("%H:%M")
    except ValueError as error:
        raise UsageError(
            gettext("{text!r} is not a time of day, such as 09:00.").format(text=text)
        ) from error


def set_enabled(account: MailAccount, enabled: bool) -> None:
    """Paused accounts are synced neither by themselves nor by "fetch all"."""
    account.enabled, account.schedule_changed_at = enabled, timezone.now()
    account.save(update_fields=["enabled", "schedule_changed_at"])


def set_daily_budget(account: MailAccount, megabytes: int | None) -> None:
    """0 is without limit, None what the provider allows. Raises UsageError."""
    if megabytes is not None and not 0 <= megabytes <= MOST_MEGABYTES:
        raise UsageError(gettext("A budget is from 0 to {most} megabytes a day.").format(most=MOST_MEGABYTES))
    account.daily_budget_bytes = None if megabytes is None else megabytes * 1_000_000
    account.save(update_fields=["daily_budget_bytes"])


def set_time_zone(user: User, name: str) -> None:
    """Raises UsageError for a zone that does not exist."""
    _check_time_zone(name)
    user.time_zone = name
    user.save(update_fields=["time_zone"])
    user.mail_accounts.update(next_due=None)


def _check_time_zone(name: str) -> None:
    if name not in time_zones():
        raise UsageError(gettext("{name!r} is not a time zone, such as Europe/Berlin.").format(name=name))


@cache
def time_zones() -> list[str]:
    return sorted(available_timezones())


def set_language(user: User, code: str) -> None:
    """Raises UsageError."""
    _check_language(code)
    user.language = code
    user.save(update_fields=["language"])


def _check_language(code: str) -> None:
    if code not in dict(settings.LANGUAGES):
        known = ", ".join(dict(settings.LANGUAGES))
        raise UsageError(
            gettext("There is no language {code!r}. There are: {known}.").format(code=code, known=known)
        )


def _clean_label(label: str) -> str:
    label = " ".join(label.split())
    if not label or len(label) > 100 or not label.isprintable():
        raise UsageError(
            gettext("An account needs a name of 1 to 100 characters, none of them a control character.")
        )
    return label


def _check_connection(security: str, connection: Connection) -> None:
    if not connection.host.strip() or not connection.login or not connection.secret:
        raise UsageError(gettext("Host, login and password must not be empty."))
    if not (connection.host + connection.login + connection.secret).isprintable():
        raise UsageError(gettext("Host, login and password must not hold control characters."))
    if set(connection.host) & set("/ @"):
        raise UsageError(gettext("The host is the server's bare name, as imap.gmx.net."))
    local = connection.host in LOOPBACK or settings.MAILHELPER_ALLOW_PLAINTEXT
    if security == Security.NONE and not local:
        raise UsageError(
            gettext(
                "Without TLS the password would travel readable. Choose TLS or STARTTLS as security "
                "(or set MAILHELPER_ALLOW_PLAINTEXT if this network is yours)."
            )
        )


def checked_ca(pem: str) -> str:
    """The same text. Raises UsageError when it holds no certificate."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError, TypeError) as error:  # TypeError: letters beyond ASCII
        raise UsageError(gettext("The CA file holds no certificate in PEM form.")) from error
    return pem


def describe(
    account: MailAccount, key: bytes, port: int, security: str, connection: Connection, filters: Filters
) -> None:
    """How its mailbox is reached, and what is fetched; nothing is saved yet. Raises UsageError."""
    _check_connection(security, connection)
    account.port, account.security = port, security
    account.provider = provider_of(connection.host)
    account.host_key = _host_key(connection.host, port)
    connection = replace(connection, mail_key_digest=vault.digest(account.user.vault.mail_public_key))
    account.sealed_connection = _seal_fields(account, key, "sealed_connection", connection)
    account.sealed_folder_rules = _seal_fields(account, key, "sealed_folder_rules", filters)


def _host_key(host: str, port: int) -> bytes:
    return vault.blind_index(settings.SECRET_KEY.encode(), "remote host", f"{host.lower()}:{port}".encode())


def _seal_fields(account: MailAccount, key: bytes, field: str, value) -> bytes:
    packed = json.dumps(asdict(value), default=lambda moment: moment.isoformat())
    return vault.seal(key, packed.encode(), *_place(account, field))


def connection_of(account: MailAccount, key: bytes) -> Connection:
    return Connection(
        **json.loads(vault.unseal(key, account.sealed_connection, *_place(account, "sealed_connection")))
    )


def filters_of(account: MailAccount, key: bytes) -> Filters:
    place = _place(account, "sealed_folder_rules")  # its first name: the seal is bound to it
    fields = json.loads(vault.unseal(key, account.sealed_folder_rules, *place))
    since, unread_before = fields.get("since"), fields.get("unread_before")
    return Filters(
        tuple(fields["include"]),
        tuple(fields["exclude"]),
        since and date.fromisoformat(since),
        unread_before and datetime.fromisoformat(unread_before),
        fields.get("max_mail_bytes"),
    )


def set_filters(account: MailAccount, user_key: bytes, filters: Filters) -> None:
    """The next sync fetches what these admit, and counts as excluded what they leave out."""
    key = account_key(account, user_key)
    account.sealed_folder_rules = _seal_fields(account, key, "sealed_folder_rules", filters)
    account.save(update_fields=["sealed_folder_rules"])
