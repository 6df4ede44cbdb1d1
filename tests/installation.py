"""mailhelper as a person runs it: manage.py in processes of its own, with a data folder of its own."""

import json
import os
import secrets
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

BASE = Path(__file__).resolve().parent.parent


@dataclass
class Installation:
    home: Path
    password: str = field(default_factory=lambda: f"{secrets.token_hex(8)} horse battery")

    def __post_init__(self):
        self.manage("migrate", "--verbosity", "0")

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "MAILHELPER_VAR": str(self.home / "var"),
            "MAILHELPER_WORKER_KEY_FILE": str(self.home / "keys" / "worker.key"),
            "MAILHELPER_PASSWORD": self.password,
            "DJANGO_SETTINGS_MODULE": "mailhelper.settings",
        }

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=BASE,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def manage(self, *arguments: str, status: int = 0, **environment: str) -> str:
        """Run a command, insist on its exit status, and give what it printed."""
        process = self.start(*arguments, **environment)
        out, err = process.communicate(timeout=300)
        assert process.returncode == status, f"{arguments}: {process.returncode}\n{out}\n{err}"
        return out + err

    def json(self, *arguments: str, status: int = 0, **environment: str) -> dict:
        process = self.start(*arguments, "--json", **environment)
        out, err = process.communicate(timeout=300)
        assert process.returncode == status, f"{arguments}: {process.returncode}\n{out}\n{err}"
        return json.loads(out)

    def add_account(
        self, box, *options: str, email="anna@example.org", name="GMX", **environment: str
    ) -> str:
        security = ("tls", "--ca-file", str(box.server.ca_file)) if box.server.ca_file else ("none",)
        port = box.server.imaps_port or box.server.imap_port
        return self.manage(
            *("add_account", email, "--name", name, "--host", box.server.host, "--port", str(port)),
            *("--login", box.login, "--security", *security),
            *options,
            **{"MAILHELPER_IMAP_PASSWORD": box.password} | environment,
        )
