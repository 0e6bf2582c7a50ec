"""The seed's Markov decision process: cells in order, the share of the money left that each may spend.

    state   what is left, where in the walk, what the cell offers, spends by tier and channel so far
    action  a in [0, 1]: share of the money left for this cell
    step    the best set of creators that the money buys (exact knapsack, `knapsack.py`)
    reward  effect added / scale x (1 + w . spend-weighted traits), 0 where nothing fits
            at the end less penalty x shortfall of all ratio rules / spend

Traits are audience quality, interaction rate, a low price per follower, and the content type's mean effect per cost,
each standardised over the candidates; reach enters by the predicted effect. The seed gives no weights
(`settings.Reward`).

Shapes: N candidates, C cells, K classes, S state.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmix.creators.catalogue import Catalogue, Floats, Ints
from crossmix.creators.knapsack import best_set
from crossmix.creators.problem import Problem
from crossmix.creators.reference import finished, pick, project
from crossmix.creators.settings import Reward

TIERS, CHANNELS = 4, 4
"""Slots of the state; further tiers and channels share the last."""
STATE = 12 + 2 * TIERS + CHANNELS
MONEY_STEPS = (0.05, 0.15)
"""Shares of the budget at which the state says what the cell would give."""


@dataclass(frozen=True, slots=True)
class Step:
    """What the environment answers to an action."""

    state_S: Floats
    reward: float
    last: bool


class Walk:
    """One brief as an episode.

    Args:
        traits_N4: standardised traits of each candidate (`traits`).
    """

    def __init__(self, problem: Problem, traits_N4: Floats, reward: Reward | None = None) -> None:
        self.problem, self.traits_N4 = problem, traits_N4
        self.settings = reward or Reward()
        matrix = problem.matrix
        self.cells = [int(cell) for cell in np.sort(problem.cell_KP[:, problem.open_P].reshape(-1))]
        channel_C, _, tier_C = np.unravel_index(np.arange(matrix.cells), matrix.shape)
        self.channel_C, self.tier_C = channel_C, tier_C
        self.class_C = channel_C * len(matrix.tiers) + tier_C
        self.by_class = [np.flatnonzero(problem.class_N == kind) for kind in range(matrix.classes)]
        self.offers_K2 = np.asarray([self._offers(of_class) for of_class in self.by_class])
        settings = self.settings
        self.weight_4 = np.asarray([settings.quality, settings.interaction, settings.price, settings.content])
        self.scale = max(float(np.sort(self.offers_K2[:, -1])[-3:].sum()), 1e-9)
        self.reset()

    def reset(self) -> Floats:
        """Begin anew; the first state."""
        self.at, self.left = 0, self.problem.budget
        self.cell_N: Ints = pick(self.problem, np.zeros(self.problem.matrix.cells))
        self.left -= self.problem.cost(self.cell_N)
        self.money_C = np.zeros(self.problem.matrix.cells)
        return self.state_S()

    def step(self, share: float) -> Step:
        """Spend up to `share` of what is left on the cell at hand."""
        problem, cell = self.problem, self.cells[self.at]
        money = float(np.clip(share, 0.0, 1.0)) * self.left
        self.money_C[cell] = money
        of_class = self.by_class[self.class_C[cell]]
        free = of_class[self.cell_N[of_class] < 0]
        taken = free[best_set(problem.price_N[free], problem.effect_N[free], money)]
        reward = 0.0
        if len(taken):
            before = problem.value(self.cell_N)
            self.cell_N[taken] = cell
            price_N = problem.price_N[taken]
            self.left -= float(price_N.sum())
            trait = float(self.weight_4 @ (price_N @ self.traits_N4[taken]) / price_N.sum())
            reward = (problem.value(self.cell_N) - before) / self.scale * (1 + trait)
        self.at += 1
        last = self.at == len(self.cells)
        if last:
            reward -= self.settings.penalty * self.abnormal()
        return Step(np.zeros(STATE) if last else self.state_S(), reward, last)

    def abnormal(self) -> float:
        """Shortfall of all ratio rules as a share of the spend; 1 where nothing was spent."""
        spend_C = self.problem.spend_C(self.cell_N)
        spend = float(spend_C.sum())
        return min(self.problem.shortfall(spend_C) / spend, 1.0) if spend > 0 else 1.0

    def state_S(self) -> Floats:
        """What the agent sees, (S,)."""
        problem, cell = self.problem, self.cells[self.at]
        budget, cells = problem.budget, len(self.cells)
        kind, tier = int(self.class_C[cell]), int(self.tier_C[cell])
        spend_C = problem.spend_C(self.cell_N)
        later = [other for other in self.cells[self.at + 1 :] if self.class_C[other] == kind]
        tier_T, spent_T = np.zeros(TIERS), np.zeros(TIERS)
        tier_T[min(tier, TIERS - 1)] = 1.0
        np.add.at(spent_T, np.minimum(self.tier_C, TIERS - 1), spend_C / budget)
        spent_H = np.zeros(CHANNELS)
        np.add.at(spent_H, np.minimum(self.channel_C, CHANNELS - 1), spend_C / budget)
        of_class = self.by_class[kind]
        free = of_class[self.cell_N[of_class] < 0]
        price_N = problem.price_N[free]
        sums = problem.sums_C(self.cell_N)[cell] / problem.audience_C[cell]
        # relief: by how much of the budget each rule that speaks of this cell is short or has room
        slack_R = problem.rows.slack_R(spend_C) / budget
        coefficient_R = problem.rows.coefficient_RC[:, cell]
        wants = float(np.maximum(-slack_R, 0)[coefficient_R > 0].max(initial=0.0))
        room = float(slack_R[coefficient_R < 0].min(initial=1.0))
        return np.concatenate(
            [
                [
                    self.left / budget,
                    self.at / cells,
                    1 / (cells - self.at),
                    len(later) / len(problem.open_P),
                    np.log1p(len(free)) / 8,
                    min(float(price_N.min(initial=budget)) / budget, 1.0),
                    min(float(np.median(price_N)) / budget, 1.0) if len(free) else 1.0,
                    np.tanh(sums),
                    np.clip(wants, 0, 1),
                    np.clip(room, -1, 1),
                ],
                self.offers_K2[kind] / self.scale,
                tier_T,
                spent_T,
                spent_H,
            ]
        )

    def _offers(self, of_class: Ints) -> Floats:
        """Effect that parts of the best by effect per cost would give for each of `MONEY_STEPS`, unsaturated."""
        price_N, effect_N = self.problem.price_N[of_class], self.problem.effect_N[of_class]
        order = np.argsort(-effect_N / price_N)
        cost = np.concatenate([[0.0], np.cumsum(price_N[order])])
        gain = np.concatenate([[0.0], np.cumsum(effect_N[order])])
        given: Floats = np.interp([step * self.problem.budget for step in MONEY_STEPS], cost, gain)
        return given


def traits(catalogue: Catalogue, problem: Problem) -> Floats:
    """Quality, log rate, low log price per follower, content type's mean effect per cost; standardised, (N, 4)."""
    row_N = problem.row_N
    density_N = np.log(np.maximum(problem.effect_N, 1e-12) / problem.price_N)
    content_N = catalogue.content_N[row_N]
    count = np.maximum(np.bincount(content_N, minlength=len(catalogue.contents)), 1)
    mean = np.bincount(content_N, density_N, minlength=len(catalogue.contents)) / count
    columns = np.stack(
        [
            catalogue.quality_N[row_N],
            np.log(catalogue.rate_N[row_N]),
            np.log(catalogue.followers_N[row_N] / problem.price_N),
            mean[content_N],
        ],
        axis=1,
    )
    standardised: Floats = (columns - columns.mean(0)) / np.maximum(columns.std(0), 1e-9)
    return standardised


def projected(problem: Problem, money_C: Floats) -> Ints:
    """Money per cell projected onto the rules, then creators picked, rules mended and leftovers spent."""
    return finished(problem, pick(problem, project(problem, money_C)))
