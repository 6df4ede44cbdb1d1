"""Processes that live and die with the one that starts them: web server, worker, the demo's mail servers."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import structlog

from accounts.events import Event

HOST = "127.0.0.1"
STOP_SECONDS = 10
PR_SET_PDEATHSIG = 1  # prctl(2)
START_SECONDS = 30
SHORTEST_LIFE = 3  # seconds
WEB_SERVER = ["gunicorn", "mailhelper.wsgi", "--threads=8", "--log-level=warning", "--no-control-socket"]

log = structlog.stdlib.get_logger("mailhelper.processes")

# The kernel ends the child together with the thread that started it, even by SIGKILL, and keeps that
# over exec. Asked for in the child: preexec_fn may deadlock in a parent with threads.
_WITH_PARENT = """\
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    if os.getppid() != int(sys.argv[1]):
        sys.exit("the parent is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""


class ProcessEnded(Exception):
    """A process that was to stay has ended."""


def launch(command: list[str], **options) -> subprocess.Popen:
    """Start a command in a session of its own (Ctrl-C reaches only us) that ends with this process."""
    wrapped = [sys.executable, "-P", "-c", _WITH_PARENT, str(os.getpid()), *command]
    options = {"stdin": subprocess.DEVNULL} | options
    return subprocess.Popen(wrapped, start_new_session=True, **options)


def end_with_parent() -> None:
    """Let this process end with the one that started it, as when make is stopped alone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def end(process: subprocess.Popen, seconds: float = STOP_SECONDS) -> None:
    """SIGTERM, then SIGKILL for the whole session."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def port_number(text: str) -> int:
    """For argparse."""
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise ArgumentTypeError(f"{text} is not a port: 1 to 65535")
    return int(text)


def free_port(wanted: int = 0) -> int:
    """The wanted port, or another one when it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted))
        except OSError:
            probe.bind((HOST, 0))
        return probe.getsockname()[1]


class Child:
    """A process that is started again when somebody kills it."""

    def __init__(self, name: str, command: list[str], **options):
        self.name, self._command, self._options = name, command, options
        self.start()

    def start(self) -> None:
        self.process = launch(self._command, **self._options)
        self._began = time.monotonic()

    def end(self) -> None:
        end(self.process)

    def require_running(self) -> None:
        """Raises ProcessEnded."""
        if self.process.poll() is not None:
            raise ProcessEnded(f"The {self.name} ended by itself with status {self.process.returncode}.")

    def was_killed(self) -> bool:
        """By a signal, and not in a row, as for want of memory."""
        lived = time.monotonic() - self._began
        return self.process.poll() is not None and self.process.returncode < 0 and lived > SHORTEST_LIFE


@contextmanager
def web_and_worker(base: Path, port: int, environment: Mapping[str, str]) -> Iterator[list[Child]]:
    """The web server and the worker, answering when the block begins and gone when it ends."""
    # Loopback speaks plain http, so a Secure cookie would never come back, unless a proxy speaks TLS for it.
    environment = {"MAILHELPER_SECURE_COOKIES": "0"} | dict(environment)
    gunicorn = [sys.executable, "-m", *WEB_SERVER, "--bind", f"{HOST}:{port}"]
    worker = [sys.executable, "manage.py", "run_huey"]
    with ExitStack() as running:
        children = []
        for name, command in (("web server", gunicorn), ("worker", worker)):
            children.append(Child(name, command, cwd=base, env=environment))
            running.callback(children[-1].end)
        _wait_until_answering(port, children)
        yield children


def _wait_until_answering(port: int, children: list[Child]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        require_running(children)
        try:
            urllib.request.urlopen(f"http://{HOST}:{port}/sign-in/", timeout=5).close()
            return
        except urllib.error.HTTPError as error:
            if error.code < 500:
                return
            raise ProcessEnded(f"The web server answers with status {error.code}; see above.") from error
        except OSError:
            time.sleep(0.05)
    raise ProcessEnded("The web server does not answer.")


def require_running(children: list[Child]) -> None:
    for child in children:
        child.require_running()


def stay(children: list[Child], each_minute: Callable[[], object] = lambda: None) -> None:
    """Return at Ctrl-C; start again what is killed; raise ProcessEnded when a process ends by itself."""
    next_minute = time.monotonic() + 60
    try:
        while True:
            if time.monotonic() > next_minute:
                next_minute += 60
                each_minute()
            for child in children:
                if child.was_killed():
                    log.warning(Event.PROCESS_RESTARTED, process=child.name)
                    child.start()
            require_running(children)
            time.sleep(0.5)
    except KeyboardInterrupt:
        return


def stop_like_ctrl_c() -> None:
    """Let SIGTERM and a closed terminal end this process as Ctrl-C does."""

    def interrupt(signum, frame):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as under nohup
        signal.signal(signal.SIGHUP, interrupt)
