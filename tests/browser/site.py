"""mailhelper as `make run` starts it: pages and workers in processes of their own, and what they say."""

import re
import subprocess
import threading

from tests.installation import Installation
from tests.servers.ports import free_port

PATIENCE = 60


class Site:
    """Of an installation; `url` is where its pages are."""

    def __init__(self, house: Installation, **environment: str):
        port = free_port()
        self.url = f"http://localhost:{port}"
        self._process = house.start("serve", "--port", str(port), PYTHONUNBUFFERED="1", **environment)
        self._said = ""
        self._heard = threading.Condition()
        for stream in (self._process.stdout, self._process.stderr):
            threading.Thread(target=self._listen, args=(stream,), daemon=True).start()

    def __enter__(self):
        self.hear("mailhelper is at")
        return self

    def __exit__(self, *exception):
        self._process.terminate()
        try:
            self._process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise

    def hear(self, pattern: str) -> re.Match:
        """What fits in all that was said; it is waited for."""
        with self._heard:
            found = self._heard.wait_for(lambda: re.search(pattern, self._said), PATIENCE)
            assert found, self._said
            return found

    def _listen(self, stream) -> None:
        for line in stream:
            with self._heard:
                self._said += line
                self._heard.notify_all()
