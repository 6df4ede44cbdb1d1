"""The peak of a worker's memory while it syncs one account: many small mails, many large ones, one huge one.

python -m bench.memory [PART]      (PART of the full size, as 0.1; the whole takes about five minutes)
"""

import json
import re
import sys
import tempfile
import time
from pathlib import Path

from tests.conftest import Mailbox
from tests.installation import Installation
from tests.servers.certificates import make_ca
from tests.servers.dovecot import Dovecot

CORPORA = {
    "100,000 mails of 2 kB": (100_000, 2_000),
    "5,000 mails of 200 kB": (5_000, 200_000),
    "one mail of 60 MB": (1, 60_000_000),
}
AT_ONCE_BYTES = 20_000_000


def main(part: float) -> None:
    print("| corpus | peak of the worker | seconds |")
    print("|---|---:|---:|")
    for name, (count, size) in CORPORA.items():
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            peak, seconds = measure(Path(folder), max(1, round(count * part)), size)
        print(f"| {name} | {peak / 1000:.0f} MB | {seconds:.0f} |", flush=True)


def measure(folder: Path, count: int, size: int) -> tuple[int, float]:
    """Peak in kB, and seconds."""
    with Dovecot(folder / "dovecot", make_ca(folder / "ca")) as server:
        box = Mailbox(server)
        fill(box, count, size)
        house = Installation(folder / "house")
        house.manage("add_user", "anna@example.org")
        house.add_account(box, "--background")
        worker = house.start("run_huey", "--quiet")
        try:
            start = time.monotonic()
            told, _ = house.start("sync_all", "--queue", "--json").communicate()
            [run] = json.loads(told)["accounts"]
            seconds = time.monotonic() - start
            status = Path("/proc", str(worker.pid), "status").read_text()
        finally:
            worker.terminate()
            worker.communicate()
    if run["status"] != "success":
        raise SystemExit(f"the sync did not succeed: {run['error']}")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]), seconds


def fill(box: Mailbox, count: int, size: int) -> None:
    at_once = max(1, AT_ONCE_BYTES // size)
    for start in range(0, count, at_once):
        raws = [mail(number, size) for number in range(start, min(count, start + at_once))]
        box.server.append_many(box.login, "INBOX", raws)


def mail(number: int, size: int) -> bytes:
    words = f"{number:07} " * (size // 8)
    return f"Subject: mail {number}\r\nMessage-ID: <{number}@example.org>\r\n\r\n{words}\r\n".encode()


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 1)
