"""How a mailbox is reached and what is fetched of it: sealed under the account's key."""

import json
import ssl
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext

from accounts import vault
from accounts.actions.keys import account_key, place
from accounts.errors import UsageError
from accounts.models import MailAccount, Security
from accounts.providers import provider_of

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


EVERYTHING = Filters()


def check_connection(security: str, connection: Connection) -> None:
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
    check_connection(security, connection)
    account.port, account.security = port, security
    account.provider = provider_of(connection.host)
    account.host_key = _host_key(connection.host, port)
    connection = replace(connection, mail_key_digest=vault.digest(account.user.vault.mail_public_key))
    account.sealed_connection = _seal_fields(account, key, "sealed_connection", connection)
    account.sealed_folder_rules = _seal_fields(account, key, "sealed_folder_rules", filters)


def _host_key(host: str, port: int) -> bytes:
    return vault.blind_index(settings.SECRET_KEY.encode(), "remote host", f"{host.lower()}:{port}".encode())


def keep_host_key(account: MailAccount, connection: Connection) -> None:
    """With another SECRET_KEY, as after a restore, newer accounts know the same server by another one."""
    before, now = account.host_key, _host_key(connection.host, account.port)
    if bytes(before) != now:
        MailAccount.objects.filter(pk=account.pk, host_key=before).update(host_key=now)
        account.host_key = now


def _seal_fields(account: MailAccount, key: bytes, field: str, value) -> bytes:
    packed = json.dumps(asdict(value), default=lambda moment: moment.isoformat())
    return vault.seal(key, packed.encode(), *place(account, field))


def connection_of(account: MailAccount, key: bytes) -> Connection:
    return Connection(
        **json.loads(vault.unseal(key, account.sealed_connection, *place(account, "sealed_connection")))
    )


def filters_of(account: MailAccount, key: bytes) -> Filters:
    where = place(account, "sealed_folder_rules")  # its first name: the seal is bound to it
    fields = json.loads(vault.unseal(key, account.sealed_folder_rules, *where))
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
