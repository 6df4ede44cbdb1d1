from accounts import actions
from accounts.errors import UsageError
from accounts.management.doors import Door, account_named, person
from diagnostics.models import Status
from pipeline.budget import Budget
from pipeline.queries import health_report


class Command(Door):
    help = (
        "Show or set when an account is synced by itself (where background sync is allowed), and how much "
        "it may transfer in a day. Example: manage.py schedule anna@example.org --name GMX --every 30"
    )

    def add_arguments(self, parser):
        parser.add_argument("email", help="whose accounts they are")
        parser.add_argument("--name", help="which account is to be set")
        when = parser.add_mutually_exclusive_group()
        when.add_argument("--every", type=int, metavar="MINUTES", help="at this interval (15)")
        when.add_argument("--at", action="append", metavar="HH:MM", help="at this time of day; repeatable")
        when.add_argument("--pause", action="store_true", help="not by itself until --resume")
        when.add_argument("--resume", action="store_true", help="end a pause")
        parser.add_argument("--budget", type=int, metavar="MB", help="megabytes a day; 0 is without limit")
        parser.add_argument("--time-zone", metavar="ZONE", help="the person's, as Europe/Berlin")

    def handle(self, email, name, **options):
        user = person(email)
        if options["time_zone"]:
            actions.set_time_zone(user, options["time_zone"])
        asked = {key: options[key] for key in ("every", "at", "pause", "resume", "budget")}
        if name:
            self._set(account_named(user, name), **asked)
        elif any(value not in (None, False) for value in asked.values()):
            raise UsageError("Say which account with --name.")
        accounts = list(user.mail_accounts.select_related("user"))
        if name:
            accounts = [account for account in accounts if account.label.lower() == name.lower()]
        for account in accounts:
            self.stdout.write(_line(account))
        if not accounts:
            self.stdout.write("There is no account. Add one: manage.py add_account --help")

    def _set(self, account, every, at, pause, resume, budget):
        if every is not None or at:
            actions.set_schedule(account, every, at or ())
        if pause or resume:
            actions.set_enabled(account, resume)
        if budget is not None:
            actions.set_daily_budget(account, budget)


def _line(account) -> str:
    every = f"every {account.interval_minutes} min"
    when = f"at {', '.join(account.fixed_times)}" if account.fixed_times else every
    budget = Budget.of(account)
    limit = f"{budget.limit / 1_000_000:.0f} MB" if budget.limit else "unlimited"
    return f"{account.label}: {when}, {_next(account)}; {budget.spent / 1_000_000:.1f} MB today of {limit}"


def _next(account) -> str:
    if not account.enabled:
        return "paused"
    report = health_report(account)
    if report.next_attempt is None:
        return "not by itself (manage.py grants allows it)"
    zone = account.user.time_zone
    why = "" if report.status in (Status.HEALTHY, Status.NEW) else f" ({report.status}: {report.reason})"
    return f"next {report.next_attempt.astimezone(account.user.zone):%Y-%m-%d %H:%M} {zone}{why}"
