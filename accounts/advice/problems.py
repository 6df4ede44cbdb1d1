"""Why a request of a script was not answered, and what its writer can do."""

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as N_

from accounts.advice.errors import advise
from accounts.advice.words import Advice, told

_PROBLEMS = {
    "malformed": (
        N_("The body of the request is not JSON."),
        N_("Send JSON, as the API's documents show it."),
    ),
    "unauthenticated": (
        N_("Nobody is signed in, or the token is unknown, revoked or has ended."),
        N_("Send a valid token: Authorization: Bearer … They are made under Settings, API tokens."),
    ),
    "session_only": (
        N_("This needs a signed-in, unlocked session: no token opens stored mail or takes a password."),
        N_("Use the pages, or sign in and send the session's cookies."),
    ),
    "csrf": (
        N_("A request by session that changes something needs the CSRF token."),
        N_("Send the cookie csrftoken also as the header X-CSRFToken, or use an API token."),
    ),
    "locked": (
        N_("What was asked for needs a key that neither you nor the workers have now."),
        N_(
            "Unlock the session, allow background sync for the account, or use a token that may have it "
            "fetched (Settings, API tokens)."
        ),
    ),
    "not_found": (
        N_("There is nothing at this address, or it is not yours."),
        N_("Check the id; the lists of the API name every one that is yours."),
    ),
    "method_not_allowed": (
        N_("This address does not take this method."),
        N_("The header Allow names those it takes."),
    ),
    "invalid": (
        N_("The request does not have the form that it needs."),
        N_("Correct what `errors` names and send it again."),
    ),
    "key_reused": (
        N_("This Idempotency-Key was sent before with another request."),
        N_("Take a new key for a new request."),
    ),
    "nothing_to_retry": (
        N_("Each account of this job was fetched, or is still being fetched."),
        N_("Nothing has to be done."),
    ),
    "too_many_requests": (
        N_("Too many requests within a minute."),
        N_("Wait as long as the header Retry-After says."),
    ),
    "too_many_streams": (
        N_("Too many event streams are open."),
        N_("Ask for the job itself instead, or try again as the header Retry-After says."),
    ),
    "unavailable": (
        N_("The database does not answer."),
        N_("Try again in a minute; whoever runs this mailhelper finds more in its log."),
    ),
    "bug": (
        N_("mailhelper made a mistake while it answered."),
        N_("Try again; if it stays, whoever runs this mailhelper finds more in its log."),
    ),
}


def problem(code: str) -> Advice:
    return told(*_PROBLEMS[code]) if code in _PROBLEMS else advise(code)


def insufficient_scope(needed: str) -> Advice:
    return Advice(
        gettext("This token may not do that: it needs the scope {scope}.").format(scope=needed),
        gettext("Make a token of the scope {scope} under Settings, API tokens.").format(scope=needed),
    )


def refused(sentence: str) -> Advice:
    """What was understood and cannot be done."""
    return Advice(sentence, gettext("Change the request and send it again."))
