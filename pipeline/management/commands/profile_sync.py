import argparse
import json
import logging
import os
import subprocess
import sys

from django.conf import settings
from django.core.management.base import CommandError

from accounts import actions, grants
from accounts.errors import UsageError
from accounts.management.doors import INTERRUPTED, SECRETS, Door, account_named, person, unlock
from accounts.models import GrantPurpose
from pipeline import processes
from pipeline.broker import MAX_LIMIT
from pipeline.console import Lines
from pipeline.models import JobStatus, RunStatus
from pipeline.profile_text import ProfileText
from pipeline.profiler import profile_sync


class Command(Door):
    help = (
        "Sync accounts under a profiler, one after the other, and show phases against their targets, waiting "
        "against computing, peak memory and where the time went. The sync is a real one. Uses background "
        "grants, or the password (MAILHELPER_PASSWORD or a prompt). Exit status: 0 all succeeded, 1 some or "
        "all failed, 2 wrong usage. Example: manage.py profile_sync anna@example.org --account GMX"
    )

    def add_arguments(self, parser):
        parser.add_argument("email", help="whose accounts they are")
        parser.add_argument(
            "--account", action="append", required=True, metavar="NAME", help="which account; repeatable"
        )
        parser.add_argument("--max-mails", type=int, metavar="N", help="stop each account after N mails")
        parser.add_argument("--top", type=int, default=15, metavar="N", help="so many functions (15)")
        parser.add_argument("--json", action="store_true", help="print one JSON object at the end")
        # The process that does it: the account key comes on its standard input.
        parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)

    def run_from_argv(self, argv):
        processes.stop_like_ctrl_c()
        super().run_from_argv(argv)

    def handle(self, email, **options):
        for name in ("max_mails", "top"):
            if options[name] is not None and not 1 <= options[name] <= MAX_LIMIT:
                raise UsageError(f"--{name.replace('_', '-')} is from 1 to {MAX_LIMIT}.")
        user = person(email)
        accounts = list({account.pk: account for account in _accounts(user, options["account"])}.values())
        if options["here"]:
            return self._profile_here(accounts[0], options)
        keys = _keys(user, accounts)
        profiles = [self._profile(account, keys.get(account.pk), options) for account in accounts]
        self._answer(profiles, options)

    def _profile_here(self, account, options):
        logging.getLogger("mailhelper").setLevel(logging.ERROR)  # what the log would say, the report says
        key = bytes.fromhex(sys.stdin.read()) or None
        watch = Lines(lambda line: None if options["json"] else self.stderr.write(line))
        try:
            profile = profile_sync(account, key, options["max_mails"], watch)
        except KeyboardInterrupt:
            os._exit(INTERRUPTED)  # the thread may still wait for a server, and no longer matters
        self.stdout.write(json.dumps(profile))

    def _profile(self, account, key, options):
        """In a process of its own, so that its memory is this account's."""
        child = processes.launch(_command(account, options), **_pipes())
        try:
            told, _ = child.communicate((key or b"").hex())
        except KeyboardInterrupt:
            processes.end(child)
            raise
        if child.returncode:
            raise CommandError(f"{account.label}: its process ended with status {child.returncode}.")
        return json.loads(told)

    def _answer(self, profiles, options):
        good = sum(profile["status"] == RunStatus.SUCCESS for profile in profiles)
        status = JobStatus.SUCCESS if good == len(profiles) else JobStatus.PARTIAL_FAILURE
        if options["json"]:
            for profile in profiles:
                profile["functions"] = _most_expensive(profile["functions"], options["top"])
            status = status if good else JobStatus.FAILED
            self.stdout.write(json.dumps({"status": status, "accounts": profiles}))
        else:
            ProfileText(self.stdout, options["top"]).show(profiles)
        if status != JobStatus.SUCCESS:
            raise SystemExit(1)


def _accounts(user, names):
    return [account_named(user, name) for name in names]


def _keys(user, accounts):
    """Account keys of those that no background grant opens."""
    granted = grants.valid_grants().filter(purpose=GrantPurpose.BACKGROUND, account__in=accounts)
    opened = set(granted.values_list("account_id", flat=True))
    closed = [account for account in accounts if account.pk not in opened]
    return actions.account_keys(closed, unlock(user)) if closed else {}


def _command(account, options):
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "profile_sync", account.user.email]
    command += [f"--account={account.label}", "--here"]  # a label may begin with a dash
    command += ["--max-mails", str(options["max_mails"])] if options["max_mails"] else []
    return command + (["--json"] if options["json"] else [])


def _pipes():
    environment = {name: value for name, value in os.environ.items() if name not in SECRETS}
    return {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment}


def _most_expensive(functions, top):
    """Those of either table."""
    chosen = {}
    for by in ("own_seconds", "cumulative_seconds"):
        for spot in sorted(functions, key=lambda spot: -spot[by])[:top]:
            chosen[spot["function"]] = spot
    return list(chosen.values())
