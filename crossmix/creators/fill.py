"""A plan under work: bring it under its rules, spend what is left, swap creators for better ones.

Every move keeps the budget; `spend` and `improve` keep every ratio rule, or, where the plan breaks some, let no
shortfall grow. Moves are looked at all together, so that a step is a few array operations.

Shapes: N candidates, M of them that moves may bring in, C cells, P phases, R rules.
"""

from __future__ import annotations

import time

import numpy as np

from crossmix.creators.catalogue import Flags, Floats, Ints
from crossmix.creators.matrix import TOLERANCE
from crossmix.creators.problem import Problem

Step = list[tuple[int, int]]
"""Candidates with the cell they come into; -1: dropped."""


class Work:
    """A plan, as the cell of each candidate, with its sums.

    Args:
        cell_N: cell of each candidate, -1 where it is not bought.
        pool_M: candidates that moves may bring in; all where `None`.
        loose: share of the budget by which each rule may be broken on the way.
    """

    def __init__(self, problem: Problem, cell_N: Ints, pool_M: Ints | None = None, loose: float = 0.0) -> None:
        self.problem = problem
        self.cell_N = np.array(cell_N, np.int64)
        self.pool_M = np.arange(len(problem)) if pool_M is None else np.asarray(pool_M, np.int64)
        self.tolerance = max(0.5 * TOLERANCE, loose) * problem.brief.budget
        self.gone_N = np.zeros(len(problem), bool)
        """Whom `repair` has dropped for good."""
        phases = np.flatnonzero(problem.open_P)
        self.option_MP: Ints = problem.cell_KP[problem.class_N[self.pool_M]][:, phases]
        self._sum_up()

    @property
    def left(self) -> float:
        """Money not spent."""
        return self.problem.budget - self.problem.cost(self.cell_N)

    @property
    def value(self) -> float:
        """Effect of the plan."""
        return self.problem.value(self.cell_N)

    @property
    def shortfall(self) -> float:
        """Currency by which rules are broken."""
        return float(self._shortfall(self.slack_R))

    def spend(self, until: float = np.inf, *, by: str = "density") -> None:
        """Buy as long as something fits: by effect added per cost, or by effect added (`by="effect"`).

        Args:
            until: of `time.perf_counter`.
        """
        problem = self.problem
        price_M, effect_M = problem.price_N[self.pool_M], problem.effect_N[self.pool_M]
        while time.perf_counter() < until:
            gain_MP = self._gain(effect_M, self.option_MP)
            fits_MP = self._keeps(price_M, self.option_MP, self.slack_R)
            fits_MP &= ((self.cell_N[self.pool_M] < 0) & (price_M <= self.left))[:, None]
            score_MP = np.where(fits_MP, gain_MP / price_M[:, None] if by == "density" else gain_MP, -np.inf)
            at, phase = np.unravel_index(int(np.argmax(score_MP)), score_MP.shape)
            if not score_MP[at, phase] > 0:
                return
            self.cell_N[self.pool_M[at]] = self.option_MP[at, phase]
            self._sum_up()

    def improve(self, until: float = np.inf) -> None:
        """Swap, move between phases and buy until no single step adds effect."""
        problem = self.problem
        self.spend(until)
        price_M, effect_M = problem.price_N[self.pool_M], problem.effect_N[self.pool_M]
        fresh = True
        while fresh and time.perf_counter() < until:
            fresh = False
            bought = np.flatnonzero(self.cell_N >= 0)
            # the weakest for their money first
            weak = self.problem.slope_C(self.sum_C)[self.cell_N[bought]]
            for out in bought[np.argsort(weak * problem.effect_N[bought] / problem.price_N[bought])]:
                if time.perf_counter() >= until:
                    return
                fresh |= self._swap(int(out), price_M, effect_M)
            if fresh:
                self.spend(until)

    def repair(self) -> None:
        """Buy, drop or swap what costs least effect for the shortfall it ends, until every rule holds.

        Where no single step ends any, whoever leaves the least shortfall is dropped for good: a plan of nobody keeps
        every rule but floors of the budget, which then stay broken.
        """
        problem = self.problem
        self.gone_N[:] = False
        while self.shortfall > 0:
            step = self._mending() or self._dropping() or self._exchanging()
            if step is None:
                bought = np.flatnonzero((self.cell_N >= 0) & ~problem.must_N)
                if not len(bought):
                    return
                last = int(bought[np.argmin(self._shortfall_without(bought))])
                self.gone_N[last] = True
                step = [(last, -1)]
            for candidate, cell in step:
                self.cell_N[candidate] = cell
            self._sum_up()

    def _shortfall_without(self, bought: Ints) -> Floats:
        """Shortfall once each of `bought` is dropped."""
        coefficient_RN = self.problem.rows.coefficient_RC[:, self.cell_N[bought]]
        return self._shortfall(self.slack_R[:, None] - coefficient_RN * self.problem.price_N[bought])

    def _shortfall(self, slack_R: Floats) -> Floats:
        """Currency by which rules are broken, summed over the first axis."""
        short: Floats = np.maximum(-slack_R - self.tolerance, 0).sum(0)
        return short

    def _dropping(self) -> Step | None:
        """Whom to drop."""
        bought = np.flatnonzero((self.cell_N >= 0) & ~self.problem.must_N)
        if not len(bought):
            return None
        ends = self.shortfall - self._shortfall_without(bought)
        lost = self.value - self._without(bought)
        score = np.where(ends > self.tolerance, lost / np.maximum(ends, 1e-300), np.inf)
        at = int(np.argmin(score))
        return [(int(bought[at]), -1)] if np.isfinite(score[at]) else None

    def _exchanging(self) -> Step | None:
        """Whom to drop and whom to buy in place, itself in another phase included."""
        problem, best, step = self.problem, np.inf, None
        price_M, effect_M = problem.price_N[self.pool_M], problem.effect_N[self.pool_M]
        for out in np.flatnonzero(self.cell_N >= 0):
            cell, sum_C = int(self.cell_N[out]), self.sum_C.copy()
            sum_C[cell] -= problem.effect_N[out]
            slack_R = self.slack_R - problem.rows.coefficient_RC[:, cell] * problem.price_N[out]
            free_M = (self.cell_N[self.pool_M] < 0) & (price_M <= self.left + problem.price_N[out])
            free_M &= ~self.gone_N[self.pool_M] & (not problem.must_N[out])
            at_M = np.flatnonzero(free_M | (self.pool_M == out))
            if not len(at_M):
                continue
            option = self.option_MP[at_M]
            change_RMP = problem.rows.coefficient_RC[:, option] * price_M[at_M, None]
            ends = self.shortfall - self._shortfall(slack_R[:, None, None] + change_RMP)
            lost = self._gain(problem.effect_N[[out]], np.asarray([[cell]]), sum_C)[0, 0]
            gain = self._gain(effect_M[at_M], option, sum_C) - lost
            score = np.where(ends > self.tolerance, -gain / np.maximum(ends, 1e-300), np.inf)
            at, phase = np.unravel_index(int(np.argmin(score)), score.shape)
            if score[at, phase] < best:
                best = float(score[at, phase])
                step = [(int(out), -1), (int(self.pool_M[at_M[at]]), int(option[at, phase]))]
        return step

    def _mending(self) -> Step | None:
        """Whom to buy."""
        problem = self.problem
        price_M, effect_M = problem.price_N[self.pool_M], problem.effect_N[self.pool_M]
        change_RMP = problem.rows.coefficient_RC[:, self.option_MP] * price_M[:, None]
        after_MP = self._shortfall(self.slack_R[:, None, None] + change_RMP)
        good_MP = after_MP < self.shortfall - self.tolerance
        free_M = (self.cell_N[self.pool_M] < 0) & ~self.gone_N[self.pool_M]
        good_MP &= (free_M & (price_M <= self.left))[:, None]
        if not good_MP.any():
            return None
        ends_MP = self.shortfall - after_MP
        score_MP = np.where(good_MP, ends_MP * self._gain(effect_M, self.option_MP) / price_M[:, None] ** 2, -np.inf)
        at, phase = np.unravel_index(int(np.argmax(score_MP)), score_MP.shape)
        return [(int(self.pool_M[at]), int(self.option_MP[at, phase]))]

    def _swap(self, out: int, price_M: Floats, effect_M: Floats) -> bool:
        """The best candidate in place of one, itself in another phase included; whether there was one."""
        problem, cell = self.problem, int(self.cell_N[out])
        sum_C, slack_R = self.sum_C.copy(), self.slack_R.copy()
        sum_C[cell] -= problem.effect_N[out]
        slack_R -= problem.rows.coefficient_RC[:, cell] * problem.price_N[out]
        left = self.left + problem.price_N[out]
        lost = float(problem.saturated_C(self.sum_C)[cell] - problem.saturated_C(sum_C)[cell])
        free_M = (self.cell_N[self.pool_M] < 0) & (price_M <= left)
        if problem.must_N[out]:
            free_M[:] = False
        free_M |= self.pool_M == out
        at_M = np.flatnonzero(free_M & (effect_M > lost))
        if not len(at_M):
            return False
        option = self.option_MP[at_M]
        gain = self._gain(effect_M[at_M], option, sum_C)
        gain[~self._keeps(price_M[at_M], option, slack_R)] = -np.inf
        at, phase = np.unravel_index(int(np.argmax(gain)), gain.shape)
        if gain[at, phase] <= lost + 1e-9 * max(self.value, 1e-300):
            return False
        self.cell_N[out] = -1
        self.cell_N[self.pool_M[at_M[at]]] = option[at, phase]
        self._sum_up()
        return True

    def _gain(self, effect_M: Floats, option_MP: Ints, sum_C: Floats | None = None) -> Floats:
        """h(S + e) - h(S), (M, P)."""
        sum_C = self.sum_C if sum_C is None else sum_C
        audience_C = self.problem.audience_C
        height_C = audience_C * self.problem.slope_C(sum_C)
        return -height_C[option_MP] * np.expm1(-effect_M[:, None] / audience_C[option_MP])

    def _keeps(self, price_M: Floats, option_MP: Ints, slack_R: Floats) -> Flags:
        """Whether buying keeps every rule, or lets a broken one not get worse, (M, P)."""
        keeps = np.ones(option_MP.shape, bool)
        floor_R = np.minimum(self.slack_R, -self.tolerance)
        for coefficient_C, slack, floor in zip(self.problem.rows.coefficient_RC, slack_R, floor_R, strict=True):
            keeps &= slack + coefficient_C[option_MP] * price_M[:, None] >= floor
        return keeps

    def _without(self, bought: Ints) -> Floats:
        """Effect of the plan without each of `bought`."""
        problem, cell = self.problem, self.cell_N[bought]
        sum_N = self.sum_C[cell] - problem.effect_N[bought]
        audience_N = problem.audience_C[cell]
        lost = problem.saturated_C(self.sum_C)[cell] + audience_N * np.expm1(-sum_N / audience_N)
        return self.value - lost

    def _sum_up(self) -> None:
        self.sum_C = self.problem.sums_C(self.cell_N)
        self.slack_R = self.problem.rows.slack_R(self.problem.spend_C(self.cell_N))
