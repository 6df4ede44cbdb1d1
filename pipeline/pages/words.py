"""Words of pages for what rows hold as codes, and seconds as people read them."""

from django.contrib.humanize.templatetags.humanize import intcomma
from django.template.defaultfilters import floatformat
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as N_

_STATUSES = {
    "pending": N_("Waiting"),
    "running": N_("Running"),
    "retrying": N_("Retrying"),
    "success": N_("Success"),
    "partial_failure": N_("Partial failure"),
    "failed": N_("Failed"),
    "skipped": N_("Skipped"),
    "cancelled": N_("Stopped"),
}
_TYPES = {"fetch": N_("Fetch"), "diagnostics": N_("Diagnosis")}
_TRIGGERS = {
    "page": N_("a page"),
    "command": N_("the command line"),
    "api": N_("the API"),
    "schedule": N_("the schedule"),
}
PHASES = {
    "connect": N_("Connect"),
    "folder_list": N_("Compare folders"),
    "fetch": N_("Fetch"),
    "parse": N_("Read"),
    "save": N_("Seal"),
    "disconnect": N_("Close"),
}
_ARROWS = {
    "created": N_("asked for"),
    "claimed": N_("taken up by a worker"),
    "refused": N_("not let in"),
    "withdrawn": N_("not wanted any more"),
    "retried": N_("failed, to be tried again"),
    "yielded": N_("made room for others"),
    "widened": N_("goes on, since more was asked for"),
    "released": N_("put back by a worker that stopped"),
    "lapsed": N_("taken from a worker that died"),
    "lost": N_("given up: its workers died"),
    "succeeded": N_("succeeded"),
    "failed": N_("failed"),
    "skipped": N_("skipped"),
    "stopped": N_("stopped"),
    "started": N_("started"),
    "waited": N_("waits for a retry"),
    "resumed": N_("goes on"),
    "ended": N_("ended"),
    "cancelled": N_("stopped"),
}


_USES = {
    "inbox": N_("Inbox"),
    "sent": N_("Sent"),
    "drafts": N_("Drafts"),
    "junk": N_("Junk"),
    "trash": N_("Trash"),
    "archive": N_("Archive"),
    "all": N_("All mail"),
    "flagged": N_("Flagged"),
    "important": N_("Important"),
}


def use_word(special_use: str) -> str:
    """Of a folder whose name is sealed."""
    return gettext(_USES.get(special_use, N_("Folder with a sealed name")))


def job_word(status: str) -> str:
    """Of a job's or a run's status."""
    return gettext(_STATUSES[status])


def type_word(job_type: str) -> str:
    return gettext(_TYPES[job_type])


def trigger_word(trigger: str) -> str:
    return gettext(_TRIGGERS[trigger])


def phase_word(phase: str) -> str:
    return gettext(PHASES[phase]) if phase in PHASES else phase


def arrow_word(arrow: str) -> str:
    """Of an arrow of docs/states.md."""
    return gettext(_ARROWS[arrow])


def seconds_text(seconds: float) -> str:
    if seconds < 60:
        return f"{floatformat(seconds, 2 if seconds < 1 else 1)} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def megabytes_text(count: int) -> str:
    return f"{floatformat(count / 1_000_000, 1)} MB"


def mails_text(done: int, total: int | None) -> str:
    """Fetched, of how many; without the second where it was never known."""
    return intcomma(done) + (f" / {intcomma(total)}" if total else "")
