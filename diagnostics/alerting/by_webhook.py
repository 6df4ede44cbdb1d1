"""Alerts as signed JSON, posted to a URL.

The receiver computes HMAC-SHA256 over "t.body" with the signing key and compares it to v1 of the header
X-Mailhelper-Signature: t=<unix time>,v1=<hex>. A message that comes twice has the same Idempotency-Key.
"""

import hashlib
import hmac
import json
import re
import time
from urllib.parse import urlsplit

import requests
from django.conf import settings
from django.utils.translation import gettext

from accounts.actions import LOOPBACK
from accounts.errors import UsageError
from diagnostics.alerting import outbound, public_http
from diagnostics.alerting.messages import Message

TIMEOUTS = (5, 15)  # seconds to connect, and between bytes


def check(url: str) -> None:
    """Raises UsageError."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(gettext("This is not a URL.")) from error
    if parts.scheme not in ("http", "https") or not host:
        raise UsageError(gettext("A web hook's URL begins with https:// and a host."))
    asked = _asked_host(url)
    if parts.scheme == "http" and asked not in LOOPBACK and not settings.MAILHELPER_ALLOW_PLAINTEXT:
        raise UsageError(gettext("Without TLS alerts would travel readable. Use https."))


def _asked_host(url: str) -> str:
    """The host that would be asked: requests reads some URLs otherwise than urlsplit. Raises UsageError."""
    try:
        host = urlsplit(requests.Request("POST", url).prepare().url).hostname or ""
    except ValueError as error:  # requests' are, too
        raise UsageError(gettext("This is not a URL.")) from error
    if "\\" in url or not re.fullmatch(r"[0-9A-Za-z._:-]+", host):
        raise UsageError(gettext("This is not a URL."))
    return host


def send(url: str, message: Message, signing_key: str) -> None:
    body = json.dumps(message.payload, ensure_ascii=False).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "mailhelper",
        "Idempotency-Key": str(message.id),
        "X-Mailhelper-Signature": signature(body, signing_key, int(time.time())),
    }
    with (
        public_http.session() as session,
        session.post(
            url, data=body, headers=headers, timeout=TIMEOUTS, allow_redirects=False, stream=True
        ) as answer,  # a stream, so that no body is read
    ):
        outbound.check_answer(answer.status_code, answer.headers.get("Retry-After"))


def signature(body: bytes, signing_key: str, moment: int) -> str:
    signed = hmac.new(bytes.fromhex(signing_key), f"{moment}.".encode() + body, hashlib.sha256)
    return f"t={moment},v1={signed.hexdigest()}"
