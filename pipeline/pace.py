"""How long a phase may take, by what it took this account before. Pure."""

from pipeline.models import Phase

TOLERANCE = 5  # times what was seen
# Seconds: what is always allowed, and what is allowed at most and while nothing is known. Taking stock is
# cheap on most days and dear on some (a whole look, a new UIDVALIDITY), so that history tells nothing of it.
# Batches of mail have their own bounds, by their size (mail/imap.py).
BOUNDS = {Phase.CONNECT: (20, 105), Phase.FOLDER_LIST: (3_600, 3_600)}


def phase_limits(history: list[dict[str, float]]) -> dict[Phase, float]:
    """Seconds by phase. One that ran into its limit has that in its history, so the next limit is wider."""
    return {phase: _limit([past.get(phase, 0) for past in history], *BOUNDS[phase]) for phase in BOUNDS}


def _limit(seen: list[float], least: float, most: float) -> float:
    longest = max(seen, default=0)
    return min(max(longest * TOLERANCE, least), most) if longest else most
