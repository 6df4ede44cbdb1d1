"""What a person is told, and how it reached them."""

from dataclasses import dataclass

from django.utils.formats import localize
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as N_

from accounts.advice.health import health
from accounts.advice.probes import probe_advice
from accounts.advice.words import Advice, told
from accounts.errors import ErrorType


@dataclass(frozen=True)
class AlertWords:
    """`headline` is one line; `sentence` and `next_step` as in Advice."""

    headline: str
    sentence: str
    next_step: str


# Headline, sentence, next step; the cause's own stand before them.
_ALERTS = {
    "broken": (
        N_("{account} is not synced any more"),
        N_("Last good sync: {last_success}."),
        N_("mailhelper keeps trying now and then, and says so when it works again."),
    ),
    "dead_man": (
        N_("{account} has not been synced for too long"),
        N_("Last good sync: {last_success}."),
        N_("mailhelper keeps trying, and says so when it works again."),
    ),
    "degraded": (
        N_("{account} has trouble"),
        N_("Last good sync: {last_success}."),
        N_("mailhelper tries again by itself, and says so if it gets worse."),
    ),
    "recovered": (
        N_("{account} works again"),
        N_("{account} is in order again."),
        N_("Nothing has to be done."),
    ),
    "quarantine": (
        N_("{account}: mails that cannot be fetched"),
        N_(
            "{count} mails of {account} cannot be fetched or read, {grown} of them since we last spoke of it."
        ),
        N_("manage.py ledger shows where; manage.py sync_all --retry tries them again."),
    ),
    "grant_expiring": (
        N_("{account}: background sync ends soon"),
        N_("The permission to sync {account} without you ends: {expires_at}."),
        N_("Sign in once, which extends it; or: manage.py grants EMAIL --background."),
    ),
    "job_failed": (
        N_("A fetch that you asked for failed"),
        N_("Not fetched: {failed} of {accounts} accounts."),
        N_("The overview shows which, with the cause of each."),
    ),
    "slow": (
        N_("{account} is slow"),
        N_(
            "{operation} of {account} took {seconds} s at the median of its last syncs; above {critical} "
            "s is critical."
        ),
        N_("If it stays, ask the provider, and look at manage.py profile_sync."),
    ),
    "scheduler_dead": (
        N_("Nothing is synced by itself"),
        N_("The scheduler has not been heard since {since}."),
        N_("Start a worker on the machine that runs mailhelper: manage.py run_huey."),
    ),
    "scheduler_back": (
        N_("The scheduler is back"),
        N_("Nothing was synced by itself since {since}. Now it is again."),
        N_("Nothing has to be done; if the machine was not switched off, look into the worker's log."),
    ),
    "channel_disabled": (
        N_("Alerts no longer go through {channel}"),
        N_("Messages through {channel} could not be delivered, so it was switched off."),
        N_("Put it right, send a test, and switch it on again: on the page Alerts, or manage.py alerts."),
    ),
    "test": (
        N_("A test from mailhelper"),
        N_("This is a test: alerts arrive here."),
        N_("Nothing has to be done."),
    ),
}
_OPERATIONS = {
    "connect": N_("Connecting"),
    "folder_list": N_("Comparing folders"),
    "fetch_50_mails": N_("Fetching 50 mails"),
    "parse_save_50_mails": N_("Reading and sealing 50 mails"),
    "total_100_mails": N_("A sync of 100 mails"),
}
_WITH_CAUSE = ("broken", "degraded", "dead_man", "job_failed")
_DELIVERIES = {
    ErrorType.TIMEOUT: (
        N_("The receiver took too long to answer."),
        N_("Another try in a few minutes may help."),
    ),
    ErrorType.CONNECTION_RESET: (
        N_("The connection to the receiver broke off."),
        N_("Another try in a few minutes may help."),
    ),
    ErrorType.CONNECTION_REFUSED: (
        N_("Nothing answers at the receiver's address."),
        N_("For e-mail check EMAIL_URL in mailhelper's settings, else the address and its port."),
    ),
    ErrorType.DNS_FAILED: (N_("The receiver's name was not found."), N_("Check how it is spelt.")),
    ErrorType.TLS_FAILED: (
        N_("The receiver's certificate could not be trusted, so nothing was sent."),
        N_("It needs a certificate that this machine trusts."),
    ),
    ErrorType.INVALID_CREDENTIALS: (
        N_("The receiver refused the login or the token."),
        N_("Add the channel again with the right ones; for e-mail check EMAIL_URL in mailhelper's settings."),
    ),
    ErrorType.THROTTLED: (
        N_("The receiver asks us to slow down."),
        N_("Another try in a few minutes may help."),
    ),
    ErrorType.TEMPORARILY_UNAVAILABLE: (
        N_("The receiver cannot take messages at the moment."),
        N_("Another try in a few minutes may help."),
    ),
    ErrorType.DELIVERY_REFUSED: (
        N_("The receiver does not take this message."),
        N_("Check whether the address still exists and is right; if not, add the channel anew."),
    ),
    ErrorType.PRIVATE_HOST: (
        N_(
            "The receiver's address belongs to this machine or a private network, and this mailhelper sends "
            "to public addresses only."
        ),
        N_(
            "Check how it is spelt. If it is meant, whoever runs mailhelper can allow it: "
            "MAILHELPER_ALLOW_PRIVATE_HOSTS=1 in its .env or environment, then start it again."
        ),
    ),
    ErrorType.NO_KEY: (
        N_("This machine's worker key does not open where the channel leads."),
        N_("Bring the key's file back, or remove the channel and add it again."),
    ),
}
# apprise says no more than that it failed.
_BY_APPRISE = {
    ErrorType.TEMPORARILY_UNAVAILABLE: (
        N_("The service did not accept it, or cannot now."),
        N_("Check the channel's URL and the service's settings; another try in a few minutes may help."),
    ),
}
_CHANNEL_KINDS = {"email": N_("E-mail"), "webhook": N_("Web hook"), "apprise": "Apprise"}


def alert(kind: str, reason: str, facts: dict, account: str = "") -> AlertWords:
    """What a person is told; the times in `facts` are words already."""
    texts = _ALERTS["scheduler_back" if (kind, reason) == ("scheduler_dead", "back") else kind]
    headline, sentence, next_step = (gettext(words) for words in texts)
    named = _named(account, facts)
    cause = _cause_of_alert(kind, reason, facts)
    says_enough = reason == ErrorType.NO_KEY or facts.get("by_itself") is False
    steps = [cause.next_step] if says_enough else [cause.next_step, next_step]
    return AlertWords(
        headline.format_map(named),
        " ".join(filter(None, (cause.sentence, sentence.format_map(named)))),
        " ".join(filter(None, steps)),
    )


def _named(account: str, facts: dict) -> "_Named":
    said = {name: value for name, value in facts.items() if not isinstance(value, dict)}
    words = {name: localize(value) or gettext("never") for name, value in said.items()}
    if operation := facts.get("operation"):
        words["operation"] = gettext(_OPERATIONS[operation])
    return _Named(words | {"account": account})


class _Named(dict):
    def __missing__(self, name):
        return "?"


def _cause_of_alert(kind: str, reason: str, facts: dict) -> Advice:
    if kind == "channel_disabled":
        return delivery(reason, facts.get("through", ""))
    if kind not in _WITH_CAUSE:
        return Advice("", "")
    last_error = facts.get("last_error", "")
    if last_error and reason in ("no_success", last_error):
        return _cause_of_failure(last_error, facts.get("error_facts", {}))
    return health(reason) or Advice("", "")


def _cause_of_failure(error_type: str, facts: dict) -> Advice:
    """As the account's page says it, which knows at which step it failed."""
    if error_type in set(ErrorType):
        return probe_advice(facts.get("probe", ""), error_type, facts)
    return health(error_type)


def delivery(error_type: str, channel_kind: str = "") -> Advice:
    """Why a message did not arrive."""
    texts = _DELIVERIES | _BY_APPRISE if channel_kind == "apprise" else _DELIVERIES
    return told(*texts.get(error_type, (N_("The message could not be delivered."), "")))


def channel_kind(kind: str) -> str:
    return gettext(_CHANNEL_KINDS[kind])


_RULES = {
    "broken": N_("An account is not synced any more"),
    "dead_man": N_("No sync of an account has succeeded for three intervals"),
    "degraded": N_("Syncing an account has trouble, for longer than (minutes)"),
    "recovered": N_("An account works again"),
    "quarantine": N_("Mails cannot be fetched or read, at least (mails)"),
    "grant_expiring": N_("Background sync ends soon: 7 days and 1 day before"),
    "slow": N_("Syncing an account takes far longer than it should"),
    "job_failed": N_("A fetch that you asked for failed"),
    "scheduler_dead": N_("Nothing is synced by itself any more (goes to whoever runs mailhelper)"),
}


def rule(kind: str) -> str:
    """What a person is asked whether they want to hear of it."""
    return gettext(_RULES[kind])


def outcome_of_test(error_type: str, channel_kind: str = "") -> Advice:
    """How the test of a channel went."""
    if error_type:
        return delivery(error_type, channel_kind)
    return told(N_("The test was handed over."), N_("It should arrive within a few minutes."))
