"""Everything the overview shows of one person's accounts."""

from collections import defaultdict
from collections.abc import Iterable
from uuid import UUID

from accounts.advice import Advice, finding, no_scheduler
from accounts.models import MailAccount, User
from mail import findings
from mail.queries import figures_of
from pipeline.pages.cards import Card
from pipeline.pages.headlines import headline
from pipeline.pages.pulse import Pulse, pulse_of
from pipeline.pages.trend import DAYS_OF_A_CARD, days, tallies_of_days, trend
from pipeline.queries import health_reports


def overview_of(user: User) -> dict:
    pulse = pulse_of(user)
    tallies = tallies_of_days(pulse.accounts, DAYS_OF_A_CARD)
    cards = _cards(pulse, tallies)
    needy = [card for card in cards if card.needs_a_person]
    pending = sum(card.figures.pending for card in cards)
    behind = sum(card.is_behind for card in cards)
    return {
        "pulse": pulse,
        "cards": cards,
        "scheduler": _scheduler(cards, pulse),
        "headline": headline([card.state for card in cards], len(needy), pending, behind),
        "needy": needy,
        "accounted": sum(card.accounted for card in cards),
        "on_server": sum(card.figures.on_server for card in cards),
        "pending": pending,
        "trend": trend(tallies),
        "syncing": any(card.state == "syncing" for card in cards),
    }


def _cards(pulse: Pulse, tallies) -> list[Card]:
    reports = health_reports(pulse.accounts, pulse.known)
    figures, doubts = figures_of(pulse.accounts), _doubts(pulse.accounts)
    return [
        Card(
            account,
            report,
            figures[account.pk],
            doubts[account.pk],
            days(tallies, DAYS_OF_A_CARD, account.pk),
            account.pk in pulse.stuck,
        )
        for account, report in zip(pulse.accounts, reports, strict=True)
    ]


def _doubts(accounts: Iterable[MailAccount]) -> dict[UUID, list[Advice]]:
    found: dict[UUID, list[Advice]] = defaultdict(list)
    for row in findings.doubts(accounts):
        found[row.account_id].append(finding(row.kind, row.facts))
    return found


def _scheduler(cards: list[Card], pulse: Pulse) -> Advice | None:
    """What to say where accounts wait to be synced by themselves, and nothing does it."""
    waits = any(card.health.next_attempt for card in cards)
    return no_scheduler() if waits and not pulse.ticks else None
