"""How all accounts are, and how fast."""

from typing import Literal
from uuid import UUID

from ninja import Router

from accounts.api.callers import READS
from accounts.api.problems import answers
from pipeline.api.owned import account_of
from pipeline.api.shapes import Health, Performance
from pipeline.broker import PipelineBroker

router = Router(tags=["health and figures"], by_alias=False)


@router.get("/health", auth=READS, response=answers({200: list[Health]}))
def health(request):
    return PipelineBroker().get_account_health(request.user)


@router.get("/performance", auth=READS, response=answers({200: Performance}, 404))
def performance(request, window: Literal["24h", "7d", "30d"] = "24h", account: UUID | None = None):
    """From the beginning of that hour or (UTC) day on; of one account or of all."""
    own = account_of(request, account) if account else None
    return PipelineBroker().get_performance_metrics(request.user, window, own)
