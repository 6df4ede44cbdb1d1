"""One leaf of a MIME tree: what it is called, and its bytes decoded."""

import re
import secrets
from binascii import Error as UndecodableError
from binascii import a2b_base64, a2b_qp, a2b_uu
from collections.abc import Callable
from email.utils import decode_params, unquote
from io import BytesIO
from itertools import islice
from typing import NamedTuple

from mail.headers import clean, decoded, unworded

MAX_PARAMETERS = 200

# Keeps the library off a place in a mail; taken out again wherever bytes are read. No mail can aim at it.
HELD = b"~%s~" % secrets.token_hex(4).encode()

_PARAMETER = re.compile(r';\s*([^\s=;"]{1,80})\s*=\s*("(?:[^"\\]|\\.)*+"|[^;]*+)', re.S)


class Leaf(NamedTuple):
    """One part without parts of its own, or the whole mail; `encoded` copies its bytes out of the mail."""

    kind: str
    type_header: str
    disposition_header: str
    content_id: str
    encoding: str
    encoded: Callable[[], bytes]
    is_root: bool

    def data(self, limit: int | None = None) -> bytes:
        """The decoded bytes; with a limit, those of the first `limit` encoded ones."""
        return transfer_decoded(self.encoded().replace(HELD, b"")[:limit], self.encoding)

    def is_attached(self) -> bool:
        return self.disposition_header.partition(";")[0].strip().lower() == "attachment"

    def name(self) -> str:
        found = _parameter(self.disposition_header, "filename") or _parameter(self.type_header, "name")
        return clean(unworded(found))


def _parameter(header: str, wanted: str) -> str:
    """One parameter of a field, RFC 2231 decoded. Message.get_param takes quadratic time for many ";"."""
    if wanted not in header.lower():
        return ""
    pairs = [match.groups("") for match in islice(_PARAMETER.finditer(header), MAX_PARAMETERS)]
    try:
        decoded_pairs = decode_params([("", ""), *pairs])
    except (TypeError, ValueError):  # sections numbered badly
        decoded_pairs = [(name.partition("*")[0], value) for name, value in pairs]
    for name, value in decoded_pairs:
        if name.lower() == wanted and isinstance(value, tuple):
            charset, _, text = value
            return decoded(unquote(text).encode("latin-1", "replace"), charset or "")
        if name.lower() == wanted:
            return unquote(value)
    return ""


def transfer_decoded(data: bytes, encoding: str) -> bytes:
    if encoding == "base64":
        return _base64(data)
    if encoding == "quoted-printable":
        return a2b_qp(data)
    if encoding in ("x-uuencode", "uuencode", "x-uue", "uue"):
        return uudecoded(data.partition(b"\nend")[0].partition(b"begin ")[2].partition(b"\n")[2])
    return data


def _base64(data: bytes) -> bytes:
    try:
        return a2b_base64(data)
    except UndecodableError:  # cut off, or with padding in the middle
        symbols = re.sub(rb"[^A-Za-z0-9+/]", b"", data)
        whole = len(symbols) - (len(symbols) % 4 == 1)
        return a2b_base64(symbols[:whole] + b"==")


def uudecoded(block: bytes) -> bytes:
    data = bytearray()
    for line in BytesIO(block):
        try:
            data += a2b_uu(line.rstrip(b"\r\n"))
        except UndecodableError:
            break
    return bytes(data)
