"""Which cycles of an experiment count, and what its arms delivered in them: `Outcomes`, read from the database.

An experiment's cycle is as long as the experiment was begun with, else as the longest of its campaigns' cycles; which
of theirs belong to it says `crossmix.ledger.members`. A cycle whose feedback is missing from an arm is waited for while
the next one runs; a cycle without feedback from either arm delivered nothing and is left out. A campaign whose cycles
are longer than the experiment's keeps nobody waiting: its cycle is added when both arms have reported it.

Reports that are not believed (`crossmix.ledger.quarantine`) decide nothing: a campaign's cycle with such a cell in
either arm is left out of both, and what arrived in the cell for cycles before is, too, in both.

Shapes: A arms, C currencies, Q quantities, T cycles of the experiment with feedback, P platforms, N campaigns, M cycles
of campaigns, I rows of `totals`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmix.ledger import canaries, kept_totals, quarantine
from crossmix.ledger.campaigns import budget_edits
from crossmix.ledger.experiments import Experiment
from crossmix.ledger.members import GRACE, Ends, Member, budgets, known_slots, members_of
from crossmix.ledger.outcomes import Array, Cells, Index, Late, Outcomes, summed
from crossmix.ledger.store import Store
from crossmix.metrics import ARMS, EVERY_ARM
from crossmix.terms import POLICY, on_trial


def read(store: Store, experiment: Experiment, now: datetime) -> Outcomes:
    """Everything that the experiment's finished cycles delivered until `now` (UTC); raises `StoreAwayError`.

    A few queries, however many campaigns there are; rows that have not changed since the last look are not read again.
    """
    weights, trials = tuple(experiment.weights[arm] for arm in ARMS), canaries.load_all(store)

    def parts(begins: datetime) -> tuple[float, ...]:
        tried = on_trial(trials, begins)[1]
        return tuple(weight * (1 - tried if arm == POLICY else 1) for arm, weight in zip(ARMS, weights, strict=True))

    return of_arms(store, experiment, now, ARMS, parts, constant=not trials)


def of_arms(
    store: Store,
    experiment: Experiment,
    now: datetime,
    arms: tuple[str, ...],
    parts: Callable[[datetime], tuple[float, ...]],
    *,
    constant: bool = False,
) -> Outcomes:
    """`read` of any arms.

    Args:
        experiment: whose time and campaigns it is; its weights are not asked.
        arms: names, of `EVERY_ARM`.
        parts: the arms' parts of the users in a cycle that begins then.
        constant: they are the same in all cycles.
    """
    edits = budget_edits(store)
    campaigns, platforms, rows, number = kept_totals.read(store)
    with store.read() as connection:
        members = members_of(connection, experiment, now)
    member_N = np.full(len(campaigns), -1)
    for n, one in enumerate(members):
        if one.campaign_id in campaigns:
            member_N[campaigns[one.campaign_id]] = n
    member_I = member_N[rows.campaign_I]
    first_N, stop_N = (np.array([getattr(one, name) for one in members], np.int64) for name in ("first", "stop"))
    arm_A = np.array([arms.index(arm) if arm in arms else -1 for arm in EVERY_ARM])
    arm_I = arm_A[rows.arm_I]
    keep_I = (member_I >= 0) & (arm_I >= 0)
    keep_I[keep_I] = ((rows.cycle_I >= first_N[member_I]) & (rows.cycle_I < stop_N[member_I]))[keep_I]
    heard = np.unique(member_I[keep_I])
    position_N = np.full(len(members), -1)
    position_N[heard] = np.arange(len(heard))
    doubts = _Doubts.of(quarantine.read(store, None, quarantine.UNBELIEVED), campaigns, platforms, member_N)
    names = sorted(name for name, p in platforms.items() if (rows.platform_I[keep_I] == p).any())
    platform_P = np.full(len(platforms), -1)
    platform_P[[platforms[name] for name in names]] = np.arange(len(names))
    known = _Known(
        position_N[member_I[keep_I]],
        arm_I[keep_I],
        rows.cycle_I[keep_I],
        platform_P[rows.platform_I[keep_I]],
        rows.known_I[keep_I],
        rows.value_IQ[keep_I],
        doubts.among(rows.campaign_I[keep_I], rows.platform_I[keep_I], rows.known_I[keep_I]),
    )
    reporting = tuple(members[n] for n in heard)
    part_MA = _parts(reporting, parts, constant)
    held = {(int(position_N[n]), cycle) for n, cycle in doubts.cycles if position_N[n] >= 0}
    outcomes = _placed(experiment, reporting, tuple(names), known, part_MA, edits, now, held)
    return replace(outcomes, number=number, arms=arms)


def _parts(members: Sequence[Member], parts: Callable[[datetime], tuple[float, ...]], constant: bool) -> Array:
    """The arms' parts of the users in each campaign cycle, (M, A)."""
    known: dict[tuple[Any, int, int], Array] = {}
    rows = [np.zeros((0, len(parts(datetime.min.replace(tzinfo=UTC)))))]
    for one in members:
        key = one.calendar, one.first, one.stop
        if constant:
            rows.append(np.tile(parts(one.calendar.starts), (one.stop - one.first, 1)))
            continue
        if key not in known:
            begins = (one.calendar.begins(cycle) for cycle in range(one.first, one.stop))
            known[key] = np.array([parts(begin) for begin in begins]).reshape(one.stop - one.first, -1)
        rows.append(known[key].reshape(-1, rows[0].shape[1]))
    return np.concatenate(rows)


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """Rows of `totals` by a campaign's own cycles."""

    member_I: Index
    arm_I: Index
    cycle_I: Index
    platform_I: Index
    known_I: Index
    value_IQ: Array
    doubted_I: NDArray[np.bool_]
    """What arrived in a cell that is not believed, in this arm or another."""


@dataclass(frozen=True, slots=True)
class _Doubts:
    """Cells that are not believed, whichever arm's."""

    keys: Index
    """Of campaign, platform and cycle."""
    cycles: frozenset[tuple[int, int]]
    """Member, and a cycle of its."""
    platforms: int

    @classmethod
    def of(
        cls,
        entries: Sequence[quarantine.Entry],
        campaigns: Mapping[str, int],
        platforms: Mapping[str, int],
        member_N: Index,
    ) -> _Doubts:
        cells = {
            (campaigns[one.campaign_id], platforms[one.platform], one.cycle)
            for one in entries
            if one.campaign_id in campaigns and one.platform in platforms
        }
        campaign_I, platform_I, cycle_I = np.array(sorted(cells), np.int64).reshape(-1, 3).T
        cycles = {(int(member_N[c]), cycle) for c, _, cycle in cells if member_N[c] >= 0}
        size = len(platforms)
        return cls(_keys(campaign_I, platform_I, cycle_I, size), frozenset(cycles), size)

    def among(self, campaign_I: Index, platform_I: Index, cycle_I: Index) -> NDArray[np.bool_]:
        """Which of these are among them."""
        if not len(self.keys):
            return np.zeros(len(campaign_I), bool)
        return np.isin(_keys(campaign_I, platform_I, cycle_I, self.platforms), self.keys)


def _keys(campaign_I: Index, platform_I: Index, cycle_I: Index, platforms: int) -> Index:
    return ((campaign_I * max(platforms, 1) + platform_I) << 32) + cycle_I


def _placed(
    experiment: Experiment,
    members: tuple[Member, ...],
    platforms: tuple[str, ...],
    rows: _Known,
    part_MA: Array,
    edits: dict[str, list[tuple[datetime, float]]],
    now: datetime,
    held: Collection[tuple[int, int]],
) -> Outcomes:
    """The rows in the experiment's cycles, those that count.

    Args:
        held: member and cycle of what is not believed.

    Long because the arrays of one placement stand together: which cycle ends when, who has reported, who is waited for.
    """
    longest = max((one.calendar.nominal for one in members), default=timedelta(days=1))
    length = longest if experiment.cycle_hours is None else timedelta(hours=experiment.cycle_hours)
    calendar = Ends(experiment.started, length)
    ends = [calendar.of(one.calendar, one.stop + 1) for one in members]
    first_N = np.array([one.first for one in members], np.int64)
    size_N = np.array([one.stop - one.first for one in members], np.int64)
    start_N = np.concatenate([[0], np.cumsum(size_N)]).astype(np.int64)
    member_M = np.repeat(np.arange(len(members)), size_N)
    both = list(zip(ends, members, strict=True))
    end_M = np.concatenate([np.zeros(0), *(end[one.first : one.stop] for end, one in both)])
    slots_N = [calendar.slots(end, one.calendar) for end, one in both]
    slot_M = np.concatenate(
        [np.zeros(0, np.int64), *(slots[one.first : one.stop] for slots, one in zip(slots_N, members, strict=True))]
    )
    next_N = np.array([slots[-1] for slots in slots_N], np.int64)
    width_N = np.array([one.calendar.nominal / length for one in members])
    long_M = width_N[member_M] > 1 + GRACE

    # When each arm's first report of a cycle became known; a campaign's cycle is the index of its own rows.
    row_I = start_N[rows.member_I] + rows.cycle_I - first_N[rows.member_I]
    known_I = known_slots(slots_N, rows.member_I, rows.known_I)
    never = np.iinfo(np.int64).max // 2
    heard_MA = np.full(part_MA.shape, never, np.int64)
    np.minimum.at(heard_MA, (row_I, rows.arm_I), known_I)
    serves_MA = part_MA > 0
    both_M = ((heard_MA < never) | ~serves_MA).all(1)
    any_M = (heard_MA < never).any(1)
    waited_M = (now - experiment.started) / length - end_M
    patience_M = np.where(long_M, width_N[member_M], np.minimum(width_N[member_M], 1.0))
    unsettled_M = ~both_M & (waited_M + 1e-9 < patience_M)

    finished = experiment.days if members else 0
    holds_M, running_N = unsettled_M & ~long_M, np.array([one.stop < one.cycles for one in members], bool)
    finished = min([finished, *slot_M[holds_M].tolist(), *next_N[running_N].tolist()])
    elapsed = math.floor((min(now, experiment.ended or now) - experiment.started) / length)
    finished = max(min(finished, max([elapsed, *(slot_M[any_M] + 1).tolist()])), 0)

    held_M = np.zeros(len(member_M), bool)
    held_M[[start_N[n] + cycle - first_N[n] for n, cycle in held if 0 <= cycle - first_N[n] < size_N[n]]] = True
    counts_M = any_M & ~unsettled_M & (slot_M < finished)
    left_out = int((counts_M & held_M).sum())
    counts_M &= ~held_M
    silent = int((~any_M & ~unsettled_M & (slot_M < min(finished, experiment.days))).sum())
    slots = np.unique(slot_M[counts_M])
    # A cycle that was not waited for any more, or of a long campaign, counts since it became known.
    ready_M = np.where(both_M, np.where(serves_MA, heard_MA, -1).max(1), slot_M + np.ceil(patience_M).astype(np.int64))
    first_M = heard_MA.min(1)
    known_M = np.where(long_M, np.maximum(ready_M, slot_M), np.where(first_M > slot_M + 1, first_M, slot_M))
    late_M = ~both_M | (ready_M > slot_M)
    look_T = np.array([slot + bool((late_M & ~long_M)[slot_M == slot].any()) for slot in slots], np.int64)
    budget_M = budgets(members, edits)

    keep_I = counts_M[row_I] & ~rows.doubted_I
    cells = Cells(
        rows.member_I[keep_I],
        rows.arm_I[keep_I],
        np.searchsorted(slots, slot_M[row_I[keep_I]]),
        rows.platform_I[keep_I],
        np.maximum(known_I, known_M[row_I])[keep_I],
        rows.value_IQ[keep_I],
        member_M[counts_M],
        np.searchsorted(slots, slot_M[counts_M]),
        known_M[counts_M],
        budget_M[counts_M],
        part_MA[counts_M],
    )
    nothing = np.zeros(0)
    late = Late(nothing, nothing, nothing, look_T)
    bare = Outcomes(
        experiment, members, platforms, (), length, tuple(slots.tolist()), nothing, nothing, nothing, late, cells,
        finished, silent, left_out,
    )  # fmt: skip
    return summed(bare, look_T)
