"""What the arms of an experiment delivered in its finished cycles: sums of what counts, by currency, arm and cycle.

`crossmix.ledger.outcomes_read` reads them from the database, and says what counts.

Planned budget of an arm and cycle: its part of the users then x the campaign's budget of that cycle
(`members.budgets`). While a canary runs, its part of the policy's users is in neither arm of the experiment. Amounts
are added within a currency and never across.

`late` holds when a figure became known: what was said after a cycle can be said again (`as_of`).

Shapes: A arms (policy, control; of a canary: canary, policy), C currencies, Q quantities, T cycles of the experiment
with feedback, P platforms, U cycles of the experiment in which a figure became known, N campaigns, M cycles of
campaigns, I rows of `totals`.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmix import reward
from crossmix.config import Reward
from crossmix.ledger.experiments import Experiment
from crossmix.ledger.members import Member
from crossmix.metrics import AMOUNTS, ARMS, PLANNED, QUANTITIES, QUANTITY

Array = NDArray[np.float64]
Index = NDArray[np.int64]


class CurrencyError(ValueError):
    """Amounts of several currencies were to be added."""


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Rows of `totals` that count, with the campaign and the experiment's cycle of each."""

    member_I: Index
    arm_I: Index
    slot_I: Index
    """Index into `slot_T`."""
    platform_I: Index
    known_I: Index
    value_IQ: Array
    member_M: Index
    """Of each campaign cycle that counts."""
    slot_M: Index
    known_M: Index
    """Since when it counts."""
    budget_M: Array
    """Of all users, currency."""
    part_MA: Array
    """The arms' parts of the users."""


@dataclass(frozen=True, slots=True, eq=False)
class Late:
    """What became known when: sums by the experiment's cycle in which it did."""

    planned_CATU: Array
    revenue_CATU: Array
    campaigns_CTU: Array
    look_T: Index
    """In which cycle each cycle was first counted: its own, or the next, where it was waited for."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """Finished cycles."""

    experiment: Experiment
    members: tuple[Member, ...]
    """Campaigns with feedback."""
    platforms: tuple[str, ...]
    currencies: tuple[str, ...]
    length: timedelta
    """Of an experiment's cycle."""
    slot_T: tuple[int, ...]
    """Which cycles of the experiment, from 0."""
    planned_CAT: Array
    total_QCATP: Array
    campaigns_CT: Array
    """Campaign cycles that count: how much a currency weighs beside others."""
    late: Late
    cells: Cells
    finished: int
    """Cycles of the experiment that are over, with feedback or without."""
    silent: int
    """Campaign cycles without any feedback."""
    held: int = 0
    """Campaign cycles that are left out, as a report of theirs is not believed."""
    number: int = 0
    """Grows with every change of the feedback that they were read from."""
    arms: tuple[str, ...] = ARMS

    part_AT: Array = field(default_factory=lambda: np.zeros((len(ARMS), 0)))
    """The arms' parts of the users, the mean of the campaign cycles that count."""

    @property
    def reached(self) -> bool:
        """The planned end is over."""
        return self.finished >= self.experiment.days

    def by_currency(self, name: str, platform: str | None = None) -> Array:
        """A quantity of each currency, arm and cycle, (C, A, T); `planned` is the arm's, whatever the platform."""
        if name == PLANNED:
            return self.planned_CAT
        total_CATP: Array = self.total_QCATP[QUANTITIES.index(name)]
        return total_CATP.sum(3) if platform is None else total_CATP[:, :, :, self.platforms.index(platform)]

    def of(self, name: str, platform: str | None = None) -> Array:
        """A quantity of each arm and cycle, (A, T); raises `CurrencyError` for amounts of several currencies."""
        if len(self.currencies) > 1 and QUANTITY[name].format == "money":
            raise CurrencyError(f"{name}: campaigns in {', '.join(self.currencies)}; ask for one currency")
        total_AT: Array = self.by_currency(name, platform).sum(0)
        return total_AT

    def dynamic_reward(self, weights: Reward) -> Array:
        """Eq. 10 of each arm and cycle, (A, T), all campaigns of a currency together, the mean over currencies by their
        campaigns.

        Its last term is 0: what is served is never above a platform's maximum.
        """
        amounts = {name: self.by_currency(name) for name in AMOUNTS}
        reward_CAT = reward.dynamic_of(weights, amounts, np.zeros(self.planned_CAT.shape))
        share_CT = self.campaigns_CT / np.maximum(self.campaigns_CT.sum(0), 1e-12)
        return np.asarray((reward_CAT * share_CT[:, None]).sum(0), float)

    def only(self, *, currency: str | None = None, campaign: str | None = None) -> Outcomes:
        """The same of one currency or one campaign, in the cycles in which it has feedback."""
        members, cells = self.members, self.cells
        keep_M: Any
        keep_I: Any
        if campaign is None:
            keep_N = np.fromiter((currency in (None, one.currency) for one in members), bool, len(members))
            keep_M, keep_I = keep_N[cells.member_M], keep_N[cells.member_I]
        else:  # campaigns, and the rows of each, are in order of name
            at = bisect_left(members, campaign, key=lambda one: one.campaign_id)
            keep_N = np.zeros(len(members), bool)
            keep_N[at : at + 1] = at < len(members) and members[at].campaign_id == campaign
            ends = [at, at + int(keep_N.any())]
            keep_M, keep_I = (slice(*np.searchsorted(part, ends)) for part in (cells.member_M, cells.member_I))
        slots = np.unique(cells.slot_M[keep_M])
        position = np.full(len(self.slot_T) + 1, -1)
        position[slots] = np.arange(len(slots))
        number_N = np.cumsum(keep_N) - 1
        kept = Cells(
            number_N[cells.member_I[keep_I]],
            cells.arm_I[keep_I],
            position[cells.slot_I[keep_I]],
            cells.platform_I[keep_I],
            cells.known_I[keep_I],
            cells.value_IQ[keep_I],
            number_N[cells.member_M[keep_M]],
            position[cells.slot_M[keep_M]],
            cells.known_M[keep_M],
            cells.budget_M[keep_M],
            cells.part_MA[keep_M],
        )
        members = tuple(members[n] for n in np.flatnonzero(keep_N))
        return summed(
            replace(self, members=members, slot_T=tuple(self.slot_T[t] for t in slots), cells=kept),
            self.late.look_T[slots],
        )

    def between(self, first: int, stop: int) -> Outcomes:
        """The same of the cycles `first` (from 0) to before `stop`."""
        keep_T = np.array([first <= slot < stop for slot in self.slot_T], bool)
        late = self.late
        return replace(
            self,
            slot_T=tuple(slot for slot in self.slot_T if first <= slot < stop),
            planned_CAT=self.planned_CAT[:, :, keep_T],
            total_QCATP=self.total_QCATP[:, :, :, keep_T],
            campaigns_CT=self.campaigns_CT[:, keep_T],
            part_AT=self.part_AT[:, keep_T],
            late=Late(
                late.planned_CATU[:, :, keep_T],
                late.revenue_CATU[:, :, keep_T],
                late.campaigns_CTU[:, keep_T],
                late.look_T[keep_T],
            ),
        )

    def as_of(self, cycles: int) -> tuple[Array, Array, Array]:
        """Revenue and planned budget, (C, A, T'), and campaigns, (C, T'), as they were known when the first `cycles` of
        `slot_T` had just been counted; T' <= `cycles`: what was not known at all is left out.

        The last of them was counted at its end, and then what had come in by its end is in; or where it was waited
        for, during the next, and then what had come in by the end of that.
        """
        until = int(self.late.look_T[cycles - 1]) + 1
        revenue, planned, campaigns = (
            part[..., :cycles, :until].sum(-1)
            for part in (self.late.revenue_CATU, self.late.planned_CATU, self.late.campaigns_CTU)
        )
        some_T = campaigns.sum(0) > 0
        return revenue[:, :, some_T], planned[:, :, some_T], campaigns[:, some_T]


def summed(outcomes: Outcomes, look_T: Index) -> Outcomes:
    """The same with the sums of its cells.

    Args:
        look_T: as `Late.look_T`.
    """
    cells, cycles = outcomes.cells, len(outcomes.slot_T)
    currencies = tuple(sorted({one.currency for one in outcomes.members}))
    currency_N = np.array([currencies.index(one.currency) for one in outcomes.members], np.int64)
    arms = cells.part_MA.shape[1]
    currency_I, currency_M = currency_N[cells.member_I], currency_N[cells.member_M]
    shape = (len(currencies), arms, cycles, len(outcomes.platforms))
    place = (currency_I, cells.arm_I, cells.slot_I, cells.platform_I)
    total = np.stack([_added(shape, place, value_I) for value_I in cells.value_IQ.T])
    last = int(max([*look_T.tolist(), 0]))
    # All that became known after the last look is in the last column and in no look.
    known_I, known_M = np.minimum(cells.known_I, last + 1), np.minimum(cells.known_M, last + 1)
    counted = ((len(currencies), cycles, last + 2), (currency_M, cells.slot_M, known_M))
    planned_CATU = np.stack([_added(*counted, part_M * cells.budget_M) for part_M in cells.part_MA.T], axis=1)
    campaigns_CTU = _added(*counted, np.ones(len(known_M)))
    revenue_CATU = _added(
        (len(currencies), arms, cycles, last + 2),
        (currency_I, cells.arm_I, cells.slot_I, known_I),
        cells.value_IQ[:, QUANTITIES.index("revenue")],
    )
    many_T = np.maximum(np.bincount(cells.slot_M, minlength=cycles), 1)
    part_AT = [np.bincount(cells.slot_M, weights=part_M, minlength=cycles) / many_T for part_M in cells.part_MA.T]
    return replace(
        outcomes,
        part_AT=np.stack(part_AT),
        currencies=currencies,
        planned_CAT=planned_CATU.sum(3),
        total_QCATP=total,
        campaigns_CT=campaigns_CTU.sum(2),
        late=Late(planned_CATU, revenue_CATU, campaigns_CTU, look_T),
    )


def _added(shape: tuple[int, ...], place: tuple[Index, ...], value: Array) -> Array:
    """Sums of values at their places; without any, zeros."""
    size = math.prod(shape)
    if not (size and len(value)):
        return np.zeros(shape)
    sums = np.bincount(np.ravel_multi_index(place, shape), weights=value, minlength=size)
    return np.asarray(sums.reshape(shape), float)
