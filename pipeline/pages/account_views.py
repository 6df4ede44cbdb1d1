"""The pages on which people add, change and remove their accounts."""

from functools import wraps

from django.http import StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.text import slugify
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import actions
from accounts.advice import advise
from accounts.errors import ErrorType, SealBroken
from accounts.models import MailAccount
from accounts.pages import go, signed_in, with_user_key
from accounts.providers import preset, provider_of_address
from mail.export import zipped
from mail.queries import account_figures
from pipeline import connection_trials
from pipeline.broker import PipelineBroker
from pipeline.connection_trials import Abandoned
from pipeline.models import ConnectionTrial
from pipeline.pages.account_forms import (
    AddressForm,
    ChangeForm,
    ConnectionForm,
    FiltersForm,
    NameForm,
    NewAccountForm,
    NewPasswordForm,
    ScheduleForm,
    free_name,
)
from pipeline.pages.account_list import account_rows, background_until, trial_page

GET_OR_POST = ["GET", "POST"]
PARTS = {"name": NameForm, "connection": ChangeForm, "schedule": ScheduleForm, "filters": FiltersForm}


def says_broken_seals(view):
    """Where a seal does not open, says so and what helps."""

    @wraps(view)
    def guarded(request, *args, **kwargs):
        try:
            return view(request, *args, **kwargs)
        except SealBroken:
            words = advise(ErrorType.NO_KEY, {"reason": "seal_broken"})
            return render(request, "pipeline/seal_broken.html", {"words": words}, status=409)

    return guarded


def opens_seals(view):
    """Gives view(request, user_key, …) its key."""
    return with_user_key(says_broken_seals(view))


@never_cache
@signed_in
@require_GET
def accounts(request):
    return render(request, "pipeline/accounts.html", {"rows": account_rows(request.user)})


@sensitive_post_parameters("secret")
@never_cache
@opens_seals
@require_http_methods(GET_OR_POST)
def add_account(request, user_key):
    """First the address alone; what is known of its provider fills the form in."""
    if "host" in request.POST:
        tried = _tried(request, user_key, None)
        form = NewAccountForm(request.POST, user=request.user, user_key=user_key, tried=tried)
        return _to_trial(form) if form.saved() else _settings_page(request, form, status=422)
    form = AddressForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        return _settings_page(request, _filled_in(request, user_key, form.cleaned_data["address"]))
    return render(request, "pipeline/add_account.html", {"form": form}, status=422 if form.errors else 200)


def _filled_in(request, user_key, address: str) -> NewAccountForm:
    provider = provider_of_address(address)
    # The address would say whose mailbox it is, and a name is not sealed.
    label = free_name(request.user, provider.title if provider else gettext("My mailbox"))
    shown = preset(address) | {"address": address, "label": label, "interval_minutes": 15, "background": True}
    return NewAccountForm(user=request.user, user_key=user_key, initial=shown)


def _settings_page(request, form: NewAccountForm, status: int = 200):
    provider = provider_of_address(form["address"].value() or "")
    shown = {"form": form, "provider": provider, "needs": provider and gettext(provider.needs)}
    return render(request, "pipeline/account_settings.html", shown, status=status)


def _to_trial(form: ConnectionForm):
    return redirect("connection_trial", form.trial.pk)


def _tried(request, user_key, account: MailAccount | None) -> dict | None:
    """What the same person typed before, where a trial of it is corrected."""
    if "again" not in request.POST:
        return None
    trial = ConnectionTrial.objects.filter(user=request.user, account=account, saved_at=None).first()
    return connection_trials.typed_in(trial, user_key) if trial else None


@never_cache
@opens_seals
@require_GET
def connection_trial(request, user_key, trial_id):
    """How the trial goes; the part of it that changes asks again each second."""
    trial = _own_trial(request, trial_id)
    if trial.saved_at and trial.account:
        return go(request, reverse("account", args=[trial.account_id]))
    name = "_trial.html" if request.htmx else "trial.html"
    return _trial_page(request, user_key, trial, _form_of(trial, user_key), name)


def _form_of(trial: ConnectionTrial, user_key, data: dict | None = None) -> ConnectionForm:
    tried = connection_trials.typed_in(trial, user_key)
    if trial.account:
        return ChangeForm(data, account=trial.account, user_key=user_key, tried=tried)
    return NewAccountForm(data, user=trial.user, user_key=user_key, tried=tried, initial=tried)


def _trial_page(request, user_key, trial, form, name="trial.html", status=200):
    shown = trial_page(trial, user_key) | {"form": form}
    return render(request, f"pipeline/{name}", shown, status=status)


@never_cache
@opens_seals
@require_POST
def keep_connection(request, user_key, trial_id):
    """Save what did not pass, where that is no refusal."""
    trial = _own_trial(request, trial_id)
    if trial.saved_at or not connection_trials.can_be_kept(trial):
        return redirect("connection_trial", trial.pk)
    form = _form_of(trial, user_key, data=connection_trials.typed_in(trial, user_key))
    try:
        if not form.saved(lambda: connection_trials.keep(trial, form.wish())):
            return _trial_page(request, user_key, trial, form, status=422)
    except Abandoned:
        pass
    return redirect("connection_trial", trial.pk)


@sensitive_post_parameters("secret")
@never_cache
@opens_seals
@require_http_methods(GET_OR_POST)
def edit_account(request, user_key, account_id):
    own = _own(request, account_id)
    forms = {name: _part(name, own, user_key) for name in PARTS}
    if request.method == "POST" and (name := request.POST.get("part")) in PARTS:
        more = {"tried": _tried(request, user_key, own)} if name == "connection" else {}
        forms[name] = form = _part(name, own, user_key, request.POST, **more)
        if form.saved():
            return _to_trial(form) if name == "connection" else _edited(own, name)
        own.refresh_from_db()
    bad = any(form.errors for form in forms.values())
    shown = {
        "account": own,
        "forms": forms,
        "until": background_until(own),
        "saved": request.GET.get("saved"),
    }
    return render(request, "pipeline/edit_account.html", shown, status=422 if bad else 200)


def _part(name: str, own: MailAccount, user_key, data=None, **more):
    return PARTS[name](data, account=own, user_key=user_key, **more)


def _edited(own: MailAccount, part: str):
    return redirect(f"{reverse('edit_account', args=[own.pk])}?saved={part}#{part}")


@sensitive_post_parameters("secret")
@never_cache
@opens_seals
@require_http_methods(GET_OR_POST)
def new_password(request, user_key, account_id):
    own = _own(request, account_id)
    form = NewPasswordForm(request.POST or None, account=own, user_key=user_key)
    if form.saved():
        return _to_trial(form)
    shown = {"account": own, "form": form, "login": form.initial["login"], "host": form.initial["host"]}
    return render(request, "pipeline/new_password.html", shown, status=422 if form.errors else 200)


@signed_in
@require_POST
def pause_account(request, account_id):
    return _enabled(request, account_id, False)


@signed_in
@require_POST
def resume_account(request, account_id):
    return _enabled(request, account_id, True)


def _enabled(request, account_id, enabled: bool):
    actions.set_enabled(_own(request, account_id), enabled)
    return redirect("accounts")


@never_cache
@opens_seals
@require_http_methods(GET_OR_POST)
def delete_account(request, user_key, account_id):
    own = _own(request, account_id)
    sure = "sure" in request.POST
    if request.method == "POST" and sure:
        PipelineBroker().remove_account(own)
        return redirect("accounts")
    shown = {"account": own, "figures": account_figures(own), "stored": own.messages.count()}
    unsure = request.method == "POST"
    return render(
        request, "pipeline/delete_account.html", shown | {"unsure": unsure}, status=422 if unsure else 200
    )


@never_cache
@opens_seals
@require_GET
def export_account(request, user_key, account_id):
    """All its mail as a ZIP file, decrypted here and now, one mail in memory at a time."""
    own = _own(request, account_id)
    keys = actions.account_key(own, user_key), actions.mail_private_key(request.user, user_key)
    name = f"mailhelper-{slugify(own.label) or 'account'}.zip"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingHttpResponse(zipped(own, *keys), "application/zip", headers=headers)


def _own(request, account_id) -> MailAccount:
    accounts = MailAccount.objects.select_related("user__vault")
    return get_object_or_404(accounts, pk=account_id, user=request.user)


def _own_trial(request, trial_id) -> ConnectionTrial:
    trials = ConnectionTrial.objects.select_related("user", "account__user__vault")
    return get_object_or_404(trials, pk=trial_id, user=request.user)
