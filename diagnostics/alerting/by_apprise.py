"""Alerts through the apprise library, which speaks to about 150 services by a URL each."""

import apprise
from apprise.common import PersistentStoreMode
from apprise.plugins import url_to_dict
from apprise.result import AppriseResultStatus
from django.utils.translation import gettext

from accounts.errors import ErrorType, SyncError, UsageError
from diagnostics.alerting import outbound
from diagnostics.alerting.messages import Message

# These show something on mailhelper's own machine, or run its programs.
ON_THIS_MACHINE = frozenset(
    ["blink1", "custom", "dbus", "file", "gio", "glib", "gnome", "kde", "macosx", "qt", "syslog", "windows"]
)
# These take a key or a text from its files: whole services, and options of others.
READ_FILES = frozenset({"fcm", "vapid"})
FILE_OPTIONS = ("template", "keyfile", "subfile", "pgp", "pem", "cert", "attach", "config")
# These send what a person writes to any address, as our own web hooks do with a signature.
GENERIC = frozenset(["form", "forms", "json", "jsons", "xml", "xmls"])
# Another method, or where else a receiver sends us; and keys with these signs, by which any header is set.
REQUEST_OPTIONS = ("redirect", "method")
SIGNED_OPTIONS = ("qsd+", "qsd-", "qsd:")
MOST_TARGETS = 5  # each is asked in turn, and goes on when our time is over
TIMEOUT = 25

_ASSET = apprise.AppriseAsset(
    storage_mode=PersistentStoreMode.MEMORY,
    service_timeout=TIMEOUT,
    app_id="mailhelper",
    app_desc="mailhelper",
    app_url="",
    secure_logging=True,
    http_redirects=False,
    pgp_autogen=False,
    pem_autogen=False,
    async_mode=False,
)


def check(url: str) -> None:
    """Raises UsageError."""
    parsed = _parsed(url)
    if parsed and (problem := _problem(parsed)):
        raise UsageError(problem)
    service = _service(parsed) if parsed else None
    if service is None:
        raise UsageError(
            gettext("apprise does not know this URL. Its services: https://github.com/caronc/apprise/wiki")
        )
    if len(service) > MOST_TARGETS:
        told = gettext("An apprise URL has at most {most} receivers: add a channel for the others.")
        raise UsageError(told.format(most=MOST_TARGETS))


def _parsed(url: str) -> dict | None:
    """As apprise itself reads it, so that nothing is barred by one reading and done by another."""
    return url_to_dict(url, secure_logging=True)


def _problem(parsed: dict) -> str:
    """Why this is not to be had; empty if it is."""
    options = [name.lower() for name in parsed.get("qsd", {})]
    if parsed["schema"] in ON_THIS_MACHINE | READ_FILES or any(
        name.startswith(FILE_OPTIONS) for name in options
    ):
        return gettext(
            "This kind of channel would run programs or read files on mailhelper's own machine, so it is "
            "not to be had."
        )
    if parsed["schema"] in GENERIC:
        return gettext("Add a web hook for that: it sends signed JSON to a URL.")
    if any(name in REQUEST_OPTIONS for name in options) or any(map(parsed.get, SIGNED_OPTIONS)):
        return gettext("Leave out redirect=, method= and what begins with +, - or : from the apprise URL.")
    return ""


def _service(parsed: dict) -> apprise.NotifyBase | None:
    return apprise.Apprise.instantiate(parsed, asset=_ASSET)


def send(url: str, message: Message, _signing_key: str) -> None:
    parsed = _parsed(url)
    service = _service(parsed) if parsed and not _problem(parsed) else None
    if service is None or len(service) > MOST_TARGETS:
        raise outbound.refused(hopeless=True)
    caller = apprise.Apprise(asset=_ASSET)
    caller.add(service)
    result = caller.notify(title=message.subject, body=message.text, body_format=apprise.NotifyFormat.TEXT)
    if not result:  # it says no more than this
        timed_out = getattr(result, "status", None) == AppriseResultStatus.TIMEOUT
        raise SyncError(ErrorType.TIMEOUT if timed_out else ErrorType.TEMPORARILY_UNAVAILABLE)
