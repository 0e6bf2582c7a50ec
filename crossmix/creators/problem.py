"""Brief, catalogue and expected effects as one problem in numbers: what every planner here is given.

    maximise  sum_c h_c(S_c) - h_c(reached_c),   S_c = reached_c + sum of the effects bought in cell c
    h_c(S) = A_c (1 - exp(-S / A_c))             audiences overlap: a cell saturates towards A_c
    under     the budget, every ratio rule (`matrix.py`), each creator once, must-have creators

Shapes: N candidates, C cells, K classes, M channels, P phases, R rules.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field

import numpy as np

from crossmix.creators.brief import Brief, BriefError
from crossmix.creators.catalogue import Catalogue, Flags, Floats, Ints
from crossmix.creators.matrix import Matrix, Rows, matrix_of, rows_of
from crossmix.creators.settings import Effects


@dataclass(frozen=True, slots=True)
class Before:
    """What earlier phases of the same brief have done."""

    spent_C: Floats
    """Currency by cell."""
    reached_C: Floats
    """Sum of effects before saturation, by cell."""
    used: tuple[str, ...] = ()
    """Creators that cannot be bought again."""
    closed: tuple[str, ...] = ()
    """Phases in which nothing can be bought any more."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Candidates are the eligible creators that the money left could buy."""

    brief: Brief
    matrix: Matrix
    rows: Rows
    budget: float
    """Left to spend; currency."""
    row_N: Ints
    """Of the candidate in the catalogue."""
    class_N: Ints
    price_N: Floats
    effect_N: Floats
    """Expected, before saturation."""
    must_N: Flags
    audience_C: Floats
    """A_c."""
    spent_C: Floats
    reached_C: Floats
    open_P: Flags
    cheapest_K: Floats
    """Cheapest creator of each class whatever the money left, inf of none; what a refusal tells."""
    cell_KP: Ints = field(repr=False)

    def __len__(self) -> int:
        return len(self.row_N)

    def saturated_C(self, sum_C: Floats) -> Floats:
        """h_c(S_c)."""
        return -self.audience_C * np.expm1(-sum_C / self.audience_C)

    def slope_C(self, sum_C: Floats) -> Floats:
        """h_c'(S_c)."""
        return np.exp(-sum_C / self.audience_C)

    def sums_C(self, cell_N: Ints, effect_N: Floats | None = None) -> Floats:
        """S_c of a plan; `cell_N` is -1 where a candidate is not bought."""
        bought = cell_N >= 0
        effect_N = self.effect_N if effect_N is None else effect_N
        return self.reached_C + np.bincount(cell_N[bought], effect_N[bought], minlength=self.matrix.cells)

    def spend_C(self, cell_N: Ints) -> Floats:
        """Spend of a plan by cell, earlier phases included."""
        bought = cell_N >= 0
        return self.spent_C + np.bincount(cell_N[bought], self.price_N[bought], minlength=self.matrix.cells)

    def value(self, cell_N: Ints, effect_N: Floats | None = None) -> float:
        """Effect that a plan adds; by other effects than the expected ones where given."""
        sum_C = self.sums_C(cell_N, effect_N)
        return float((self.saturated_C(sum_C) - self.saturated_C(self.reached_C)).sum())

    def cost(self, cell_N: Ints) -> float:
        """Currency that a plan costs."""
        return float(self.price_N[cell_N >= 0].sum())

    def shortfall(self, spend_C: Floats) -> float:
        """Currency by which ratio rules are broken, all together."""
        return float(np.maximum(-self.rows.slack_R(spend_C), 0).sum())


def pose(
    catalogue: Catalogue,
    effect_N: Floats,
    brief: Brief,
    settings: Effects | None = None,
    before: Before | None = None,
) -> Problem:
    """The problem of a brief.

    Args:
        effect_N: expected effect of every creator of the catalogue.

    Raises:
        BriefError: brief and catalogue do not fit together.
    """
    settings = settings or Effects()
    matrix, rows = matrix_of(brief), rows_of(brief)
    _check(catalogue, brief)
    before = before or Before(np.zeros(matrix.cells), np.zeros(matrix.cells))
    budget = brief.budget - float(before.spent_C.sum())
    if budget < 0:
        raise BriefError(
            f"brief.budget: {brief.budget:,.0f}, of which {brief.budget - budget:,.0f} are spent already; raise it, or "
            "correct the cost of what is over"
        )
    channel_of = np.full(len(catalogue.channels), -1)
    for at, name in enumerate(brief.channels):
        channel_of[catalogue.channels.index(name)] = at
    channel_N, least_T = channel_of[catalogue.channel_N], np.asarray(list(brief.tiers.values()))
    eligible_N = catalogue.of_category(brief.category) & (channel_N >= 0) & (catalogue.followers_N >= least_T[-1])
    must, drop = _named(catalogue, brief, before, eligible_N, budget)
    # who was bought before, or may not be bought, has its audience all the same
    everybody_M = np.bincount(
        channel_N[eligible_N], np.maximum(effect_N[eligible_N], 0.0), minlength=len(brief.channels)
    )
    eligible_N[drop] = False
    rows_N = np.flatnonzero(eligible_N)
    # least_T falls: the tier is the number of thresholds that lie above the creator
    tier_N = (catalogue.followers_N[rows_N, None] < least_T[None, :]).sum(1)
    class_N = channel_N[rows_N] * len(matrix.tiers) + tier_N
    cheapest_K = np.full(matrix.classes, np.inf)
    np.minimum.at(cheapest_K, class_N, catalogue.price_N[rows_N])
    audience_C = np.empty(matrix.shape)
    for at, name in enumerate(brief.channels):
        audience_C[at] = brief.audience.get(name, max(settings.audience * float(everybody_M[at]), 1e-9))
    buyable = catalogue.price_N[rows_N] <= budget
    rows_N, class_N = rows_N[buyable], class_N[buyable]
    must_N = np.zeros(len(catalogue), bool)
    must_N[must] = True
    return Problem(
        brief=brief,
        matrix=matrix,
        rows=rows,
        budget=budget,
        row_N=rows_N,
        class_N=class_N,
        price_N=catalogue.price_N[rows_N],
        effect_N=np.maximum(effect_N[rows_N], 0.0),
        must_N=must_N[rows_N],
        audience_C=audience_C.reshape(-1),
        spent_C=np.array(before.spent_C, np.float64),
        reached_C=np.array(before.reached_C, np.float64),
        open_P=np.asarray([phase not in before.closed for phase in matrix.phases]),
        cheapest_K=cheapest_K,
        cell_KP=matrix.cell_KP,
    )


def _check(catalogue: Catalogue, brief: Brief) -> None:
    """Raise `BriefError` where the brief names what the catalogue has not."""
    if catalogue.currency is not None and catalogue.currency != brief.currency:
        raise BriefError(f"brief.currency: {brief.currency!r}, but prices are in {catalogue.currency}; convert one")
    if brief.category is not None and brief.category not in catalogue.categories:
        known = ", ".join(catalogue.categories)
        raise BriefError(f"brief.category: no creator has {brief.category!r}; use {known}, or null for any")
    for name in brief.channels:
        if name not in catalogue.channels:
            raise BriefError(f"brief.channels: no creator is on {name!r}; use {', '.join(catalogue.channels)}")


def _named(
    catalogue: Catalogue, brief: Brief, before: Before, eligible_N: Flags, budget: float
) -> tuple[list[int], list[int]]:
    """Rows of creators that must be bought, and of those that cannot be."""
    wanted = {*brief.must_have, *brief.forbidden, *before.used}
    row = {name: at for at, name in enumerate(catalogue.ids) if name in wanted} if wanted else {}
    for where, names in (("must_have", brief.must_have), ("forbidden", brief.forbidden)):
        for name in names:
            if name not in row:
                close = difflib.get_close_matches(name, catalogue.ids[:20_000], n=1)
                hint = f"did you mean {close[0]}?" if close else "use ids of the catalogue"
                raise BriefError(f"brief.{where}: {name!r} is not in the catalogue; {hint}")
    must = [row[name] for name in brief.must_have if name not in before.used]
    for at in must:
        if not eligible_N[at]:
            raise BriefError(
                f"brief.must_have: {catalogue.ids[at]!r} is not of the brief's channels, category and tiers; "
                "drop it, or widen them"
            )
    price = float(catalogue.price_N[must].sum()) if must else 0.0
    if price > budget:
        raise BriefError(
            f"brief.must_have: they cost {price:,.0f} in all, the money left is {budget:,.0f}; raise budget to "
            f"{price + brief.budget - budget:,.0f}, or drop some"
        )
    return must, [row[name] for name in (*brief.forbidden, *before.used) if name in row]
