"""What a sync met that surprised it."""

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as N_

from accounts.advice.words import Advice, told

_UNEXPLAINED = N_("The server's count and the ledger differ by {count}.")
_FINDINGS = {
    "folder_missing": (
        N_("{folder} is not listed by the server any more."),
        N_(
            "Nothing was taken away here. If the next sync does not find it either, it counts as gone from "
            "the server; its stored mail stays."
        ),
    ),
    "folder_emptied": (
        N_("All mails of {folder} ({mails}) are gone from the server at once."),
        N_("Nothing is believed before the next sync sees the same; stored mail stays in any case."),
    ),
    "mails_replaced": (
        N_("All mails of {folder} ({mails}) are gone from the server, and others are there."),
        N_("Two looks saw the same. The stored ones stay stored."),
    ),
    "uidvalidity_changed": (
        N_("The server has numbered the mails of {folder} anew."),
        N_("Those that are known are linked again, the others fetched. Nothing has to be done."),
    ),
    "modseq_went_down": (
        N_("The server's count of changes in {folder} went back."),
        N_("All its mails were compared instead. Nothing has to be done."),
    ),
    "no_modseq": (
        N_("The server keeps no count of changes in {folder}."),
        N_("So its flags are read as a whole in each sync. Nothing has to be done."),
    ),
    "counts_differ": (
        N_("What the server tells of changes in {folder} does not fit its count of mails."),
        N_("All its mails are compared instead. Nothing has to be done."),
    ),
}


def finding(kind: str, facts: dict, folder: str = "") -> Advice:
    """What a sync met; `folder` is its name where it may be shown."""
    name = gettext("the folder {name}").format(name=folder) if folder else gettext("a folder")
    found = told(*_FINDINGS[kind])
    sentence = found.sentence.format(**{"mails": "", **facts, "folder": name})
    return Advice(sentence[0].upper() + sentence[1:], found.next_step)


def unexplained(count: int) -> Advice:
    sentence = gettext(_UNEXPLAINED).format(count=abs(count))
    return Advice(sentence, gettext("Fetch again; if it stays, report it."))
