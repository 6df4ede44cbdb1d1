"""Secrets that live in files of their own, readable by their owner alone."""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def read_or_make(path: Path, make: Callable[[], bytes]) -> bytes:
    """The bytes of the file at `path`, which is made (0600) when it is missing.

    Two processes that start together agree on one content: linking a finished file is atomic.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = _write_draft(path, make())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # another process was first; its content counts
        finally:
            draft.unlink()
    return path.read_bytes()


@contextmanager
def replacing(path: Path, content: bytes) -> Iterator[None]:
    """Write the new content aside now, and put it in the file's place when the block has succeeded."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = _write_draft(path, content)
    try:
        yield
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _write_draft(path: Path, content: bytes) -> Path:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    return draft
