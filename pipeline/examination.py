"""The story of a diagnostics run: the ladder, then its report. Whether it passed is no matter of the run."""

from accounts.errors import ErrorType, SyncError
from accounts.models import MailAccount
from diagnostics import reports
from diagnostics.probing import ladder
from diagnostics.probing.probe import ProbeResult
from mail.guard import guarded
from pipeline.models import AccountRun, JobType, Phase, RunStatus
from pipeline.work import Work

_PHASE_AT = {"dns": Phase.CONNECT, "folder_list": Phase.FOLDER_LIST, "fetch": Phase.PROCESS}


def examine(work: Work) -> None:
    """Raises what ends or pauses a run; a mailbox in trouble raises nothing."""
    if work.deadline.passed():
        raise SyncError(ErrorType.TIMEOUT, own_limit=True)

    def begin(name: str) -> None:
        if name in _PHASE_AT:
            work.enter(_PHASE_AT[name])

    def beat(result: ProbeResult) -> None:
        work.guard()
        work.heed()

    key = work.sealer.account_key
    examination = ladder.examine(
        work.connection,
        work.account,
        key,
        on_probe=begin,
        on_result=beat,
        on_bytes=work.received,
        syncing=lambda: is_syncing(work.account),
        total_seconds=min(ladder.TOTAL_SECONDS, work.deadline.remaining()),
    )
    with guarded(work.guard):
        reports.save(work.account, key, examination, run_id=work.run.pk)


def is_syncing(account: MailAccount) -> bool:
    return AccountRun.objects.filter(account=account, kind=JobType.FETCH, status=RunStatus.RUNNING).exists()
