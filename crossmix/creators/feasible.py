"""Can any plan meet a brief? If none can: which rules cannot hold together, by name.

First the rules alone: money that cells could take, in parts (a linear programme over cell spends, small). Where that
says no, rules are dropped one by one as long as it still says no: what is left is a set of which none is superfluous.
Then whole creators (`solve` asks with its own mixed-integer programme).

Shapes: C cells, K classes, P phases, R rules.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from crossmix.creators.brief import BriefError, InfeasibleError
from crossmix.creators.matrix import Rows
from crossmix.creators.problem import Problem


def refuse(problem: Problem) -> None:
    """Raise where no plan, not even of parts of creators, can meet the brief.

    Raises:
        BriefError: nobody can be bought at all.
        InfeasibleError: rules that cannot hold together, by name.
    """
    if not problem.open_P.any():
        raise BriefError("brief.phases: all are over; add one that is to come")
    if not len(problem):
        cheapest = float(problem.cheapest_K.min(initial=np.inf))
        if not np.isfinite(cheapest):
            raise BriefError("brief: no creator is of its channels, category and tiers; widen one of them")
        left = " left" if problem.spent_C.any() else ""
        raise BriefError(
            f"brief.budget: {problem.budget:,.0f}{left} buys nobody, the cheapest costs {cheapest:,.0f}; raise it"
        )
    if not something(problem, problem.rows):
        name_them(problem, lambda rows: something(problem, rows))


def name_them(problem: Problem, possible: Callable[[Rows], bool]) -> None:
    """Raise with a set of rules that cannot hold together and of which each is needed for that.

    Args:
        possible: whether some plan keeps these rows; it says no for all of them.
    """
    rows = problem.rows
    for name in list(rows.names):
        fewer = rows.without(rows.names.index(name))
        if not possible(fewer):
            rows = fewer
    missing = _missing(problem)
    names = " and ".join(repr(name) for name in rows.names) or "the budget and must_have"
    why = f": {'; '.join(missing)}" if missing else ""
    remedy = "drop one of the rules, or raise the budget" if rows.names else "raise the budget"
    raise InfeasibleError(
        f"brief.rules: no plan within {problem.budget:,.0f} {problem.brief.currency} keeps {names}{why}; {remedy}",
        rows.names,
    )


def _missing(problem: Problem) -> list[str]:
    """Tiers, then channels, in which nobody can be bought, in words."""
    matrix = problem.matrix
    there_K = np.bincount(problem.class_N, minlength=matrix.classes).reshape(len(matrix.channels), len(matrix.tiers))
    cheapest_K = problem.cheapest_K.reshape(there_K.shape)
    words = []
    for names, axis, kind in ((matrix.tiers, 0, "creator"), (matrix.channels, 1, "creator on")):
        for name, count, cheapest in zip(names, there_K.sum(axis), cheapest_K.min(axis), strict=True):
            if count == 0:
                of = f"{name} creator" if kind == "creator" else f"creator on {name}"
                words.append(
                    f"there is no {of}"
                    if not np.isfinite(cheapest)
                    else f"no {of} costs {problem.budget:,.0f} or less (the cheapest {cheapest:,.0f})"
                )
    return words


def something(problem: Problem, rows: Rows) -> bool:
    """Whether some spend of the cells keeps the rows, takes the must-have creators and buys at least the cheapest."""
    from scipy.optimize import linprog

    cells, phases = problem.matrix.cells, len(problem.open_P)
    all_K = np.bincount(problem.class_N, problem.price_N, minlength=problem.matrix.classes)
    must_K = np.bincount(
        problem.class_N[problem.must_N], problem.price_N[problem.must_N], minlength=problem.matrix.classes
    )
    of_class_KC = np.zeros((problem.matrix.classes, cells))
    of_class_KC[np.repeat(np.arange(len(all_K)), phases), problem.cell_KP.reshape(-1)] = 1.0
    high_C = np.zeros(cells)
    high_C[problem.cell_KP[:, problem.open_P].reshape(-1)] = np.inf
    unit = problem.budget
    upper = [np.ones((1, cells)), -rows.coefficient_RC, of_class_KC, -of_class_KC]
    bound = [np.ones(1), rows.slack_R(problem.spent_C) / unit, all_K / unit, -must_K / unit]
    done = linprog(
        -np.ones(cells),
        A_ub=np.concatenate(upper),
        b_ub=np.concatenate(bound) + 1e-9,
        bounds=np.stack([np.zeros(cells), high_C], axis=1),
        method="highs",
    )
    if done.status == 2 or done.x is None:
        return False
    return bool(-done.fun * unit >= 0.999 * float(problem.price_N.min()))
