"""kill -9 at random moments, and then a full account of every mail.

python -m tests.chaos [KILLS] [--seed N]      (kills on each engine; prints figures)

Workers are real processes that sync growing mailboxes. Each one killed is replaced; every second one is left
a zombie, which looks alive: as with a worker on another machine, its lease has to lapse.
"""

import argparse
import hashlib
import json
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.processes import end, launch
from tests.conftest import Mailbox
from tests.installation import BASE, Installation, engine_on
from tests.servers.certificates import make_ca
from tests.servers.dovecot import Dovecot
from tests.servers.postgres import Postgres
from tests.servers.redis import Redis

EMAIL = "anna@example.org"
FOLDERS = ("INBOX", "Archiv")
BOXES = 4
WORKERS = 3
ENVIRONMENT = {"MAILHELPER_WORKERS": "4", "MAILHELPER_LEASE_SECONDS": "3"}
SETTLE_SECONDS = 180
FETCHING = ("fetch", "parse", "save")
ALL_PHASES = ("", "connect", "folder_list", *FETCHING, "disconnect")


@dataclass(frozen=True)
class Kill:
    """`hit` are the runs that the worker was executing, with their phase; `seen`: its end is seen at once."""

    at: float
    hit: dict[str, str]
    seen: bool


@dataclass
class Figures:
    seed: int
    kills: int
    kills_in_runs: int
    phases: Counter
    arrows: Counter
    errors: Counter
    jobs: int
    mails: int
    seconds: float
    back_seen: list[float]
    back_unseen: list[float]

    def __str__(self) -> str:
        return (
            f"seed {self.seed}: {self.kills} kills, {self.kills_in_runs} of them during runs, "
            f"{self.mails} mails, {self.jobs} jobs, {self.seconds:.0f} s\n"
            f"  killed in {_counted(self.phases)}\n"
            f"  arrows of runs: {_counted(self.arrows)}; errors: {_counted(self.errors)}\n"
            f"  a killed run went on after {_spread(self.back_seen)};\n"
            f"  where only the lease could tell, after {_spread(self.back_unseen)}"
        )


def _counted(counts: Counter) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common()) or "none"


def _spread(seconds: list[float]) -> str:
    if not seconds:
        return "(none)"
    return f"{statistics.median(seconds):.1f} s at the median, {max(seconds):.1f} s at worst"


def chaos(house: Installation, boxes: list[Mailbox], kills: int, seed: int) -> Figures:
    """Raises AssertionError, with the seed, when a mail is lost, doubled or changed, or work is stuck."""
    began = time.monotonic()
    house.manage("add_user", EMAIL)
    for number, box in enumerate(boxes):
        box.create(FOLDERS[1])
        house.add_account(box, "--background", name=f"box {number}")
    turmoil = Turmoil(house, boxes, seed)
    try:
        made = turmoil.rage(kills)
        turmoil.settle()
    finally:
        turmoil.stop()
    return account_for(house, boxes, made, seed, time.monotonic() - began)


@dataclass
class Turmoil:
    house: Installation
    boxes: list[Mailbox]
    seed: int
    _over: threading.Event = field(default_factory=threading.Event)  # something broke, or all is done
    _calm: threading.Event = field(default_factory=threading.Event)  # no more mail, no more kills
    _workers: list[subprocess.Popen] = field(default_factory=list)
    _zombies: list[subprocess.Popen] = field(default_factory=list)

    def __post_init__(self):
        self._random = random.Random(self.seed)
        self._log = open(self.house.home / "workers.log", "ab")  # noqa: SIM115 - stop() closes it
        self._observer, self._asker = Inside(self.house), Inside(self.house)
        self._threads = ThreadPoolExecutor(max_workers=2)
        self._in_threads = [self._threads.submit(self._guarded, job) for job in (self._append, self._ask)]

    def rage(self, kills: int) -> list[Kill]:
        for _ in range(WORKERS):
            self._start_worker()
        made = []
        while len(made) < kills and not self._over.is_set():
            made.append(self._kill(self._victim(), seen=len(made) % 2 == 0))
            self._start_worker()
        self._calm.set()
        self._in_threads[0].result()
        for zombie in self._zombies:
            zombie.wait()
        return made

    def settle(self) -> None:
        """Leave the workers alone until each account was synced once more, to the end."""
        since = time.time()
        self._wait("each account synced", lambda: not self._observer.ask("behind", since))
        self._over.set()
        self._in_threads[1].result()
        self._wait("no work left", lambda: not any(self._observer.ask("open_work").values()))

    def stop(self) -> None:
        self._over.set()
        self._calm.set()
        self._threads.shutdown()
        for worker in self._workers:
            end(worker)
        for inside in (self._observer, self._asker):
            inside.close()
        self._log.close()

    def _start_worker(self) -> None:
        command = [sys.executable, "manage.py", "run_huey"]
        environment = self.house.environment | ENVIRONMENT
        options = {"cwd": BASE, "env": environment, "stdout": self._log, "stderr": self._log}
        self._workers.append(launch(command, **options))

    def _victim(self) -> subprocess.Popen:
        """Mostly one that is at work, at some moment of it."""
        dice, workers = self._random.random(), []
        if dice < 0.5:
            workers = self._wait_for(lambda: self._busy(FETCHING), seconds=2)
        if dice < 0.9:
            workers = workers or self._wait("a worker at work", lambda: self._busy(ALL_PHASES))
        victim = self._random.choice(workers or self._workers)
        self._over.wait(self._random.uniform(0, 0.5))
        return victim

    def _busy(self, phases: tuple[str, ...]) -> list[subprocess.Popen]:
        pids = self._observer.ask("busy", phases)
        return [worker for worker in self._workers if worker.pid in pids]

    def _kill(self, victim: subprocess.Popen, seen: bool) -> Kill:
        victim.send_signal(signal.SIGSTOP)  # so that what it was at can be read before it is freed
        hit = self._observer.ask("runs_of", victim.pid)
        at = time.time()
        victim.kill()
        self._workers.remove(victim)
        if seen:
            victim.wait()
        else:
            self._zombies.append(victim)
        return Kill(at, hit, seen)

    def _append(self) -> None:
        chance = random.Random(self.seed + 1)
        number = 0
        while not self._calm.wait(chance.uniform(0, 1)):
            box = chance.choice(self.boxes)
            count = chance.choice([3, 10, 20, 30, 40, 50, 500])  # 500 are three batches
            mails = [_mail(number + more, chance) for more in range(count)]
            number += len(mails)
            box.server.append_many(box.login, "INBOX", mails)
            if chance.random() < 0.3:  # the same mail in a second folder is stored once
                box.server.append_many(box.login, FOLDERS[1], mails[:5])

    def _ask(self) -> None:
        while not self._over.wait(0.1):
            self._asker.ask("fetch")

    def _guarded(self, job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException:
            self._over.set()
            raise

    def _wait(self, what: str, happened: Callable):
        found = self._wait_for(happened, SETTLE_SECONDS)
        assert found, f"seed {self.seed}: not {what} in {SETTLE_SECONDS} s: {self._told()}"
        return found

    def _wait_for(self, happened: Callable, seconds: float):
        """What happened, or something false when the time is over; raises what broke in a thread."""
        deadline = time.monotonic() + seconds
        while not (found := happened()) and time.monotonic() < deadline:
            for thread in self._in_threads:
                if thread.done():
                    thread.result()
            time.sleep(0.02)
        return found

    def _told(self) -> str:
        left = self._observer.ask("open_work")
        return f"{left}\n" + (self.house.home / "workers.log").read_text()[-3000:]


def _mail(number: int, chance: random.Random) -> bytes:
    body = chance.randbytes(chance.randrange(500, 1500)).hex()
    lines = "\r\n".join(body[at : at + 76] for at in range(0, len(body), 76))
    return f"Subject: {number}\r\nMessage-ID: <{number}@example.org>\r\n\r\n{lines}\r\n".encode()


# The account at the end


def account_for(
    house: Installation, boxes: list[Mailbox], made: list[Kill], seed: int, seconds: float
) -> Figures:
    served = {f"box {number}": _served(box) for number, box in enumerate(boxes)}
    inside = Inside(house)
    try:
        facts = inside.ask("facts")
    finally:
        inside.close()
    blame = f"seed {seed}"
    assert not any(facts["open_work"].values()), f"{blame}: {facts['open_work']}"
    assert facts["accounts"].keys() == served.keys()
    for name, account in facts["accounts"].items():
        for folder in FOLDERS:
            here, there = account["folders"][folder], served[name][folder]
            assert here.keys() == there.keys(), f"{blame}: {name} {folder} {here.keys() ^ there.keys()}"
            assert here == there, f"{blame}: bytes changed in {name} {folder}"
        distinct = {digest for folder in served[name].values() for digest in folder.values()}
        assert account["messages"] == len(distinct), f"{blame}: {name} {account['messages']} {len(distinct)}"
        assert account["unexplained"] == 0, f"{blame}: {name}"
    assert facts["illegal"] == [], f"{blame}: {facts['illegal']}"
    hits = [(kill, phase, _went_on(facts, run, kill.at)) for kill in made for run, phase in kill.hit.items()]
    hits = [(kill, phase, after) for kill, phase, after in hits if after is not None]
    return Figures(
        seed=seed,
        kills=len(made),
        kills_in_runs=len({kill.at for kill, _, _ in hits}),
        phases=Counter(phase or "begin" for _, phase, _ in hits),
        arrows=Counter(event["arrow"] for event in facts["events"]),
        errors=Counter(facts["errors"]),
        jobs=facts["jobs"],
        mails=sum(len(folder) for account in served.values() for folder in account.values()),
        seconds=seconds,
        back_seen=[after for kill, _, after in hits if kill.seen],
        back_unseen=[after for kill, _, after in hits if not kill.seen],
    )


def _served(box: Mailbox) -> dict[str, dict[str, str]]:
    return {
        folder: {str(uid): hashlib.sha256(raw).hexdigest() for uid, raw in box.served(folder).items()}
        for folder in FOLDERS
    }


def _went_on(facts: dict, run: str, at: float) -> float | None:
    """Seconds until a claim of the run, or of its account's next one; None when it needed no freeing, because
    its last commit was on its way.
    """
    later = [event for event in facts["events"] if event["at"] > at]
    next_arrow = next((event["arrow"] for event in later if event["run"] == run), None)
    if next_arrow not in ("lapsed", "lost"):
        return None
    account = facts["account_of"][run]
    claims = (e["at"] for e in later if e["arrow"] == "claimed" and facts["account_of"][e["run"]] == account)
    return next(claims) - at


# Inside the installation


class Inside:
    """A process of the installation that answers questions, a line of JSON each; it ends with this one."""

    def __init__(self, house: Installation):
        program = "from tests.chaos import answer_questions; answer_questions()"
        self._process = subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=BASE,
            env=house.environment | ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, question: str, *about):
        self._process.stdin.write(json.dumps([question, *about]) + "\n")
        self._process.stdin.flush()
        if not (answer := self._process.stdout.readline()):
            raise RuntimeError(f"no answer to {question}: why, its process has written to stderr")
        return json.loads(answer)

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def answer_questions() -> None:
    import django

    django.setup()
    answers = {
        "behind": behind,
        "busy": busy,
        "facts": facts,
        "fetch": fetch,
        "open_work": open_work,
        "runs_of": runs_of,
    }
    for line in sys.stdin:
        question, *about = json.loads(line)
        print(json.dumps(answers[question](*about)), flush=True)


def _running():
    from pipeline.models import AccountRun, RunStatus

    return AccountRun.objects.filter(status=RunStatus.RUNNING)


def busy(phases: list[str]) -> list[int]:
    """The processes that execute runs in these phases."""
    owners = _running().filter(phase__in=phases).values_list("owner", flat=True)
    return [int(owner.rpartition(":")[2]) for owner in owners]


def runs_of(pid: int) -> dict[str, str]:
    runs = _running().filter(owner__endswith=f":{pid}").values_list("pk", "phase")
    return {str(pk): phase for pk, phase in runs}


def fetch() -> None:
    from accounts.models import MailAccount
    from pipeline.broker import PipelineBroker

    for account in MailAccount.objects.select_related("user"):
        PipelineBroker().enqueue_fetch_job(account.user, account, max_mails=None, timeout_seconds=None)


def behind(since: float) -> list[str]:
    """The accounts without a good run that began after this time."""
    from datetime import UTC, datetime

    from accounts.models import MailAccount
    from pipeline.models import RunStatus

    then = datetime.fromtimestamp(since, UTC)
    done = MailAccount.objects.filter(runs__status=RunStatus.SUCCESS, runs__started_at__gt=then)
    return list(MailAccount.objects.exclude(pk__in=done.values("pk")).values_list("label", flat=True))


def open_work() -> dict[str, int]:
    from mail.models import EntryState, LedgerEntry
    from pipeline.models import JOB_OPEN, RUN_ACTIVE, AccountRun, PipelineJob

    return {
        "runs": AccountRun.objects.filter(status__in=RUN_ACTIVE).count(),
        "jobs": PipelineJob.objects.filter(status__in=JOB_OPEN).count(),
        "mails": LedgerEntry.objects.filter(state=EntryState.PENDING).count(),
    }


def facts() -> dict:
    from accounts.models import User
    from pipeline.models import AccountRun, JobEvent, PipelineJob

    person = User.objects.get()
    events = JobEvent.objects.exclude(run=None).order_by("pk").values_list("run_id", "arrow", "at")
    errors = AccountRun.objects.exclude(error_type="").values_list("error_type", flat=True)
    return {
        "open_work": open_work(),
        "accounts": _stored(person),
        "illegal": _illegal_arrows(),
        "events": [{"run": str(run), "arrow": arrow, "at": at.timestamp()} for run, arrow, at in events],
        "errors": list(errors),
        "jobs": PipelineJob.objects.count(),
        "account_of": {str(run): str(of) for run, of in AccountRun.objects.values_list("pk", "account_id")},
    }


def _stored(person) -> dict[str, dict]:
    import os

    from accounts import actions
    from mail.queries import MailOpener, account_figures, folder_names, stored_mails

    user_key = actions.unlock(person, os.environ["MAILHELPER_PASSWORD"])
    stored = {}
    for account in person.mail_accounts.all():
        key = actions.account_key(account, user_key)
        opener = MailOpener(actions.mail_private_key(person, user_key), key)
        names = folder_names(account, key)
        stored[account.label] = {
            "messages": account.messages.count(),
            "unexplained": account_figures(account).unexplained,
            "folders": {
                names[folder.pk]: {
                    mail.uid: hashlib.sha256(mail.raw).hexdigest() for mail in stored_mails(folder, opener)
                }
                for folder in account.folders.all()
            },
        }
    return stored


def _illegal_arrows() -> list[str]:
    """Events that are no arrow of docs/states.md, or do not begin where the one before them ended."""
    from pipeline.models import AccountRun, JobEvent, PipelineJob
    from pipeline.states import JOB_ARROWS, RUN_ARROWS

    illegal, stands = [], {}
    for event in JobEvent.objects.order_by("pk"):
        if event.run_id:
            start, target = RUN_ARROWS.get(event.arrow, ("?", "?"))
            starts, targets = (start,), (target,)
        else:
            starts, targets = JOB_ARROWS.get(event.arrow, ((), ()))
        of = event.run_id or event.job_id
        before = event.before or None
        if before not in starts or event.after not in targets or before != stands.get(of):
            illegal.append(f"{of}: {event.arrow} from {event.before} to {event.after} at {stands.get(of)}")
        stands[of] = event.after
    for rows in (AccountRun.objects, PipelineJob.objects):
        for pk, status in rows.values_list("pk", "status"):
            if stands.get(pk) != status:
                illegal.append(f"{pk}: {status}, but its events lead to {stands.get(pk)}")
    return illegal


# On both engines


def main() -> None:
    parser = argparse.ArgumentParser(description="Kill workers at random and account for every mail.")
    parser.add_argument("kills", nargs="?", type=int, default=500, help="on each engine (500)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, Postgres() as postgres, Redis() as redis:
        engines = {"SQLite": {}, "PostgreSQL and Redis": engine_on(postgres.url(), redis.url())}
        with Dovecot(Path(name, "dovecot"), make_ca(Path(name, "ca"))) as server:
            for engine, urls in engines.items():
                print(f"{engine}, seed {asked.seed} …", flush=True)
                house = Installation(Path(name, engine), engine=urls)
                boxes = [Mailbox(server) for _ in range(BOXES)]
                print(chaos(house, boxes, asked.kills, asked.seed), flush=True)


if __name__ == "__main__":
    main()
