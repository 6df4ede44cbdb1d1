import json
import logging
import os
import sys

from rich.console import Console

from accounts import actions, grants
from accounts.advice import advise, finding
from accounts.errors import SyncError, UsageError
from accounts.management.doors import INTERRUPTED, PASSWORD, Door, ask_secret, person
from accounts.models import GrantPurpose, MailAccount
from mail import findings
from mail.queries import folder_named, folder_names
from pipeline import foreground
from pipeline.broker import MAX_LIMIT, PipelineBroker
from pipeline.console import Bars, Lines, duration, megabytes
from pipeline.estimate import estimate
from pipeline.models import JobStatus, RunStatus, Trigger
from pipeline.processes import stop_like_ctrl_c


class Command(Door):
    help = (
        "Sync mail accounts to the end, side by side, in this process. Uses background grants, or --user "
        "with the password (MAILHELPER_PASSWORD or a prompt). Exit status: 0 all succeeded, 1 some or all "
        "failed or there was no account, 2 wrong usage. Example: manage.py sync_all --user anna@example.org"
    )

    def add_arguments(self, parser):
        parser.add_argument("--user", metavar="EMAIL", help="only this person's accounts")
        parser.add_argument("--account", metavar="NAME", help="only accounts of this name")
        parser.add_argument("--folder", metavar="NAME", help="only this folder of the --account")
        parser.add_argument(
            "--reset", action="store_true", help="look up every mail of the --folder anew; nothing is deleted"
        )
        parser.add_argument(
            "--retry", action="store_true", help="also try mails again that were quarantined or misread"
        )
        parser.add_argument(
            "--estimate", action="store_true", help="fetch nothing; say how much there is, how long it takes"
        )
        parser.add_argument("--max-mails", type=int, metavar="N", help="stop each account after N mails")
        parser.add_argument("--timeout", type=int, metavar="S", help="stop each account after S seconds")
        parser.add_argument("--jobs", type=int, default=8, metavar="N", help="accounts side by side (8)")
        parser.add_argument("--queue", action="store_true", help="hand the work to the workers and follow it")
        parser.add_argument("--json", action="store_true", help="print one JSON object at the end")

    def run_from_argv(self, argv):
        stop_like_ctrl_c()
        super().run_from_argv(argv)

    def handle(self, **options):
        for name in ("max_mails", "timeout", "jobs"):
            if options[name] is not None and not 1 <= options[name] <= MAX_LIMIT:
                raise UsageError(f"--{name.replace('_', '-')} is from 1 to {MAX_LIMIT}.")
        _check(options)
        accounts = _accounts(options["user"], options["account"])
        keys = _keys(accounts, options["user"])
        folder = _folder(accounts, keys, options["folder"])
        self._prepare(accounts, folder, options)
        by_user = {}
        for account in accounts:
            by_user.setdefault(account.user, []).append(account)
        reports = self._sync(by_user, keys, folder, options) if by_user else []
        self._answer(reports, accounts, keys, options)

    def _prepare(self, accounts, folder, options):
        for account in accounts:
            if options["reset"]:
                PipelineBroker().mark_for_reset(account, folder)
            if options["retry"]:
                count = PipelineBroker().release_quarantined(account, folder)
                if not options["json"]:
                    self.say(f"{account.label}: {count} mails are tried again.")

    def _sync(self, by_user, keys, folder, options):
        logging.getLogger("mailhelper").setLevel(logging.ERROR)  # what the log would say, the report says
        max_mails = 0 if options["estimate"] else options["max_mails"]
        limits = {"max_mails": max_mails, "timeout_seconds": options["timeout"], "folder": folder}
        work = foreground.Foreground(options["jobs"], keys)
        try:
            return self._execute(by_user, keys, options, limits, work)
        except KeyboardInterrupt:
            self._stop(work, options["queue"])

    def _execute(self, by_user, keys, options, limits, work):
        broker = PipelineBroker()
        with self._screen(options["json"]) as watch:
            if options["queue"]:
                job_ids = [
                    broker.enqueue_fetch_job(
                        user,
                        accounts[0] if options["account"] or limits["folder"] else None,
                        keys=keys,
                        trigger=Trigger.COMMAND,
                        **limits,
                    )
                    for user, accounts in by_user.items()
                ]
                return foreground.follow(job_ids, watch)
            limits["try_now"] = bool(options["account"])
            jobs = [
                broker.create_fetch_job_here(user, accounts, **limits) for user, accounts in by_user.items()
            ]
            return work.execute(jobs, watch)

    def _stop(self, work, queued):
        if queued:
            said = "Not followed any more. Workers go on with it, now or when one runs."
        else:
            work.stop()
            said = "Stopped. What was fetched is stored; the next sync goes on from there."
        self.stderr.write(said)
        self.stderr.flush()
        os._exit(INTERRUPTED)  # threads may still wait for a server, and no longer matter

    def _screen(self, as_json):
        if as_json:
            return Lines(lambda line: None)
        if sys.stdout.isatty():
            return Bars(Console())
        return Lines(self.say)

    def _answer(self, reports, accounts, keys, options):
        runs = [(report, run) for report in reports for run in report.runs]
        good = sum(run.status == RunStatus.SUCCESS for _, run in runs)
        status = JobStatus.SUCCESS if runs and good == len(runs) else JobStatus.PARTIAL_FAILURE
        status = status if good else JobStatus.FAILED
        if options["json"]:
            left = {account.pk: estimate(account) for account in accounts}
            self.stdout.write(json.dumps(_json(status, reports, runs, left), default=str))
        elif runs:
            self._explain([run for _, run in runs], accounts, keys, options)
            done = "looked at" if options["estimate"] else "synced"
            self.stdout.write(f"{good} of {len(runs)} accounts {done}.")
        else:
            name = f" named {options['account']}" if options["account"] else ""
            self.stdout.write(f"There is no account{name} to sync. Add one: manage.py add_account --help")
        if status != JobStatus.SUCCESS:
            raise SystemExit(1)

    def _explain(self, runs, accounts, keys, options):
        """What each failure asks for, and what a limit left for the next sync."""
        for run in runs:
            if run.next_step:
                self.stdout.write(f"{run.name}: {run.error} {run.next_step}")
        for account in accounts:
            names = _folder_names(account, keys)
            for row in findings.doubts([account]):
                told = finding(row.kind, row.facts, names.get(row.folder_id, ""))
                self.stdout.write(f"{account.label}: {told.sentence} {told.next_step}")
            left = estimate(account)
            if options["estimate"] and not left.mails:
                self.stdout.write(f"{account.label}: nothing is to be fetched.")
            if left.mails:
                size, time = megabytes(left.bytes), duration(left.seconds)
                to_fetch = f"{left.mails} mails are still to fetch. That is {size}, about {time}."
                self.stdout.write(f"{account.label}: {to_fetch}")


def _folder_names(account, keys):
    try:
        key = keys.get(account.pk) or grants.open_account_key(account, grant_id=None)
    except SyncError:
        return {}  # no key: the folders have no names
    return folder_names(account, key)


def _check(options):
    if options["reset"] and not options["folder"]:
        raise UsageError("--reset needs the --folder that is to be looked up anew.")
    if options["estimate"] and options["max_mails"] is not None:
        raise UsageError("--estimate fetches nothing, so it takes no --max-mails.")


def _folder(accounts, keys, name):
    """The folder of this name. Raises UsageError when there is not exactly one account to have it."""
    if name is None:
        return None
    if len(accounts) != 1:
        raise UsageError("--folder needs the one account it belongs to: --account NAME, --user EMAIL.")
    [account] = accounts
    try:
        key = keys.get(account.pk) or grants.open_account_key(account, grant_id=None)
    except SyncError as error:
        raise UsageError(advise(error.error_type).next_step) from error
    folder = folder_named(account, key, name)
    if folder is None:
        raise UsageError(f"{account.label} has no folder named {name}; manage.py ledger lists them.")
    return folder


def _accounts(email, label):
    accounts = MailAccount.objects.select_related("user__vault").order_by("user_id", "label")
    if email:
        accounts = accounts.filter(user=person(email))
    return list(accounts.filter(label__iexact=label) if label else accounts.filter(enabled=True))


def _keys(accounts, email):
    """Account keys by account, when one person's password is at hand and needed."""
    if not email or not accounts:
        return {}
    granted = grants.valid_grants().filter(purpose=GrantPurpose.BACKGROUND, account__in=accounts).count()
    if not os.environ.get(PASSWORD) and (granted == len(accounts) or not sys.stdin.isatty()):
        return {}
    user = accounts[0].user
    return actions.account_keys(
        accounts, actions.unlock(user, ask_secret(PASSWORD, f"Password of {user.email}"))
    )


def _json(status, reports, runs, left):
    return {
        "status": status,
        "jobs": [{"job_id": r.job_id, "user": r.user, "status": r.status} for r in reports],
        "accounts": [
            {
                "job_id": report.job_id,
                "user": report.user,
                "name": run.name,
                "status": run.status,
                "emails_fetched": run.emails_fetched,
                "emails_linked": run.emails_linked,
                "emails_processed": run.emails_processed,
                "pending": left[run.account_id].mails,
                "pending_bytes": left[run.account_id].bytes,
                "seconds_left": round(left[run.account_id].seconds),
                "error_type": run.error_type or None,
                "error": f"{run.error} {run.next_step}".strip() or None,
                "retry_at": run.retry_at,
                "duration": run.duration,
                "phases": run.phases,
            }
            for report, run in runs
        ],
    }
