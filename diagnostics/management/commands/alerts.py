import json
from datetime import timedelta
from functools import partial

from django.core.management.base import CommandError
from django.utils import timezone

from accounts import actions, advice
from accounts.errors import SyncError, UsageError
from accounts.management.doors import Door, account_named, ask_secret, person
from diagnostics.alerting import alerts, channels, messages, preferences
from diagnostics.models import AccountHealth

CHANNEL_URL = "MAILHELPER_CHANNEL_URL"
SHOWN = 10


class Command(Door):
    help = (
        "Show or set what a person is told, and through which channels. The machine that runs mailhelper can "
        "use what a channel holds. Example: manage.py alerts anna@example.org --add-email anna@example.org "
        "--label Mail --test"
    )

    def add_arguments(self, parser):
        parser.add_argument("email", help="whose alerts they are")
        add = parser.add_mutually_exclusive_group()
        add.add_argument("--add-email", metavar="ADDRESS", help="send alerts there")
        add.add_argument(
            "--add-webhook", action="store_true", help=f"post them to a URL ({CHANNEL_URL}, or it asks)"
        )
        add.add_argument(
            "--add-apprise", action="store_true", help=f"through an apprise URL ({CHANNEL_URL}, or it asks)"
        )
        parser.add_argument("--label", help="the name of the channel that is added")
        parser.add_argument("--remove", metavar="LABEL", help="forget a channel with its secret")
        parser.add_argument("--enable", metavar="LABEL", help="use a channel again that was disabled")
        parser.add_argument("--test", nargs="?", const="", metavar="LABEL", help="send a test now (to all)")
        parser.add_argument("--rule", action="append", default=[], metavar="KIND=on|off|N", help="repeatable")
        parser.add_argument("--quiet", metavar="22:00-07:00", help="hours in which messages wait, or off")
        parser.add_argument(
            "--snooze", action="append", default=[], metavar="NAME=HOURS", help="of an account, or NAME=off"
        )
        parser.add_argument("--language", choices=["de", "en"], help="in which the person is told")
        parser.add_argument("--read", action="store_true", help="mark all notifications as read")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, email, **options):
        user = person(email)
        self._quiet_output = options["json"]
        for step in (self._set, self._change_channels):
            step(user, **options)
        results = self._test(user, options["test"])
        shown = _state(user)
        if options["json"]:
            self.say(json.dumps(shown | {"tests": results}))
        elif options["test"] is None:
            self._show(shown)
        if any(results.values()):
            raise CommandError("A test did not arrive.")

    def _set(self, user, rule, quiet, snooze, language, read, **_):
        changes = [partial(preferences.set_rule, user, *_rule(text)) for text in rule]
        changes += [partial(preferences.snooze, *_snooze(user, text)) for text in snooze]
        if quiet is not None:
            changes.append(partial(preferences.set_quiet_hours, user, *preferences.quiet_hours_of(quiet)))
        for change in changes:
            change()
        if language:
            actions.set_language(user, language)
        if read:
            alerts.mark_all_read(user)

    def _change_channels(self, user, add_email, add_webhook, add_apprise, label, remove, enable, **_):
        if remove:
            channels.remove(channels.channel_named(user, remove))
        if enable:
            channels.enable(channels.channel_named(user, enable))
        kind = "email" if add_email else "webhook" if add_webhook else "apprise" if add_apprise else None
        if not kind:
            if label:
                raise UsageError("--label names the channel that is added: give --add-email or another.")
            return
        target = add_email or ask_secret(CHANNEL_URL, "URL")
        new = channels.add_channel(user, kind, label or kind, target)
        if new.signing_key:
            # Beside the JSON, which may end in a file.
            self.stderr.write(f"Signing key of {new.channel.label}, shown only now: {new.signing_key}")

    def _test(self, user, label) -> dict[str, str]:
        """What went wrong, by channel; empty where the test arrived."""
        if label is None:
            return {}
        tested = [channels.channel_named(user, label)] if label else list(user.channels.all())
        if not tested:
            raise UsageError(f"{user.email} has no channel yet: add one with --add-email, for example.")
        results = {channel.label: _error_of_test(channel) for channel in tested}
        for name, error_type in results.items():
            self._say_how_it_went(name, error_type)
        return results

    def _say_how_it_went(self, name, error_type):
        if self._quiet_output:
            return
        if error_type:
            words = advice.delivery(error_type)
            self.stderr.write(self.style.ERROR(f"{name}: {words.sentence} {words.next_step}"))
        else:
            self.say(f"{name}: the test was taken.")

    def _show(self, shown):
        for line in _lines(shown):
            self.stdout.write(line)


def _rule(text: str) -> tuple[str, bool | None, int | None]:
    kind, _, value = text.partition("=")
    if value in ("on", "off"):
        return kind, value == "on", None
    if value.isascii() and value.isdigit() and len(value) < 10:
        return kind, True, int(value)
    raise UsageError(f"{text!r} is no rule, such as degraded=30, broken=on or recovered=off.")


def _snooze(user, text: str):
    name, _, hours = text.rpartition("=")
    if hours == "off":
        return account_named(user, name), None
    if not (hours.isascii() and hours.isdigit() and len(hours) < 6):
        raise UsageError(f"{text!r} is no snooze, such as GMX=8 or GMX=off.")
    return account_named(user, name), timezone.now() + timedelta(hours=int(hours))


def _error_of_test(channel) -> str:
    try:
        channels.send(channel, messages.test_message(channel.user))
    except SyncError as error:
        return str(error.error_type)
    return ""


def _state(user) -> dict:
    theirs = preferences.of(user)
    rules = {kind: preferences.rule_of(theirs, kind) for kind in preferences.DEFAULTS}
    snoozed = AccountHealth.objects.filter(account__user=user, snoozed_until__gt=timezone.now())
    return {
        "user": user.email,
        "language": user.language,
        "rules": {str(kind): _rule_state(rule) for kind, rule in rules.items()},
        "quiet_hours": _quiet_hours(theirs),
        "snoozed": {row.account.label: row.snoozed_until.isoformat() for row in snoozed},
        "channels": [_channel_state(channel) for channel in user.channels.all()],
        "unread": alerts.unread_count(user),
        "alerts": [_alert_state(alert, user) for alert in _newest(user)],
    }


def _newest(user):
    return user.alerts.select_related("account")[:SHOWN]


def _rule_state(rule) -> dict:
    return {"on": rule.on} | ({rule.unit: rule.threshold} if rule.unit else {})


def _quiet_hours(theirs) -> str | None:
    if theirs.quiet_from is None:
        return None
    return f"{theirs.quiet_from:%H:%M}-{theirs.quiet_until:%H:%M}"


def _channel_state(channel) -> dict:
    return {
        "label": channel.label,
        "kind": channel.kind,
        "disabled_at": channel.disabled_at.isoformat() if channel.disabled_at else None,
        "disabled_reason": channel.disabled_reason,
        "failures": channel.failures,
    }


def _alert_state(alert, user) -> dict:
    words = messages.words_of(alert, user)
    return {
        "id": str(alert.pk),
        "at": alert.decided_at.isoformat(),
        "kind": alert.kind,
        "account": alert.account.label if alert.account else None,
        "headline": words.headline,
        "sentence": words.sentence,
        "next_step": words.next_step,
        "read": alert.read_at is not None,
    }


def _lines(shown: dict):
    for kind, rule in shown["rules"].items():
        number = next((f", from {value} {unit}" for unit, value in rule.items() if unit != "on"), "")
        yield f"rule {kind}: {'on' if rule['on'] else 'off'}{number if rule['on'] else ''}"
    yield f"quiet hours: {shown['quiet_hours'] or 'none'}; language: {shown['language']}"
    for name, until in shown["snoozed"].items():
        yield f"snoozed: {name} until {until[:16].replace('T', ' ')} UTC"
    for channel in shown["channels"]:
        state = f"disabled ({channel['disabled_reason']})" if channel["disabled_at"] else "in use"
        yield f"channel {channel['label']} ({channel['kind']}): {state}"
    if shown["channels"]:
        yield "The machine that runs mailhelper can use what these channels hold."
    else:
        yield "No channel yet, so alerts are only seen in the app. Add one: --add-email ADDRESS"
    for alert in shown["alerts"]:
        mark = " " if alert["read"] else "*"
        yield f"{mark} {alert['at'][:16].replace('T', ' ')} UTC  {alert['headline']}"
