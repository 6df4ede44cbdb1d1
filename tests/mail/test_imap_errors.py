"""What a server's words are called, at the login and after it."""

import imaplib

import pytest

from accounts.errors import ErrorType
from mail.imap_errors import translated


def named(words: str, login: bool) -> str:
    refused = ErrorType.PROTOCOL_ERROR if login else ErrorType.MAILBOX_GONE
    return translated(imaplib.IMAP4.error(words), login, refused).error_type


@pytest.mark.parametrize(
    "words",
    [
        "Server error - please try again later",
        "Service not available",
        "Authentication service is unavailable, try later",
        "Login timed out",
        "Could not connect to backend",
        "[SYS/TEMP] Backend down",
        "Internal authentication failure",
        "LDAP lookup failed",
        "[UNAVAILABLE] Temporary authentication failure.",
        "[INUSE] the mailbox is open elsewhere",
        "System Error (Failure)",
    ],
)
def test_an_outage_is_not_taken_for_a_wrong_password(words):
    assert named(words, login=True) == "temporarily_unavailable"


@pytest.mark.parametrize(
    ("words", "error_type"),
    [
        ("LOGIN failed.", "auth_failed"),
        ("[AUTHENTICATIONFAILED] Authentication failed, please try again later", "invalid_credentials"),
        ("[AUTHENTICATIONFAILED] Invalid credentials (Failure)", "invalid_credentials"),
        ("Your account has been temporarily blocked", "account_disabled"),
        ("Account is not enabled for IMAP", "account_disabled"),
        ("Too many failed login attempts", "throttled"),
        ("[LIMIT] too many", "throttled"),
        ("[EXPIRED] password expired", "needs_reauth"),
    ],
)
def test_a_refused_login_is_called_by_its_cause(words, error_type):
    assert named(words, login=True) == error_type


@pytest.mark.parametrize(
    "words",
    [
        "[NOPERM] Mailbox Throttle valves: permission denied",
        "[NONEXISTENT] Rate limit hit",
        "Mailbox Throttle valves does not exist",
        "Mailbox Rate limits is corrupt",
        "[CONTACTADMIN] mailbox index is corrupt",
        "[EXPIRED] this folder",
        "[AUTHORIZATIONFAILED] not yours",
        "[UNAVAILABLE] not this one",
    ],
)
def test_after_the_login_the_trouble_of_one_folder_stays_its_own(words):
    assert named(words, login=False) == "mailbox_gone"


@pytest.mark.parametrize(
    ("words", "error_type"),
    [
        ("Request is throttled. Suggested Backoff Time: 5000 milliseconds", "throttled"),
        ("User is authenticated but not connected.", "throttled"),
        ("[OVERQUOTA] Account exceeded command or bandwidth limits.", "throttled"),
        ("[ALERT] Too many simultaneous connections. (Failure)", "too_many_connections"),
        ("[OVERQUOTA] full", "quota"),
    ],
)
def test_after_the_login_whole_phrases_of_providers_are_known(words, error_type):
    assert named(words, login=False) == error_type


def test_a_servers_hint_is_a_fact_in_seconds():
    error = translated(imaplib.IMAP4.error("Suggested Backoff Time: 1500 milliseconds"), True, None)
    assert error.facts == {"backoff_seconds": 1.5}


def test_a_lost_connection_a_farewell_and_an_odd_answer_are_told_apart():
    words = {
        "socket error: EOF": "connection_reset",
        "command: EXAMINE => shutting down": "temporarily_unavailable",
        "unexpected response: b'220 smtp'": "protocol_error",
    }
    for said, error_type in words.items():
        assert translated(imaplib.IMAP4.abort(said), False, None).error_type == error_type
