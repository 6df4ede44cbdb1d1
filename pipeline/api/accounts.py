"""Accounts: added, changed, paused and deleted; their health, completeness and examinations."""

from uuid import UUID

from django.db import transaction
from django.http import HttpResponse
from django.urls import reverse
from ninja import Router, Status

from accounts import actions, advice, grants
from accounts.api.callers import MANAGES, READS, UNLOCKED
from accounts.api.problems import answers
from accounts.errors import SealBroken
from accounts.models import GrantPurpose, MailAccount
from diagnostics import reports
from diagnostics.models import DiagnosticReport
from mail.queries import account_figures, folder_figures, folder_names
from pipeline.api.owned import account_of, found
from pipeline.api.shapes import (
    Account,
    AccountChanges,
    Completeness,
    Health,
    NewAccount,
    NewConnection,
    Report,
    ReportHead,
)
from pipeline.broker import PipelineBroker
from pipeline.queries import health_report

router = Router(tags=["accounts"], by_alias=False)


@router.get("", auth=READS, response=answers({200: list[Account]}))
def list_accounts(request):
    accounts = list(request.user.mail_accounts.all())
    return _told(accounts)


@router.post("", auth=UNLOCKED, response=answers({201: Account}, 400, 423))
def add_account(request, new: NewAccount, response: HttpResponse):
    """It is saved as given; POST /api/jobs/diagnostics tells step by step whether it works."""
    with transaction.atomic():
        account = actions.add_account(
            request.user, request.auth.user_key, new.name, new.port, new.security, _connection(new)
        )
        actions.set_schedule(account, new.interval_minutes, ())
        if new.background:
            key = actions.account_key(account, request.auth.user_key)
            grants.grant(account, key, GrantPurpose.BACKGROUND)
    response["Location"] = reverse("api:read_account", args=[account.pk])
    return Status(201, _told([account])[0])


@router.get("/{uuid:account_id}", auth=READS, response=answers({200: Account}, 404))
def read_account(request, account_id: UUID):
    return _told([account_of(request, account_id)])[0]


@router.patch("/{uuid:account_id}", auth=MANAGES, response=answers({200: Account}, 400, 404))
def change_account(request, account_id: UUID, wish: AccountChanges):
    """Also pauses and resumes it (`enabled`). All of it is done or nothing."""
    account, given = account_of(request, account_id), wish.model_dump(exclude_unset=True)
    with transaction.atomic():
        _change(account, given)
    return _told([account])[0]


@router.put("/{uuid:account_id}/connection", auth=UNLOCKED, response=answers({200: Account}, 400, 404, 423))
def replace_connection(request, account_id: UUID, new: NewConnection):
    """New settings for the same mailbox; its stored mail and its filters stay."""
    account, user_key = account_of(request, account_id), request.auth.user_key
    filters = actions.filters_of(account, actions.account_key(account, user_key))
    actions.replace_connection(account, user_key, new.port, new.security, _connection(new), filters)
    return _told([account])[0]


@router.delete("/{uuid:account_id}", auth=MANAGES, response=answers({204: None}, 404))
def delete_account(request, account_id: UUID):
    """With all its stored mail, for good. The mailbox at the provider stays as it is."""
    PipelineBroker().remove_account(account_of(request, account_id))
    return Status(204, None)


@router.get("/{uuid:account_id}/health", auth=READS, response=answers({200: Health}, 404))
def account_health(request, account_id: UUID):
    return health_report(account_of(request, account_id))


@router.get("/{uuid:account_id}/completeness", auth=READS, response=answers({200: Completeness}, 404))
def account_completeness(request, account_id: UUID):
    """What became of every mail that the server counts, folder by folder."""
    account = account_of(request, account_id)
    names = _names(account, request.auth.user_key)
    folders = [
        vars(one) | {"unexplained": one.unexplained, "name": names.get(one.folder_id)}
        for one in folder_figures(account)
    ]
    return vars(account_figures(account)) | {"account_id": account.pk, "folders": folders}


@router.get("/{uuid:account_id}/diagnostics", auth=READS, response=answers({200: list[ReportHead]}, 404))
def list_diagnostics(request, account_id: UUID):
    """The examinations that are kept, newest first."""
    return account_of(request, account_id).reports.all()


@router.get(
    "/{uuid:account_id}/diagnostics/{uuid:report_id}", auth=READS, response=answers({200: Report}, 404)
)
def read_diagnostics(request, account_id: UUID, report_id: UUID):
    account = account_of(request, account_id)
    report = found(account.reports.filter(pk=report_id).first())
    evidence = _evidence(account, report, request.auth.user_key)
    before = reports.last_passed_before(report)
    changes = reports.compare(before, report) if before else []
    return {
        "pk": report.pk,
        "run_id": report.run_id,
        "at": report.at,
        "passed": report.passed,
        "seconds": report.seconds,
        "probes": [_probe(probe, evidence) for probe in report.probes],
        "changes": [advice.change(one.probe, one.what, one.before, one.after) for one in changes],
    }


def _told(accounts: list[MailAccount]) -> list[MailAccount]:
    ends = grants.background_ends(accounts)
    for account in accounts:
        account.background_until = ends.get(account.pk)
    return accounts


def _connection(new: NewConnection) -> actions.Connection:
    ca_pem = actions.checked_ca(new.ca_pem) if new.ca_pem else ""
    return actions.Connection(new.host.strip(), new.login, new.password, ca_pem)


def _change(account: MailAccount, given: dict) -> None:
    if given.get("name") is not None:
        actions.rename_account(account, given["name"])
    if given.get("enabled") is not None:
        actions.set_enabled(account, given["enabled"])
    if "interval_minutes" in given or "fixed_times" in given:
        times = given.get("fixed_times")
        times = account.fixed_times if times is None else times
        actions.set_schedule(account, given.get("interval_minutes"), times)
    if "daily_budget_megabytes" in given:
        actions.set_daily_budget(account, given["daily_budget_megabytes"])


def _names(account: MailAccount, user_key: bytes | None) -> dict[UUID, str]:
    if user_key is None:
        return {}
    try:
        return folder_names(account, actions.account_key(account, user_key))
    except SealBroken:
        return {}


def _evidence(account: MailAccount, report: DiagnosticReport, user_key: bytes | None) -> dict[str, str]:
    if user_key is None:
        return {}
    try:
        return reports.open_evidence(report, actions.account_key(account, user_key))
    except SealBroken:
        return {}


def _probe(probe: dict, evidence: dict[str, str]) -> dict:
    help_for = advice.probe_advice(probe["name"], probe["error_type"], probe["facts"])
    return probe | {
        "label": advice.probe_label(probe["name"]),
        "error": help_for.sentence if help_for else "",
        "next_step": help_for.next_step if help_for else "",
        "evidence": evidence.get(probe["name"], ""),
    }
