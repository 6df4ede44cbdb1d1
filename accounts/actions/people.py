"""People: how they come, how they open their vault, and how they are spoken to."""

from dataclasses import dataclass
from functools import cache
from zoneinfo import available_timezones

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext

from accounts import hashers, vault
from accounts.actions.keys import place
from accounts.errors import PasswordTooLong, SealBroken, UsageError, WrongPassword, WrongRecoveryKey
from accounts.models import User, Vault

_NO_KEY = vault.seal(vault.new_key(), vault.new_key())  # opens to no recovery key


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
            user_key, mail_keys.private, *place(row, "sealed_mail_private_key")
        ),
    }


def _wrapped_by_recovery_key(row: Vault, user_key: bytes, recovery_key: str) -> bytes:
    wrapping_key = vault.recovery_wrapping_key(recovery_key)
    return vault.seal(wrapping_key, user_key, *place(row, "user_key_by_recovery_key"))


def _rewrap(user: User, user_key: bytes, password: str) -> None:
    """The one place that writes a password: verifier and wrapped key change together."""
    salt, cost = vault.new_salt(), settings.MAILHELPER_ARGON2_COST
    keys = vault.password_keys(password, salt, cost)
    user.password = hashers.encode(keys.verifier, salt, cost)
    row = user.vault
    row.user_key_by_password = vault.seal(keys.wrapping_key, user_key, *place(row, "user_key_by_password"))
    with transaction.atomic():
        User.objects.filter(pk=user.pk).update(password=user.password)
        row.save(update_fields=["user_key_by_password"])


def unlock(user: User, password: str) -> bytes:
    """The user key. Raises WrongPassword; one Argon2id answers both questions."""
    keys = hashers.keys_if_right(password, user.password)
    if keys is None or not user.is_active:
        raise WrongPassword
    return vault.unseal(
        keys.wrapping_key, user.vault.user_key_by_password, *place(user.vault, "user_key_by_password")
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
    where = place(user.vault, "user_key_by_recovery_key")
    try:
        return vault.unseal(wrapping_key, user.vault.user_key_by_recovery_key, *where)
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
