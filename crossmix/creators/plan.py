"""A plan with names: what is bought, what it gives and within which interval, what binds, how far the bound is.

Shapes: C cells, D draws, N bought creators.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from crossmix.creators.catalogue import Catalogue, Floats
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
    low: float
    high: float
    """The effect's 80 % interval."""


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
    low: float
    high: float
    """The effect's 80 % interval over creators and results."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A creator that is not bought."""

    creator_id: str
    channel: str
    tier: str
    cost: float
    effect: float
    """Expected, before a cell saturates."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is answered to a brief."""

    brief: str
    currency: str
    budget: float
    cost: float
    effect: float
    """Expected: the mean over creators and results. It is below `value`: chance is lost where a cell saturates."""
    low: float
    high: float
    """The effect's 80 % interval over creators and results."""
    value: float
    """What the solver maximises: the saturated effect of the expected sums."""
    bound: float
    """No plan's `value` lies above."""
    gap: float
    """Share of the bound by which `value` falls short of it at most."""
    budget_price: float
    """Expected effect that one more unit of currency would add."""
    rule_prices: Mapping[str, float]
    """Expected effect that a unit of currency of relief of each rule would add; above 0: the rule binds."""
    choices: tuple[Choice, ...]
    cells: tuple[Cell, ...]
    next_in: str | None
    """Creator that is nearest to being bought."""
    last_out: str | None
    """Bought creator that is nearest to being dropped."""
    candidate: Candidate | None
    """What is known of `next_in`."""
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
    assumed: bool = False,
) -> Plan:
    """A solution with names and the interval of its effect.

    Args:
        assumed: no past result tells of effects (`prior.py`).
    """
    bought = np.flatnonzero(solution.cell_N >= 0)
    cell_of = solution.cell_N[bought]
    drawn = Drawn.of(problem, solution, posterior, draws, seed, assumed=assumed)
    low, high = _interval(drawn.added_DC.sum(1))
    added_C, (low_C, high_C) = drawn.added_DC.mean(0), _interval(drawn.added_DC)
    low_N, high_N = _interval(drawn.effect_DN)
    spend_C = problem.spend_C(solution.cell_N)
    count_C = np.bincount(cell_of, minlength=problem.matrix.cells)
    labels = [problem.matrix.label(cell) for cell in range(problem.matrix.cells)]

    def name(candidate: int | None) -> str | None:
        return None if candidate is None else catalogue.ids[problem.row_N[candidate]]

    choices = []
    for at in np.argsort(cell_of, kind="stable"):
        candidate, (channel, phase, tier) = bought[at], labels[cell_of[at]]
        price, effect = float(problem.price_N[candidate]), float(problem.effect_N[candidate])
        bounds = float(low_N[at]), float(high_N[at])
        choices.append(Choice(catalogue.ids[problem.row_N[candidate]], channel, phase, tier, price, effect, *bounds))
    return Plan(
        brief=problem.brief.name,
        currency=problem.brief.currency,
        budget=problem.budget,
        cost=problem.cost(solution.cell_N),
        effect=float(added_C.sum()),
        low=float(low),
        high=float(high),
        value=float(solution.value),
        bound=float(solution.bound),
        gap=float(solution.gap),
        budget_price=float(solution.budget_price),
        rule_prices=dict(zip(problem.rows.names, solution.rule_price_R.tolist(), strict=True)),
        choices=tuple(choices),
        cells=tuple(
            Cell(*label, int(count_C[at]), *(float(value_C[at]) for value_C in (spend_C, added_C, low_C, high_C)))
            for at, label in enumerate(labels)
        ),
        next_in=name(solution.next_in),
        last_out=name(solution.last_out),
        candidate=None if solution.next_in is None else _candidate(catalogue, problem, solution.next_in),
        seconds=solution.seconds,
    )


@dataclass(frozen=True, slots=True)
class Drawn:
    """Effects of a plan's creators and of its cells, drawn together."""

    effect_DN: Floats
    """Before saturation, of the bought creators in the problem's order."""
    added_DC: Floats
    """Saturated; what the plan adds."""

    @classmethod
    def of(
        cls,
        problem: Problem,
        solution: Solution,
        posterior: Posterior,
        draws: int,
        seed: int = 0,
        *,
        assumed: bool = False,
    ) -> Drawn:
        """Creators, what the predictor does not know, and results.

        Args:
            assumed: no past result tells of effects, nor of their level: towards what a cell saturates, where the
                brief does not say, is a share of what all creators of its channel would give, and is drawn with that.
        """
        bought = np.flatnonzero(solution.cell_N >= 0)
        effect_DN = posterior.draws_DN(problem.row_N[bought], draws, seed)
        in_cell_NC = np.zeros((len(bought), problem.matrix.cells))
        in_cell_NC[np.arange(len(bought)), solution.cell_N[bought]] = 1.0
        sum_DC = problem.reached_C + effect_DN @ in_cell_NC
        if assumed:
            audience_DC = problem.audience_C * _levels_DC(problem, posterior, draws, seed)
            problem = replace(problem, audience_C=audience_DC)
        return cls(effect_DN, problem.saturated_C(sum_DC) - problem.saturated_C(problem.reached_C))


def _levels_DC(problem: Problem, posterior: Posterior, draws: int, seed: int) -> Floats:
    """What the channel of each cell has in a draw, of its mean; 1 where the brief says towards what it saturates."""
    level_DC = np.ones((draws, problem.matrix.cells))
    channel_N = problem.class_N // len(problem.matrix.tiers)
    for at, name in enumerate(problem.matrix.channels):
        rows = problem.row_N[channel_N == at]
        if name not in problem.brief.audience and len(rows):
            of_cells = problem.cell_KP[at * len(problem.matrix.tiers) : (at + 1) * len(problem.matrix.tiers)]
            level_DC[:, of_cells.reshape(-1)] = posterior.level_D(rows, draws, seed)[:, None]
    return level_DC


def interval(
    problem: Problem, solution: Solution, posterior: Posterior, draws: int, seed: int = 0
) -> tuple[float, float]:
    """80 % interval of the effect: creators, what the predictor does not know, and results drawn together."""
    low, high = _interval(Drawn.of(problem, solution, posterior, draws, seed).added_DC.sum(1))
    return float(low), float(high)


def _interval(drawn: Floats) -> tuple[Floats, Floats]:
    low, high = np.quantile(drawn, INTERVAL, axis=0)
    return low, high


def _candidate(catalogue: Catalogue, problem: Problem, at: int) -> Candidate:
    channel, tier = problem.matrix.class_label(int(problem.class_N[at]))
    price, effect = float(problem.price_N[at]), float(problem.effect_N[at])
    return Candidate(catalogue.ids[problem.row_N[at]], channel, tier, price, effect)
