"""The first sync of one mailbox beside mbsync's, in one run: seconds, their ratio, and the peak of memory.

python -m bench.first_sync [MAILS]      (mbsync comes with Debian's package isync; both use TLS, both cold)
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.conftest import Mailbox
from tests.installation import BASE, Installation
from tests.servers.certificates import make_ca
from tests.servers.dovecot import Dovecot

MAIL_BYTES = 20_000
MEASURED = (
    "import re; from django.core.management import execute_from_command_line as run\n"
    "run(['manage.py', 'sync_all'])\n"
    "print('peak', re.search(r'VmHWM:\\s+(\\d+) kB', open('/proc/self/status').read())[1])"
)
MBSYNCRC = """
IMAPAccount box
Host {host}
Port {port}
User {login}
Pass {password}
SSLType IMAPS
CertificateFile {ca}

IMAPStore far
Account box

MaildirStore near
Path {folder}/
Inbox {folder}/INBOX

Channel box
Far :far:
Near :near:
Create Near
Sync Pull
"""


def main(count: int) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        folder = Path(name)
        with Dovecot(folder / "dovecot", make_ca(folder / "ca")) as server:
            box = Mailbox(server)
            server.append_many(box.login, "INBOX", [mail(number) for number in range(count)])
            ours, peak = mailhelper(box, folder)
            print(f"mailhelper  {ours:6.1f} s  {count / ours:6.0f} mails/s  peak {peak / 1000:.0f} MB")
            if shutil.which("mbsync"):
                theirs = mbsync(box, folder)
                print(f"mbsync      {theirs:6.1f} s  {count / theirs:6.0f} mails/s")
                print(f"ratio       {ours / theirs:6.2f}   (mailhelper also parses, compresses and seals)")


def mail(number: int) -> bytes:
    words = f"{number:06} " * (MAIL_BYTES // 7)
    return f"Subject: mail {number}\r\nMessage-ID: <{number}@example.org>\r\n\r\n{words}\r\n".encode()


def mailhelper(box: Mailbox, folder: Path) -> tuple[float, int]:
    house = Installation(folder / "house")
    house.manage("add_user", "anna@example.org")
    house.add_account(box, "--background")
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", MEASURED],
        cwd=BASE,
        env=house.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return time.monotonic() - start, int(re.search(r"peak (\d+)", done.stdout)[1])


def mbsync(box: Mailbox, folder: Path) -> float:
    target, config = folder / "mbsync", folder / "mbsyncrc"
    target.mkdir()
    details = {"host": box.server.host, "port": box.server.imaps_port, "ca": box.server.ca_file}
    config.touch(mode=0o600)
    config.write_text(MBSYNCRC.format(login=box.login, password=box.password, folder=target, **details))
    start = time.monotonic()
    environment = {**os.environ, "HOME": str(folder)}
    subprocess.run(["mbsync", "-c", str(config), "box"], env=environment, capture_output=True, check=True)
    return time.monotonic() - start


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5_000)
