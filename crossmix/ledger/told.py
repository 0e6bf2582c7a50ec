"""What campaigns were told to spend: the splits that were served, and where none was, the plan's.

Shapes: T rows, C campaigns, P platforms, N cells of a cycle and campaign.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from crossmix.feedback import Array, Whole
from crossmix.ledger import delivery
from crossmix.ledger.campaigns import budget_at, most_budget
from crossmix.ledger.plans import Place
from crossmix.ledger.store import Store


def read(
    store: Store,
    places: list[Place],
    offset_C: Whole,
    cycle_TC: Whole,
    platforms: tuple[str, ...],
    arms: Sequence[str],
) -> dict[str, tuple[Array, Array]]:
    """What each arm was last told by cell, and at most, currency; NaN where nothing was served.

    Both are one table where the arm was served nothing.

    Args:
        offset_C: of each campaign, row less cycle.

    Raises:
        StoreAwayError: the database is away.
    """
    shape = (*cycle_TC.shape, len(platforms))
    splits = delivery.splits(store, {one.plan.campaign_id: (one.first, one.stop - 1) for one in places})
    served = {arm for some in splits.values() for arm, _ in some}
    last = {arm: np.full(shape, np.nan) for arm in arms}
    told = {arm: (table, table.copy() if arm in served else table) for arm, table in last.items()}
    for c, one in enumerate(places):
        for (arm, cycle), split in splits[one.plan.campaign_id].items():
            if arm in told:
                last_TCP, most_TCP = told[arm]
                last_TCP[cycle + offset_C[c], c] = [split.amount(name) for name in platforms]
                most_TCP[cycle + offset_C[c], c] = [split.most.get(name, 0.0) for name in platforms]
    return told


@dataclass(frozen=True, slots=True, eq=False)
class Planned:
    """The plans' static splits."""

    places: Sequence[Place]
    share_CP: Array
    budget_C: Array
    """Of a cycle as it is now, currency."""
    edits: Mapping[str, Sequence[tuple[datetime, float]]]
    """Of the campaigns whose budget was another."""

    @classmethod
    def of(
        cls,
        places: Sequence[Place],
        platforms: tuple[str, ...],
        edits: Mapping[str, Sequence[tuple[datetime, float]]],
    ) -> Planned:
        share_CP = np.array([[one.plan.share.get(name, 0.0) for name in platforms] for one in places])
        return cls(places, share_CP, np.array([one.plan.cycle_budget for one in places]), edits)

    def where_unserved(
        self, told_TCP: Array, most_TCP: Array, part_TC: Array, active_TC: Array, cycle_TC: Whole
    ) -> tuple[Array, Array]:
        """Where nothing was served and something came back, the plan's static split was told; else nothing. Last, and
        at most: one table where they are the same."""
        unserved_TC = np.asarray(np.isnan(told_TCP).all(2))
        last = np.where(unserved_TC[..., None], 0.0, told_TCP)
        same = most_TCP is told_TCP and not self.edits
        most = last if same else np.where(unserved_TC[..., None], 0.0, most_TCP)
        t_N, c_N = np.nonzero(unserved_TC & (active_TC > 0) & (cycle_TC >= 0))
        budget_N = self.budget_C[c_N]
        largest_N = budget_N.copy()
        edited_C = np.array([one.plan.campaign_id in self.edits for one in self.places], np.bool_)
        for n in np.flatnonzero(edited_C[c_N]).tolist():
            plan, cycle = self.places[c_N[n]].plan, int(cycle_TC[t_N[n], c_N[n]])
            before = self.edits[plan.campaign_id]
            begins, ends = plan.calendar.begins(cycle), plan.calendar.ends(cycle)
            budget_N[n] = budget_at(plan.cycle_budget, before, ends)
            largest_N[n] = most_budget(plan.cycle_budget, before, begins, ends)
        share_NP = self.share_CP[c_N] * part_TC[t_N, c_N][:, None]
        last[t_N, c_N] = share_NP * budget_N[:, None]
        if not same:
            most[t_N, c_N] = share_NP * largest_N[:, None]
        return last, most
