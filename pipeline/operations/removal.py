"""A person goes, and everything of theirs."""

from dataclasses import dataclass

from accounts import operators, people
from accounts.models import User
from diagnostics.alerting import channels
from mail.guard import delete_in_batches
from mail.models import Message
from pipeline.broker import PipelineBroker


@dataclass(frozen=True)
class Belongings:
    accounts: int
    mails: int


def belongings_of(user: User) -> Belongings:
    return Belongings(user.mail_accounts.count(), Message.objects.filter(account__user=user).count())


def remove_person(user: User) -> None:
    """For good. Killed midway, it leaves somebody who cannot sign in, to be removed once more.

    Raises UsageError for the last who runs this mailhelper while others are there.
    """
    people.shut_out(user)
    for account in user.mail_accounts.all():
        PipelineBroker().remove_account(account)
    for channel in user.channels.all():
        channels.remove(channel)
    operators.forget_log_of(user.jobs.all())
    delete_in_batches(user.jobs.all())
    delete_in_batches(user.alerts.all())
    people.delete(user)
