"""The best plan of a problem, with a bound on all plans.

1. `relax` gives a bound L, shadow prices, and by how much having or lacking each creator falls below L.
2. The relaxation, rounded, repaired and improved (`fill`), is a first plan.
3. Where creators are large, which of them to buy is decided for all of them together (`large`), the others relaxed.
4. Whoever costs a large part of the budget makes the relaxation coarse. So, again and again: the large ones are held as
   they are, or some of the bought ones are; the others are relaxed anew, which is close now; and the few hundred
   variables of those near break-even are solved whole (mixed-integer programme, HiGHS), same rows and tangents.
5. Swaps and leftovers after each, under the rules; the best plan is kept.

The bound that is told is L, which follows from the duals by arithmetic (`relax.lagrangian`), whatever a solver got
wrong; or, where creators are large, the dual bound of `large` if that is lower: HiGHS's, by branch and bound, raised by
its tolerances.

Shapes: N candidates, C cells, P phases, R rules.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from crossmix.creators.catalogue import Flags, Floats, Ints
from crossmix.creators.feasible import name_them, refuse, something
from crossmix.creators.fill import Work
from crossmix.creators.large import large, whole
from crossmix.creators.matrix import Rows
from crossmix.creators.problem import Problem
from crossmix.creators.reference import greedy
from crossmix.creators.relax import Model, RelaxationError, Relaxed, relax
from crossmix.creators.settings import Solver

EXHAUSTIVE = 3_000
"""Candidates up to which the question whether whole creators can meet a brief looks at all of them."""


class PlanError(RuntimeError):
    """No plan was found in time, and none of the rules was shown to forbid all; the message has the remedy."""


class NoPlanError(PlanError):
    """This agent has no plan of this brief, however often it is asked."""


@dataclass(frozen=True, slots=True)
class Solution:
    """A plan in numbers, and what is known of all others."""

    cell_N: Ints
    """Cell of each candidate; -1: not bought."""
    value: float
    """Effect, saturated."""
    bound: float
    """No plan gives more."""
    budget_price: float
    """Effect that one more unit of currency would add, in the relaxation."""
    rule_price_R: Floats
    """Effect that one unit of currency of relief of each rule would add, in the relaxation."""
    next_in: int | None
    """Candidate that is nearest to being bought."""
    last_out: int | None
    """Bought candidate that is nearest to being dropped; none of the must-have."""
    seconds: float

    @property
    def gap(self) -> float:
        """Share of the bound that the plan falls short of at most."""
        return max(1 - self.value / self.bound, 0.0) if self.bound > 0 else 0.0


def solve(problem: Problem, settings: Solver | None = None) -> Solution:
    """The best plan within `settings.seconds`.

    Raises:
        BriefError: nobody can be bought.
        InfeasibleError: no plan keeps the rules, which are named.
        PlanError: none was found in time.
    """
    settings = settings or Solver()
    start = time.perf_counter()
    until = start + settings.seconds
    refuse(problem)
    try:
        relaxed = relax(problem, settings.rounds)
    except RelaxationError:
        name_them(problem, lambda rows: _relaxes(problem, rows, settings))
    whole_N = whole(problem, relaxed, *settings.large)
    kept = np.flatnonzero((relaxed.most_N > 0) | problem.must_N | whole_N)
    kept = np.union1d(kept, _nearest(relaxed, settings.pool, problem))
    part, of_part = _part(problem, kept), relaxed.of(kept)
    best = _worked(part, _rounded(part, of_part.creator_J, of_part.part_JP), until)
    bound = relaxed.bound
    if whole_N.any() and not _enough(best, bound, settings):
        half = max((until - time.perf_counter()) / 2, 0.05)
        decided = large(problem, relaxed, whole_N, seconds=half, gap=settings.gap, nodes=settings.nodes)
        if decided is not None:
            bound = min(bound, decided.bound)
            cell_N = _others(part, of_part, decided.cell_N[kept], whole_N[kept], settings, until)
            best = best if cell_N is None else _better(_worked(part, cell_N, until), best)
    best = _searched(part, of_part, best, bound, settings, until)
    cell_N, value = np.full(len(problem), -1), best.value
    cell_N[kept] = best.cell_N
    if not _usable(best):
        best = _anything(problem, settings)
        cell_N, value = best.cell_N, best.value
    return solution_of(problem, relaxed, cell_N, value, start, bound)


def solution_of(
    problem: Problem, relaxed: Relaxed, cell_N: Ints, value: float, start: float, bound: float | None = None
) -> Solution:
    """A plan with what the relaxation tells of all others.

    Args:
        start: when planning began (`time.perf_counter`).
        bound: a smaller one than the relaxation's.
    """
    worth_N = relaxed.most_N
    outside = np.where(cell_N < 0, worth_N, -np.inf)
    inside = np.where((cell_N >= 0) & ~problem.must_N, worth_N, np.inf)
    return Solution(
        cell_N=cell_N,
        value=value,
        bound=relaxed.bound if bound is None else bound,
        budget_price=relaxed.budget_price,
        rule_price_R=relaxed.rule_price_R,
        next_in=int(np.argmax(outside)) if np.isfinite(outside).any() else None,
        last_out=int(np.argmin(inside)) if np.isfinite(inside).any() else None,
        seconds=time.perf_counter() - start,
    )


def _searched(problem: Problem, relaxed: Relaxed, best: Work, bound: float, settings: Solver, until: float) -> Work:
    """The best plan found by `until`; it may be one that cannot be used."""
    few, rng, step = len(problem) <= settings.near, np.random.default_rng(settings.seed), 0
    while time.perf_counter() < until and not (few and step) and not _enough(best, bound, settings):
        dear, kept = (np.inf, 1.0) if few else settings.steps[step % len(settings.steps)]
        step += 1
        large_N = problem.price_N >= dear * problem.budget
        held_N = large_N if kept == 1 else large_N & (best.cell_N >= 0) & (rng.random(len(problem)) < kept)
        cell_N = _others(problem, relaxed, best.cell_N, held_N, settings, until)
        if cell_N is not None:
            best = _better(_worked(problem, cell_N, until), best)
    return best


def _worked(problem: Problem, cell_N: Ints, until: float) -> Work:
    """A plan brought under its rules and improved, in a quarter of the time that is left."""
    work = Work(problem, cell_N)
    work.repair()
    now = time.perf_counter()
    work.improve(now + max((until - now) / 4, 0.05))
    return work


def _enough(best: Work, bound: float, settings: Solver) -> bool:
    return _usable(best) and best.value >= (1 - settings.gap) * bound


def _usable(work: Work) -> bool:
    """Somebody is bought, every rule holds and every must-have creator is there."""
    return bool(
        (work.cell_N >= 0).any()
        and work.shortfall == 0
        and (work.cell_N[work.problem.must_N] >= 0).all()
        and work.left >= -work.tolerance
    )


def _better(one: Work, other: Work) -> Work:
    """The one of larger effect; one that can be used before one that cannot."""
    return max(one, other, key=lambda work: (_usable(work), work.value))


def _nearest(relaxed: Relaxed, count: int, problem: Problem) -> Ints:
    """Candidates of least loss, the must-have ones first, ascending."""
    loss_N = np.where(problem.must_N, -1.0, relaxed.loss_N)
    if len(loss_N) <= count:
        return np.arange(len(loss_N))
    return np.sort(np.argpartition(loss_N, count)[:count])


def _rounded(problem: Problem, creator_J: Ints, part_JP: Floats) -> Ints:
    """Whoever is bought by half or more, in the phase of the largest part, as far as the money goes."""
    cell_N = np.full(len(problem), -1)
    part_J = part_JP.sum(1)
    must_J = problem.must_N[creator_J]
    left = problem.budget
    for at in np.lexsort((-part_J, ~must_J)):
        creator = creator_J[at]
        price = problem.price_N[creator]
        if (part_J[at] >= 0.5 or must_J[at]) and price <= left:
            open_P = np.where(problem.open_P, part_JP[at], -1.0)
            cell_N[creator] = problem.cell_KP[problem.class_N[creator], int(np.argmax(open_P))]
            left -= price
    return cell_N


def _others(
    problem: Problem, relaxed: Relaxed, plan_N: Ints, held_N: Flags, settings: Solver, until: float
) -> Ints | None:
    """A plan in which the held creators are bought or not as in `plan_N`, and the others as well as can be.

    The others are relaxed anew; whom that relaxation buys stays bought but for the ones near break-even, which are
    solved whole.
    """
    new_N = np.where(held_N, plan_N, -1)
    rest = _after(problem, new_N)
    others = np.flatnonzero(~held_N & ((problem.price_N <= rest.budget) | problem.must_N))
    rest = _part(rest, others)
    if rest.budget <= 0 or not len(others):
        return None
    columns = np.flatnonzero(np.isin(others, relaxed.creator_J))
    try:
        again = relax(rest, settings.rounds // 3, 1e-3, columns)
    except RelaxationError:
        return None
    near = _nearest(again, settings.near, rest)
    bought = again.part_JP.sum(1) > 0.999
    bought_J = again.creator_J[bought]
    phase_J = np.argmax(np.where(rest.open_P, again.part_JP[bought], -1.0), axis=1)
    cell_N = np.full(len(rest), -1)
    cell_N[bought_J] = rest.cell_KP[rest.class_N[bought_J], phase_J]
    cell_N[near] = -1
    core = _part(_after(rest, cell_N), near)
    left = until - time.perf_counter()
    limit = left if len(others) <= settings.near else min(left, settings.step)
    if core.budget > 0 and limit > 0:
        part_NP = _integer(core, again.sum_C, limit, settings.gap)
        if part_NP is not None:
            cell_N[near] = _rounded(core, np.arange(len(core)), part_NP)
    new_N[others] = cell_N
    return new_N


def _part(problem: Problem, candidates: Ints) -> Problem:
    """The same problem with some of the candidates."""
    return replace(
        problem,
        row_N=problem.row_N[candidates],
        class_N=problem.class_N[candidates],
        price_N=problem.price_N[candidates],
        effect_N=problem.effect_N[candidates],
        must_N=problem.must_N[candidates],
    )


def _after(problem: Problem, cell_N: Ints) -> Problem:
    """The problem that is left once a plan's creators are bought."""
    return replace(
        problem,
        budget=problem.budget - problem.cost(cell_N),
        spent_C=problem.spend_C(cell_N),
        reached_C=problem.sums_C(cell_N),
    )


def _integer(problem: Problem, sum_C: Floats, seconds: float, gap: float) -> Floats | None:
    """Whole creators in one phase each, (N, P), where HiGHS has a solution in time.

    Args:
        sum_C: near which tangents lie dense.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    near = [np.maximum(problem.reached_C, sum_C * step) for step in (0.5, 0.75, 0.9, 1.0, 1.1, 1.3)]
    grid = [problem.reached_C + step * problem.audience_C for step in (0.0, 0.1, 0.4, 1.0, 2.0)]
    model = Model.of(problem, np.arange(len(problem)), [*near, *grid])
    wide = len(problem) * len(problem.open_P)
    done = milp(
        model.objective,
        integrality=(np.arange(len(model.objective)) < wide).astype(float),
        bounds=Bounds(model.low, model.high),
        constraints=[
            LinearConstraint(model.upper, -np.inf, model.upper_bound),
            LinearConstraint(model.equal, model.equal_bound, model.equal_bound),
        ],
        options={"time_limit": seconds, "mip_rel_gap": gap},
    )
    return None if done.x is None else done.x[:wide].reshape(len(problem), -1)


def _relaxes(problem: Problem, rows: Rows, settings: Solver) -> bool:
    try:
        relax(replace(problem, rows=rows), settings.rounds)
    except RelaxationError:
        return False
    return True


def _anything(problem: Problem, settings: Solver) -> Work:
    """Any plan of whole creators, improved; where none can be, the rules that forbid it are named."""
    simple = Work(problem, greedy(problem))
    if _usable(simple):
        return simple
    cell_N, proved = _whole(problem, problem.rows, settings.seconds)
    if cell_N is not None:
        work = Work(problem, cell_N)
        work.improve(time.perf_counter() + settings.seconds)
        if _usable(work):
            return work
    if proved:
        name_them(problem, lambda rows: not _whole(problem, rows, settings.seconds)[1])
    raise PlanError(
        f"no plan found within {settings.seconds:g} s, and none of the rules forbids all; "
        "raise the solver's seconds, or widen a rule"
    )


def _whole(problem: Problem, rows: Rows, seconds: float) -> tuple[Ints | None, bool]:
    """A plan of whole creators that spends as much as it can under these rows, and whether none was shown to be.

    Above `EXHAUSTIVE` candidates the cheapest and best of each class alone are asked, and nothing is shown.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    if not something(problem, rows):
        return None, True
    everybody = len(problem) <= EXHAUSTIVE
    asked = np.arange(len(problem)) if everybody else _cheapest(problem, EXHAUSTIVE)
    some = replace(_part(problem, asked), rows=rows)
    model = Model.of(some, np.arange(len(some)), [])
    wide, cells = len(some) * len(some.open_P), some.matrix.cells
    price_Z = np.repeat(some.price_N, len(some.open_P)) / some.budget
    somebody = np.concatenate([np.ones(wide), np.zeros(2 * cells)])
    done = milp(
        np.concatenate([-price_Z, np.zeros(2 * cells)]),
        integrality=np.concatenate([np.ones(wide), np.zeros(2 * cells)]),
        bounds=Bounds(model.low, np.where(np.arange(len(model.high)) >= wide + cells, 0.0, model.high)),
        constraints=[
            LinearConstraint(model.upper, -np.inf, model.upper_bound),
            LinearConstraint(model.equal, model.equal_bound, model.equal_bound),
            LinearConstraint(somebody[None, :], 1, np.inf),
        ],
        options={"time_limit": seconds, "mip_rel_gap": 0.5},
    )
    if done.x is None:
        return None, bool(done.status == 2 and everybody)
    part_NP = done.x[:wide].reshape(len(some), -1)
    cell_N = np.full(len(problem), -1)
    bought = part_NP.max(1) > 0.5
    cell_N[asked[bought]] = some.cell_KP[some.class_N[bought], np.argmax(part_NP[bought], axis=1)]
    return cell_N, False


def _cheapest(problem: Problem, count: int) -> Ints:
    """The must-have creators and the cheapest of each class, about `count`."""
    order = np.lexsort((problem.price_N, problem.class_N))
    kind = problem.class_N[order]
    rank = np.arange(len(order)) - np.searchsorted(kind, kind)
    near = order[rank < max(count // problem.matrix.classes, 1)]
    return np.union1d(near, np.flatnonzero(problem.must_N))
