"""The linear relaxation: a bound on every plan, shadow prices, and what a creator is worth at them.

Creators may be bought in part, saturation is cut by tangents. With the duals lambda_c of a cell's sum, beta of the
budget and rho_r of a rule, all >= 0, whatever a plan z does it gives at most

    L = sum_c max_S [h_c(S) - lambda_c S] + lambda_c reached_c - h_c(reached_c)
      + beta B + sum_r rho_r (A_r spent - low_r) + sum_i max(0, max_p v_ip)
    v_ip = lambda_c e_i - mu_c p_i,   mu_c = beta - sum_r rho_r A_rc,   c the cell of creator i in phase p

(a must-have creator has no 0 in its maximum). L holds for any duals and over all creators, so that the programme itself
needs only columns that can matter: it starts with the best by effect per cost, and takes in whoever has v > 0 until
nobody is left out (column generation). Shadow prices are beta and rho: effect per unit of currency.

Shapes: N candidates, J columns' creators, C cells, K classes, P phases, R rules.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crossmix.creators.catalogue import Floats, Ints
from crossmix.creators.problem import Problem

GRID = (0.0, 0.05, 0.15, 0.3, 0.5, 0.8, 1.2, 1.8, 2.6)
"""First tangents, in units of A_c beyond what is reached."""
CLOSE = 2e-4
"""Relative gap between L and the relaxation's own value at which it ends."""


LEAST = 1e-12
"""A smaller lambda counts as this: the maximum over S is then finite."""


class RelaxationError(RuntimeError):
    """The relaxation has no solution: no plan, not even one in parts, keeps the rules."""


@dataclass(frozen=True, slots=True)
class Relaxed:
    """The relaxation's solution and what follows from its duals."""

    bound: float
    """L: no plan's effect lies above."""
    value: float
    """Effect of the solution in parts."""
    creator_J: Ints
    part_JP: Floats
    """How much of each is bought in each phase."""
    sum_C: Floats
    """S_c."""
    worth_NP: Floats
    """v_ip; -inf where the phase is closed."""
    lambda_C: Floats
    budget_price: float
    """beta: effect per currency."""
    rule_price_R: Floats
    """rho: effect per currency by which the rule is relaxed."""

    @property
    def loss_N(self) -> Floats:
        """By how much a plan that has the creator, or one that has not, falls below L: the smaller is 0."""
        loss_N: Floats = np.abs(self.most_N)
        return loss_N

    @property
    def most_N(self) -> Floats:
        """v of each creator's best phase."""
        return best_phase(self.worth_NP)

    def of(self, candidates: Ints) -> Relaxed:
        """The same for some of the candidates, ascending, among whom are all that it buys."""
        kept = np.isin(self.creator_J, candidates)
        return replace(
            self,
            creator_J=np.searchsorted(candidates, self.creator_J[kept]),
            part_JP=self.part_JP[kept],
            worth_NP=self.worth_NP[candidates],
        )


@dataclass(slots=True)
class _Duals:
    lambda_C: Floats
    beta: float
    rho_R: Floats


def relax(problem: Problem, rounds: int = 12, close: float = CLOSE, first_J: Ints | None = None) -> Relaxed:
    """Solve the relaxation over all candidates.

    Args:
        rounds: most rounds of columns and tangents.
        close: relative gap between bound and value at which no further round is taken.
        first_J: whose columns it begins with; the best by effect per cost where `None` or nobody.

    Raises:
        RelaxationError: no solution.
    """
    tangents = [problem.reached_C + step * problem.audience_C for step in GRID]
    if first_J is None or not len(first_J):
        first_J = _first(problem)
    creator_J = np.union1d(first_J, np.flatnonzero(problem.must_N))
    best, bound = None, np.inf
    for at in range(rounds):
        solution = _programme(problem, creator_J, tangents)
        if solution is None:
            if len(creator_J) == len(problem):
                raise RelaxationError("no plan, not even one in parts, keeps the rules")
            creator_J = np.arange(len(problem))
            continue
        part_JP, sum_C, duals = solution
        worth_NP = worths(problem, duals.lambda_C, duals.beta, duals.rho_R)
        level = lagrangian(problem, duals.lambda_C, duals.beta, duals.rho_R, worth_NP)
        value = float((problem.saturated_C(sum_C) - problem.saturated_C(problem.reached_C)).sum())
        if best is None or level < bound:
            bound = level
            best = (part_JP, sum_C, duals, worth_NP, creator_J, value)
        if bound - value <= close * max(bound, 1e-12) or at == rounds - 1:
            break
        missing = np.ones(len(problem), bool)
        missing[creator_J] = False
        scale, most_N = max(bound, 1e-12) / max(len(creator_J), 1), best_phase(worth_NP)
        entering = np.flatnonzero(missing & (most_N > 1e-6 * scale))
        if len(entering) > 1_500:
            entering = entering[np.argsort(-most_N[entering])[:1_500]]
        used = part_JP.max(1) > 0
        near = most_N[creator_J] > -2.0 * scale
        creator_J = np.union1d(creator_J[used | near | problem.must_N[creator_J]], entering)
        tangents.append(sum_C)
    if best is None:
        raise RelaxationError("no plan, not even one in parts, keeps the rules")
    part_JP, sum_C, duals, worth_NP, creator_J, value = best
    return Relaxed(bound, value, creator_J, part_JP, sum_C, worth_NP, duals.lambda_C, duals.beta, duals.rho_R)


def worths(problem: Problem, lambda_C: Floats, beta: float, rho_R: Floats) -> Floats:
    """v_ip, (N, P)."""
    mu_C = beta - rho_R @ problem.rows.coefficient_RC
    level_C = np.maximum(lambda_C, LEAST)
    lambda_NP, mu_NP = (x_C[problem.cell_KP][problem.class_N] for x_C in (level_C, mu_C))
    worth_NP = lambda_NP * problem.effect_N[:, None] - mu_NP * problem.price_N[:, None]
    worth_NP[:, ~problem.open_P] = -np.inf
    return worth_NP


def best_phase(worth_NP: Floats) -> Floats:
    """v of the best phase, (N,); column by column, which for half a million creators is many times faster."""
    most_N = worth_NP[:, 0].copy()
    for worth_N in worth_NP.T[1:]:
        np.maximum(most_N, worth_N, out=most_N)
    return most_N


def lagrangian(problem: Problem, lambda_C: Floats, beta: float, rho_R: Floats, worth_NP: Floats) -> float:
    """L at any duals >= 0."""
    price_C = np.maximum(lambda_C, LEAST)
    sum_C = np.maximum(problem.reached_C, -problem.audience_C * np.log(np.minimum(price_C, 1.0)))
    cells = problem.saturated_C(sum_C) - problem.saturated_C(problem.reached_C) - price_C * (sum_C - problem.reached_C)
    rules = rho_R @ problem.rows.slack_R(problem.spent_C)
    most_N = best_phase(worth_NP)
    bought = np.where(problem.must_N, most_N, np.maximum(most_N, 0.0)).sum()
    return float(cells.sum() + beta * problem.budget + rules + bought)


def _first(problem: Problem) -> Ints:
    """Per class the best by effect per cost until twice an even part of the budget is covered, and who must be."""
    density = problem.effect_N / problem.price_N
    order = np.lexsort((-density, problem.class_N))
    kinds, start = np.unique(problem.class_N[order], return_index=True)
    keep = [np.flatnonzero(problem.must_N)]
    each = 2.0 * problem.budget / max(len(kinds), 1)
    for begin, end in zip(start, [*start[1:], len(order)], strict=True):
        of_kind = order[begin:end]
        covered = np.cumsum(problem.price_N[of_kind]) - problem.price_N[of_kind]
        keep.append(of_kind[covered < each][:400])
    return np.unique(np.concatenate(keep))


def _programme(problem: Problem, creator_J: Ints, tangents: list[Floats]) -> tuple[Floats, Floats, _Duals] | None:
    """One linear programme: z (J, P), then S and t (C); `None` where it has no solution."""
    from scipy.optimize import linprog

    model = Model.of(problem, creator_J, tangents)
    done = linprog(
        model.objective,
        A_ub=model.upper,
        b_ub=model.upper_bound,
        A_eq=model.equal,
        b_eq=model.equal_bound,
        bounds=np.stack([model.low, model.high], axis=1),
        method="highs",
    )
    if done.status == 2:
        return None
    if done.x is None:
        raise RelaxationError(f"the linear programme ended without a solution: {done.message}")
    wide = len(creator_J) * len(problem.open_P)
    cells = problem.matrix.cells
    price = -np.asarray(done.ineqlin.marginals)
    level = -np.asarray(done.eqlin.marginals)[:cells]
    duals = _Duals(
        np.maximum(level, 0.0),
        max(float(price[0]) * model.effect_unit / model.money_unit, 0.0),
        np.maximum(price[1 : 1 + len(problem.rows.names)], 0.0) * model.effect_unit / model.money_unit,
    )
    part_JP = done.x[:wide].reshape(len(creator_J), -1)
    sum_C = problem.reached_C + np.bincount(
        problem.cell_KP[problem.class_N[creator_J]].reshape(-1),
        (part_JP * problem.effect_N[creator_J, None]).reshape(-1),
        minlength=cells,
    )
    return part_JP, sum_C, duals


@dataclass(frozen=True, slots=True)
class Model:
    """The programme in matrices, shared by the relaxation and the mixed-integer programme.

    Variables: z (J, P), S (C), t (C). Rows <=: budget, rules, each creator once, tangents; rows =: S, must-have ones.
    """

    objective: Floats
    upper: Any
    upper_bound: Floats
    equal: Any
    equal_bound: Floats
    low: Floats
    high: Floats
    effect_unit: float
    money_unit: float

    @classmethod
    def of(cls, problem: Problem, creator_J: Ints, tangents: list[Floats]) -> Model:
        """Money in units of the budget, effects in units of the mean audience: numbers near 1 for the solver."""
        from scipy import sparse

        cells, phases = problem.matrix.cells, len(problem.open_P)
        wide = len(creator_J) * phases
        money, effect = problem.budget, float(problem.audience_C.mean())
        price_Z = np.repeat(problem.price_N[creator_J], phases) / money
        effect_Z = np.repeat(problem.effect_N[creator_J], phases) / effect
        cell_Z = problem.cell_KP[problem.class_N[creator_J]].reshape(-1)
        at_Z, owner_Z = np.arange(wide), np.repeat(np.arange(len(creator_J)), phases)
        eye = sparse.identity(cells, format="csr")
        nothing = sparse.csr_matrix((1, 2 * cells))
        rules = sparse.csr_matrix(-problem.rows.coefficient_RC[:, cell_Z] * price_Z)
        once = sparse.csr_matrix((np.ones(wide), (owner_Z, at_Z)), (len(creator_J), wide))
        must_J = problem.must_N[creator_J]
        blocks = [
            sparse.hstack([sparse.csr_matrix(price_Z), nothing]),
            sparse.hstack([rules, sparse.csr_matrix((rules.shape[0], 2 * cells))]),
            sparse.hstack([once[~must_J], sparse.csr_matrix((int((~must_J).sum()), 2 * cells))]),
        ]
        bounds = [
            np.ones(1),
            problem.rows.slack_R(problem.spent_C) / money,
            np.ones(int((~must_J).sum())),
        ]
        for sum_C in tangents:
            slope_C = problem.slope_C(sum_C)
            base_C = problem.saturated_C(sum_C) - problem.saturated_C(problem.reached_C) - slope_C * sum_C
            blocks.append(sparse.hstack([sparse.csr_matrix((cells, wide)), sparse.diags(-slope_C), eye]))
            bounds.append(base_C / effect)
        sums = sparse.csr_matrix((-effect_Z, (cell_Z, at_Z)), (cells, wide))
        equal = [sparse.hstack([sums, eye, sparse.csr_matrix((cells, cells))])]
        equal.append(sparse.hstack([once[must_J], sparse.csr_matrix((int(must_J.sum()), 2 * cells))]))
        # finite bounds, though no row needs them: with infinite ones HiGHS's presolve has cut off the optimum; beyond
        # what can be reached, for a bound that binds would take its part of lambda
        most_C = 2 * (problem.reached_C + np.bincount(cell_Z, effect_Z * effect, minlength=cells) + effect)
        closed_Z = np.tile(~problem.open_P, len(creator_J))
        return cls(
            np.concatenate([np.zeros(wide + cells), -np.ones(cells)]),
            sparse.vstack(blocks, format="csr"),
            np.concatenate(bounds),
            sparse.vstack(equal, format="csr"),
            np.concatenate([problem.reached_C / effect, np.ones(int(must_J.sum()))]),
            np.concatenate([np.zeros(wide), problem.reached_C / effect, np.zeros(cells)]),
            np.concatenate([np.where(closed_Z, 0.0, 1.0), most_C / effect, 2 * problem.audience_C / effect]),
            effect,
            money,
        )
