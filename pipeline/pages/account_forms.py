"""What people type about their accounts, and what becomes of it."""

import copy
import itertools
import re
from collections.abc import Callable
from dataclasses import replace

from django import forms
from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy

from accounts import actions, filter_rules, grants
from accounts.actions import MINUTES_OF_A_DAY, MOST_MEGABYTES, Connection, Filters
from accounts.errors import NameTaken, UsageError
from accounts.models import GrantPurpose, MailAccount, Security, User
from mail.queries import current_folders, folder_names
from pipeline import connection_trials
from pipeline.broker import PipelineBroker
from pipeline.connection_trials import Wish
from pipeline.models import ConnectionTrial

MEGABYTE = filter_rules.MEGABYTE
MOST_FOLDERS = 200  # to tick
# Or a browser offers the person's password for mailhelper, and mends how a host is spelt.
_NO_WORDS = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}


class AddressForm(forms.Form):
    address = forms.EmailField(
        label=gettext_lazy("E-mail address of the mailbox"),
        widget=forms.EmailInput(attrs={"autocomplete": "email", "autofocus": True}),
    )


class SavedForm(forms.Form):
    """A form that saves; what cannot be done is said in it."""

    def saved(self, save: Callable[[], object] | None = None) -> bool:
        if not self.is_valid():
            return False
        try:
            (save or self.save)()
        except NameTaken as error:
            self.add_error("label", str(error))
        except UsageError as error:
            self.add_error(None, str(error))
        return not self.errors


class NameForm(SavedForm):
    label = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=100,
        help_text=gettext_lazy("What it is called here. It is not sealed, so do not put a secret into it."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, data=None, *, account: MailAccount, user_key: bytes):
        super().__init__(data, initial={"label": account.label})
        self._account = account

    def save(self) -> None:
        actions.rename_account(self._account, self.cleaned_data["label"])


class ScheduleForm(SavedForm):
    interval_minutes = forms.IntegerField(
        label=gettext_lazy("Minutes from one sync to the next"), min_value=1, max_value=MINUTES_OF_A_DAY
    )
    fixed_times = forms.CharField(
        label=gettext_lazy("Or at fixed times of the day"),
        required=False,
        help_text=gettext_lazy("Such as 07:00, 12:30, 18:00. They take the place of the minutes."),
    )
    daily_budget = forms.IntegerField(
        label=gettext_lazy("At most so many megabytes a day"),
        required=False,
        min_value=0,
        max_value=MOST_MEGABYTES,
        help_text=gettext_lazy("Empty: what the provider allows, as far as it is known. 0: no limit."),
    )

    def __init__(self, data=None, *, account: MailAccount, user_key: bytes):
        budget = account.daily_budget_bytes
        shown = {
            "interval_minutes": account.interval_minutes,
            "fixed_times": ", ".join(account.fixed_times),
            "daily_budget": None if budget is None else budget // MEGABYTE,
        }
        super().__init__(data, initial=shown)
        self._account = account

    def save(self) -> None:
        typed = self.cleaned_data
        times = re.findall(r"[^\s,;]+", typed["fixed_times"])
        actions.set_schedule(self._account, typed["interval_minutes"], times)
        actions.set_daily_budget(self._account, typed["daily_budget"])


class FilterFields(forms.Form):
    since = forms.CharField(
        label=gettext_lazy("Only mail that arrived since"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
    )
    exclude = forms.CharField(
        label=gettext_lazy("Folders to leave out"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy("One in each line; * stands for any text, as in Lists/*."),
    )
    include = forms.CharField(
        label=gettext_lazy("Only these folders"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy("Empty: all but trash and junk. Written in the same way."),
    )
    max_mail_mb = forms.FloatField(
        label=gettext_lazy("Of mails larger than so many megabytes only the header"),
        required=False,
        widget=forms.NumberInput(attrs={"step": "any"}),
    )

    def clean_since(self):
        typed = self.cleaned_data["since"]
        return _checked(filter_rules.day, typed) if typed else None

    def clean_exclude(self):
        return _checked(filter_rules.patterns, _lines(self.cleaned_data["exclude"]))

    def clean_include(self):
        return _checked(filter_rules.patterns, _lines(self.cleaned_data["include"]))

    def clean_max_mail_mb(self):
        typed = self.cleaned_data["max_mail_mb"]
        return None if typed is None else _checked(filter_rules.size_limit, typed)

    def filters(self) -> dict:
        typed = self.cleaned_data
        names = ("since", "exclude", "include")
        return {name: typed[name] for name in names} | {"max_mail_bytes": typed["max_mail_mb"]}


def _checked(rule: Callable, typed):
    """At its field, not over the form."""
    try:
        return rule(typed)
    except UsageError as error:
        raise forms.ValidationError(str(error)) from error


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


class FiltersForm(FilterFields, SavedForm):
    """The folders that are known can be ticked; what else was left out stands in `exclude`."""

    left_out = forms.MultipleChoiceField(
        label=gettext_lazy("Leave out these folders"), required=False, widget=forms.CheckboxSelectMultiple
    )

    def __init__(self, data=None, *, account: MailAccount, user_key: bytes):
        self._account, self._user_key = account, user_key
        key = actions.account_key(account, user_key)
        self._before = actions.filters_of(account, key)
        self._names = _names_of_folders(account, key, self._before)
        ticked = [pk for pk, name in self._names.items() if name in self._before.exclude]
        limit = self._before.max_mail_bytes
        shown = {
            "since": self._before.since and self._before.since.isoformat(),
            "left_out": ticked,
            "exclude": "\n".join(
                pattern for pattern in self._before.exclude if pattern not in self._names.values()
            ),
            "include": "\n".join(self._before.include),
            "max_mail_mb": limit and limit / MEGABYTE,
        }
        super().__init__(data, initial=shown)
        self.fields["left_out"].choices = list(self._names.items())

    def save(self) -> None:
        ticked = tuple(self._names[pk] for pk in self.cleaned_data["left_out"])
        wanted = self.filters() | {"exclude": (*self.cleaned_data["exclude"], *ticked)}
        actions.set_filters(self._account, self._user_key, replace(self._before, **wanted))


def _names_of_folders(account: MailAccount, key: bytes, filters: Filters) -> dict[str, str]:
    """Those that are synced, or would be if they were not left out by name; none of very many."""
    rows = {folder.pk: folder for folder in current_folders(account)}
    if len(rows) > MOST_FOLDERS:
        return {}
    names = {pk: name for pk, name in folder_names(account, key).items() if pk in rows}
    shown = [pk for pk, name in names.items() if not rows[pk].excluded or name in filters.exclude]
    return {str(pk): names[pk] for pk in sorted(shown, key=names.get)}


class ConnectionForm(SavedForm):
    """Saving it begins a trial; what was tried is saved when it works."""

    host = forms.CharField(
        label=gettext_lazy("IMAP server"),
        max_length=253,
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}
        ),
    )
    port = forms.IntegerField(label=gettext_lazy("Port"), min_value=1, max_value=65535)
    security = forms.ChoiceField(label=gettext_lazy("Security"))
    login = forms.CharField(
        label=gettext_lazy("Login name"),
        max_length=255,
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}
        ),
    )
    secret = forms.CharField(
        label=gettext_lazy("Password of the mailbox"),
        required=False,
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    ca_pem = forms.CharField(
        label=gettext_lazy("Certificate of the server's own authority (PEM)"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text=gettext_lazy("Only for a server whose certificate nobody else vouches for."),
    )

    def __init__(self, data=None, *, user: User, user_key: bytes, tried: dict | None = None, **options):
        super().__init__(data, **options)
        self.fields["security"].choices = _kinds_of_security(self.initial.get("security"))
        self._user, self._user_key, self._tried = user, user_key, tried
        self.trial: ConnectionTrial | None = None
        if tried:
            self._say_that_the_secret_is_kept()

    def _say_that_the_secret_is_kept(self) -> None:
        self.fields["secret"].help_text = gettext("Leave it empty to use the one that is there.")

    def clean(self):
        typed = super().clean()
        if not (typed.get("secret") or "secret" in self.errors):
            typed["secret"] = self._secret_before(typed)
        return typed

    def _secret_before(self, typed: dict) -> str:
        if self._tried:
            return self._tried["secret"]
        self.add_error("secret", gettext("Type the password of the mailbox."))
        return ""

    def save(self) -> None:
        self.trial = connection_trials.start(self._user, self._user_key, self.wish())

    def wish(self) -> Wish:
        """Raises UsageError."""
        raise NotImplementedError

    def clean_ca_pem(self):
        typed = self.cleaned_data["ca_pem"]
        return _checked(actions.checked_ca, typed) if typed else ""

    def _connection(self) -> Connection:
        return Connection(*(self.cleaned_data[name] for name in ("host", "login", "secret", "ca_pem")))

    def _typed(self) -> dict:
        return {name: self[name].data for name in self.fields} | {"secret": self.cleaned_data["secret"]}


def _kinds_of_security(present: str | None) -> list[tuple[str, str]]:
    kinds = [(Security.TLS, gettext("TLS (mostly port 993)"))]
    kinds += [(Security.STARTTLS, gettext("STARTTLS (mostly port 143)"))]
    if settings.MAILHELPER_ALLOW_PLAINTEXT or present == Security.NONE:
        kinds += [(Security.NONE, gettext("none: everything travels readable"))]
    return kinds


class NewAccountForm(ConnectionForm, FilterFields):
    label = NameForm.base_fields["label"]
    interval_minutes = ScheduleForm.base_fields["interval_minutes"]
    unread_only = forms.BooleanField(
        label=gettext_lazy("Of the mail that is there now only the unread"),
        required=False,
        help_text=gettext_lazy("What arrives later comes whole."),
    )
    background = forms.BooleanField(
        label=gettext_lazy("Sync it by itself for 90 days, also while I am not signed in"),
        required=False,
        help_text=gettext_lazy(
            "For that the workers can open this mailbox's password without you. Your stored mail stays "
            "sealed from them in any case. You can end it at any time; signing in extends it."
        ),
    )
    address = forms.CharField(required=False, widget=forms.HiddenInput)

    def wish(self) -> Wish:
        typed = self.cleaned_data
        draft = actions.drafted(
            self._user,
            self._user_key,
            typed["label"],
            typed["port"],
            typed["security"],
            self._connection(),
            Filters(**self.filters(), unread_before=timezone.now() if typed["unread_only"] else None),
        )
        if self._user.mail_accounts.filter(label__iexact=draft.label).exists():
            raise NameTaken(draft.label)
        key = actions.account_key(draft, self._user_key)

        def save() -> MailAccount:
            account = actions.save_new(draft)
            actions.set_schedule(account, typed["interval_minutes"], ())
            if typed["background"]:
                grants.grant(account, key, GrantPurpose.BACKGROUND)
            return account

        return Wish(draft, key, self._typed(), save, lambda account: _fetch(account, key))


class ChangeForm(ConnectionForm):
    """New settings for the same mailbox. Its stored password is sent to no other server."""

    def __init__(self, data=None, *, account: MailAccount, user_key: bytes, tried: dict | None = None):
        self._account, self._key = account, actions.account_key(account, user_key)
        self._stored = actions.connection_of(account, self._key)
        shown = tried or connection_fields(account, self._stored)
        super().__init__(data, user=account.user, user_key=user_key, tried=tried, initial=shown)
        self._say_that_the_secret_is_kept()

    def _secret_before(self, typed: dict) -> str:
        secret = self._tried["secret"] if self._tried else self._stored.secret
        if secret != self._stored.secret or typed.get("host") == self._stored.host:
            return secret
        self.add_error("secret", gettext("Type the password again: it would go to another server."))
        return ""

    def wish(self) -> Wish:
        typed, connection = self.cleaned_data, self._connection()
        settled = typed["port"], typed["security"], connection
        draft = copy.copy(self._account)
        actions.describe(draft, self._key, *settled, actions.filters_of(draft, self._key))

        def save() -> MailAccount:
            account = MailAccount.objects.select_related("user__vault").get(pk=self._account.pk)
            filters = actions.filters_of(account, self._key)
            actions.replace_connection(account, self._user_key, *settled, filters)
            return account

        return Wish(
            draft, self._key, self._typed(), save, lambda account: _fetch(account, self._key), self._account
        )


class NewPasswordForm(ChangeForm):
    """The rest as it is stored."""

    def __init__(self, data=None, *, account: MailAccount, user_key: bytes):
        stored = actions.connection_of(account, actions.account_key(account, user_key))
        rest = connection_fields(account, stored)
        typed = None if data is None else rest | {"secret": data.get("secret", "")}
        super().__init__(typed, account=account, user_key=user_key)
        self.fields["secret"].required, self.fields["secret"].help_text = True, ""


def free_name(user: User, wanted: str) -> str:
    """With a number where another account is called so."""
    taken = {label.casefold() for label in user.mail_accounts.values_list("label", flat=True)}
    names = itertools.chain([wanted], (f"{wanted} {number}" for number in itertools.count(2)))
    return next(name for name in names if name.casefold() not in taken)


def connection_fields(account: MailAccount, connection: Connection) -> dict:
    """What a form shows of it: all but the password."""
    return {
        "host": connection.host,
        "port": account.port,
        "security": account.security,
        "login": connection.login,
        "ca_pem": connection.ca_pem,
    }


def _fetch(account: MailAccount, key: bytes) -> None:
    PipelineBroker().enqueue_fetch_job(
        account.user, account, max_mails=None, keys={account.pk: key}, first_import_whole=True
    )
