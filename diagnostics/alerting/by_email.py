"""Alerts as e-mail, through the mail server of EMAIL_URL."""

from email.utils import parseaddr

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.core.validators import validate_email
from django.utils.translation import gettext

from accounts.errors import UsageError
from diagnostics.alerting.messages import Message


def check(address: str) -> None:
    """Raises UsageError."""
    try:
        validate_email(address)
    except ValidationError as error:
        raise UsageError(gettext("This is not an e-mail address.")) from error


def send(address: str, message: Message, _signing_key: str) -> None:
    headers = {
        "Message-ID": message_id(message),
        "Auto-Submitted": "auto-generated",  # RFC 3834: no holiday replies
    }
    EmailMessage(message.subject, message.text, None, [address], headers=headers).send()


def message_id(message: Message) -> str:
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]
    return f"<{message.id}@mailhelper.{domain}>"
