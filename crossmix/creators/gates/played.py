"""Every brief played: the planner's plan, the template's, the bound; judged by effects that neither has seen.

Shapes: N creators or candidates, C cells.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from crossmix.artifacts.creators import LEFTOVERS, PLAN, TEMPLATE, PlayedBrief
from crossmix.creators.brief import BriefError
from crossmix.creators.catalogue import Catalogue, Floats, Ints
from crossmix.creators.matrix import check
from crossmix.creators.problem import Problem
from crossmix.creators.reference import finished, template
from crossmix.creators.sampled import Drawn
from crossmix.creators.solve import PlanError, Solution

NO_PLAN = "no plan"


def play(catalogue: Catalogue, drawn: Drawn, solution: Callable[[Problem], Solution], true_N: Floats) -> PlayedBrief:
    """Play one brief.

    Args:
        solution: the planner.
        true_N: of every creator of the catalogue, the effect that plans are judged by.
    """
    problem = drawn.problem
    begin, broken = time.process_time(), []
    try:
        cell_N = solution(problem).cell_N
    except (BriefError, PlanError) as error:
        cell_N = np.full(len(problem), -1)
        broken = [f"{NO_PLAN}: {error}"]
    seconds = time.process_time() - begin
    simple_N = template(problem)
    plans = {PLAN: cell_N, LEFTOVERS: finished(problem, simple_N), TEMPLATE: simple_N}
    truth = replace(problem, audience_C=problem.audience_C * drawn.audience_factor_C)
    return PlayedBrief(
        name=problem.brief.name,
        budget=problem.brief.budget,
        currency=problem.brief.currency,
        channels=problem.matrix.channels,
        phases=problem.matrix.phases,
        tiers=problem.matrix.tiers,
        bound=drawn.bound,
        expected={name: problem.value(one) for name, one in plans.items()},
        judged={name: truth.value(one, true_N[problem.row_N]) for name, one in plans.items()},
        cost={name: problem.cost(one) for name, one in plans.items()},
        creators=int((cell_N >= 0).sum()),
        broken=tuple(broken or _broken(catalogue, problem, cell_N)),
        seconds=seconds,
        spend=tuple(problem.spend_C(cell_N).tolist()),
    )


def _broken(catalogue: Catalogue, problem: Problem, cell_N: Ints) -> list[str]:
    """Rules that a plan breaks, told by the check that knows no solver."""
    bought = np.flatnonzero(cell_N >= 0)
    chosen = [(catalogue.ids[problem.row_N[at]], problem.matrix.label(int(cell_N[at]))[1]) for at in bought]
    return [f"{breach.rule} ({breach.detail})" for breach in check(catalogue, problem.brief, chosen)]


def interval(values: Sequence[float], bootstrap: int) -> tuple[float, float, float]:
    """Mean with its 95 % interval, by bootstrap over briefs."""
    array = np.asarray(values, np.float64)
    rng = np.random.default_rng(0)
    means = array[rng.integers(len(array), size=(bootstrap, len(array)))].mean(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(array.mean()), float(low), float(high)


MOST_LEAD = 10.0
"""A template that rules leave with next to nothing says nothing of how much better a plan is."""


def lead_over(played: Sequence[PlayedBrief], other: str, bootstrap: int) -> tuple[float, float, float]:
    """Mean ratio of the plan's judged effect over another's, with its interval; a ratio counts `MOST_LEAD` at most."""
    ratios = [one.judged[PLAN] / max(one.judged[other], one.judged[PLAN] / MOST_LEAD, 1e-12) for one in played]
    return interval(ratios, bootstrap)
