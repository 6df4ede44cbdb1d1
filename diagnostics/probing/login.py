"""Who may come in, and what the server says of itself."""

import re

from accounts.errors import ErrorType, SyncError
from diagnostics.probing.climb import Climb
from diagnostics.probing.probe import Told, not_offered, ok
from mail.imap_text import flat

# What may stand in clear of what a server names: words of the standards, not of the server.
KNOWN_CAPABILITIES = frozenset(
    b"""IMAP4REV1 IMAP4REV2 STARTTLS LOGINDISABLED SASL-IR ID ENABLE IDLE NAMESPACE CHILDREN UIDPLUS UNSELECT
    UIDONLY SORT SORT=DISPLAY THREAD=REFERENCES THREAD=ORDEREDSUBJECT THREAD=REFS LIST-EXTENDED LIST-STATUS
    LIST-METADATA LIST-MYRIGHTS SPECIAL-USE CREATE-SPECIAL-USE CONDSTORE QRESYNC ESEARCH ESORT SEARCHRES
    SEARCH=FUZZY SEARCH=X-MIME-PARTS MULTISEARCH WITHIN CONTEXT=SEARCH CONTEXT=SORT MOVE REPLACE BINARY
    CATENATE URL-PARTIAL URLAUTH MULTIAPPEND APPENDLIMIT LITERAL+ LITERAL- UTF8=ACCEPT UTF8=ONLY
    COMPRESS=DEFLATE QUOTA ACL RIGHTS=TEXK METADATA METADATA-SERVER NOTIFY OBJECTID PARTIAL PREVIEW
    PREVIEW=FUZZY SNIPPET=FUZZY SAVEDATE STATUS=SIZE I18NLEVEL=1 I18NLEVEL=2 LANGUAGE CONVERT FILTERS
    LOGIN-REFERRALS MAILBOX-REFERRALS UNAUTHENTICATE INPROGRESS MESSAGELIMIT JMAPACCESS X-GM-EXT-1 XLIST
    AUTH=PLAIN AUTH=LOGIN AUTH=XOAUTH2 AUTH=OAUTHBEARER AUTH=CRAM-MD5 AUTH=DIGEST-MD5 AUTH=NTLM AUTH=GSSAPI
    AUTH=SCRAM-SHA-1 AUTH=SCRAM-SHA-256 AUTH=EXTERNAL AUTH=PLAIN-CLIENTTOKEN""".split()
)
_LOOKED_AT = 10_000  # bytes of an answer that a pattern is held against
_NAMESPACE = re.compile(rb'\("(?:[^"\\]|\\.){0,1000}" (?:NIL|"[^"]{0,4}")')


def capability(climb: Climb) -> Told:
    climb.line.learn_capabilities()
    climb.offers_before = climb.line.offers
    return ok(capabilities=_known(climb.offers_before), others=_unknown(climb.offers_before))


def login(climb: Climb) -> Told:
    climb.line.log_in()
    return ok()


def capability_after(climb: Climb) -> Told:
    line = climb.session()
    line.learn_capabilities()
    climb.offers = line.offers
    gained = climb.offers - climb.offers_before
    return ok(capabilities=_known(climb.offers), others=_unknown(climb.offers), gained=len(gained))


def _known(offers: frozenset[bytes]) -> list[str]:
    return sorted(word.decode() for word in offers & KNOWN_CAPABILITIES)


def _unknown(offers: frozenset[bytes]) -> int:
    return len(offers - KNOWN_CAPABILITIES)


def identity(climb: Climb) -> Told:
    """ID (RFC 2971), of which we tell nothing."""
    if b"ID" not in climb.offers:
        return not_offered()
    answers = [flat(answer) for answer in climb.session().ask(b"ID NIL")]
    told = [text for text in answers if text[:3].upper() == b"ID "]
    if not told:
        raise SyncError(ErrorType.PROTOCOL_ERROR, missing="ID")
    return ok(fields=len(re.findall(rb'"(?:[^"\\]|\\.){0,1000}"', told[0][:_LOOKED_AT])) // 2)


def namespace(climb: Climb) -> Told:
    """How many prefixes there are, of whatever kind (RFC 2342)."""
    if b"NAMESPACE" not in climb.offers:
        return not_offered()
    answers = [flat(answer) for answer in climb.session().ask(b"NAMESPACE")]
    told = [text for text in answers if text[:10].upper() == b"NAMESPACE "]
    if not told:
        raise SyncError(ErrorType.PROTOCOL_ERROR, missing="NAMESPACE")
    return ok(namespaces=len(_NAMESPACE.findall(told[0][:_LOOKED_AT])))
