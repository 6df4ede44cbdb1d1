"""What syncs ask of a server, with and without CONDSTORE and QRESYNC: a Markdown table.

python -m bench.round_trips [MAILS]      (a plain connection to a Dovecot beside it, through a counting proxy)
"""

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import Mailbox
from tests.installation import Installation
from tests.servers.certificates import make_ca
from tests.servers.dovecot import Dovecot, without
from tests.servers.meter import Meter

TEXT_BYTES = 5_000
RECEIVED = (
    "Received: from mx{0}.example.org (mx{0}.example.org [192.0.2.{0}]) by mail.example.net with ESMTPS\r\n"
)
RECEIVED += "\tid {0:012} for <anna@example.org>; Thu, 1 Jan 2026 00:00:{0:02} +0000\r\n"
HEADER = "".join(RECEIVED.format(hop) for hop in range(12))  # 2 kB, as is usual
WAYS = {"QRESYNC": (), "CONDSTORE": ("QRESYNC",), "neither": ("CONDSTORE",)}


@dataclass
class Behind:
    """The Dovecot as a client sees it through the meter."""

    imap_port: int
    host: str = "localhost"
    imaps_port: None = None
    ca_file: None = None


@dataclass
class Scene:
    """A mailbox of so many mails in its INBOX."""

    server: Dovecot
    box: Mailbox
    mails: int

    def append(self, count: int) -> None:
        start = len(self.server.uids(self.box.login, "INBOX")) + 1_000_000 * bool(self.mails)
        raws = [mail(number) for number in range(start, start + count)]
        self.server.append_many(self.box.login, "INBOX", raws)

    def change_a_little(self) -> None:
        """Flags of 1 %, 0.5 % gone, 50 new."""
        uids = sorted(self.server.uids(self.box.login, "INBOX"))
        for uid in uids[:: max(1, len(uids) // (self.mails // 100))]:
            self.server.set_flags(self.box.login, "INBOX", uid, ("\\Flagged",))
        self.server.expunge(self.box.login, "INBOX", uids[1 : self.mails // 200 * 2 : 2])
        self.append(50)

    def move_a_thousand(self) -> None:
        self.box.create("Moved")
        uids = sorted(self.server.uids(self.box.login, "INBOX"))[-1_000:]
        self.server.move(self.box.login, "INBOX", uids, "Moved")

    def renumber(self) -> None:
        self.server.set_uidvalidity(self.box.login, "INBOX", 123_456)


SCENARIOS: dict[str, Callable[[Scene], None]] = {
    "first sync": lambda scene: None,
    "no change": lambda scene: None,
    "1 % flags, 0.5 % gone, 50 new": Scene.change_a_little,
    "1,000 mails moved": Scene.move_a_thousand,
    "UIDVALIDITY reset": Scene.renumber,
}


def main(mails: int) -> None:
    print(f"| {mails:,} mails | server has | round trips | kB in | mails fetched | linked |")
    print("|---|---|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        authority = make_ca(Path(name) / "ca")
        for way, hidden in WAYS.items():
            with Dovecot(Path(name) / way, authority, settings=without(*hidden) if hidden else "") as server:
                measure(way, server, mails, Path(name) / f"house-{way}")


def measure(way: str, server: Dovecot, mails: int, home: Path) -> None:
    scene = Scene(server, Mailbox(server), 0)
    scene.append(mails)
    scene.mails = mails
    house = Installation(home)
    house.manage("add_user", "anna@example.org")
    with Meter(server.imap_port) as meter:
        seen = Mailbox.__new__(Mailbox)
        seen.server, seen.login, seen.password = Behind(meter.port), scene.box.login, scene.box.password
        house.add_account(seen, "--background")
        for name, happen in SCENARIOS.items():
            happen(scene)
            meter.reset()
            [run] = house.json("sync_all")["accounts"]
            told = f"{meter.figures.round_trips} | {meter.figures.bytes_in / 1000:,.1f}"
            print(
                f"| {name} | {way} | {told} | {run['emails_fetched']} | {run['emails_linked']} |", flush=True
            )


def mail(number: int) -> bytes:
    head = f"{HEADER}Subject: mail {number}\r\nMessage-ID: <{number}@example.org>\r\n"
    words = f"{number:07} " * (TEXT_BYTES // 8)
    return f"{head}\r\n{words}\r\n".encode()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5_000)
