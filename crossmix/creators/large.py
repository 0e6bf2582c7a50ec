"""Large creators bought whole, everybody else in parts: which large ones to buy, and a bound below the relaxation's.

The relaxation buys a third of a creator who costs a sixth of the budget; where rules hold the dear tiers up, no plan of
whole creators comes near it. So some creators W, large ones and the must-have ones, are whole here. All others count by
their class: whoever spends x on them gets at most the supply curve E_k(x), the best by effect per cost first, the last
in part. With z the whole ones, x_c and s_c money and effects of the others in cell c,

    maximise  sum_c t_c
    t_c <= h_c(a) - h_c(reached_c) + h_c'(a) (reached_c + s_c + sum_W e_i z_ic - a)     at every point a (tangents)
    sum_p s_kp <= E_k(sum_p x_kp),   s_kp <= E_k(x_kp)                                   (E_k by its supporting lines)
    budget, every ratio rule, each once, the must-have ones once

Every plan is a point of it with no more than its effect lost, so that its dual bound (HiGHS's, by branch and bound)
holds for all plans. It has as many variables as W and the matrix have, however long the catalogue is.

Shapes: N candidates, W whole ones, P phases, Z = W x P, C cells, K classes, R rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from crossmix.creators.catalogue import Flags, Floats, Ints
from crossmix.creators.problem import Problem
from crossmix.creators.relax import Relaxed

AROUND = (0.0, 0.2, 0.4, 0.6, 0.75, 0.85, 0.92, 0.97, 1.0, 1.03, 1.08, 1.15, 1.3, 1.6, 2.5)
"""Tangents and supporting lines, in units of what the relaxation has there."""
GRID = (0.02, 0.1, 0.3, 0.8, 2.0)
"""The same where the relaxation has nothing, in units of a cell's audience or of the budget."""
SAFE = 1e-5
"""By which the solver's bound is raised: its tolerances."""


@dataclass(frozen=True, slots=True)
class Large:
    """Which of the whole ones to buy."""

    cell_N: Ints
    """Where each of them is bought; -1: not bought, or not whole."""
    bound: float
    """No plan's effect lies above."""


def whole(problem: Problem, relaxed: Relaxed, share: float, each: int) -> Flags:
    """Who is to be whole, (N,): the must-have ones, and in each class, of those who cost `share` of the budget or more,
    the `each` that are worth most at the relaxation's prices. In each, for rules hold tiers and channels apart."""
    worth_N = np.where(problem.price_N >= share * problem.budget, relaxed.most_N, -np.inf)
    order = np.lexsort((-worth_N, problem.class_N))
    kind_N = problem.class_N[order]
    most = order[np.arange(len(order)) - np.searchsorted(kind_N, kind_N) < each]
    whole_N = problem.must_N.copy()
    whole_N[most[np.isfinite(worth_N[most])]] = True
    return whole_N


def large(
    problem: Problem, relaxed: Relaxed, whole_N: Flags, *, seconds: float, gap: float, nodes: int
) -> Large | None:
    """Decide the whole ones, of whom there is one at least, together; `None` where nothing is found in time.

    Args:
        seconds: wall seconds of the search.
        nodes: of its tree, after which it ends too.
        gap: relative gap at which it ends early.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    model = _model(problem, relaxed, whole_N)
    done = milp(
        model.objective,
        integrality=model.integrality,
        bounds=Bounds(np.zeros(len(model.high)), model.high),
        constraints=[LinearConstraint(model.rows, model.low, model.top)],
        options={"time_limit": seconds, "mip_rel_gap": gap, "node_limit": nodes, "presolve": False},
    )
    if done.x is None or done.mip_dual_bound is None or not np.isfinite(done.mip_dual_bound):
        return None
    whole_W, phases = np.flatnonzero(whole_N), len(problem.open_P)
    part_WP = done.x[: len(whole_W) * phases].reshape(len(whole_W), phases)
    bought = part_WP.max(1, initial=0.0) > 0.5
    cell_N = np.full(len(problem), -1)
    cell_N[whole_W[bought]] = problem.cell_KP[problem.class_N[whole_W[bought]], np.argmax(part_WP[bought], axis=1)]
    return Large(cell_N, -float(done.mip_dual_bound) * model.effect_unit * (1 + SAFE))


@dataclass(frozen=True, slots=True)
class _Model:
    """The programme in matrices: z (Z), x (C), s (C), t (C), all from 0; low <= rows <= top."""

    objective: Floats
    integrality: Floats
    high: Floats
    rows: Any
    low: Floats
    top: Floats
    effect_unit: float


def _model(problem: Problem, relaxed: Relaxed, whole_N: Flags) -> _Model:
    """Money in units of the budget, effects in units of the mean audience."""
    from scipy import sparse

    cells, phases = problem.matrix.cells, len(problem.open_P)
    money, effect = problem.budget, float(problem.audience_C.mean())
    whole_W = np.flatnonzero(whole_N)
    price_Z = np.repeat(problem.price_N[whole_W], phases) / money
    effect_Z = np.repeat(problem.effect_N[whole_W], phases) / effect
    cell_Z = problem.cell_KP[problem.class_N[whole_W]].reshape(-1)
    wide = len(price_Z)
    closed_P = ~problem.open_P
    closed_C = np.zeros(cells, bool)
    closed_C[problem.cell_KP[:, closed_P].reshape(-1)] = True

    def row(z: Any = None, x: Any = None, s: Any = None, t: Any = None, *, count: int) -> Any:
        parts = ((z, wide), (x, cells), (s, cells), (t, cells))
        return sparse.hstack([sparse.csr_matrix((count, size)) if part is None else part for part, size in parts])

    in_cell_CZ = sparse.csr_matrix((np.ones(wide), (cell_Z, np.arange(wide))), (cells, wide))
    eye, rules = sparse.identity(cells, format="csr"), sparse.csr_matrix(problem.rows.coefficient_RC)
    priced, valued = in_cell_CZ.multiply(price_Z).tocsr(), in_cell_CZ.multiply(effect_Z).tocsr()
    owner_Z = np.repeat(np.arange(len(whole_W)), phases)
    once = sparse.csr_matrix((np.ones(wide), (owner_Z, np.arange(wide))), (len(whole_W), wide))
    must_W = problem.must_N[whole_W].astype(np.float64)
    count = len(problem.rows.names)
    blocks = [
        (row(sparse.csr_matrix(price_Z), sparse.csr_matrix(np.ones((1, cells))), count=1), [-np.inf], [1.0]),
        (
            row(rules @ priced, rules, count=count),
            -problem.rows.slack_R(problem.spent_C) / money,
            np.full(count, np.inf),
        ),
        (row(once, count=len(whole_W)), must_W, np.ones(len(whole_W))),
    ]
    for sum_C in _points(problem, relaxed):
        slope_C = problem.slope_C(sum_C)
        base_C = problem.saturated_C(sum_C) - problem.saturated_C(problem.reached_C)
        base_C += slope_C * (problem.reached_C - sum_C)
        slope = sparse.diags(-slope_C)
        blocks.append((row(slope @ valued, None, slope, eye, count=cells), np.full(cells, -np.inf), base_C / effect))
    supply_rows, most_K = _supply(problem, relaxed, whole_N, money, effect)
    for of_cells, slope, base in supply_rows:
        member = sparse.csr_matrix(of_cells)
        count = of_cells.shape[0]
        unit = max(slope, 1.0)  # coefficients of 1 and less: a steep line is no less exact than a flat one
        line = row(None, member.multiply(-slope / unit), member / unit, count=count)
        blocks.append((line, np.full(count, -np.inf), base / unit))
    most_C = np.zeros(cells)
    most_C[problem.cell_KP] = most_K[:, None]
    open_C = (~closed_C).astype(np.float64)
    high = [np.tile(problem.open_P.astype(np.float64), len(whole_W)), open_C, open_C * most_C]
    return _Model(
        objective=np.concatenate([np.zeros(wide + 2 * cells), -np.ones(cells)]),
        integrality=np.concatenate([np.ones(wide), np.zeros(3 * cells)]),
        high=np.concatenate([*high, 2 * problem.audience_C / effect]),
        rows=sparse.vstack([block for block, _, _ in blocks], format="csr"),
        low=np.concatenate([np.asarray(low, np.float64) for _, low, _ in blocks]),
        top=np.concatenate([np.asarray(top, np.float64) for _, _, top in blocks]),
        effect_unit=effect,
    )


def _points(problem: Problem, relaxed: Relaxed) -> list[Floats]:
    """Where tangents of h touch."""
    near = [problem.reached_C + (relaxed.sum_C - problem.reached_C) * step for step in AROUND]
    return [*near, *(problem.reached_C + problem.audience_C * step for step in GRID)]


def _supply(
    problem: Problem, relaxed: Relaxed, whole_N: Flags, money: float, effect: float
) -> tuple[list[tuple[Floats, float, Floats]], Floats]:
    """Lines that lie on or above each class's supply curve, and the curve's end, (K,).

    A line is (cells that it speaks of, a row each; slope; base): sum of s <= slope x sum of x + base.
    """
    lines: list[tuple[Floats, float, Floats]] = []
    most_K = np.zeros(problem.matrix.classes)
    others = np.flatnonzero(~whole_N)
    density_N = problem.effect_N[others] / problem.price_N[others]
    others = others[np.lexsort((-density_N, problem.class_N[others]))]
    kind_N = problem.class_N[others]
    parts_J = relaxed.part_JP.sum(1) * problem.price_N[relaxed.creator_J] * ~whole_N[relaxed.creator_J]
    spend_K = np.bincount(problem.class_N[relaxed.creator_J], parts_J, minlength=problem.matrix.classes) / money
    for kind in range(problem.matrix.classes):
        of_kind = others[slice(*np.searchsorted(kind_N, [kind, kind + 1]))]
        cost = np.concatenate([[0.0], np.cumsum(problem.price_N[of_kind])]) / money
        gain = np.concatenate([[0.0], np.cumsum(problem.effect_N[of_kind])]) / effect
        most_K[kind] = gain[-1]
        if not len(of_kind):
            continue
        asked = [*(spend_K[kind] * step for step in AROUND), *GRID]
        pieces = np.unique(np.clip(np.searchsorted(cost, asked, side="right") - 1, 0, len(of_kind) - 1))
        of_class = problem.cell_KP[kind, problem.open_P]
        of_cells = np.zeros((1 + len(of_class), problem.matrix.cells))
        of_cells[0, of_class] = 1.0
        of_cells[1 + np.arange(len(of_class)), of_class] = 1.0
        for piece in pieces:
            slope = float((gain[piece + 1] - gain[piece]) / (cost[piece + 1] - cost[piece]))
            base = float(gain[piece] - slope * cost[piece])
            lines.append((of_cells, slope, np.full(len(of_cells), base)))
        last = np.zeros((1, problem.matrix.cells))
        last[0, of_class] = 1.0
        lines.append((last, 0.0, np.asarray([gain[-1]])))
    return lines, most_K
