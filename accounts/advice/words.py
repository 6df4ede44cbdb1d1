"""What an advice is made of. Texts stand marked by N_ where they are written, and are translated when "
"given."""

from dataclasses import dataclass

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as N_

NOTHING_LOST = N_("Nothing is lost: what was fetched is stored, the rest waits on the server.")


@dataclass(frozen=True)
class Advice:
    sentence: str
    next_step: str


def told(sentence: str, *steps: str) -> Advice:
    """In the language that is active."""
    return Advice(gettext(sentence), " ".join(map(gettext, steps)))
