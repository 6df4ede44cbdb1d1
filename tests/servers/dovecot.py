"""A real Dovecot 2.3 in a throw-away folder, on free ports of 127.0.0.1."""

import base64
import contextlib
import functools
import grp
import imaplib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

from .mailboxes import Mailboxes
from .ports import free_port

PATIENCE = 20
SYSTEM_FOLDERS = ":/usr/sbin:/usr/local/sbin"

# The kernel sends the parent-death signal when the *thread* that started the process ends, so this one
# thread, which lives as long as the interpreter, starts them all.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="dovecot-starter")

CONFIG = """\
base_dir = {run}
state_dir = {run}
log_path = {log}
protocols = imap
listen = 127.0.0.1
shutdown_clients = yes
default_vsz_limit = 1G

ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}
ssl_min_protocol = TLSv1.2

disable_plaintext_auth = no
auth_mechanisms = plain login
auth_username_chars =
auth_username_format = %u
auth_failure_delay = 0
passdb {{
  driver = passwd-file
  args = {users}/%u
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={mail}/%u
}}
first_valid_uid = 1
first_valid_gid = 1

mail_location = maildir:~/Maildir
mail_fsync = never
namespace inbox {{
  inbox = yes
  separator = {separator}
}}
protocol imap {{
  mail_max_userip_connections = 100
}}

service imap-login {{
  chroot =
  service_count = 0
  inet_listener imap {{
    port = {imap_port}
  }}
  inet_listener imaps {{
    port = {imaps_port}
    ssl = yes
  }}
}}
service imap-urlauth-login {{
  chroot =
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
"""

ORDINARY_USER = """\
default_internal_user = {user}
default_login_user = {user}
default_internal_group = {group}
"""

# All that 2.3.19 says after login; SPECIAL-USE only where a folder is configured with one.
CAPABILITIES = """\
IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE SORT SORT=DISPLAY THREAD=REFERENCES THREAD=REFS
THREAD=ORDEREDSUBJECT MULTIAPPEND URL-PARTIAL CATENATE UNSELECT CHILDREN NAMESPACE UIDPLUS LIST-EXTENDED
I18NLEVEL=1 CONDSTORE QRESYNC ESEARCH ESORT SEARCHRES WITHIN CONTEXT=SEARCH LIST-STATUS BINARY MOVE
SNIPPET=FUZZY PREVIEW=FUZZY PREVIEW STATUS=SIZE SAVEDATE LITERAL+ NOTIFY SPECIAL-USE"""


def without(*names: str) -> str:
    """`settings` for a Dovecot that does not name these capabilities (it still obeys who uses them)."""
    ordinary = CAPABILITIES.split()
    if unknown := set(names) - set(ordinary):
        raise ValueError(f"Dovecot never names {unknown}")
    hidden = {*names, "QRESYNC"} if "CONDSTORE" in names else set(names)
    return f"imap_capability = {' '.join(name for name in ordinary if name not in hidden)}"


class Dovecot(Mailboxes):
    """`settings` goes to the end of the configuration, where it wins over what stands before; a change
    takes effect at the next start.

    Mail outlives stop(), kill() and restart(); close(), or the end of the with block, removes it.
    """

    host = "localhost"

    def __init__(self, folder: Path, authority, *, settings: str = "", separator: str = "/"):
        self.settings = settings
        self.separator = separator
        self.folder = folder
        self.ca_file = authority.ca_file
        self.imap_port = free_port()
        self.imaps_port = free_port()
        self.certificate, self.key = authority.issue(f"dovecot-{self.imap_port}")
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "dovecot.log"
        self.config = folder / "dovecot.conf"
        self._process: subprocess.Popen | None = None
        self._passwords: dict[str, str] = {}
        self._prepare_base()

    def _prepare_base(self) -> None:
        # Not below `folder`: pytest's paths are longer than the 108 bytes of a Unix socket's address, and
        # closed to the account that root hands the mail to.
        self._base = Path(tempfile.mkdtemp(prefix="dov", dir="/tmp"))
        self._base.chmod(0o755)
        self._remove_base = weakref.finalize(self, shutil.rmtree, self._base, ignore_errors=True)
        self._uid, self._gid = _mail_owner()
        self._users = self._base / "users"
        self._users.mkdir()
        self._users.chmod(0o755)
        self._mail = self._base / "mail"
        self._own_folder(self._mail)

    # Running it

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def close(self) -> None:
        self.stop()
        self._remove_base()

    def start(self) -> None:
        if self._process is not None:
            raise RuntimeError("Dovecot already runs")
        self.config.write_text(self._configuration())
        self._process = _starter.submit(self._spawn).result()
        try:
            self._wait_for("greeting", self._greets)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        if self._process is None:
            return
        # All at once: told by the master alone, an imap process waits until its client was idle for 10 s.
        os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(PATIENCE)
            self._wait_for("end of its processes", lambda: not self.processes())
        finally:
            self.kill()

    def kill(self) -> None:
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(PATIENCE)
        self._wait_for("end of its processes", self._killed_the_rest)
        self._process = None
        shutil.rmtree(self._base / "run", ignore_errors=True)

    def _killed_the_rest(self) -> bool:
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not self.processes()

    def restart(self) -> None:
        self.stop()
        self.start()

    def processes(self) -> set[int]:
        """All that the running Dovecot started, itself included."""
        return _session_members(self._process.pid) if self._process else set()

    def doveadm(self, *args: str) -> str:
        command = [_program("doveadm"), "-c", str(self.config), *args]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE)
        if done.returncode:
            raise RuntimeError(f"doveadm {' '.join(args)}: {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def _spawn(self) -> subprocess.Popen:
        command = [_program("dovecot"), "-F", "-c", str(self.config)]
        with open(self.log, "ab") as log:
            return subprocess.Popen(
                [_program("setpriv"), "--pdeathsig", "TERM", *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _configuration(self) -> str:
        text = CONFIG.format(
            run=self._base / "run",
            log=self.log,
            certificate=self.certificate,
            key=self.key,
            users=self._users,
            uid=self._uid,
            gid=self._gid,
            mail=self._mail,
            separator=self.separator,
            imap_port=self.imap_port,
            imaps_port=self.imaps_port,
        )
        if os.geteuid() != 0:
            user, group = pwd.getpwuid(self._uid).pw_name, grp.getgrgid(self._gid).gr_name
            text += ORDINARY_USER.format(user=user, group=group)
        return f"{text}\n{self.settings}\n"

    def _wait_for(self, what: str, happened) -> None:
        deadline = time.monotonic() + PATIENCE
        while not happened():
            if time.monotonic() > deadline:
                raise TimeoutError(f"Dovecot: no {what} in {PATIENCE} s:\n{self._log_tail()}")
            time.sleep(0.01)

    def _greets(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError(f"Dovecot ended with {self._process.returncode}:\n{self._log_tail()}")
        try:
            with socket.create_connection(("127.0.0.1", self.imaps_port), timeout=PATIENCE):
                pass
            with socket.create_connection(("127.0.0.1", self.imap_port), timeout=PATIENCE) as connection:
                return connection.makefile("rb").readline().startswith(b"* OK")
        except OSError:
            return False

    def _log_tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])

    # Users

    def add_user(self, login: str, password: str) -> None:
        self.set_password(login, password)

    def set_password(self, login: str, password: str) -> None:
        secret = base64.b64encode(password.encode()).decode()
        path = self._users / login
        draft = self._users / f".{login}.new"
        draft.write_text(f"{login}:{{PLAIN.b64}}{secret}\n")
        draft.chmod(0o644)
        _make_newer(draft, path)
        draft.replace(path)
        self._passwords[login] = password
        if self._process is not None:
            # Dovecot looks at a password file at most once a second.
            self._wait_for(f"login of {login}", lambda: self._lets_in(login))

    def _lets_in(self, login: str) -> bool:
        try:
            with self._session(login):
                return True
        except imaplib.IMAP4.error:
            return False

    # Folders

    def create_raw(self, login: str, raw_name: bytes) -> set[bytes]:
        """Makes the folder on the disk, past every check; returns the names that are new in LIST."""
        before = self.listed(login)
        on_disk = b"." + raw_name.replace(self.separator.encode(), b".")
        maildir = self._maildir(login) / os.fsdecode(on_disk)
        for part in (maildir, maildir / "cur", maildir / "new", maildir / "tmp"):
            self._own_folder(part)
        # The first LIST renames on the disk what is not UTF-8, and leaves it out of its answer.
        self.listed(login)
        return self.listed(login) - before

    def set_uidvalidity(self, login: str, folder: str, value: int) -> None:
        """The mails keep their UIDs."""
        self.doveadm("mailbox", "update", "-u", login, "--uid-validity", str(value), folder)

    def _maildir(self, login: str) -> Path:
        return self._mail / login / "Maildir"

    def _own_folder(self, path: Path) -> None:
        path.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(path, self._uid, self._gid)


@functools.cache
def _program(name: str) -> str:
    found = shutil.which(name, path=os.environ.get("PATH", "/usr/bin:/bin") + SYSTEM_FOLDERS)
    if found is None:
        raise FileNotFoundError(f"{name} is missing; run tests/servers/install_servers.sh")
    if name == "dovecot":
        version = subprocess.check_output([found, "--version"], text=True).strip()
        if not version.startswith("2.3."):
            raise RuntimeError(f"the configuration here is for Dovecot 2.3, this is {version}")
    return found


def _session_members(session: int) -> set[int]:
    return {int(pid) for pid in os.listdir("/proc") if pid.isdigit() and _session_of(pid) == session}


def _session_of(pid: str) -> int | None:
    try:
        state, _, _, session = Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[:4]
    except OSError:
        return None
    return None if state in "ZX" else int(session)


def _mail_owner() -> tuple[int, int]:
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    # Dovecot refuses to open mail as root.
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


def _make_newer(draft: Path, path: Path) -> None:
    # Dovecot notices a change by size and whole seconds of the time only.
    if path.exists():
        newer = int(path.stat().st_mtime) + 1
        os.utime(draft, (newer, newer))
