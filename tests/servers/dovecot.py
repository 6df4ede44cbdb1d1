"""A real Dovecot 2.3 in a throw-away folder, on free ports of 127.0.0.1.

Folder names are text, or bytes for a name as it goes over the wire (modified UTF-7, or not even that).
"""

import base64
import contextlib
import datetime
import functools
import grp
import imaplib
import os
import pwd
import re
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


class Dovecot:
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

    @contextlib.contextmanager
    def _session(self, login: str):
        imap = imaplib.IMAP4("127.0.0.1", self.imap_port, timeout=60)
        try:
            # imaplib sends the answer to "+" in two writes; the second waits 40 ms for the first's ACK.
            imap.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # Not login(): imaplib's allows ASCII passwords only.
            imap.authenticate("PLAIN", lambda _: f"\0{login}\0{self._passwords[login]}".encode())
            yield imap
        finally:
            imap.shutdown()

    @contextlib.contextmanager
    def _selected(self, login: str, folder, readonly: bool = False):
        with self._session(login) as imap:
            _ok(imap.select(_quoted(folder), readonly))
            yield imap

    # Folders

    def create(self, login: str, folder) -> None:
        with self._session(login) as imap:
            _ok(imap.create(_quoted(folder)))

    def delete_folder(self, login: str, folder) -> None:
        with self._session(login) as imap:
            _ok(imap.delete(_quoted(folder)))

    def rename(self, login: str, old, new) -> None:
        with self._session(login) as imap:
            _ok(imap.rename(_quoted(old), _quoted(new)))

    def status(self, login: str, folder, items: str) -> dict[str, int]:
        """status(login, "INBOX", "MESSAGES UIDNEXT")"""
        with self._session(login) as imap:
            (answer,) = _ok(imap.status(_quoted(folder), f"({items})"))
        words = answer.decode().rpartition("(")[2].rstrip(")").split()
        return dict(zip(words[::2], map(int, words[1::2]), strict=True))

    def listed(self, login: str) -> set[bytes]:
        """The names LIST gives, as they go over the wire, without the quotes."""
        with self._session(login) as imap:
            return {_listed_name(item) for item in _ok(imap.list()) if item}

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

    def uidvalidity(self, login: str, folder) -> int:
        with self._selected(login, folder, readonly=True) as imap:
            return int(imap.response("UIDVALIDITY")[1][0])

    def _maildir(self, login: str) -> Path:
        return self._mail / login / "Maildir"

    def _own_folder(self, path: Path) -> None:
        path.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(path, self._uid, self._gid)

    # Mails

    def append(self, login: str, folder, raw: bytes, flags=(), date: datetime.datetime | None = None) -> int:
        options = f"({' '.join(flags)}) "
        if date is not None:
            options += imaplib.Time2Internaldate(date) + " "
        return self._append(login, folder, [raw], options.encode())[0]

    def append_many(self, login: str, folder, raws) -> list[int]:
        return self._append(login, folder, list(raws))

    def _append(self, login: str, folder, raws: list[bytes], options: bytes = b"") -> list[int]:
        # Not imaplib's append: that one turns every bare LF or CR into CRLF.
        with self._session(login) as imap:
            imap.send(b"X1 APPEND " + _quoted(folder))
            for raw in raws:
                imap.send(b" " + options + b"{%d+}\r\n" % len(raw))
                imap.send(raw)
            imap.send(b"\r\n")
            return _appended(imap)

    def expunge(self, login: str, folder, uids) -> None:
        with self._selected(login, folder) as imap:
            for some in _uid_sets(uids):
                _ok(imap.uid("STORE", some, "+FLAGS.SILENT", r"(\Deleted)"))
                _ok(imap.uid("EXPUNGE", some))

    def move(self, login: str, folder, uids, target) -> dict[int, int]:
        """The new UIDs by the old ones."""
        return self._transfer("MOVE", login, folder, uids, target)

    def copy(self, login: str, folder, uids, target) -> dict[int, int]:
        """The new UIDs by the old ones."""
        return self._transfer("COPY", login, folder, uids, target)

    def _transfer(self, command: str, login: str, folder, uids, target) -> dict[int, int]:
        new = {}
        with self._selected(login, folder) as imap:
            for some in _uid_sets(uids):
                _ok(imap.uid(command, some, _quoted(target)))
                _, source, destination = imap.response("COPYUID")[1][0].split()
                new.update(zip(_uid_list(source), _uid_list(destination), strict=True))
        return new

    def set_flags(self, login: str, folder, uid: int, flags) -> None:
        with self._selected(login, folder) as imap:
            _ok(imap.uid("STORE", str(uid), "FLAGS.SILENT", f"({' '.join(flags)})"))

    def uids(self, login: str, folder) -> set[int]:
        with self._selected(login, folder, readonly=True) as imap:
            return {int(uid) for uid in _ok(imap.uid("SEARCH", "ALL"))[0].split()}

    def served(self, login: str, folder) -> dict[int, bytes]:
        """What a plain client gets for BODY[] of every mail."""
        with self._selected(login, folder, readonly=True) as imap:
            answers = _ok(imap.uid("FETCH", "1:*", "(UID BODY.PEEK[])"))
        return {_uid(item[0]): item[1] for item in answers if isinstance(item, tuple)}


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


def _quoted(folder) -> bytes:
    name = folder if isinstance(folder, bytes) else _modified_utf7(folder).encode()
    return b'"%s"' % re.sub(rb'(["\\])', rb"\\\1", name)


def _modified_utf7(name: str) -> str:
    return re.sub(r"&|[^\x20-\x7e]+", _modified_run, name)


def _modified_run(found: re.Match) -> str:
    if found[0] == "&":
        return "&-"
    code = base64.b64encode(found[0].encode("utf-16-be")).decode()
    return f"&{code.rstrip('=').replace('/', ',')}-"


def _listed_name(item) -> bytes:
    if isinstance(item, tuple):
        return item[1]
    name = re.fullmatch(rb'\([^)]*\) (?:NIL|"(?:\\.|[^"])*") (.*)', item, re.DOTALL)[1]
    return re.sub(rb"\\(.)", rb"\1", name[1:-1]) if name.startswith(b'"') else name


def _appended(imap) -> list[int]:
    while not (line := imap.readline()).startswith(b"X1 "):
        if not line:
            raise ConnectionError("Dovecot closed the connection during APPEND")
    found = re.match(rb"X1 OK \[APPENDUID \d+ ([\d:,]+)\]", line)
    if found is None:
        raise RuntimeError(f"APPEND: {line!r}")
    return _uid_list(found[1])


def _uid_list(uid_set: bytes) -> list[int]:
    return [uid for part in uid_set.split(b",") for uid in _uid_range(part)]


def _uid_range(part: bytes) -> range:
    first, _, last = part.partition(b":")
    return range(int(first), int(last or first) + 1)


def _uid_sets(uids, size: int = 1000) -> list[str]:
    ordered = sorted(uids)
    return [",".join(map(str, ordered[at : at + size])) for at in range(0, len(ordered), size)]


def _uid(head: bytes) -> int:
    return int(re.search(rb"UID (\d+)", head)[1])


def _ok(answer):
    status, data = answer
    if status != "OK":
        raise RuntimeError(f"Dovecot: {status} {data!r}")
    return data
