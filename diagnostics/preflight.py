"""The probes that a sync makes on its way anyway: they cost nothing, and a failure is called by its probe."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from accounts.errors import SyncError

PREFLIGHT = ("dns", "tcp", "tls", "greeting", "capability", "login", "folder_list")


@dataclass
class Preflight:
    """Told by the session which step begins; what fails within `named` gets the step's name as a fact."""

    probe: str = ""

    def begin(self, name: str) -> None:
        self.probe = name

    @contextmanager
    def named(self) -> Iterator[None]:
        try:
            yield
        except SyncError as error:
            if self.probe in PREFLIGHT:
                error.facts.setdefault("probe", self.probe)
            raise
