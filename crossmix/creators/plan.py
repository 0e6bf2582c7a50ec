"""A plan with names: what is bought, what it gives and within which interval, what binds, how far the bound is.

Shapes: C cells, D draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from crossmix.creators.catalogue import Catalogue
from crossmix.creators.effect import Posterior
from crossmix.creators.problem import Problem
from crossmix.creators.solve import Solution


@dataclass(frozen=True, slots=True)
class Choice:
    """One collaboration."""

    creator_id: str
    channel: str
    phase: str
    tier: str
    cost: float
    effect: float
    """Expected, before the cell saturates."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of the matrix, earlier phases' money included."""

    channel: str
    phase: str
    tier: str
    creators: int
    cost: float
    effect: float
    """Expected, saturated; what this plan adds."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is answered to a brief."""

    brief: str
    currency: str
    budget: float
    cost: float
    effect: float
    low: float
    high: float
    """The effect's 80 % interval over creators and results."""
    bound: float
    """No plan's expected effect lies above."""
    gap: float
    """Share of the bound by which the plan's expected effect falls short of it at most."""
    budget_price: float
    """Expected effect that one more unit of currency would add."""
    rule_prices: Mapping[str, float]
    """Expected effect that a unit of currency of relief of each rule would add; above 0: the rule binds."""
    choices: tuple[Choice, ...]
    cells: tuple[Cell, ...]
    next_in: str | None
    last_out: str | None
    seconds: float

    def plain(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)


INTERVAL = (0.1, 0.9)


def named(
    catalogue: Catalogue,
    problem: Problem,
    solution: Solution,
    posterior: Posterior,
    *,
    draws: int = 1_000,
    seed: int = 0,
) -> Plan:
    """A solution with names and the interval of its effect."""
    bought = np.flatnonzero(solution.cell_N >= 0)
    cell_of = solution.cell_N[bought]
    sum_C = problem.sums_C(solution.cell_N)
    added_C = problem.saturated_C(sum_C) - problem.saturated_C(problem.reached_C)
    low, high = interval(problem, solution, posterior, draws, seed)
    spend_C = problem.spend_C(solution.cell_N)
    count_C = np.bincount(cell_of, minlength=problem.matrix.cells)
    labels = [problem.matrix.label(cell) for cell in range(problem.matrix.cells)]

    def name(candidate: int | None) -> str | None:
        return None if candidate is None else catalogue.ids[problem.row_N[candidate]]

    choices = []
    for candidate, cell in sorted(zip(bought.tolist(), cell_of.tolist(), strict=True), key=lambda one: one[1]):
        channel, phase, tier = labels[cell]
        price, effect = float(problem.price_N[candidate]), float(problem.effect_N[candidate])
        choices.append(Choice(catalogue.ids[problem.row_N[candidate]], channel, phase, tier, price, effect))
    return Plan(
        brief=problem.brief.name,
        currency=problem.brief.currency,
        budget=problem.budget,
        cost=problem.cost(solution.cell_N),
        effect=solution.value,
        low=low,
        high=high,
        bound=solution.bound,
        gap=solution.gap,
        budget_price=solution.budget_price,
        rule_prices=dict(zip(problem.rows.names, solution.rule_price_R.tolist(), strict=True)),
        choices=tuple(choices),
        cells=tuple(
            Cell(*label, int(count), float(cost), float(effect))
            for label, count, cost, effect in zip(labels, count_C, spend_C, added_C, strict=True)
        ),
        next_in=name(solution.next_in),
        last_out=name(solution.last_out),
        seconds=solution.seconds,
    )


def interval(
    problem: Problem, solution: Solution, posterior: Posterior, draws: int, seed: int = 0
) -> tuple[float, float]:
    """80 % interval of the effect: creators, what the predictor does not know, and results drawn together."""
    bought = np.flatnonzero(solution.cell_N >= 0)
    effect_DN = posterior.draws_DN(problem.row_N[bought], draws, seed)
    in_cell_NC = np.zeros((len(bought), problem.matrix.cells))
    in_cell_NC[np.arange(len(bought)), solution.cell_N[bought]] = 1.0
    sum_DC = problem.reached_C + effect_DN @ in_cell_NC
    total_D = (problem.saturated_C(sum_DC) - problem.saturated_C(problem.reached_C)).sum(1)
    low, high = np.quantile(total_D, INTERVAL)
    return float(low), float(high)
