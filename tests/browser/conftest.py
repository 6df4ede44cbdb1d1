"""Pages in a real Chromium. Nothing may leave the machine, and nothing may be wrong in its console."""

import os
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import pytest

# Playwright's loop runs in the thread in which tests write rows.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
BUILD = Path(__file__).resolve().parent.parent.parent / "build" / "screenshots"
# What a browser says of a form that was refused, and of a page that the test asks for in vain.
EXPECTED = ("status of 422", "status of 404")


@pytest.fixture(scope="session")
def browser_type_launch_args():
    return {"executable_path": shutil.which("chromium"), "args": ["--no-sandbox"]}


@pytest.fixture
def visitor(browser):
    """visitor(width=…, scheme=…, language=…) gives a page in a browser of its own."""
    contexts, wrong = [], []

    def visitor(width: int = 1280, scheme: str = "light", language: str = "en"):
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            locale=language,
            reduced_motion="reduce",
            service_workers="block",
        )
        contexts.append(context)
        context.set_default_timeout(20_000)
        context.on("request", lambda request: _note_foreign(request, wrong))
        context.on("console", lambda message: _note_complaint(message, wrong))
        context.on("weberror", lambda error: wrong.append(str(error.error)))
        return context.new_page()

    yield visitor
    for context in contexts:
        context.close()
    assert wrong == []


def _note_foreign(request, wrong: list[str]) -> None:
    if urlsplit(request.url).hostname not in ("localhost", "127.0.0.1", None):
        wrong.append(f"asked for {request.url}")


def _note_complaint(message, wrong: list[str]) -> None:
    if message.type == "error" and not any(known in message.text for known in EXPECTED):
        wrong.append(message.text)


def sign_in(
    page, site: str, email: str, password: str, words=("E-mail address", "Password", "Sign in")
) -> None:
    address, secret, button = words
    page.goto(f"{site}/sign-in/")
    page.get_by_label(address).fill(email)
    page.get_by_label(secret, exact=True).fill(password)
    page.get_by_role("button", name=button).click()
    page.wait_for_url(f"{site}/")
