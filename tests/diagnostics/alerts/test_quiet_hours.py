"""When a message may go."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from accounts.errors import UsageError
from diagnostics.alerting import alerts, preferences
from diagnostics.models import AlertDelivery

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = time(22), time(7)


def berlin(*moment, fold=0) -> datetime:
    return datetime(*moment, tzinfo=BERLIN, fold=fold)


@pytest.mark.parametrize(
    ("at", "hours", "ends"),
    [
        (berlin(2026, 1, 5, 21, 59), NIGHT, None),
        (berlin(2026, 1, 5, 22), NIGHT, berlin(2026, 1, 6, 7)),
        (berlin(2026, 1, 5, 23, 59), NIGHT, berlin(2026, 1, 6, 7)),
        (berlin(2026, 1, 6, 0), NIGHT, berlin(2026, 1, 6, 7)),
        (berlin(2026, 1, 6, 6, 59), NIGHT, berlin(2026, 1, 6, 7)),
        (berlin(2026, 1, 6, 7), NIGHT, None),
        (berlin(2026, 1, 6, 13), (time(12), time(14)), berlin(2026, 1, 6, 14)),
        (berlin(2026, 1, 6, 15), (time(12), time(14)), None),
        # the night of 28 March has no hour from 2 to 3, that of 24 October has it twice
        (berlin(2026, 3, 28, 23), NIGHT, datetime(2026, 3, 29, 5, tzinfo=UTC)),
        (berlin(2026, 3, 29, 1), (time(0), time(2, 30)), datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),
        (berlin(2026, 10, 24, 23), NIGHT, datetime(2026, 10, 25, 6, tzinfo=UTC)),
        (
            berlin(2026, 10, 25, 2, 10, fold=0),
            (time(0), time(2, 30)),
            datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
        ),
        (
            berlin(2026, 10, 25, 2, 10, fold=1),
            (time(0), time(2, 30)),
            datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
        ),
        (berlin(2026, 1, 6, 3), (None, None), None),
    ],
)
def test_the_end_of_the_quiet_hours_that_a_moment_falls_in(at, hours, ends):
    assert preferences.quiet_end(at.astimezone(UTC), *hours, BERLIN) == ends


def test_a_message_decided_at_night_waits_for_the_persons_own_morning(anna, webhook, clock):
    anna.user.time_zone = "America/New_York"
    anna.user.save(update_fields=["time_zone"])
    preferences.set_quiet_hours(anna.user, time(22), time(7))
    alerts.decide(anna.user, "broken", "noon in London", at=datetime(2026, 3, 1, 11, tzinfo=UTC))
    assert AlertDelivery.objects.get().due_at == datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_snooze_that_ends_in_quiet_hours_lasts_until_their_end(anna, clock):
    preferences.set_quiet_hours(anna.user, time(22), time(7))
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    ends = preferences.may_go_at(preferences.of(anna.user), noon, noon + timedelta(hours=11))
    assert ends == datetime(2026, 3, 2, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    "change",
    [
        lambda user: preferences.set_rule(user, "weather", on=True),
        lambda user: preferences.set_rule(user, "broken", threshold=3),
        lambda user: preferences.set_rule(user, "quarantine", threshold=0),
        lambda user: preferences.set_rule(user, "degraded", threshold=7 * 24 * 60 + 1),
        lambda user: preferences.set_quiet_hours(user, time(22), None),
        lambda user: preferences.set_quiet_hours(user, time(22), time(22)),
        lambda user: preferences.set_quiet_hours(user, *preferences.quiet_hours_of("22-7")),
        lambda user: preferences.set_quiet_hours(user, *preferences.quiet_hours_of("")),
    ],
)
def test_what_makes_no_sense_is_refused(anna, change):
    with pytest.raises(UsageError):
        change(anna.user)
    assert preferences.of(anna.user).rules == {}


def test_a_rule_keeps_what_was_not_changed(anna):
    preferences.set_rule(anna.user, "degraded", threshold=30)
    preferences.set_rule(anna.user, "degraded", on=False)
    rule = preferences.rule_of(preferences.of(anna.user), "degraded")
    assert (rule.on, rule.threshold) == (False, 30)
