"""What a person reads of an HTML text."""

import re
from html.parser import HTMLParser

MAX_HTML = 64 * 1024

_HIDDEN = (
    (re.compile(r"<!--"), re.compile(r"-->")),
    (re.compile(r"<(?:style|script|title)\b", re.I), re.compile(r"</(?:style|script|title)\s*>", re.I)),
)
_TAG = re.compile(
    r"""<(?:[!?][^<>]*+>|(/?[a-zA-Z][a-zA-Z0-9]{0,20})\b(?:[^<>"']++|"[^"<]*+"|'[^'<]*+'|["'])*+>)?"""
)
_INLINE = {
    "a",
    "abbr",
    "b",
    "big",
    "em",
    "font",
    "i",
    "mark",
    "s",
    "small",
    "span",
    "strong",
    "sub",
    "sup",
    "u",
}


class _Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.texts: list[str] = []

    def handle_data(self, data: str):
        self.texts.append(data)

    def handle_starttag(self, tag: str, attrs: list):
        self.texts.append("" if tag in _INLINE else " ")

    def handle_endtag(self, tag: str):
        self.handle_starttag(tag, [])


def readable(html: str) -> str:
    for start, end in _HIDDEN:
        head, *rest = start.split(html)
        html = head + "".join("".join(end.split(piece, maxsplit=1)[1:]) for piece in rest)
    page = _Page()
    page.feed(_TAG.sub(_bare_tag, html[:MAX_HTML]))
    page.close()
    return "".join(page.texts)


def _bare_tag(tag: re.Match) -> str:
    """HTMLParser takes quadratic time for broken tags (32 kB of "<a ": 10 s); these it takes at once."""
    if tag[1]:
        return f"<{tag[1]}>"
    return "" if len(tag[0]) > 1 else "&lt;"
