"""What operators see of the work, and what they may do about it: stop a job, or have it done once more."""

from django.contrib import admin
from django.utils.translation import gettext, gettext_lazy
from django.utils.translation import gettext_noop as N_

from accounts.errors import ErrorType
from accounts.operators import ReadOnlyAdmin, one_of
from pipeline.broker import PipelineBroker
from pipeline.models import (
    JOB_OPEN,
    AccountRun,
    Heartbeat,
    JobEvent,
    JobType,
    PipelineJob,
    Rollup,
)
from pipeline.states import JOB_ARROWS, RUN_ARROWS


@admin.register(PipelineJob)
class PipelineJobAdmin(ReadOnlyAdmin):
    names = N_("job"), N_("jobs")
    list_display = [
        "created_at",
        "user",
        "type",
        "trigger",
        "status",
        "emails_fetched",
        "ended_at",
        "error_types",
    ]
    list_filter = ["status", "type", "trigger"]
    list_select_related = ["user"]
    search_fields = ["user__email"]
    actions = ["cancel", "retry"]

    @admin.action(description=gettext_lazy(N_("Cancel")))
    def cancel(self, request, jobs):
        cancelled = [job for job in jobs if PipelineBroker().cancel_job(job.pk)]
        self.done(request, cancelled, gettext("Cancelled"))

    @admin.action(description=gettext_lazy(N_("Fetch the accounts of these jobs again")))
    def retry(self, request, jobs):
        """With the grants that the owners gave: an operator has no keys."""
        ended = list(
            jobs.filter(type=JobType.FETCH).exclude(status__in=JOB_OPEN).prefetch_related("accounts")
        )
        for job in ended:
            PipelineBroker().retry_accounts(job.user, job.accounts.all())
        self.done(request, ended, gettext("Asked for once more"))


@admin.register(AccountRun)
class AccountRunAdmin(ReadOnlyAdmin):
    names = N_("run"), N_("runs")
    list_display = [
        "created_at",
        "account",
        "owner_of_account",
        "kind",
        "status",
        "phase",
        "attempt",
        "retries",
        "emails_fetched",
        "error_type",
        "ended_at",
    ]
    list_filter = ["status", "kind", one_of("error_type", sorted(ErrorType))]
    list_select_related = ["account__user"]
    search_fields = ["account__label", "account__user__email"]
    ordering = ["-created_at"]


@admin.register(JobEvent)
class JobEventAdmin(ReadOnlyAdmin):
    """In the order of their numbers, which is that of time and has an index."""

    names = N_("event"), N_("events")
    list_display = ["at", "job", "run", "arrow", "before", "after", "reason"]
    list_select_related = ["job", "run"]
    list_filter = [one_of("arrow", sorted({*RUN_ARROWS, *JOB_ARROWS}))]
    ordering = ["-pk"]


@admin.register(Rollup)
class RollupAdmin(ReadOnlyAdmin):
    names = N_("figures of an account"), N_("figures of accounts")
    list_display = ["start", "account", "owner_of_account", "granularity", "attempts", "successes", "mails"]
    list_filter = ["granularity"]
    list_select_related = ["account__user"]
    search_fields = ["account__label", "account__user__email"]
    ordering = ["-start"]


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnlyAdmin):
    names = N_("sign of life"), N_("signs of life")
    list_display = ["name", "at", "since"]
    ordering = ["name"]
