"""The form that narrows the list of mails."""

from datetime import date
from uuid import UUID

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext

from mail.listing import Mailboxes, Wanted

SIZES = [size * 1024 for size in (100, 1024, 5 * 1024, 10 * 1024, 25 * 1024)]


def day_field(label: str | None = None) -> forms.DateField:
    """Far enough from the ends of the calendar for every time zone."""
    bounds = [MinValueValidator(date(1900, 1, 1)), MaxValueValidator(date(9000, 1, 1))]
    widget = forms.DateInput({"type": "date"}, "%Y-%m-%d")
    return forms.DateField(required=False, label=label, widget=widget, validators=bounds)


class WantedForm(forms.Form):
    """What is not understood is said and left out of the wish."""

    account = forms.TypedChoiceField(coerce=UUID, empty_value=None, required=False)
    folder = forms.TypedChoiceField(coerce=UUID, empty_value=None, required=False)
    since = day_field()
    until = day_field()
    at_least_bytes = forms.TypedChoiceField(coerce=int, empty_value=0, required=False)
    unread = forms.BooleanField(required=False)
    flagged = forms.BooleanField(required=False)
    stored_only_here = forms.BooleanField(required=False)

    def __init__(self, data, mailboxes: Mailboxes):
        super().__init__(data, label_suffix="")
        self.fields["account"].choices = [("", gettext("All")), *_accounts(mailboxes)]
        self.fields["folder"].choices = [("", gettext("All")), *_folders(mailboxes)]
        sizes = [(size, filesizeformat(size)) for size in SIZES]
        self.fields["at_least_bytes"].choices = [("", gettext("Any")), *sizes]
        for name, label in _labels().items():
            self.fields[name].label = label

    def wanted(self) -> Wanted:
        self.is_valid()
        return Wanted(**self.cleaned_data)

    def boxes(self):
        return [self[name] for name in ("unread", "flagged", "stored_only_here")]

    def choices(self):
        return [self[name] for name in ("account", "folder", "since", "until", "at_least_bytes")]


def _labels() -> dict[str, str]:
    return {
        "account": gettext("Account"),
        "folder": gettext("Folder"),
        "since": gettext("From the day"),
        "until": gettext("Until the day"),
        "at_least_bytes": gettext("At least this large"),
        "unread": gettext("Only unread"),
        "flagged": gettext("Only flagged"),
        "stored_only_here": gettext("Also mail that is stored only here"),
    }


def _accounts(mailboxes: Mailboxes) -> list[tuple[UUID, str]]:
    return [(pk, account.label) for pk, account in mailboxes.accounts.items()]


def _folders(mailboxes: Mailboxes) -> list[tuple[str, list[tuple[UUID, str]]]]:
    """By account, each in the order of their names."""
    return [
        (
            account.label,
            sorted(
                (
                    (pk, mailboxes.names[pk])
                    for pk, row in mailboxes.folders.items()
                    if row.account_id == account.pk
                ),
                key=lambda choice: choice[1].casefold(),
            ),
        )
        for account in mailboxes.accounts.values()
    ]
