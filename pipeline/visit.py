"""One folder that is opened: what changed in it is compared with the ledger and recorded."""

from dataclasses import dataclass, replace
from uuid import UUID

from accounts.errors import ErrorType, SyncError
from mail import findings, folders, ledger, relink
from mail.guard import chunks, guarded
from mail.imap import ImapSession
from mail.models import FindingKind, Folder
from mail.parcels import Changes, Flags, FlagSurvey, FolderPlan, Selected, Suspect
from mail.reconcile import adds_up, plan_folder, vanished_from
from pipeline.work import Work

LOOKS = 3  # at a folder that changes under our eyes
FEW = 2  # so many mails may well be replaced by others between two syncs

FlagsByUid = dict[int, Flags | None]


@dataclass
class Visit:
    """`live` is how many mails the ledger believes to be in the folder.

    A cautious visit asks for no size and date, since asking broke the connection before.
    """

    work: Work
    session: ImapSession
    raw_name: bytes
    row: Folder
    live: int
    cautious: bool = False

    def take_changes(self) -> bool:
        """Learn what changed since the MODSEQ we know. False when the answer cannot be relied on."""
        for _ in range(LOOKS):
            changes = self.session.changes(self.raw_name, self.row.uidvalidity, self.row.highestmodseq)
            if changes is None or not self._goes_on(changes.selected):
                return False
            selected = changes.selected
            if (plan := self._plan(changes)) is None:
                return False
            if self._replaces_all(plan):
                return False  # the whole look sees whether it is so
            if adds_up(self.live, plan, selected.exists):
                self._apply(plan, changes.flags)
                folders.record_look(self.work.guard, self.row, selected, FindingKind.COUNTS_DIFFER)
                return True
        with guarded(self.work.guard):
            findings.note(self.row, FindingKind.COUNTS_DIFFER, ours=self.live, server=selected.exists)
        return False

    def _replaces_all(self, plan: FolderPlan) -> bool:
        return FEW < self.live == len(plan.gone)

    def _goes_on(self, selected: Selected) -> bool:
        """Whether the folder is the one that we know, with a MODSEQ that only rose, and not emptied."""
        same_life = selected.uidvalidity == self.row.uidvalidity
        rose = (selected.highestmodseq or 0) >= self.row.highestmodseq
        return same_life and rose and not (self.live and selected.exists == 0)

    def _plan(self, changes: Changes) -> FolderPlan | None:
        """None when the server has no short way to say which mails are gone."""
        known = ledger.known_entries(self.row, changes.flags)
        if changes.vanished is not None:
            gone = self._live_uids(lambda uid: uid in changes.vanished) if changes.vanished else []
            return plan_folder(changes.flags, known, gone, self._blind)
        plan = plan_folder(changes.flags, known, [], self._blind)
        if adds_up(self.live, plan, changes.selected.exists):
            return plan
        if (there := self.session.uids()) is None:
            return None
        return plan_folder(changes.flags, known, self._live_uids(lambda uid: uid not in there), self._blind)

    def _live_uids(self, condition) -> list[int]:
        return [uid for uid in ledger.live_uids(self.row) if condition(uid)]

    @property
    def _blind(self):
        return self.work.sealer.words_index

    def take_whole(self) -> bool:
        """Compare all UIDs and flags with the ledger. False when the folder is empty beyond belief."""
        selected, told = self._survey()
        if self.live and selected.exists == 0 and not self._seen_empty_before():
            folders.doubt_emptiness(self.work.guard, self.row, self.live)
            return False
        self._note_modseq(selected)
        folders.adopt_uidvalidity(self.work.guard, self.row, selected.uidvalidity)
        known = ledger.known_entries(self.row)
        plan = plan_folder(told.flags, known, vanished_from(told, known), self._blind)
        if plan.new and self._replaces_all(plan):
            selected, told = self._survey()
            plan = plan_folder(told.flags, known, vanished_from(told, known), self._blind)
            self._note_replaced(plan)
        if not told.complete:
            selected = replace(selected, highestmodseq=None)  # so that the next look is a whole one again
        self._apply(plan, told.flags)
        if self.row.reset_asked_at:
            self._look_up_again([uid for uid in told.flags if uid in known], told.flags)
        folders.record_look(self.work.guard, self.row, selected, FindingKind.FOLDER_EMPTIED, whole=True)
        return True

    def _survey(self) -> tuple[Selected, FlagSurvey]:
        for _ in range(LOOKS):
            selected, told = self.session.survey_flags(self.raw_name)
            if not told.changed:
                break
        return selected, told

    def _note_replaced(self, plan: FolderPlan) -> None:
        """Each mail that was there is gone and others are there, also at a second look."""
        if self._replaces_all(plan):
            with guarded(self.work.guard):
                findings.note_event(self.row, FindingKind.MAILS_REPLACED, mails=self.live)

    def _seen_empty_before(self) -> bool:
        return self.row.emptied_at is not None and self.row.emptied_at < self.work.run.started_at

    def _note_modseq(self, selected: Selected) -> None:
        """A folder without MODSEQs, or whose MODSEQ went back, is compared as a whole; the person is told."""
        same_life = selected.uidvalidity == self.row.uidvalidity
        before, now = self.row.highestmodseq or 0, selected.highestmodseq or 0
        with guarded(self.work.guard):
            if self.session.has_changes and not now:
                findings.note(self.row, FindingKind.NO_MODSEQ)
            else:
                findings.end(self.row, FindingKind.NO_MODSEQ)
            if same_life and 0 < now < before:
                findings.note_event(self.row, FindingKind.MODSEQ_WENT_DOWN, before=before, now=now)

    def _apply(self, plan: FolderPlan, flags: FlagsByUid) -> None:
        ledger.record_plan(self.work.guard, self.work.sealer, self.row, plan)
        for uids in chunks(plan.new):
            mails, links = self._looked_up(uids, flags)
            ledger.record_new(
                self.work.guard, self.work.sealer, self.row, mails, flags, links, self.work.filters
            )

    def _look_up_again(self, uids: list[int], flags: FlagsByUid) -> None:
        for some in chunks(uids):
            mails, links = self._looked_up(some, flags)
            ledger.record_again(self.work.guard, self.row, mails, links, self.work.filters)

    def _looked_up(
        self, uids: tuple[int, ...] | list[int], flags: FlagsByUid
    ) -> tuple[list[Suspect], dict[int, UUID]]:
        """Size, date and id of these mails, and the stored messages of those that we have."""
        metadata = {} if self.cautious else self.session.metadata(uids)
        mails = ledger.suspects(self.work.sealer, uids, metadata, flags)
        links = self._stored(mails)
        self.work.link([mail.size for mail in mails if mail.uid in links])
        return mails, links

    def _stored(self, mails: list[Suspect]) -> dict[int, UUID]:
        known = relink.by_object_id(self.work.account, mails)
        unknown = [mail for mail in mails if mail.uid not in known]
        likely = relink.likely(self.work.account, unknown)
        return known | relink.by_header(self.work.sealer, unknown, self._headers(likely)) if likely else known

    def _headers(self, uids: list[int]) -> dict[int, bytes]:
        """None where the server withholds them: the mails are fetched."""
        try:
            return self.session.headers(uids)
        except SyncError as error:
            if error.error_type != ErrorType.UNFETCHABLE:
                raise
            return {}
