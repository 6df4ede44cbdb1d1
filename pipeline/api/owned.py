"""What is the caller's own; an id of somebody else looks like an unknown one."""

from uuid import UUID

from accounts.api.problems import Problem
from accounts.models import MailAccount
from pipeline.models import PipelineJob
from pipeline.queries import own_job


def account_of(request, account_id: UUID) -> MailAccount:
    """Raises Problem."""
    accounts = request.user.mail_accounts.select_related("user__vault")
    return found(accounts.filter(pk=account_id).first())


def job_of(request, job_id: UUID) -> PipelineJob:
    """Raises Problem."""
    return found(own_job(request.user, job_id))


def found(row):
    """Raises Problem where there is none."""
    if row is None:
        raise Problem("not_found")
    return row
