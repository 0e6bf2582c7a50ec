"""The clairvoyant myopic optimum: the split that equalises marginal ROI under the limits (docs/design.md#market).

It sees the cycle's true conditions (drift included) and maximises the *expected* revenue of that one cycle. It is
our unit of quality, never a competitor.

The problem is separable, max sum_i R_i(B a_i) over low <= a <= high, sum(a) = 1, but R_i is not concave everywhere: for
a budget of about one impression, and for one of about the whole supply, where more money makes the stop less likely,
the marginal rises for a stretch. So the split is found by values, not by marginals: a dynamic program over a lattice of
shares is exact on that lattice whatever the shape of R_i, and the lattice then closes in on its answer. The Lagrangian
dual, which needs no concavity either, bounds what any split can earn; the distance to it is the certificate
(`certificate.py`).

All is computed in double precision and handed back in the budget's own.

Shapes: B batch, P platforms, G points, T totals, K offsets.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from crossmix.constraints import check, project
from crossmix.market.certificate import Certified, certify
from crossmix.market.conditions import Conditions
from crossmix.market.curves import Curves

REACH = 8
"""Lattice points to either side of a share while the lattice closes in; each zoom makes it finer by as much."""
LEVELS, WIDTH = 20, 8
"""Cuts one inside the other, and open halves of one row, in the search through rows that are not certified."""
ROWS = 128
"""Rows solved side by side: their tables stay below 100 MiB."""
_BLOCK = 1 << 20
"""Numbers in one block of a dynamic program: 8 MiB."""


class BudgetError(ValueError):
    """A budget that no split can spend; the message says why."""


@dataclass(frozen=True, slots=True)
class Solution:
    """An optimum with its certificate."""

    share_BP: Tensor
    revenue_B: Tensor
    """Objective: expected revenue of the cycle, currency."""
    shadow_price_B: Tensor
    """lambda: revenue per unit of budget at the optimum."""
    kkt_B: Tensor
    """Largest violation of the optimality conditions, relative to the largest marginal ROI or the cycle's ROI,
    whichever is larger (beyond the supply all marginals vanish)."""
    bound_B: Tensor
    """No split within the limits is expected to earn more (`certificate._bound`), currency."""
    gap_B: Tensor
    """(bound - revenue) / bound: the split is optimal to within this."""


@torch.no_grad()
def solve(
    conditions: Conditions,
    budget_B: Tensor,
    low_BP: Tensor,
    high_BP: Tensor,
    *,
    grid: int = 48,
    zooms: int = 8,
    thorough: bool = True,
) -> Solution:
    """Maximise sum_i R_i(budget a_i) over low <= a <= high, sum(a) = 1.

    Args:
        conditions: of the cycle, (B, P).
        budget_B: currency, (B,), at least 0. Money beyond the supply is spread as evenly as the limits allow.
        low_BP, high_BP: the box that the limits leave, broadcastable to (B, P) (`constraints.box`).
        grid: steps of the first lattice.
        zooms: how often the lattice is made `REACH` times finer.
        thorough: solve rows that the bound does not certify again, from finer lattices, and make the bound as low as it
            gets. Without it a row whose marginals rise somewhere may be left at a local optimum, and the bound is loose
            there.

    Returns:
        The split and its certificate, in the dtype of `budget_B`.

    Raises:
        InfeasibleError: limits that no split can keep.
        BudgetError: a budget that is negative or not a number.
    """
    parts = []
    for curves in _blocks(conditions, budget_B, low_BP, high_BP):
        answer = _search(curves, grid, zooms, thorough)
        parts.append(_branch(curves, answer, grid, zooms) if thorough else answer)
    whole = {item.name: torch.cat([getattr(part, item.name) for part in parts]) for item in fields(Certified)}
    gap_B = torch.where(whole["bound_B"] > 0, 1 - whole["revenue_B"] / whole["bound_B"].clamp(min=1e-300), 0.0)
    figures = {item.name: whole[item.name] for item in fields(Solution) if item.name in whole} | {"gap_B": gap_B}
    return Solution(**{name: figure.to(budget_B.dtype) for name, figure in figures.items()})


@torch.no_grad()
def best_share(
    conditions: Conditions, budget_B: Tensor, low_BP: Tensor, high_BP: Tensor, *, grid: int = 48, zooms: int = 8
) -> Tensor:
    """The split of `solve` with `thorough` off, (B, P), without its certificate, which takes most of the time.

    For what is done thousands of times: validation while training, model-predictive control. Raises as `solve` does.
    """
    blocks = _blocks(conditions, budget_B, low_BP, high_BP)
    return torch.cat([_closing_in(curves, _lattice(curves, grid), grid, zooms) for curves in blocks]).to(budget_B.dtype)


def _blocks(conditions: Conditions, budget_B: Tensor, low_BP: Tensor, high_BP: Tensor) -> list[Curves]:
    """The rows' curves in double precision, `ROWS` at a time, once budgets and limits are found to be sound."""
    wrong = ~(torch.isfinite(budget_B) & (budget_B >= 0))
    if wrong.any():
        raise BudgetError(f"budget: {float(budget_B[wrong][0]):g} cannot be split; give a finite amount of at least 0")
    check(low_BP, high_BP)
    shape = (len(budget_B), low_BP.shape[-1])
    low, high = (bound.expand(shape).to(budget_B.device, torch.float64) for bound in (low_BP, high_BP))
    curves = Curves.of(conditions, budget_B.double(), low, high)
    return [curves.rows(rows) for rows in torch.split(torch.arange(shape[0], device=low.device), ROWS)]


def _search(curves: Curves, steps: int, zooms: int, tight: bool) -> Certified:
    return certify(curves, _closing_in(curves, _lattice(curves, steps), steps, zooms), tight)


def _branch(curves: Curves, first: Certified, steps: int, zooms: int) -> Certified:
    """Branch and bound for the rows that their bound leaves open.

    A gap means that some platform sits, or could sit, where its marginals rise. Its box is cut there in two; both
    halves are solved and bounded like the whole, and a half whose bound is below the best split known is given up. What
    is left after `LEVELS` cuts, or beyond `WIDTH` halves of a row, keeps its bound.
    """
    row = torch.argwhere(first.open(first.revenue_B)).squeeze(1)
    if not len(row):
        return first
    touched = row
    share, best, bound = first.share_BP.clone(), first.revenue_B.clone(), first.bound_B.clone()
    bound[row] = best[row]
    boxes, nodes = curves.rows(row), first.rows(row)
    for _ in range(LEVELS):
        boxes, row, above = _halves(boxes, nodes, row)
        if not len(row):
            break
        nodes = _search(boxes, steps, zooms, True)
        nodes = replace(nodes, bound_B=torch.minimum(nodes.bound_B, above))
        order = nodes.revenue_B.argsort()
        # The last write of a row is its best.
        better = order[nodes.revenue_B[order] > best[row[order]]]
        for index in better.tolist():
            share[row[index]], best[row[index]] = nodes.share_BP[index], nodes.revenue_B[index]
        going = nodes.open(best[row]) & (_rank(row, nodes.bound_B) < WIDTH)
        bound = bound.scatter_reduce(0, row[~going], nodes.bound_B[~going], "amax")
        left = torch.argwhere(going).squeeze(1)
        boxes, nodes, row = boxes.rows(left), nodes.rows(left), row[left]
        if not len(row):
            break
    bound = bound.scatter_reduce(0, row, nodes.bound_B[: len(row)], "amax")
    # The cuts are no limits: close in once more without them.
    whole = curves.rows(touched)
    again = certify(whole, _closing_in(whole, share[touched], steps, zooms), True)
    merged = Certified(*(getattr(first, item.name).clone() for item in fields(first)))
    for item in fields(first):
        getattr(merged, item.name)[touched] = getattr(again, item.name)
    merged.bound_B[touched] = torch.maximum(torch.minimum(again.bound_B, bound[touched]), again.revenue_B)
    return merged


def _halves(boxes: Curves, nodes: Certified, row: Tensor) -> tuple[Curves, Tensor, Tensor]:
    """Both halves of every box that hold a split; their rows; the bounds that they inherit."""
    low, high = boxes.low_BP, boxes.high_BP
    lower, upper = low.clone(), high.clone()
    upper.scatter_(1, nodes.cut_B[:, None], nodes.at_B[:, None])
    lower.scatter_(1, nodes.cut_B[:, None], nodes.at_B[:, None])
    every = torch.arange(len(row), device=row.device).repeat(2)
    both = replace(boxes.rows(every), low_BP=torch.cat([low, lower]), high_BP=torch.cat([upper, high]))
    held = torch.argwhere((both.low_BP.sum(1) <= 1) & (both.high_BP.sum(1) >= 1)).squeeze(1)
    return both.rows(held), row[every[held]], nodes.bound_B[every[held]]


def _rank(row_B: Tensor, value_B: Tensor) -> Tensor:
    """Rank of each value among those of its row, 0 for the largest."""
    same = row_B[:, None] == row_B[None]
    ahead = (value_B[None] > value_B[:, None]) | (
        (value_B[None] == value_B[:, None]) & (torch.arange(len(row_B))[None] < torch.arange(len(row_B))[:, None])
    )
    return (same & ahead).sum(1)


def _lattice(curves: Curves, steps: int) -> Tensor:
    """Best split on the lattice low + k h, sum(k) = steps, by dynamic programming over the platforms, (B, P)."""
    low, high = curves.low_BP, curves.high_BP
    width_B = (1 - low.sum(1)).clamp(min=1e-12) / steps
    step_BPG = width_B[:, None, None] * torch.arange(steps + 1, device=low.device)
    # The last step to a cap is cut short; `project` then hands out what that leaves over.
    allowed = (step_BPG - width_B[:, None, None] < (high - low)[..., None]) & (step_BPG >= 0)
    allowed[..., 0] = True
    share_BPG = torch.minimum(low[..., None] + step_BPG, high[..., None])
    value_BPG = curves.value(share_BPG).masked_fill(~allowed, -torch.inf)
    per_block = max(1, _BLOCK // (steps + 1) ** 2)
    chosen = [
        _allot(value_BPG[start : start + per_block], 0, steps + 1, 0, steps) for start in range(0, len(low), per_block)
    ]
    split = share_BPG.gather(2, torch.cat(chosen)[..., None]).squeeze(2)
    return project(split, low, high)


def _closing_in(curves: Curves, share_BP: Tensor, steps: int, zooms: int) -> Tensor:
    """Best split on ever finer lattices around `share_BP`, (B, P).

    Each row's lattice has 2 REACH + 1 points a platform; it is made finer once the best split is not at its edge.
    """
    share, low, high = share_BP, curves.low_BP, curves.high_BP
    offset_K = torch.arange(-REACH, REACH + 1, device=share.device)
    coarse_B = (1 - low.sum(1)).clamp(min=1e-12) / steps
    zoom_B = torch.ones_like(coarse_B)
    for _ in range(2 * zooms + REACH):
        width = (coarse_B / REACH**zoom_B)[:, None, None]
        at_BPK = share[..., None] + width * offset_K
        allowed = (at_BPK >= low[..., None]) & (at_BPK <= high[..., None])
        allowed[..., REACH] = True
        value = curves.value(torch.minimum(torch.maximum(at_BPK, low[..., None]), high[..., None]))
        index = _allot(value.masked_fill(~allowed, -torch.inf), REACH, 8 * REACH + 1, 4 * REACH, 4 * REACH)
        share = at_BPK.gather(2, index[..., None]).squeeze(2)
        inside = ((index > 0) & (index < 2 * REACH)).all(1)
        zoom_B = torch.where(inside, zoom_B + 1, zoom_B)
        if (zoom_B > zooms).all():
            break
    return project(share, low, high)


def _allot(value_BPK: Tensor, unit: int, size: int, start: int, end: int) -> Tensor:
    """Choices k (B, P) of largest total value among those that lead a running total from `start` to `end`.

    Choice k moves the running total, which stays in [0, size), by k - `unit`.
    """
    batch, platforms, choices = value_BPK.shape
    best_BT = torch.full((batch, size), -torch.inf, dtype=value_BPK.dtype, device=value_BPK.device)
    best_BT[:, start] = 0
    taken = []
    for p in range(platforms):
        before = torch.nn.functional.pad(best_BT, (choices - 1 - unit, unit), value=-torch.inf)
        best_BT, choice = (before.unfold(1, choices, 1) + value_BPK[:, p].flip(-1)[:, None]).max(-1)
        taken.append(choices - 1 - choice)
    total = torch.full((batch, 1), end, device=value_BPK.device)
    chosen = []
    for taken_BT in reversed(taken):
        pick = taken_BT.gather(1, total)
        total = total - pick + unit
        chosen.append(pick)
    return torch.cat(chosen[::-1], 1)
