"""The German catalogue: what is to be translated, and whether all of it is.

python -m tests.catalogue brings mailhelper/locale/ up to date with the code and says what waits for words.
"""

import ast
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import django
from babel.messages import Catalog
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.conf import settings
from django.utils.translation.template import templatize

ROOT = Path(__file__).resolve().parent.parent
APPS = ("accounts", "mail", "diagnostics", "pipeline", "mailhelper")
FILE = ROOT / "mailhelper" / "locale" / "de" / "LC_MESSAGES" / "django.po"
COMPILED = FILE.with_suffix(".mo")
KEYWORDS = {"gettext": None, "gettext_lazy": None, "ngettext": (1, 2), "N_": None}
# No dates and no versions: the file changes with its texts alone.
HEADER = [
    ("Project-Id-Version", "mailhelper"),
    ("Language", "de"),
    ("Plural-Forms", "nplurals=2; plural=(n != 1);"),
    ("MIME-Version", "1.0"),
    ("Content-Type", "text/plain; charset=utf-8"),
    ("Content-Transfer-Encoding", "8bit"),
]


class German(Catalog):
    mime_headers = HEADER


def wanted() -> Catalog:
    """Every text of code and templates that is meant to be translated."""
    found = Catalog(locale="de")
    for source in (*_code(), *_templates()):
        for _, text, comments, context in extract("python", io.BytesIO(source), keywords=KEYWORDS):
            found.add(text, auto_comments=comments, context=context)
    return found


def _code() -> Iterator[bytes]:
    for path in sorted(path for app in APPS for path in (ROOT / app).rglob("*.py")):
        yield path.read_bytes()


def _templates() -> Iterator[bytes]:
    """Each as lines of Python that Django makes of it, without what stands between the texts."""
    if not settings.configured:
        settings.configure()
        django.setup()
    for path in sorted((ROOT / "templates").rglob("*.html")):
        yield templatize(path.read_text(), origin=str(path)).encode()


def translated() -> Catalog:
    with FILE.open("rb") as file:
        return read_po(file, locale="de")


def texts(catalogue: Catalog) -> dict:
    """Translation by text, without the header; both are tuples where there is a plural."""
    return {message.id: message.string for message in catalogue if message.id}


def placeholders(text: str) -> set[str]:
    """The names in {…} and %(…)s; raises SyntaxError when the text is no format."""
    parsed = ast.parse(f"f{text!r}", mode="eval").body if "{" in text else None
    values = [one.value for one in parsed.values if isinstance(one, ast.FormattedValue)] if parsed else []
    return {ast.unparse(value) for value in values} | set(re.findall(r"%\(\w+\)s", text))


def compiled() -> bytes:
    """The catalogue as gettext reads it."""
    file = io.BytesIO()
    write_mo(file, _german(translated(), texts(translated())))
    return file.getvalue()


def update() -> list[str]:
    """Write the catalogue and its compiled form. Returns the texts without a translation."""
    catalogue = _german(wanted(), texts(translated()))
    with FILE.open("wb") as file:
        write_po(file, catalogue, width=110, no_location=True, sort_output=True)
    COMPILED.write_bytes(compiled())
    return [str(text) for text, string in texts(translated()).items() if not all(_forms(string))]


def _german(messages: Catalog, words: dict) -> German:
    catalogue = German(locale="de", header_comment="# German translation of mailhelper.", fuzzy=False)
    for message in messages:
        if message.id:
            catalogue.add(message.id, words.get(message.id), auto_comments=message.auto_comments)
    return catalogue


def _forms(string) -> tuple[str, ...]:
    return string if isinstance(string, tuple) else (string,)


if __name__ == "__main__":
    missing = update()
    print("\n".join(missing) or "Everything is translated.")
    sys.exit(bool(missing))
