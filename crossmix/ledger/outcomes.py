"""What the arms of an experiment delivered, read from the database: finished cycles only, totals and by user.

Campaigns have clocks of their own. An experiment's cycle is as long as the longest of theirs, and a campaign's cycle
belongs to the first experiment cycle that begins no earlier; the campaign cycle in which the experiment begins counts
(both arms begin in it), unless another experiment came before it: then it has the cycles that begin in it. A cycle
whose feedback is missing from an arm is waited for during one more cycle; a cycle without feedback from either arm
delivered nothing and is left out.

Planned budget of an arm and cycle: its weight x the campaigns' `cycle_budget`, as it is now.

Shapes: A arms (policy, control), Q quantities, T cycles of the experiment with feedback, P platforms, N users.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from crossmix import reward
from crossmix.config import Reward
from crossmix.ledger import tables
from crossmix.ledger.experiments import Experiment
from crossmix.ledger.store import Store
from crossmix.ledger.tables import utc
from crossmix.metrics import AMOUNTS, ARMS, PLANNED, QUANTITIES

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Clock:
    """A campaign's part in the experiment."""

    campaign_id: str
    currency: str
    budget: float
    """Of both arms, currency per cycle."""
    starts: datetime
    cycle: timedelta
    first: int
    """First cycle of the experiment."""
    stop: int
    """One past the last finished one."""
    cycles: int

    def begins(self, cycle: int) -> datetime:
        return self.starts + cycle * self.cycle


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """Finished cycles."""

    experiment: Experiment
    clocks: tuple[Clock, ...]
    """Campaigns with feedback."""
    platforms: tuple[str, ...]
    length: timedelta
    """Of an experiment's cycle."""
    slot_T: tuple[int, ...]
    """Which cycles of the experiment, from 0."""
    planned_AT: Array
    total_QATP: Array
    finished: int
    """Cycles of the experiment that are over, with feedback or without."""
    silent: int
    """Campaign cycles without any feedback."""

    @property
    def reached(self) -> bool:
        """The planned end is over."""
        return self.finished >= self.experiment.days

    def of(self, name: str, platform: str | None = None) -> Array:
        """A quantity of each arm and cycle, (A, T); `planned` is the arm's, whatever the platform."""
        if name == PLANNED:
            return self.planned_AT
        total_ATP: Array = self.total_QATP[QUANTITIES.index(name)]
        return total_ATP.sum(2) if platform is None else total_ATP[:, :, self.platforms.index(platform)]

    def dynamic_reward(self, weights: Reward) -> Array:
        """Eq. 10 of each arm and cycle, (A, T), all campaigns together.

        Its last term is 0: what is served is never above a platform's maximum.
        """
        return reward.dynamic_of(weights, {name: self.of(name) for name in AMOUNTS}, np.zeros(self.planned_AT.shape))


@dataclass(frozen=True, slots=True, eq=False)
class Users:
    """Figures of each user who has feedback, per arm; the covariate is from before the experiment."""

    during: dict[str, Array]
    """Arm to (N, Q)."""
    before: dict[str, Array]
    """The same users, 0 where nothing is known."""
    known: int
    """Users with feedback from before."""
    crossed: int
    """Users with feedback in both arms."""
    impressions: float
    """Their impressions."""


def read(store: Store, experiment: Experiment, now: datetime) -> Outcomes:
    """Everything that the experiment's finished cycles delivered until `now` (UTC); raises `StoreAwayError`."""
    with store.read() as connection:
        clocks = _clocks(connection, experiment, now)
        cells = {clock.campaign_id: _cells(connection, clock) for clock in clocks}
    clocks = tuple(clock for clock in clocks if cells[clock.campaign_id])
    length = max((clock.cycle for clock in clocks), default=timedelta(days=1))
    slot_of, finished, silent = _settled(experiment, clocks, cells, length, now)

    platforms = tuple(sorted({platform for values in cells.values() for _, _, platform in values}))
    slots = tuple(sorted(set(slot_of.values())))
    planned_AT = np.zeros((len(ARMS), len(slots)))
    total_QATP = np.zeros((len(QUANTITIES), len(ARMS), len(slots), len(platforms)))
    for clock in clocks:
        for (arm, cycle, platform), values in cells[clock.campaign_id].items():
            if (clock.campaign_id, cycle) in slot_of:
                t = slots.index(slot_of[clock.campaign_id, cycle])
                total_QATP[:, ARMS.index(arm), t, platforms.index(platform)] += values
    budget = {clock.campaign_id: clock.budget for clock in clocks}
    for (campaign, _), slot in slot_of.items():
        planned_AT[:, slots.index(slot)] += [experiment.weights[arm] * budget[campaign] for arm in ARMS]
    return Outcomes(experiment, clocks, platforms, length, slots, planned_AT, total_QATP, finished, silent)


def _settled(
    experiment: Experiment,
    clocks: tuple[Clock, ...],
    cells: Mapping[str, Mapping[tuple[str, int, str], Array]],
    length: timedelta,
    now: datetime,
) -> tuple[dict[tuple[str, int], int], int, int]:
    """The experiment's cycle of each campaign cycle that counts; its finished cycles; campaign cycles without feedback.

    A campaign's cycle without an arm's feedback is waited for while the next one runs.
    """
    arms = {arm for arm in ARMS if experiment.weights[arm] > 0}
    finished, silent = experiment.days if clocks else 0, 0
    slot_of: dict[tuple[str, int], int] = {}
    for clock in clocks:
        reported: dict[int, set[str]] = {}
        for arm, cycle, _ in cells[clock.campaign_id]:
            reported.setdefault(cycle, set()).add(arm)
        unsettled = clock.stop if clock.stop < clock.cycles else None
        for cycle in range(clock.first, clock.stop):
            slot = _slot(experiment, length, clock.begins(cycle))
            reporting = reported.get(cycle, set())
            if not arms <= reporting and now - clock.begins(cycle + 1) < clock.cycle:
                unsettled = cycle
                break
            if reporting:
                slot_of[clock.campaign_id, cycle] = slot
            elif slot < experiment.days:
                silent += 1
        if unsettled is not None:
            finished = min(finished, _slot(experiment, length, clock.begins(unsettled)))
    return {key: slot for key, slot in slot_of.items() if slot < finished}, finished, silent


def users(store: Store, outcomes: Outcomes) -> Users:
    """Figures by user over the finished cycles; raises `StoreAwayError`."""
    now: dict[tuple[str, str], Array] = {}
    past: dict[str, Array] = {}
    events = tables.events.c
    with store.read() as connection:
        for clock in outcomes.clocks:
            stop = clock.first + sum(
                _slot(outcomes.experiment, outcomes.length, clock.begins(cycle)) < outcomes.finished
                for cycle in range(clock.first, clock.stop)
            )
            mine = (events.campaign_id == clock.campaign_id) & events.user.is_not(None)
            during = mine & events.arm.in_(ARMS) & (events.cycle >= clock.first) & (events.cycle < stop)
            for arm, user, *values in connection.execute(_sums(during, events.arm, events.user)):
                now[arm, user] = now.get((arm, user), 0.0) + np.array(values, float)
            before = mine & (events.cycle < clock.first)
            for user, *values in connection.execute(_sums(before, events.user)):
                past[user] = past.get(user, 0.0) + np.array(values, float)
    names = {arm: [user for a, user in now if a == arm] for arm in ARMS}
    nothing = np.zeros(len(QUANTITIES))
    table = {arm: np.array([now[arm, user] for user in names[arm]]).reshape(-1, len(QUANTITIES)) for arm in ARMS}
    known = {user for _, user in now}
    return Users(
        table,
        {arm: np.array([past.get(user, nothing) for user in names[arm]]).reshape(-1, len(QUANTITIES)) for arm in ARMS},
        len(known & past.keys()),
        len(now) - len(known),
        float(sum(rows[:, QUANTITIES.index("impressions")].sum() for rows in table.values())),
    )


def _slot(experiment: Experiment, length: timedelta, begins: datetime) -> int:
    """The experiment's cycle of a campaign's cycle."""
    return max(math.ceil((begins - experiment.started) / length - 1e-9), 0)


def _clocks(connection: sa.Connection, experiment: Experiment, now: datetime) -> tuple[Clock, ...]:
    rows, started = tables.experiments.c, experiment.started
    others = connection.execute(sa.select(rows.started).where(rows.id != experiment.id)).scalars()
    follows = any(utc(begun) < started for begun in others)
    cutoff = min(now, experiment.ended or now)
    clocks = []
    for row in connection.execute(sa.select(tables.campaigns)).mappings():
        starts, cycle = utc(row["starts"]), timedelta(hours=row["cycle_hours"])
        first = max(math.floor((started - starts) / cycle), 0)
        begins = starts + first * cycle
        if begins < started and follows:
            first += 1  # it has the cycles that begin in it (`crossmix.terms`)
        stop = min(max(math.floor((cutoff - starts) / cycle + 1e-9), first), row["cycles"])
        clocks.append(
            Clock(
                row["campaign_id"],
                row["currency"],
                float(row["cycle_budget"]),
                starts,
                cycle,
                first,
                stop,
                int(row["cycles"]),
            )
        )
    return tuple(clocks)


def _cells(connection: sa.Connection, clock: Clock) -> dict[tuple[str, int, str], Array]:
    """Sums of each arm, cycle and platform, (Q,)."""
    events = tables.events.c
    mine = (
        (events.campaign_id == clock.campaign_id)
        & events.arm.in_(ARMS)
        & (events.cycle >= clock.first)
        & (events.cycle < clock.stop)
    )
    rows = connection.execute(_sums(mine, events.arm, events.cycle, events.platform))
    return {(arm, int(cycle), platform): np.array(values, float) for arm, cycle, platform, *values in rows}


def _sums(which: Any, *by: Any) -> Any:
    events = tables.events.c
    counted = which & events.replaced_by.is_(None)
    return sa.select(*by, *(sa.func.sum(events[name]) for name in QUANTITIES)).where(counted).group_by(*by)
