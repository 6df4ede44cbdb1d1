"""What the API tells of jobs, accounts and figures: the same shape wherever it appears.

Times are in UTC, durations in seconds.
"""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from ninja import Schema
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
)

from accounts.actions import MINUTES_OF_A_DAY, MOST_MEGABYTES
from accounts.models import Security
from diagnostics.health import Background
from diagnostics.models import Status
from diagnostics.probing.probe import Verdict
from pipeline.broker import DEFAULT_MAX_MAILS, DEFAULT_TIMEOUT_SECONDS, MAX_LIMIT
from pipeline.figures import Grade, Operation
from pipeline.models import JobStatus, JobType, Phase, RunStatus, Trigger

Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]  # PostgreSQL takes no NUL
Label = Annotated[Text, Field(min_length=1, max_length=100)]
TimeOfDay = Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("no year of UTC has this moment") from error


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]


class Run(Schema):
    """One account's part of a job. `run_after` is when a waiting run may begin, `retry_at` when the next one
    tries by itself after this one ended badly."""

    run_id: UUID
    account_id: UUID
    name: str
    status: RunStatus
    phase: Phase | str
    mails_done: int
    mails_total: int | None
    bytes_done: int
    bytes_total: int | None
    emails_fetched: int
    emails_linked: int
    emails_processed: int
    error_type: str
    error: str
    next_step: str
    retries: int
    run_after: datetime
    retry_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    duration: float | None
    seconds_left: float | None
    phases: dict[str, float]


class Job(Schema):
    """What was asked for at one time, and how far it is. It has ended when `ended_at` is set."""

    job_id: UUID
    type: JobType
    trigger: Trigger
    status: JobStatus
    max_mails: int | None
    timeout_seconds: int | None
    emails_fetched: int
    emails_linked: int
    emails_processed: int
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    runs: list[Run]


class Jobs(Schema):
    """Newest first. `next` is the `cursor` of the following page; null on the last."""

    items: list[Job]
    next: str | None


class Wish(BaseModel):
    """What a script asks for. A field that is not known, perhaps misspelt, is refused.

    No ninja Schema, which takes the attributes of any object: of an empty list, too.
    """

    model_config = ConfigDict(extra="forbid")


def _example(**fields) -> ConfigDict:
    """What "Try it out" sends unless something else is typed."""
    return ConfigDict(json_schema_extra={"examples": [fields]})


class FetchWish(Wish):
    """Without an `account` all that are not paused. A limit of null is none; 0 mails only take stock."""

    model_config = _example(max_mails=DEFAULT_MAX_MAILS)

    account: UUID | None = None
    max_mails: int | None = Field(DEFAULT_MAX_MAILS, ge=0, le=MAX_LIMIT, strict=True)
    timeout_seconds: int | None = Field(DEFAULT_TIMEOUT_SECONDS, ge=1, le=MAX_LIMIT, strict=True)


class DiagnosticsWish(Wish):
    model_config = _example(account="3f1c5a52-8a3e-4c8b-9d3a-0b6f6f0e9a11")

    account: UUID


class Health(Schema):
    """How an account is, since when and why, and what its person can do."""

    account_id: UUID
    name: str
    status: Status
    reason: str
    since: datetime
    sentence: str
    next_step: str
    failures: int
    attempts: int
    last_success_at: datetime | None
    last_error_type: str
    next_attempt: datetime | None
    certificate_expires_at: datetime | None
    background: Background
    background_until: datetime | None
    last_run: Run | None


class Account(Schema):
    """`fixed_times` take the place of the interval. A budget of null is what the provider allows, 0 none."""

    account_id: UUID = Field(alias="pk")
    name: str = Field(alias="label")
    provider: str
    port: int
    security: Security
    enabled: bool
    interval_minutes: int
    fixed_times: list[str]
    daily_budget_megabytes: int | None
    background_until: datetime | None
    next_due: datetime | None
    created_at: datetime

    @staticmethod
    def resolve_daily_budget_megabytes(account) -> int | None:
        budget = account.daily_budget_bytes
        return None if budget is None else budget // 1_000_000


_CONNECTION = {
    "host": "imap.example.org",
    "port": 993,
    "security": Security.TLS.value,
    "login": "anna@example.org",
    "password": "app password",
}


class NewConnection(Wish):
    """How a mailbox is reached. `ca_pem` only for a server whose certificate nobody else vouches for."""

    model_config = _example(**_CONNECTION)

    host: Annotated[Text, Field(min_length=1, max_length=253)]
    port: int = Field(993, ge=1, le=65535, strict=True)
    security: Security = Security.TLS
    login: Annotated[Text, Field(min_length=1, max_length=255)]
    password: Annotated[Text, Field(min_length=1, max_length=1000)]
    ca_pem: Annotated[Text, Field(max_length=100_000)] = ""


class AccountChanges(Wish):
    """What is left out stays as it is."""

    model_config = _example(interval_minutes=15)

    name: Label | None = None
    enabled: StrictBool | None = None
    interval_minutes: int | None = Field(None, ge=1, le=MINUTES_OF_A_DAY, strict=True)
    fixed_times: Annotated[list[TimeOfDay], Field(max_length=MINUTES_OF_A_DAY)] | None = None
    daily_budget_megabytes: int | None = Field(None, ge=0, le=MOST_MEGABYTES, strict=True)


class NewAccount(NewConnection):
    """`background` lets the workers sync it for 90 days without its owner."""

    model_config = _example(name="Mail", **_CONNECTION)

    name: Label
    interval_minutes: int = Field(15, ge=1, le=MINUTES_OF_A_DAY, strict=True)
    background: StrictBool = False


class FolderCompleteness(Schema):
    """`on_server` is the server's own count. `name` only in an unlocked session."""

    folder_id: UUID
    name: str | None
    special_use: str
    left_out: bool
    on_server: int
    stored: int
    excluded: int
    excluded_by: dict[str, int]
    quarantined: int
    pending: int
    gone: int
    unexplained: int
    as_of: datetime | None


class Completeness(Schema):
    """What became of every mail the server counts; `unexplained` should be 0."""

    account_id: UUID
    on_server: int
    stored: int
    excluded: int
    quarantined: int
    pending: int
    gone: int
    unexplained: int
    as_of: datetime | None
    folders: list[FolderCompleteness]


class Quantiles(Schema):
    count: int
    p50: float | None
    p95: float | None


class Judged(Quantiles):
    grade: Grade | None
    grade_p95: Grade | None


class Figures(Schema):
    """Rates are shares of the attempts; null without any."""

    attempts: int
    success_rate: float | None
    error_rates: dict[str, float]
    mails: int
    linked: int
    bytes: int
    mails_per_second: float | None
    bytes_per_second: float | None
    phases: dict[Phase, Quantiles]
    operations: dict[Operation, Judged]


class AccountFigures(Figures):
    account_id: UUID
    name: str
    provider: str


class Performance(Figures):
    since: datetime
    accounts: list[AccountFigures]
    providers: dict[str, Figures]


class ReportHead(Schema):
    """An examination of a mailbox; `run_id` is the run that made it."""

    report_id: UUID = Field(alias="pk")
    run_id: UUID | None
    at: datetime
    passed: bool
    seconds: float


class ProbeResult(Schema):
    """`error` and `next_step` where it is not ok; `evidence`, the server's own words, when unlocked."""

    name: str
    label: str
    verdict: Verdict
    seconds: float
    decides: bool
    error_type: str
    error: str
    next_step: str
    evidence: str


class Report(ReportHead):
    """`changes`: what is otherwise than when it passed last."""

    probes: list[ProbeResult]
    changes: list[str]
