"""What a server said when a run failed: sealed in the run's row."""

from accounts import vault
from mail.sealer import place
from pipeline.models import AccountRun


def evidence_of(run: AccountRun, account_key: bytes) -> str:
    """Raises SealBroken."""
    if run.sealed_evidence is None:
        return ""
    return vault.unseal(account_key, run.sealed_evidence, *place(run, "sealed_evidence")).decode()
