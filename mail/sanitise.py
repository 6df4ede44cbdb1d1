"""The HTML of a mail without anything that acts, submits or loads by itself.

As a program it reads {"html", "pictures", "remote"} and writes what is left: mail/cleanroom.py starts it.
"""

import json
import re
import resource
import sys
from urllib.parse import unquote

import nh3

PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
MAX_SECONDS, MAX_MEMORY = 2, 1_000_000_000
MAX_SAFE = 20_000_000  # a picture that comes once may be used a thousand times

# On white whatever the reader's page looks like: mails are written for it.
DOCUMENT = """<!doctype html>
<html>
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light">
<style>
html { background: #fff; color: #1a2230; font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
img { max-width: 100%; }
</style>
</head>
<body>"""

_TAGS = nh3.ALLOWED_TAGS - {"area", "map"} | {"font", "section", "article", "main"}
_DROPPED_WHOLE = {"script", "style", "title", "svg", "math", "iframe", "object", "noscript", "template"}
_ATTRIBUTES = {
    "*": {"align", "bgcolor", "color", "dir", "height", "lang", "style", "title", "valign", "width"},
    "a": {"href"},
    "font": {"face", "size"},
    "img": {"alt", "border", "src"},
    "ol": {"start", "type"},
    "table": {"border", "cellpadding", "cellspacing"},
    "td": {"colspan", "rowspan", "nowrap"},
    "th": {"colspan", "rowspan", "nowrap", "scope"},
}
_STYLES = {
    "background",
    "background-color",
    "color",
    "direction",
    "display",
    "float",
    "clear",
    "height",
    "line-height",
    "list-style-type",
    "max-height",
    "max-width",
    "min-height",
    "min-width",
    "letter-spacing",
    "opacity",
    "overflow-wrap",
    "table-layout",
    "vertical-align",
    "visibility",
    "white-space",
    "width",
    "word-break",
    *(f"border{edge}" for edge in ("", "-top", "-right", "-bottom", "-left", "-collapse", "-color")),
    *("border-radius", "border-spacing", "border-style", "border-width"),
    *(f"font{part}" for part in ("", "-family", "-size", "-style", "-variant", "-weight")),
    *(f"{box}{edge}" for box in ("margin", "padding") for edge in ("", "-top", "-right", "-bottom", "-left")),
    *(f"text{part}" for part in ("-align", "-decoration", "-indent", "-transform")),
}
_LINKS = ("http:", "https:", "mailto:", "tel:")
_SCHEMES = {"http", "https", "mailto", "tel", "cid", "data"}
_LOADS = re.compile(r"url\s*\(|image-set", re.I)
_OBSCURE = re.compile(r"\\|expression", re.I)  # a backslash may spell "url" in another way


def sanitise(html: str, pictures: dict[str, str], remote: bool) -> tuple[str, int]:
    """What may be shown, and how many pictures lie elsewhere; those are left out unless `remote`.

    `pictures` are the ones that the mail brings, as data: URLs by their Content-ID.
    """
    blocked = []

    def keep(tag: str, attribute: str, value: str) -> str | None:
        start = value.strip().lower()
        if attribute == "href":
            return value if start.startswith(_LINKS) else None
        if attribute == "src":
            return _source(value.strip(), start)
        return _style(value) if attribute == "style" else value

    def _style(value: str) -> str | None:
        if _LOADS.search(value):
            blocked.append(value)
            return value if remote and not _OBSCURE.search(value) else None
        return None if _OBSCURE.search(value) else value

    def _source(value: str, start: str) -> str | None:
        if start.startswith("cid:"):
            return pictures.get(unquote(value[4:]))
        if start.startswith(("http:", "https:")):
            blocked.append(value)
            return "https:" + value.partition(":")[2] if remote else None
        return value if start.startswith(tuple(f"data:{kind};" for kind in PICTURES)) else None

    safe = nh3.clean(
        html,
        tags=_TAGS,
        clean_content_tags=_DROPPED_WHOLE,
        attributes=_ATTRIBUTES,
        attribute_filter=keep,
        url_schemes=_SCHEMES,
        url_relative="deny",
        filter_style_properties=_STYLES,
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )
    return safe, len(blocked)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would be the mail, unsealed
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_SECONDS, MAX_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    safe = sanitise(**json.load(sys.stdin))
    if len(safe[0]) > MAX_SAFE:
        sys.exit("too large")
    json.dump(safe, sys.stdout)
