"""Examinations that are kept: verdicts and times in clear, what the server said sealed."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from uuid import UUID

from django.db import transaction

from accounts import vault
from accounts.models import MailAccount
from diagnostics.models import DiagnosticReport
from diagnostics.probing import troubled
from diagnostics.probing.probe import Examination, ProbeResult
from diagnostics.probing.redact import hosts_left_out
from mail.sealer import place

KEPT = 50

# Facts of which a change is worth a word, by probe.
_COMPARED = {
    "dns": ("a", "aaaa"),
    "tls": ("version", "days_left"),
    "folder_list": ("folders", "subscribed", "odd_names"),
    "flags": ("opened", "refused", "no_uidvalidity", "no_uidnext", "renumbered"),
    "connections": ("allowed",),
}


def save(
    account: MailAccount, account_key: bytes, examination: Examination, run_id: UUID | None = None
) -> DiagnosticReport:
    """Keep it, and the last KEPT of this account."""
    report = DiagnosticReport(
        account=account,
        seconds=round(examination.seconds, 4),
        passed=examination.passed,
        probes=[in_clear(result) for result in examination.results],
        run_id=run_id,
    )
    words = {result.name: result.evidence for result in examination.results if result.evidence}
    where = place(report, "sealed_evidence")
    report.sealed_evidence = vault.seal(account_key, json.dumps(words).encode(), *where)
    with transaction.atomic():
        report.save(force_insert=True)
        old = account.reports.order_by("-at", "-pk").values_list("pk", flat=True)[KEPT:]
        DiagnosticReport.objects.filter(pk__in=list(old)).delete()
    return report


def in_clear(result: ProbeResult) -> dict:
    """What may stand in a row readable."""
    shown = asdict(result)
    del shown["evidence"], shown["folder_names"]
    return shown


def open_evidence(report: DiagnosticReport, account_key: bytes) -> dict[str, str]:
    """What the server said, redacted, by probe. Raises SealBroken."""
    if report.sealed_evidence is None:
        return {}
    return json.loads(vault.unseal(account_key, report.sealed_evidence, *place(report, "sealed_evidence")))


def last_passed_before(report: DiagnosticReport) -> DiagnosticReport | None:
    earlier = DiagnosticReport.objects.filter(account=report.account_id, passed=True, at__lt=report.at)
    return earlier.order_by("-at").first()


@dataclass(frozen=True)
class Change:
    """One thing that differs between two reports. `what` is verdict, error_type, or the name of a fact."""

    probe: str
    what: str
    before: object
    after: object


def compare(before: DiagnosticReport, after: DiagnosticReport) -> list[Change]:
    """What changed, in the order of the probes; what was skipped in either tells nothing. Pure."""
    old = {probe["name"]: probe for probe in before.probes}
    changes: list[Change] = []
    days = round((after.at - before.at).total_seconds() / 86_400)
    for probe in after.probes:
        if probe["name"] in old and "skipped" not in (probe["verdict"], old[probe["name"]]["verdict"]):
            changes += _changes(old[probe["name"]], probe, days)
    return changes


def _changes(old: dict, new: dict, days: int) -> Iterable[Change]:
    name = new["name"]
    for what in ("verdict", "error_type"):
        if old[what] != new[what]:
            yield Change(name, what, old[what], new[what])
    for what in _COMPARED.get(name, ()):
        before, after = old["facts"].get(what), new["facts"].get(what)
        if what == "days_left" and None not in (before, after) and abs(before - after - days) <= 1:
            continue  # only time has passed
        if before != after and None not in (before, after):
            yield Change(name, what, before, after)
    before, after = (set(probe["facts"].get("capabilities", ())) for probe in (old, new))
    if before and after and before != after:
        yield Change(name, "capabilities", sorted(before - after), sorted(after - before))


def as_text(report: DiagnosticReport, evidence: dict[str, str] | None = None) -> str:
    """To attach to a request for support: no host, login, account, folder or address stands in it."""
    verdict = "passed" if report.passed else "not passed"
    security = report.account.security
    lines = [
        f"mailhelper diagnostics, {report.at:%Y-%m-%d %H:%M} UTC: {verdict} in {report.seconds:.1f} s",
        f"provider {report.account.provider}, port {report.account.port}, security {security}",
        "",
    ]
    for probe in report.probes:
        facts = troubled.without(probe["facts"])
        shown = " ".join(filter(None, (probe["verdict"], probe["error_type"])))
        lines.append(f"{probe['name']}: {shown} in {probe['seconds']:.3f} s {json.dumps(facts)}")
        words = hosts_left_out((evidence or {}).get(probe["name"], ""))
        lines += [f"    {line}" for line in words.splitlines()]
    return "\n".join(lines) + "\n"
