"""Deleting an account's mail, batch by batch: on SQLite a mailbox at once would lock everybody out."""

from accounts.models import MailAccount
from mail.guard import delete_in_batches
from mail.models import LedgerEntry, MessageBody


def remove_mail(account: MailAccount) -> None:
    delete_in_batches(LedgerEntry.objects.filter(folder__account=account))
    delete_in_batches(MessageBody.objects.filter(message__account=account))
    delete_in_batches(account.messages.all())
