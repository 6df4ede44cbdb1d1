"""The pages of notifications and of what a person is told."""

from functools import partial

from django.core.paginator import Paginator
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET

from accounts import advice
from accounts.errors import UsageError
from accounts.pages import form_part, signed_in
from diagnostics import panels
from diagnostics.alerting import alerts, channels, messages, preferences, trials
from diagnostics.models import AlertChannel

PER_PAGE = 50
SECONDS_OF_A_TEST = 8  # somebody waits, and a thread of the pages


@never_cache
@signed_in
@require_GET
def notifications(request):
    """Newest first; what is new stays marked until it is said to be read."""
    page = Paginator(alerts.told(request.user), PER_PAGE).get_page(request.GET.get("page"))
    shown = [(alert, messages.words_of(alert, request.user)) for alert in page]
    return render(request, "diagnostics/notifications.html", {"page": page, "shown": shown})


@signed_in
def read_all(request):
    if request.method == "POST":
        alerts.mark_all_read(request.user)
    return redirect("notifications")


@never_cache
@signed_in
@require_GET
def settings_page(request):
    return _page(request, saved=panels.confirmation(request.GET.get("saved")))


def _page(request, **more):
    typed_rules = more["typed"] if more.get("error", {}).get("part") == "rules" else None
    shown = panels.of(request.user, typed_rules)
    return render(request, "diagnostics/alerts.html", shown | more)


def _changes(part: str, saved: str = "", **more):
    return form_part(part, page="alerts", show=_page, done=partial(_done, saved), **more)


def _done(saved: str):
    return redirect(f"{reverse('alerts')}?saved={saved}#{panels.part_of(saved)}")


@sensitive_post_parameters("target")
@_changes("add", saved="added", lasting=True)
def add_channel(request):
    asked = (request.POST.get(name, "") for name in ("kind", "label", "target"))
    new = channels.add_channel(request.user, *asked, events="events" in request.POST)
    if new.signing_key:
        return _page(request, signing_key=new.signing_key, signed=new.channel)


def _own(request, channel_id) -> AlertChannel:
    return get_object_or_404(AlertChannel, pk=channel_id, user=request.user)


@_changes("channels", saved="removed")
def remove_channel(request, channel_id):
    channels.remove(_own(request, channel_id))


@_changes("channels", saved="enabled")
def enable_channel(request, channel_id):
    channels.enable(_own(request, channel_id))


@_changes("channels", saved="events")
def set_channel_events(request, channel_id):
    channels.set_events(_own(request, channel_id), request.POST.get("events") == "on")


@_changes("channels")
def test_channel(request, channel_id):
    channel = _own(request, channel_id)
    error_type = trials.send(channel, SECONDS_OF_A_TEST)
    words = advice.outcome_of_test(error_type, channel.kind)
    return _page(request, tested={"channel": channel, "failed": bool(error_type), "words": words})


@_changes("rules", saved="rules")
def set_rules(request):
    """The whole form: a box that is not ticked is not sent."""
    changes = [_rule(request.POST, kind) for kind in preferences.DEFAULTS]
    for kind, _, threshold in changes:
        preferences.check_threshold(kind, threshold)
    for change in changes:
        preferences.set_rule(request.user, *change)


def _rule(posted, kind: str) -> tuple[str, bool, int | None]:
    number = posted.get(f"{kind}-number")
    return kind, f"{kind}-on" in posted, None if number is None else _number(number)


def _number(text: str) -> int:
    if not (text.strip().isascii() and text.strip().isdigit() and len(text) < 10):
        raise UsageError(gettext("A threshold is a whole number."))
    return int(text)


@_changes("quiet", saved="quiet")
def set_quiet_hours(request):
    start, end = (request.POST.get(name, "").strip() for name in ("from", "until"))
    hours = [preferences.time_of_day(text) if text else None for text in (start, end)]
    preferences.set_quiet_hours(request.user, *hours)


@_changes("snooze", saved="snooze")
def snooze(request, account_id):
    account = get_object_or_404(request.user.mail_accounts, pk=account_id)
    hours = preferences.hours_of(request.POST.get("hours", ""))
    preferences.snooze(account, timezone.now() + hours if hours else None)
