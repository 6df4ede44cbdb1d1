"""The arrows of docs/states.md: where each starts and where it leads. Nothing else moves a run or a job."""

from pipeline.models import JobStatus, RunStatus

RUN_ARROWS = {
    "created": (None, RunStatus.PENDING),
    "claimed": (RunStatus.PENDING, RunStatus.RUNNING),
    "refused": (RunStatus.PENDING, RunStatus.SKIPPED),
    "withdrawn": (RunStatus.PENDING, RunStatus.CANCELLED),
    "retried": (RunStatus.RUNNING, RunStatus.PENDING),
    "yielded": (RunStatus.RUNNING, RunStatus.PENDING),
    "widened": (RunStatus.RUNNING, RunStatus.PENDING),
    "released": (RunStatus.RUNNING, RunStatus.PENDING),
    "lapsed": (RunStatus.RUNNING, RunStatus.PENDING),
    "lost": (RunStatus.RUNNING, RunStatus.FAILED),
    "succeeded": (RunStatus.RUNNING, RunStatus.SUCCESS),
    "failed": (RunStatus.RUNNING, RunStatus.FAILED),
    "skipped": (RunStatus.RUNNING, RunStatus.SKIPPED),
    "stopped": (RunStatus.RUNNING, RunStatus.CANCELLED),
}

_OPEN = (JobStatus.PENDING, JobStatus.RUNNING, JobStatus.RETRYING)
_ENDS = (JobStatus.SUCCESS, JobStatus.PARTIAL_FAILURE, JobStatus.FAILED)

JOB_ARROWS = {
    "created": ((None,), (JobStatus.PENDING,)),
    "started": ((JobStatus.PENDING,), (JobStatus.RUNNING,)),
    "waited": ((JobStatus.RUNNING,), (JobStatus.RETRYING,)),
    "resumed": ((JobStatus.RETRYING,), (JobStatus.RUNNING,)),
    "ended": (_OPEN, _ENDS),
    "cancelled": (_OPEN, (JobStatus.CANCELLED,)),
}
