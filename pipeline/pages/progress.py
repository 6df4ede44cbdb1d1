"""How far a run is, in words."""

from dataclasses import dataclass

from django.template.defaultfilters import floatformat
from django.utils.translation import gettext

from pipeline.console import PHASE_WORDS, duration
from pipeline.models import RunStatus
from pipeline.queries import RunReport


@dataclass(frozen=True)
class Progress:
    run: RunReport

    @property
    def doing(self) -> str:
        if self.run.status == RunStatus.PENDING:
            return gettext("Waiting for its turn")
        words = gettext(PHASE_WORDS[self.run.phase])
        return words[0].upper() + words[1:]

    @property
    def sizes(self) -> str:
        done, total = (
            floatformat(count / 1_000_000, 1) for count in (self.run.bytes_done, self.run.bytes_total or 0)
        )
        return gettext("{done} of {total} MB").format(done=done, total=total)

    @property
    def left(self) -> str:
        seconds = self.run.seconds_left
        return gettext("about {duration}").format(duration=duration(seconds)) if seconds else ""
