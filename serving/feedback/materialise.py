"""Finished cycles of the feedback, into the feature store.

Each finished cycle of a campaign's arm becomes one row of statistics (`serving.feedback.statistics`). The newest is
made again when late events change it. What a round makes, of all campaigns and arms, goes to the feature store in one
push and is noted after it: a push that was cut off is done again, to the same effect.

No cycle is noted that has not ended. Where one is, a clock ran ahead: the note is taken back, and its cycles are made
anew.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crossmix.background import ExpectedError, Loop, sentence
from crossmix.clock import Clock, wall
from crossmix.ledger import feedback, pushes
from crossmix.ledger.campaigns import Campaign, budget_at, budget_edits, pauses
from crossmix.ledger.feedback import Increment, increments_of, known_cells_of
from crossmix.ledger.locks import Lead
from crossmix.ledger.pushes import Key, Note, Progress
from crossmix.ledger.served import Split, last_splits_of
from crossmix.ledger.store import Store, StoreAwayError
from crossmix.metrics import ARMS, CANARY
from serving.feedback.cells import Cells, Flight, cells
from serving.feedback.feature_rows import Seeds, push_rows
from serving.feedback.gaps import NOTHING, Missing, missing
from serving.feedback.guard import NONE, Doorkeeper, Unbelieved, told
from serving.feedback.late import Late
from serving.feedback.server import Pushing, Tried
from serving.feedback.statistics import Known, Row, rows_of

Array = NDArray[np.float64]
_log = logging.getLogger(__name__)
LOOK_SECONDS = 60.0
"""How often every campaign's arm is looked at, and not only those that changed, unless nothing has come since a look
that found nothing; of the clock that the cycles have."""
MOST_MADE = 5_000
"""Rows with which a round hands over what it has made; the next one goes on. Every push writes the offline files anew:
few large ones cost less than many, and what was made is kept before all is."""
MOST_READ = 200
"""Campaigns' arms read from the database at once, and whose rows are made together."""


@dataclass(slots=True)
class _Seen:
    """A campaign's arm as it was last worked on."""

    campaign: Campaign
    newest: int
    late: int
    number: int
    values: bytes | None = None
    """The newest row that was pushed."""
    settled: bool = False
    """Looked at once more since: an event of the cycle's last moment is written after its end."""


@dataclass(frozen=True, slots=True)
class _Due:
    """A campaign's arm to work on."""

    campaign: Campaign
    arm: str
    progress: Progress
    newest: int
    """Its newest finished cycle; -1: none."""
    wanted: range
    """Cycles to push."""
    back: bool = False
    """A clock that ran ahead noted cycles that have not ended."""

    @property
    def key(self) -> Key:
        return self.campaign.campaign_id, self.arm


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    """One that is due, with what the database holds of it."""

    due: _Due
    flight: Flight
    newest: Cells | None
    """As of its newest finished cycle; `None`: none has finished."""
    missing: Missing


@dataclass(slots=True)
class _Batch:
    """What a round has made."""

    due: list[_Due] = field(default_factory=list)
    rows: list[tuple[Key, Row]] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


class Pusher(Loop):
    """Works on what has finished, every few seconds, until `stop`. What goes wrong is its trouble, and tried again.

    A campaign whose statistics cannot be made is in trouble by itself (`Gaps`), and holds up no other.

    Args:
        folder: feature folder.
        window, decay, silent: `Config`'s; `silent` of `serving.guard`.
        seconds: pause between rounds.
        clock: the time, UTC.
        writes: false in a server that leaves pushing to another: it only says what is missing.
        lead: of several servers that push, one does, as it says; the others wait for their turn. `None`: there is one.
        offline: whether rows are kept in the feature folder beside the online store.
        trial: of a server that may have a version on trial, whose arm is then one more.
        guard: says which reports are not believed; `None`: all are.
        late: says how late conversions come; `None`: they are told over the clicks of the same cycles.
    """

    def __init__(
        self,
        live: Pushing,
        folder: Path,
        *,
        window: int,
        decay: float,
        silent: int = 10,
        seconds: float = 5.0,
        clock: Clock = wall,
        arms: Sequence[str] = ARMS,
        writes: bool = True,
        lead: Lead | None = None,
        offline: bool = True,
        trial: Tried | None = None,
        guard: Doorkeeper | None = None,
        late: Late | None = None,
    ) -> None:
        super().__init__("pusher", seconds, self._push, expected=(StoreAwayError,))
        self.live, self.folder, self.clock, self.arms = live, Path(folder), clock, tuple(arms)
        self._trial = trial
        self.window, self.decay, self.silent, self.writes = window, decay, silent, writes
        self.lead, self.offline = lead, offline
        self._may_write, self._term = writes, 0
        self.guard = guard
        self.pushed = 0
        """Rows."""
        self.newest: datetime | None = None
        """When this process last pushed: the end of the newest cycle in it."""
        self._seen: dict[Key, _Seen] = {}
        self._received: dict[Key, datetime] = {}
        self._looked: datetime | None = None
        self._rested: Hashable = None
        """The mark with which a look at all found nothing to do; `None`: the last one found something."""
        self._until: datetime | None = None
        self._seeds, self._late = Seeds(self.folder), late

    # ---- a round -----------------------------------------------------------------------------------------------------

    def _push(self) -> None:
        """One round over all campaigns and arms. Raises `StoreAwayError`, `ExpectedError` for what else went wrong."""
        store, campaigns, now = self.live.store, self.live.campaigns, self.clock()
        self._take_turn(store)
        whole, mark = self._look_at_all(campaigns, now), None
        if whole or self._looked is None or abs((now - self._looked).total_seconds()) >= LOOK_SECONDS:
            mark = self._mark(store)  # first: what comes meanwhile makes another
            whole = whole or mark != self._rested
            self._looked = self._looked if whole else now
        progress = pushes.progress(store, moved=not whole)
        received = {key: one.feedback.received for key, one in progress.items()}
        if whole or any(self._received.get(key) != moment for key, moment in received.items()):
            self._received = received if whole else {**self._received, **received}
            serve = {key for key in self._received if self._first(key[1], campaigns.get(key[0])) is not None}
            self.live.gaps.heard({key: moment for key, moment in self._received.items() if key in serve})
        if whole:
            self._looked = now
            ends = (campaigns[name].ends(campaigns[name].cycle(now)) for name, _ in progress if name in campaigns)
            self._until = min(ends, default=None)
        due = self._due(progress, campaigns, now, whole)
        if whole:
            self._rested = None if due else mark
        try:
            all_made = self._make(store, due, now)
        except BaseException:
            self._looked = None
            raise
        if not all_made:
            self._looked = None

    def _take_turn(self, store: Store) -> None:
        """Find out whether this server pushes in this round; one that begins to knows nothing of what others pushed."""
        if self.lead is None:
            return
        try:
            self._may_write = self.writes and self.lead.held(store)
        except StoreAwayError:
            self._may_write = False
            raise
        if self._may_write and self.lead.terms != self._term:
            self._term, self._looked = self.lead.terms, None
            self._seen.clear()

    def _look_at_all(self, campaigns: Mapping[str, Campaign], now: datetime) -> bool:
        """Whether a cycle may have ended, a campaign was edited, or nothing is known yet; else what moved is enough."""
        if self._looked is None or now < self._looked or (self._until is not None and now >= self._until):
            return True
        return any(campaigns.get(name, one.campaign) is not one.campaign for (name, _), one in self._seen.items())

    def _mark(self, store: Store) -> Hashable:
        """Something cheap that is another one once a look at all campaigns might find what it did not find before."""
        return feedback.number(store), pushes.stamp(store), store.revision(), self._term, self._may_write

    def _due(
        self, progress: Mapping[Key, Progress], campaigns: Mapping[str, Campaign], now: datetime, whole: bool
    ) -> list[_Due]:
        due = []
        for key, one in progress.items():
            campaign = campaigns.get(key[0])
            first = self._first(key[1], campaign)
            if campaign is None or first is None:
                continue
            finished = campaign.cycle(now) - 1
            newest = max(min(finished, campaign.cycles - 1), -1)
            wanted, back = range(0), self._may_write and one.cycle > max(finished, -1)
            seen = self._seen.get(key)
            if back:
                wanted = range(newest + 1)
            elif newest < first:
                continue
            elif self._may_write and one.cycle < newest:
                wanted = range(max(one.cycle + 1, first), newest + 1)
            elif not self._changed(seen, campaign, newest, one, whole):
                continue
            elif self._may_write and (seen is not None or one.number != one.feedback.late):
                wanted = range(newest, newest + 1)
            due.append(_Due(campaign, key[1], one, newest, wanted, back))
        return due

    def _first(self, arm: str, campaign: Campaign | None) -> int | None:
        """First cycle of the arm, which is later where a version is on trial in it; `None`: nobody is in it."""
        if arm != CANARY:
            return 0 if arm in self.arms else None
        return None if self._trial is None or campaign is None else self._trial.first(campaign)

    def _changed(self, seen: _Seen | None, campaign: Campaign, newest: int, one: Progress, whole: bool) -> bool:
        if seen is None or (seen.newest, seen.late) != (newest, one.feedback.late) or seen.campaign is not campaign:
            return True
        if seen.settled or not whole:
            return False
        seen.settled = True
        return seen.number != one.feedback.number

    def _make(self, store: Store, due: Sequence[_Due], now: datetime) -> bool:
        """Make rows of those that are due until there are `MOST_MADE`, and push them; whether none are left."""
        if not due:
            return True
        seeds: Mapping[str, Mapping[str, Array]] = {}
        wanted = {one.campaign.campaign_id for one in due if one.wanted}
        if wanted:
            try:
                seeds = self._seeds.of(wanted, self.live.platforms)
            except Exception as error:  # Feast and its stores raise their own kinds each
                for one in self._read(store, due, now):
                    self.live.gaps.note(one.due.key, one.missing)
                raise ExpectedError(sentence(error)) from error
        batch, read = _Batch(), self._read(store, due, now)
        while block := list(islice(read, MOST_READ)):
            for one, rows in self._rows(block, seeds, now):
                self._add(batch, one, rows)
            if len(batch.rows) >= MOST_MADE:
                break
        if self.stopping:
            return False
        self._hand_over(store, batch)
        return len(batch.rows) < MOST_MADE

    def _read(self, store: Store, due: Sequence[_Due], now: datetime) -> Iterator[_Read]:
        """What each has of feedback, and lacks; a campaign whose feedback cannot be understood is left out."""
        platforms, edits, pauses_of = self.live.platforms, budget_edits(store), pauses(store)
        for start in range(0, len(due), MOST_READ):
            block = due[start : start + MOST_READ]
            names = sorted({one.campaign.campaign_id for one in block})
            delivered, splits = increments_of(store, names, platforms), last_splits_of(store, names, platforms)
            priced = known_cells_of(store, names, platforms)
            unbelieved = self._unbelieved(store, names, now)
            for one in block:
                if self.stopping:
                    return
                name, key = one.campaign.campaign_id, one.key
                kept = delivered.get(key, ()), priced.get(key, ()), splits.get(key, {})
                try:
                    if self._trial is not None and one.arm == CANARY:
                        whole = name, ARMS[0]
                        policy = delivered.get(whole, ()), priced.get(whole, ()), splits.get(whole, {})
                        kept = self._trial.history(one.campaign, policy, kept)
                    doubts = unbelieved.get(key, NONE)
                    flight = self._flight(one, kept, edits.get(name, ()), pauses_of.get(name, ()), doubts)
                    newest = cells(flight, one.newest, self.silent) if one.newest >= 0 else None
                    found = NOTHING
                    if newest is not None and one.campaign.cycle(now) < one.campaign.cycles:
                        found = missing(one.campaign, one.arm, platforms, newest)
                        found = told(found, one.campaign, one.arm, platforms, doubts.held, newest, flight.hold)
                except Exception as error:
                    self._broken(one, error, now)
                    continue
                yield _Read(one, flight, newest, found)

    def _unbelieved(self, store: Store, names: Sequence[str], now: datetime) -> Mapping[Key, Unbelieved]:
        """What is not believed of some campaigns, once it was looked at."""
        if self.guard is None:
            return {}
        if self._may_write:
            self.guard.look(store, names, now)
        return self.guard.of(store, names)

    def _broken(self, one: _Due, error: Exception, now: datetime) -> None:
        if self.live.gaps.broken(one.campaign, one.arm, sentence(error), now):
            _log.warning("%s, %s: no statistics: %s", *one.key, sentence(error), exc_info=error)

    def _flight(
        self,
        one: _Due,
        kept: tuple[Sequence[Increment], Collection[tuple[int, int]], Mapping[int, Split]],
        edits: Sequence[tuple[datetime, float]],
        changes: Sequence[tuple[datetime, bool]],
        doubts: Unbelieved,
    ) -> Flight:
        campaign, arm, calendar = one.campaign, one.arm, one.campaign.calendar
        # Of every cycle up to the coming one, and its end: each is asked for several times.
        begins = [calendar.begins(cycle) for cycle in range(one.newest + 3)]

        def plan(cycle: int) -> float:
            budget = budget_at(campaign.cycle_budget, edits, begins[cycle + 1]) * calendar.part(cycle)
            if self._trial is not None and arm == CANARY:
                return budget * self._trial.weight(arm, campaign, cycle)
            return budget * self.live.weight(arm, begins[cycle])

        return Flight(
            *kept,
            np.array([campaign.share.get(name, 0.0) for name in self.live.platforms]),
            plan,
            campaign.cycles,
            lambda cycle: _stood_still(changes, campaign.paused, begins[cycle], begins[cycle + 1]),
            doubts.cells,
            0 if self.guard is None else self.guard.settings.hold,
        )

    # ---- rows, and the push ------------------------------------------------------------------------------------------

    def _rows(
        self, block: Sequence[_Read], seeds: Mapping[str, Mapping[str, Array]], now: datetime
    ) -> Iterator[tuple[_Read, list[Row]]]:
        """The rows that each of some wants, made together; one of which they cannot be made is left out."""
        wanted: list[tuple[_Read, list[Known]]] = []
        for read in block:
            try:
                wanted.append((read, self._known(read, seeds)))
            except Exception as error:
                self._broken(read.due, error, now)
        try:
            yield from self._made(wanted)
        except Exception:  # which of them it is, each says alone
            for one in wanted:
                try:
                    yield from self._made([one])
                except Exception as error:
                    self._broken(one[0].due, error, now)

    def _made(self, wanted: Sequence[tuple[_Read, list[Known]]]) -> list[tuple[_Read, list[Row]]]:
        every = [one for _, known in wanted for one in known]
        rows = iter(rows_of(every, self.live.platforms, self.window, self.decay))
        return [(read, list(islice(rows, len(known)))) for read, known in wanted]

    def _known(self, read: _Read, seeds: Mapping[str, Mapping[str, Array]]) -> list[Known]:
        """What the rows of one are made of, cycle by cycle."""
        one, first, known = read.due, read.flight.first, []
        name = one.campaign.campaign_id
        if one.wanted and name in self._seeds.faults:
            raise ExpectedError(f"what the log says of it cannot be read: {self._seeds.faults[name]}")
        delay_PD = None if self._late is None else self._late.of(name, one.campaign.cycle_hours)
        # Before anything was served or reported there is nothing to say: the log's statistics serve.
        for cycle in range(0) if first is None else one.wanted[max(first - one.wanted.start, 0) :]:
            then = read.newest
            if cycle < one.newest:
                then = cells(read.flight, cycle, self.silent, as_known_then=True)
            if then is not None:
                known.append(Known(one.campaign, then, seeds.get(name, {}), delay_PD))
        return known

    def _add(self, batch: _Batch, read: _Read, rows: list[Row]) -> None:
        """Rows to be pushed, if they tell anything new."""
        one = read.due
        values = rows[-1].values_X.tobytes() if rows else None
        seen, state = self._seen.get(one.key), one.progress.feedback
        same = seen is not None and seen.newest == one.newest
        if seen is not None and same and one.progress.cycle == one.newest and values == seen.values:
            rows = []
        batch.rows += [(one.key, row) for row in rows]
        if rows or one.back:
            batch.notes.append(Note(*one.key, one.newest, state.late, one.back))
        batch.due.append(one)
        settled = seen is not None and same and seen.settled
        self._seen[one.key] = _Seen(one.campaign, one.newest, state.late, state.number, values, settled)
        self.live.gaps.note(one.key, read.missing)

    def _hand_over(self, store: Store, batch: _Batch) -> None:
        """One push for all, then the note of it; what failed is new again."""
        try:
            if batch.rows:
                push_rows(self.folder, batch.rows, lambda: _noted(store, batch.due), offline=self.offline)
            pushes.note(store, batch.notes)
        except BaseException as error:
            for one in batch.due:
                self._seen.pop(one.key, None)
            if isinstance(error, StoreAwayError) or not isinstance(error, Exception):
                raise
            raise ExpectedError(sentence(error)) from error  # Feast and its stores raise their own kinds each
        if batch.rows:
            self.pushed += len(batch.rows)
            end = max(row.end for _, row in batch.rows)
            self.newest = end if self.newest is None else max(self.newest, end)


def _noted(store: Store, due: Sequence[_Due]) -> dict[Key, float]:
    """When the newest cycle that this database knows to be pushed ended, seconds; not of notes that are taken back."""
    newest = pushes.all_newest(store)
    return {
        one.key: one.campaign.ends(newest[one.key]).timestamp() for one in due if not one.back and one.key in newest
    }


def _stood_still(changes: Sequence[tuple[datetime, bool]], paused: bool, begins: datetime, ends: datetime) -> bool:
    """Whether a campaign was paused throughout.

    Args:
        changes: when it was paused (true) and resumed, in order.
        paused: as it is now.
    """
    if any(begins < at < ends for at, _ in changes):
        return False
    before = [was for at, was in changes if at <= begins]
    if before:
        return before[-1]
    return paused if not changes else not changes[0][1]


__all__ = ["Pusher", "Pushing"]
