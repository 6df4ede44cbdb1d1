"""What a person's accounts did, newest first, in pages that cost the same whatever the number of runs."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from uuid import UUID

from django import forms
from django.db.models import OuterRef, Prefetch, QuerySet, Subquery
from django.utils import timezone
from django.utils.translation import gettext_lazy

from accounts import cursors
from accounts.advice import advise
from accounts.errors import ErrorType
from accounts.models import User
from mail.forms import day_field
from pipeline.models import AccountRun, PipelineJob, RunStatus
from pipeline.pages import words
from pipeline.queries import RunReport, run_report

PER_PAGE = 50


class HistoryFilter(forms.Form):
    """What is asked for in the address; each part may be left out."""

    account = forms.ModelChoiceField(
        None, required=False, label=gettext_lazy("Account"), empty_label=gettext_lazy("All")
    )
    status = forms.ChoiceField(required=False, label=gettext_lazy("Status"))
    error_type = forms.ChoiceField(required=False, label=gettext_lazy("Error"))
    since = day_field(gettext_lazy("From"))
    until = day_field(gettext_lazy("Until"))

    def __init__(self, user: User, data):
        super().__init__(data, label_suffix="")
        every = ("", gettext_lazy("All"))
        self.fields["account"].queryset = user.mail_accounts.all()
        self.fields["status"].choices = [every, *((one, words.job_word(one)) for one in RunStatus.values)]
        self.fields["error_type"].choices = [every, *((one, _named(one)) for one in sorted(ErrorType))]

    @property
    def is_set(self) -> bool:
        return any(self.data.get(name) for name in self.fields)

    def of(self, runs: QuerySet[AccountRun]) -> QuerySet[AccountRun]:
        """The runs that fit; what was typed wrong leaves nothing out."""
        asked = self.cleaned_data if self.is_valid() else {}
        for name in ("status", "error_type"):
            if asked.get(name):
                runs = runs.filter(**{name: asked[name]})
        if asked.get("since"):
            runs = runs.filter(created_at__gte=_midnight(asked["since"]))
        if asked.get("until"):
            runs = runs.filter(created_at__lt=_midnight(asked["until"] + timedelta(days=1)))
        return runs


def _named(error_type: ErrorType) -> str:
    return f"{error_type} – {advise(error_type).sentence}"


def _midnight(day) -> datetime:
    """In the reader's time zone."""
    return timezone.make_aware(datetime.combine(day, time()))


@dataclass(frozen=True)
class Line:
    """A run, and the newest job that waited for it."""

    run: RunReport
    kind: str
    job_id: UUID | None
    mails: str
    took: str


@dataclass(frozen=True)
class HistoryPage:
    lines: list[Line]
    older: str  # where the next page begins; empty on the last one


def history_of(user: User, asked: HistoryFilter, before: str = "") -> HistoryPage:
    """Begins before that cursor. The accounts are among the person's own in any case."""
    account = asked.cleaned_data["account"] if asked.is_valid() else None
    accounts = [account.pk] if account else list(user.mail_accounts.values_list("pk", flat=True))
    runs = asked.of(AccountRun.objects.all())
    if place := cursors.read(before):
        runs = runs.filter(cursors.older_than(place, "created_at"))
    rows = list(_newest(user, accounts, runs))
    shown = rows[:PER_PAGE]
    older = cursors.write(shown[-1].created_at, shown[-1].pk) if len(rows) > PER_PAGE else ""
    return HistoryPage([_line(run, user) for run in shown], older)


def _newest(user: User, accounts: list[UUID], runs: QuerySet[AccountRun]) -> QuerySet[AccountRun]:
    """A page of the newest ones and one more.

    Each account's own index tells how far back its page would go. What is older than the latest of these
    cannot be on the page, so that at most a page of each account is sorted.
    """
    of_one = runs.filter(account=OuterRef("pk")).order_by("-created_at").values("created_at")
    reach = user.mail_accounts.filter(pk__in=accounts).annotate(to=Subquery(of_one[PER_PAGE : PER_PAGE + 1]))
    oldest = max((to for to in reach.values_list("to", flat=True) if to), default=None)
    runs = runs.filter(account__in=accounts)
    if oldest:
        runs = runs.filter(created_at__gte=oldest)
    jobs = Prefetch("jobs", PipelineJob.objects.only("pk", "created_at", "user_id"))
    runs = runs.select_related("account").prefetch_related(jobs)
    return runs.order_by("-created_at", "-pk")[: PER_PAGE + 1]


def _line(run: AccountRun, user: User) -> Line:
    report = run_report(run)
    own = [job for job in run.jobs.all() if job.user_id == user.pk]  # SQLite would read all jobs of this user
    return Line(
        run=report,
        kind=words.type_word(run.kind),
        job_id=max(own, key=lambda job: job.created_at).pk if own else None,
        mails=words.mails_text(report.mails_done, report.mails_total),
        took="" if report.duration is None else words.seconds_text(report.duration),
    )
