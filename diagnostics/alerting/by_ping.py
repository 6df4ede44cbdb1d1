"""A sign of life to a watcher elsewhere, such as Healthchecks: its URL is a secret."""

import requests

from diagnostics.alerting import outbound

TIMEOUT = 10


def send(url: str) -> None:
    """Raises SyncError."""
    with outbound.translated():
        outbound.within(TIMEOUT, lambda: _get(url))


def _get(url: str) -> None:
    with requests.get(
        url, headers={"User-Agent": "mailhelper"}, timeout=TIMEOUT, allow_redirects=False, stream=True
    ) as answer:
        outbound.check_answer(answer.status_code)
