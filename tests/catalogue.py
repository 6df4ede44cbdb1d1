"""The German catalogue: what is to be translated, and whether all of it is.

python -m tests.catalogue brings mailhelper/locale/ up to date with the code and says what waits for words.
"""

import ast
import io
import sys
from pathlib import Path

from babel.messages import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
APPS = ("accounts", "mail", "diagnostics", "pipeline", "mailhelper")
FILE = ROOT / "mailhelper" / "locale" / "de" / "LC_MESSAGES" / "django.po"
KEYWORDS = {"gettext": None, "ngettext": (1, 2), "N_": None, "_": None}


def in_code() -> Catalog:
    """Every text of the code that is meant to be translated."""
    found = Catalog(locale="de", project="mailhelper", charset="utf-8")
    for path in sorted(path for app in APPS for path in (ROOT / app).rglob("*.py")):
        for _, text, comments, context in extract_from_file("python", path, keywords=KEYWORDS):
            found.add(text, auto_comments=comments, context=context)
    return found


def translated() -> Catalog:
    with FILE.open("rb") as file:
        return read_po(file, locale="de")


def compiled() -> Catalog:
    with FILE.with_suffix(".mo").open("rb") as file:
        return read_mo(file)


def texts(catalogue: Catalog) -> dict:
    """Translation by text, without the header."""
    return {message.id: message.string for message in catalogue if message.id}


def placeholders(text: str) -> set[str]:
    """The names in {…}; raises ValueError when the text is no format."""
    parsed = ast.parse(f"f{text!r}", mode="eval").body if "{" in text else None
    values = [one.value for one in parsed.values if isinstance(one, ast.FormattedValue)] if parsed else []
    return {ast.unparse(value) for value in values}


def update() -> list[str]:
    """Write the catalogue and its compiled form. Returns the texts without a translation."""
    FILE.parent.mkdir(parents=True, exist_ok=True)
    catalogue = translated() if FILE.exists() else Catalog(locale="de", project="mailhelper")
    catalogue.update(in_code(), no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    with FILE.open("wb") as file:
        write_po(file, catalogue, width=110, no_location=True, omit_header=False, sort_output=True)
    with FILE.with_suffix(".mo").open("wb") as file:
        write_mo(file, translated())
    return [str(text) for text, string in texts(translated()).items() if not string]


def compiled_anew() -> Catalog:
    file = io.BytesIO()
    write_mo(file, translated())
    file.seek(0)
    return read_mo(file)


if __name__ == "__main__":
    missing = update()
    print("\n".join(missing) or "Everything is translated.")
    sys.exit(bool(missing))
