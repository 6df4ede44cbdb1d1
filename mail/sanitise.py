"""The HTML of a mail without anything that acts, submits or loads by itself."""

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

import nh3

from mail.parcels import Attachment

MAX_INLINE_BYTES = 8_000_000  # of all images that a mail brings with it, together
PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")

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
_CID = re.compile(r"cid:([^\s\"'<>]{1,998})", re.I)


@dataclass(frozen=True)
class SafeHtml:
    """`remote_images` is how many pictures lie elsewhere and are left out unless they were asked for."""

    html: str
    remote_images: int


def sanitise(html: str, attachments: Iterable[Attachment] = (), remote: bool = False) -> SafeHtml:
    pictures, blocked = _inline_pictures(html, attachments), []

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
    return SafeHtml(safe, len(blocked))


def _inline_pictures(html: str, attachments: Iterable[Attachment]) -> dict[str, str]:
    """The pictures that the HTML shows and the mail brings, as data: URLs by their Content-ID."""
    wanted = {unquote(name) for name in _CID.findall(html)}
    left, found = MAX_INLINE_BYTES, {}
    for file in attachments:
        fits = file.content_id in wanted - found.keys() and len(file.data) <= left
        if fits and file.content_type in PICTURES:
            left -= len(file.data)
            found[file.content_id] = f"data:{file.content_type};base64,{base64.b64encode(file.data).decode()}"
    return found
