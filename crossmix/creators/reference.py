"""The simple planners: a template's fixed shares with the best creators of each cell, and greedy. And the projection.

Shapes: N candidates, C cells, R rules.
"""

from __future__ import annotations

import numpy as np

from crossmix.creators.catalogue import Floats, Ints
from crossmix.creators.fill import Work
from crossmix.creators.knapsack import best_set
from crossmix.creators.problem import Problem

TIER_SHARES = (0.5, 0.3, 0.2)
"""The template's, from the largest tier down; more tiers halve the last again and again."""


def template_C(problem: Problem) -> Floats:
    """Money per cell: channels and open phases alike, tiers by `TIER_SHARES`, then the nearest that keeps the rules."""
    tiers = list(TIER_SHARES[: len(problem.matrix.tiers)])
    while len(tiers) < len(problem.matrix.tiers):
        tiers.append(tiers[-1] / 2)
    share = np.ones(problem.matrix.shape) * np.asarray(tiers) * problem.open_P[None, :, None]
    return project(problem, problem.budget * (share / share.sum()).reshape(-1))


def project(problem: Problem, money_C: Floats) -> Floats:
    """The nearest money per cell, by squares, that keeps the budget and every ratio rule.

    Least distance under G x >= h (Lawson and Hanson, Solving least squares problems, chapter 23): with y = x - x_0,
    G y >= h - G x_0, and u the non-negative least squares of [G'; (h - G x_0)'] u = (0, ..., 0, 1), r the residual,
    y = -r_1..n / r_n+1. Rules that no money keeps leave `money_C` scaled to the budget.
    """
    from scipy.optimize import nnls

    unit = problem.budget
    closed = np.ones(problem.matrix.cells, bool)
    closed[problem.cell_KP[:, problem.open_P].reshape(-1)] = False
    start_C = np.where(closed, 0.0, np.maximum(money_C, 0.0)) / unit
    open_C = np.flatnonzero(~closed)
    rows = [problem.rows.coefficient_RC[:, open_C], -np.ones((1, len(open_C))), np.eye(len(open_C))]
    low = [-problem.rows.slack_R(problem.spent_C) / unit, -np.ones(1), np.zeros(len(open_C))]
    g, h = np.concatenate(rows), np.concatenate(low) - np.concatenate(rows) @ start_C[open_C]
    if (h <= 1e-12).all():
        return np.asarray(start_C * unit)
    target = np.zeros(len(open_C) + 1)
    target[-1] = 1.0
    matrix = np.concatenate([g.T, h[None, :]])
    dual, _ = nnls(matrix, target, maxiter=50 * matrix.shape[1])
    residual = matrix @ dual - target
    if abs(residual[-1]) < 1e-12:
        within = min(1.0, 1.0 / max(float(start_C.sum()), 1e-12))
        return np.asarray(start_C * (unit * within))
    nearest = np.zeros_like(start_C)
    nearest[open_C] = np.maximum(start_C[open_C] - residual[:-1] / residual[-1], 0.0)
    return np.asarray(nearest * unit)


def pick(problem: Problem, money_C: Floats) -> Ints:
    """The best creators of each cell for its money, cell by cell, nobody twice; must-have creators come first."""
    cell_N = np.full(len(problem), -1)
    left_C = np.array(money_C, np.float64)
    for creator in np.flatnonzero(problem.must_N):
        own = problem.cell_KP[problem.class_N[creator], problem.open_P]
        cell = int(own[np.argmax(left_C[own])])
        cell_N[creator] = cell
        left_C[cell] -= problem.price_N[creator]
    for cell in range(problem.matrix.cells):
        channel, phase, tier = np.unravel_index(cell, problem.matrix.shape)
        if not problem.open_P[phase]:
            continue
        kind = channel * len(problem.matrix.tiers) + tier
        candidates = np.flatnonzero((problem.class_N == kind) & (cell_N < 0))
        money = min(float(left_C[cell]), problem.budget - problem.cost(cell_N))
        taken = best_set(problem.price_N[candidates], problem.effect_N[candidates], money)
        cell_N[candidates[taken]] = cell
    return cell_N


def template(problem: Problem) -> Ints:
    """The template as it is: what a cell's money does not buy stays unspent, and rules may break by that."""
    return pick(problem, template_C(problem))


def finished(problem: Problem, cell_N: Ints) -> Ints:
    """A plan brought under the rules, with its leftovers spent by effect per cost."""
    work = Work(problem, cell_N)
    work.repair()
    work.spend()
    return work.cell_N


LOOSE = 0.05
"""Share of the budget by which greedy may break a rule on its way: whoever comes first breaks most of them."""


def greedy(problem: Problem) -> Ints:
    """Again and again whoever adds most effect per cost and keeps every rule, nearly; then under the rules."""
    work = Work(problem, pick(problem, np.zeros(problem.matrix.cells)), loose=LOOSE)
    work.spend()
    return finished(problem, work.cell_N)
