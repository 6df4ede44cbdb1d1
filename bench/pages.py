"""How long the server takes for each page of a person with 100,000 runs and 50,000 mails.

python -m bench.pages [PART] [postgres]      (PART of the full size, as 0.1; else all, on SQLite; 5 minutes)

Another person has as much. Each request connects to the database anew, as `serve` does.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import django

from tests.installation import Installation
from tests.servers.postgres import Postgres, create_database

REPEATS = 30


def main(part: float, on_postgres: bool) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name, _engine(on_postgres) as engine:
        os.environ |= Installation(Path(name), engine=engine).environment
        os.environ |= {"DEBUG": "0", "MAILHELPER_SECURE_COOKIES": "0"}
        django.setup()
        person = _fill(part)
        _measure_all(person)


def _engine(on_postgres: bool):
    return _postgres() if on_postgres else nullcontext({})


class _postgres(Postgres):
    def __enter__(self) -> dict[str, str]:
        self.start()
        return {"DATABASE_URL": create_database(self.url(), "house")}


def _fill(part: float):
    from django.db import connection

    from bench.years import live

    start = time.monotonic()
    person, _ = live("anna@example.org", part, operator=True), live("bert@example.org", part)
    if connection.vendor == "postgresql":
        connection.cursor().execute("VACUUM ANALYZE")  # as the server does by itself in time
    print(f"filled in {time.monotonic() - start:.0f} s, on {connection.vendor}", flush=True)
    return person


def _measure_all(person) -> None:
    from django.core.servers.basehttp import get_internal_wsgi_application
    from django.test import Client

    from tests.pipeline.test_pages import signed_in

    get_internal_wsgi_application()  # as `serve` begins
    browser = signed_in(Client(SERVER_NAME="localhost"), person)
    print("| page | queries | median ms | p95 ms | CPU ms |")
    print("|---|---:|---:|---:|---:|")
    for page, address in _pages(person.user):
        print(f"| {page} | {_measure(browser, address)} |", flush=True)


def _pages(user) -> Iterator[tuple[str, Callable[[], str]]]:
    """What each is called, and where it is at that moment."""
    from django.urls import reverse as at

    from pipeline.pages.pulse import pulse_of

    account, job = user.mail_accounts.first(), user.jobs.exclude(error_types={}).first()
    beat = f"{at('pulse')}?seen="
    yield "overview", lambda: at("overview")
    yield "its panel", lambda: at("panel")
    yield "its pulse, nothing new", lambda: beat + pulse_of(user).seen
    yield "its pulse, a run went on", lambda: beat + pulse_of(user).beat
    for name, query in (*_wishes_of_mail(user), *_wishes_of_history(user, account)):
        yield name, lambda query=query: query
    yield "job", lambda: at("job", args=[job.pk])
    yield "account", lambda: at("account", args=[account.pk])
    yield "accounts", lambda: at("accounts")
    yield "notifications", lambda: at("notifications")
    yield "notifications, far back", lambda: f"{at('notifications')}?page=18"
    yield "alerts", lambda: at("alerts")
    yield "settings", lambda: at("settings")
    for model, query in _lists_of_operators(user):
        yield f"admin: {model}{query and ', '}{query}", lambda m=model, q=query: _admin(m, q)


def _wishes_of_mail(user) -> Iterator[tuple[str, str]]:
    from django.urls import reverse as at

    from mail.listing import WHEN
    from mail.models import Folder, Message

    own = Message.objects.filter(account__user=user).annotate(at=WHEN).order_by("-at")
    far, newest = own[own.count() * 3 // 4], own[0]
    folder = Folder.objects.filter(account__user=user).first()
    mail, place = at("mail"), f"older={far.at.isoformat().replace('+', '%2B')}~{far.pk}"
    yield "mail", mail
    yield "mail, far back", f"{mail}?{place}"
    yield "mail, a folder", f"{mail}?folder={folder.pk}"
    yield "mail, unread", f"{mail}?unread=on"
    yield "mail, unread, far back", f"{mail}?unread=on&{place}"
    yield "mail, flagged (few are)", f"{mail}?flagged=on"
    yield "mail, until a day", f"{mail}?until={far.at:%Y-%m-%d}"
    yield "mail, larger than any", f"{mail}?at_least_bytes={25 * 1024 * 1024}"
    yield "mail, also stored only here", f"{mail}?stored_only_here=on"
    yield "a mail", at("message", args=[newest.pk])
    yield "its HTML", at("message_html", args=[newest.pk])


def _wishes_of_history(user, account) -> Iterator[tuple[str, str]]:
    from django.urls import reverse as at

    from bench.years import RARE_ERROR, RARE_STATUS
    from pipeline.models import AccountRun

    own = AccountRun.objects.filter(account__user=user).order_by("-created_at")
    far, history = own[own.count() * 3 // 4], at("history")
    yield "history", history
    yield "history, far back", f"{history}?before={far.created_at.isoformat().replace('+', '%2B')}~{far.pk}"
    yield "history, failed", f"{history}?status=failed"
    yield "history, skipped (few are)", f"{history}?status={RARE_STATUS}"
    yield "history, a rare error", f"{history}?error_type={RARE_ERROR}"
    yield "history, failed with a rare error", f"{history}?status=failed&error_type={RARE_ERROR}"
    yield "history, an account", f"{history}?account={account.pk}"
    yield "history, until a day", f"{history}?until={far.created_at:%Y-%m-%d}"


def _lists_of_operators(user) -> Iterator[tuple[str, str]]:
    from bench.years import RARE_ERROR, RARE_STATUS

    far = f"p={user.jobs.count() // 100}"
    for query in ("", far, f"status={RARE_STATUS}", f"error_type={RARE_ERROR}", f"q={user.email}"):
        yield "pipeline_accountrun", query
    for query in ("", far, "status=partial_failure", f"q={user.email}"):
        yield "pipeline_pipelinejob", query
    yield "pipeline_jobevent", ""
    yield "pipeline_jobevent", "arrow=skipped"
    yield "pipeline_rollup", ""
    yield "accounts_user", ""
    yield "accounts_mailaccount", ""
    yield "diagnostics_accounthealth", ""
    yield "diagnostics_healthflip", ""
    yield "diagnostics_alert", ""
    yield "diagnostics_diagnosticreport", ""


def _admin(model: str, query: str) -> str:
    from django.urls import reverse

    return f"{reverse(f'admin:{model}_changelist')}?{query.replace('@', '%40')}"


def _measure(browser, address: Callable[[], str]) -> str:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    first = address()
    with CaptureQueriesContext(connection) as queries:
        answer = browser.get(first)
    assert answer.status_code in (200, 204), f"{first}: {answer.status_code}"
    asked = len(queries)
    walls, cpus = zip(*(_once(browser, address()) for _ in range(REPEATS)), strict=True)
    p95 = statistics.quantiles(walls, n=20)[-1]
    return f"{asked} | {statistics.median(walls):.0f} | {p95:.0f} | {statistics.median(cpus):.0f}"


def _once(browser, address: str) -> tuple[float, float]:
    """Milliseconds in all, and of this process's work."""
    from django.db import connection

    connection.close()
    wall, cpu = time.perf_counter(), time.process_time()
    browser.get(address)
    return 1000 * (time.perf_counter() - wall), 1000 * (time.process_time() - cpu)


if __name__ == "__main__":
    parts = [float(one) for one in sys.argv[1:] if one != "postgres"]
    main(parts[0] if parts else 1, "postgres" in sys.argv[1:])
