import json
from functools import partial

from django.core.management.base import CommandError
from django.utils import timezone

from accounts import actions, advice
from accounts.errors import UsageError
from accounts.management.doors import CHANNEL_URL, Door, account_named, ask_secret, person
from diagnostics.alerting import alerts, channels, preferences, state, trials


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
        parser.add_argument(
            "--events",
            action="append",
            default=[],
            metavar="LABEL=on|off",
            help="let a web hook hear of each job's end and each change of health",
        )
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
        self._set(user, **options)
        new = self._change_channels(user, **options)
        for text in options["events"]:
            self._say_done(_set_events(user, text))
        results = self._test(user, options["test"], new)
        shown = state.state(user)
        if options["json"]:
            self.say(json.dumps(shown | {"tests": results} | _added(new)))
        elif options["test"] is None:
            self._show(shown)
        if any(results.values()):
            raise CommandError("A test did not arrive.")

    def _set(self, user, rule, quiet, snooze, language, read, **_):
        changes = [partial(_set_rule, user, *_rule(text)) for text in rule]
        changes += [partial(_set_snooze, *_snooze(user, text)) for text in snooze]
        if quiet is not None:
            changes.append(partial(_set_quiet_hours, user, *preferences.quiet_hours_of(quiet)))
        if language:
            changes.append(partial(_set_language, user, language))
        if read:
            changes.append(partial(_mark_all_read, user))
        for change in changes:
            self._say_done(change())

    def _change_channels(self, user, add_email, add_webhook, add_apprise, label, remove, enable, **_):
        """The channel that was added, if any."""
        if remove:
            channels.remove(channels.channel_named(user, remove))
            self._say_done(f"Removed: {remove}.")
        if enable:
            channels.enable(channels.channel_named(user, enable))
            self._say_done(f"Used again: {enable}.")
        kind = "email" if add_email else "webhook" if add_webhook else "apprise" if add_apprise else None
        if kind:
            return self._add(user, kind, label or kind, add_email)
        if label:
            raise UsageError("--label names the channel that is added: give --add-email or another.")

    def _add(self, user, kind, label, address):
        new = channels.add_channel(user, kind, label, address or ask_secret(CHANNEL_URL, "URL"))
        self._say_done(f"Added: {new.channel.label} ({advice.channel_kind(kind)}).")
        if new.signing_key:
            self._say_done(f"Signing key of {new.channel.label}, shown only now: {new.signing_key}")
            self._say_done("It is hexadecimal: decode it to bytes before you sign with it.")
        return new

    def _say_done(self, line):
        if not self._quiet_output:
            self.say(line)

    def _test(self, user, label, new) -> dict[str, str]:
        """What went wrong, by channel; empty where the test arrived. Without a label the new one, or all."""
        if label is None:
            return {}
        if label or not new:
            tested = [channels.channel_named(user, label)] if label else list(user.channels.all())
        else:
            tested = [new.channel]
        if not tested:
            raise UsageError(f"{user.email} has no channel yet: add one with --add-email, for example.")
        if len(tested) > trials.MOST:
            raise UsageError(f"At most {trials.MOST} tests an hour: name a channel, --test LABEL.")
        trials.check_left(user, len(tested))
        results = {}
        for channel in tested:
            results[channel.label] = trials.send(channel)
            self._say_how_it_went(channel, results[channel.label])
        return results

    def _say_how_it_went(self, channel, error_type):
        words = advice.outcome_of_test(error_type, channel.kind)
        line = f"{channel.label}: {words.sentence} {words.next_step}"
        if error_type and not self._quiet_output:
            self.stderr.write(self.style.ERROR(line))
        else:
            self._say_done(line)

    def _show(self, shown):
        for line in state.lines(shown):
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
    until = None if hours == "off" else timezone.now() + preferences.hours_of(hours)
    return account_named(user, name), until


def _set_rule(user, kind, on, threshold) -> str:
    preferences.set_rule(user, kind, on, threshold)
    rule = preferences.rule_of(preferences.of(user), kind)
    return f"Set: {state.rule_line(kind, state.rule_state(rule))}."


def _set_snooze(account, until) -> str:
    preferences.snooze(account, until)
    if until is None:
        return f"Not silenced any more: {account.label}."
    return f"Silenced until {until:%Y-%m-%d %H:%M} UTC: {account.label}."


def _set_events(user, text: str) -> str:
    label, _, on = text.rpartition("=")
    if on not in ("on", "off"):
        raise UsageError(f"{text!r} names no channel with on or off, such as Hook=on.")
    channel = channels.channel_named(user, label)
    channels.set_events(channel, on == "on")
    return f"Events {on}: {channel.label}."


def _set_quiet_hours(user, start, end) -> str:
    preferences.set_quiet_hours(user, start, end)
    return f"Quiet hours: {state.quiet_hours(preferences.of(user)) or 'none'}."


def _set_language(user, code) -> str:
    actions.set_language(user, code)
    return f"Language: {code}."


def _mark_all_read(user) -> str:
    return f"Marked as read: {alerts.mark_all_read(user)}."


def _added(new) -> dict:
    """The signing key belongs to what a program reads, who has no other chance to see it."""
    if not new:
        return {}
    key = {"signing_key": new.signing_key} if new.signing_key else {}
    return {"added": {"label": new.channel.label, "kind": new.channel.kind} | key}
