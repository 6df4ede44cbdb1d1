"""A person after years of syncing: accounts, runs with their jobs and events, sealed mail, alerts."""

from datetime import timedelta

from bench.figures import AT_ONCE, rollups_of, runs_of

ACCOUNTS = 10
RUNS = 100_000
MAILS = 50_000
ALERTS = 1_000
FLIPS = 60
REPORTS = 20
FOLDERS = ("INBOX", "Sent", "Archive", "Lists")
RARE_ERROR, RARE_STATUS = "mailbox_gone", "skipped"
A_FEW = 7


def live(email: str, part: float, *, operator: bool = False):
    """A new person who has seen all this; `part` of the full numbers."""
    from tests.conftest import make_person
    from tests.diagnostics.alerts.conftest import made_account

    person = make_person(email)
    person.user.is_staff = operator
    person.user.save(update_fields=["is_staff"])
    accounts = [made_account(person, f"Account {number}") for number in range(ACCOUNTS)]
    _syncs(person.user, accounts, round(RUNS * part / ACCOUNTS))
    for account in accounts:
        _mails(person, account, round(MAILS * part / ACCOUNTS))
        _health(person, account)
    _alerts(person.user, accounts, round(ALERTS * part))
    return person


def _syncs(user, accounts, each: int) -> None:
    """A job every quarter of an hour for all accounts; three of the newest runs are still at work."""
    from pipeline.models import AccountRun, JobEvent, JobRun, PipelineJob, Rollup

    of_each = [list(runs_of(account, each)) for account in accounts]
    for runs in of_each:
        Rollup.objects.bulk_create(rollups_of(runs[0].account, runs))
    _make_some_rare(of_each)
    jobs = [_job(user, runs) for runs in zip(*of_each, strict=True)]
    for runs in of_each[:3]:
        _is_at_work(runs[0])
    AccountRun.objects.bulk_create((run for runs in of_each for run in runs), batch_size=AT_ONCE)
    PipelineJob.objects.bulk_create(jobs, batch_size=AT_ONCE)
    waits = (JobRun(job=job, run=run) for runs in of_each for job, run in zip(jobs, runs, strict=True))
    JobRun.objects.bulk_create(waits, batch_size=AT_ONCE)
    oldest_first = zip(reversed(jobs), zip(*map(reversed, of_each), strict=True), strict=True)
    events = (event for job, runs in oldest_first for event in _events(job, runs))
    JobEvent.objects.bulk_create(events, batch_size=AT_ONCE)


def _make_some_rare(of_each) -> None:
    for run in of_each[0][:: max(1, len(of_each[0]) // A_FEW)]:
        run.status, run.error_type = "failed", RARE_ERROR
    for run in of_each[1][:: max(1, len(of_each[1]) // A_FEW)]:
        run.status, run.error_type = RARE_STATUS, "no_key"


def _job(user, runs):
    from pipeline.models import PipelineJob

    bad = {run.account.label: run.error_type for run in runs if run.error_type}
    return PipelineJob(
        user=user,
        trigger="schedule",
        status="partial_failure" if bad else "success",
        emails_fetched=sum(run.emails_fetched for run in runs),
        error_types=bad,
        created_at=runs[0].created_at,
        started_at=runs[0].started_at,
        ended_at=max(run.ended_at for run in runs),
    )


def _is_at_work(run) -> None:
    run.status, run.error_type, run.ended_at = "running", "", None
    run.phase, run.mails_done, run.mails_total = "fetch", 120, 4_000
    run.owner, run.lease_until = "worker", run.created_at + timedelta(days=1)


def _events(job, runs):
    from pipeline.models import JobEvent

    for run in runs:
        yield JobEvent(run=run, at=run.created_at, arrow="created", after="pending")
        yield JobEvent(run=run, at=run.created_at, arrow="claimed", before="pending", after="running")
        if run.ended_at:
            arrow = "succeeded" if run.status == "success" else run.status
            yield JobEvent(run=run, at=run.ended_at, arrow=arrow, before="running", after=run.status)
    yield JobEvent(job=job, at=job.created_at, arrow="created", after="pending")
    yield JobEvent(job=job, at=job.ended_at, arrow="ended", before="running", after=job.status)


def _mails(person, account, count: int) -> None:
    """Each came by a run of its own, so that each has a key of its own; one, the newest, has its body."""
    from mail.models import ContentKey, LedgerEntry, Message
    from tests.mail.stocked import Stock

    stock = Stock(person, account)
    folders = [stock.folder(name) for name in FOLDERS]
    made = [_mail(person, account, folders[n % len(folders)], n) for n in range(1, count)]
    for rows in (list(kind) for kind in zip(*made, strict=True)):
        type(rows[0]).objects.bulk_create(rows, batch_size=AT_ONCE)
    assert {type(row) for row in made[0]} == {ContentKey, Message, LedgerEntry}
    stock.put(_letter(), at=_arrived(0))
    for folder in folders:
        folder.server_count = folder.entries.count()
        folder.save()


def _mail(person, account, folder, number: int):
    from accounts import actions, vault
    from mail.models import EntryState, LedgerEntry, Message, SystemFlag
    from mail.parcels import Address, Envelope
    from mail.sealer import Sealer, place
    from mail.store import pack_envelope

    key = _keys.setdefault(account.pk, actions.account_key(account, person.user_key))
    digest = vault.digest(person.user.vault.mail_public_key)
    sealer = Sealer.for_claim(account, key, digest)
    at, size = _arrived(number), 2_000 + number % 60_000
    envelope = Envelope(
        subject=f"What became of number {number}",
        sender=(Address("Eva Example", f"eva{number % 300}@example.com"),),
        to=(Address("", person.user.email),),
        cc=(),
        date=at,
        message_id=f"{number}@example.com",
        snippet="Good day, here is what you asked for. " * 4,
        attachments=("report.pdf",) if number % 9 == 0 else (),
    )
    message = Message(
        account=account,
        content_key=sealer.content_key_row,
        raw_index=sealer.index("raw", str(number).encode()),
        size=size,
        server_size=size,
        internal_date=at,
        parsed=True,
    )
    where = place(message, "sealed_envelope")
    message.sealed_envelope = vault.seal(sealer.content_key, pack_envelope(envelope), *where)
    seen = SystemFlag.SEEN if number % 10 else 0
    flagged = SystemFlag.FLAGGED if number % 4_000 == 2_000 else 0
    entry = LedgerEntry(
        folder=folder,
        uidvalidity=1,
        uid=10_000 + number,
        state=EntryState.STORED,
        size=size,
        internal_date=at,
        flags=seen | flagged,
        message=message,
    )
    return sealer.content_key_row, message, entry


_keys: dict = {}


def _arrived(number: int):
    from django.utils import timezone

    return timezone.now() - timedelta(minutes=100 * number)


def _letter() -> bytes:
    from tests.mail.stocked import page_mail

    rows = "".join(f"<tr><td>{n}</td><td><b>Good</b> day</td></tr>" for n in range(500))
    return page_mail(f"<h1>Report</h1><table>{rows}</table>")


def _health(person, account) -> None:
    from django.utils import timezone

    from accounts import actions, grants
    from accounts.models import GrantPurpose
    from diagnostics import reports
    from diagnostics.models import AccountHealth, HealthFlip
    from diagnostics.probing.probe import Examination, ProbeResult

    key, now = actions.account_key(account, person.user_key), timezone.now()
    grants.grant(account, key, GrantPurpose.BACKGROUND)
    attempts = [[now.isoformat(), ""] for _ in range(5)]
    AccountHealth.objects.create(account=account, last_success_at=now, status="healthy", attempts=attempts)
    HealthFlip.objects.bulk_create(
        HealthFlip(account=account, at=now - timedelta(days=n), **_CHANGES[n % 2]) for n in range(FLIPS)
    )
    probes = ("dns", "tcp", "tls", "greeting", "login", "capability", "folder_list", "fetch")
    results = tuple(ProbeResult(name, "ok", 0.1, "", {}, "* OK ready", True) for name in probes)
    for _ in range(REPORTS):
        reports.save(account, key, Examination(results, 1.0))


_CHANGES = (
    {"before": "broken", "after": "healthy"},
    {"before": "healthy", "after": "broken", "reason": "timeout"},
)


def _alerts(user, accounts, number: int) -> None:
    from django.utils import timezone

    from diagnostics.models import Alert

    now = timezone.now()
    Alert.objects.bulk_create(
        Alert(
            user=user,
            account=accounts[n % ACCOUNTS],
            key=f"{user.pk}:{n}",
            kind="broken",
            reason="timeout",
            facts={"account": accounts[n % ACCOUNTS].label},
            decided_at=now - timedelta(hours=n),
            read_at=now if n > 20 else None,
        )
        for n in range(number)
    )
