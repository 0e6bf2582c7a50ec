"""The clairvoyant myopic optimum: the split that equalises marginal ROI under the limits (docs/design.md#market).

It sees the cycle's true conditions (drift included) and maximises the *expected* revenue of that one cycle. It is
our unit of quality, never a competitor.

The problem is separable, max sum_i R_i(B a_i) over low <= a <= high, sum(a) = 1, but R_i is not concave everywhere: for
a budget of about one impression, and for one of about the whole supply, where more money makes the stop less likely,
the marginal rises for a stretch. So the split is found by values, not by marginals: a dynamic program over a lattice of
shares is exact on that lattice whatever the shape of R_i, and the lattice then closes in on its answer. The Lagrangian
dual, which needs no concavity either, bounds what any split can earn; the distance to it is the certificate.

All is computed in double precision and handed back in the budget's own.

Shapes: B batch, P platforms, G points, V vertices, T totals, K offsets.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from crossmix.constraints import check, project
from crossmix.market.conditions import Conditions
from crossmix.market.mechanism import expected
from crossmix.market.price import EDGE, EmpiricalPrice, LogNormalPrice, Price

REACH = 8
"""Lattice points to either side of a share while the lattice closes in; each zoom makes it finer by as much."""
LEVELS, WIDTH = 20, 8
"""Cuts one inside the other, and open halves of one row, in the search through rows that are not certified."""
CERTIFIED = 2e-7
"""Relative gap below which a row is done."""
EVEN = 1e-10
"""Weight of the tie-break, of the revenue in reach: where more money earns nothing, the split stays near even."""
ROUNDING = 1e-9
"""Slack of the bound for rounding, relative."""
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
    """No split within the limits is expected to earn more (`_bound`), currency."""
    gap_B: Tensor
    """(bound - revenue) / bound: the split is optimal to within this."""


def marginal(conditions: Conditions, budget_BP: Tensor) -> tuple[Tensor, Tensor]:
    """Expected revenue and marginal ROI d revenue / d budget of every platform, each (B, P)."""
    with torch.enable_grad():
        budget = budget_BP.detach().clone().requires_grad_(True)
        revenue = expected(conditions, budget).revenue
        (slope,) = torch.autograd.grad(revenue.sum(), budget)
    return revenue.detach(), slope


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
        found = _search(curves, grid, zooms, thorough)
        parts.append(_branch(curves, found, grid, zooms) if thorough else found)
    whole = {item.name: torch.cat([getattr(part, item.name) for part in parts]) for item in fields(_Found)}
    gap_B = torch.where(whole["bound_B"] > 0, 1 - whole["revenue_B"] / whole["bound_B"].clamp(min=1e-300), 0.0)
    told = {item.name: whole[item.name] for item in fields(Solution) if item.name in whole} | {"gap_B": gap_B}
    return Solution(**{name: figure.to(budget_B.dtype) for name, figure in told.items()})


@torch.no_grad()
def best_share(
    conditions: Conditions, budget_B: Tensor, low_BP: Tensor, high_BP: Tensor, *, grid: int = 48, zooms: int = 8
) -> Tensor:
    """The split of `solve` with `thorough` off, (B, P), without its certificate, which takes most of the time.

    For what is done thousands of times: validation while training, model-predictive control. Raises as `solve` does.
    """
    blocks = _blocks(conditions, budget_B, low_BP, high_BP)
    return torch.cat([_closing_in(curves, _lattice(curves, grid), grid, zooms) for curves in blocks]).to(budget_B.dtype)


def _blocks(conditions: Conditions, budget_B: Tensor, low_BP: Tensor, high_BP: Tensor) -> list[_Curves]:
    """The rows' curves in double precision, `ROWS` at a time, once budgets and limits are found to be sound."""
    wrong = ~(torch.isfinite(budget_B) & (budget_B >= 0))
    if wrong.any():
        raise BudgetError(f"budget: {float(budget_B[wrong][0]):g} cannot be split; give a finite amount of at least 0")
    check(low_BP, high_BP)
    shape = (len(budget_B), low_BP.shape[-1])
    low, high = (bound.expand(shape).to(budget_B.device, torch.float64) for bound in (low_BP, high_BP))
    curves = _Curves.of(conditions, budget_B.double(), low, high)
    return [curves.rows(rows) for rows in torch.split(torch.arange(shape[0], device=low.device), ROWS)]


@dataclass(frozen=True, slots=True)
class _Found:
    """An answer on one box, in double precision, and where to cut the box if the answer leaves a gap."""

    share_BP: Tensor
    revenue_B: Tensor
    shadow_price_B: Tensor
    kkt_B: Tensor
    bound_B: Tensor
    cut_B: Tensor
    """Platform that the gap is mostly of."""
    at_B: Tensor
    """Share of it at which to cut."""

    def rows(self, index: Tensor) -> _Found:
        return _Found(*(getattr(self, item.name)[index] for item in fields(self)))

    def open(self, best_B: Tensor) -> Tensor:
        return self.bound_B > best_B * (1 + CERTIFIED)


def _search(curves: _Curves, steps: int, zooms: int, tight: bool) -> _Found:
    return _certify(curves, _closing_in(curves, _lattice(curves, steps), steps, zooms), tight)


def _branch(curves: _Curves, found: _Found, steps: int, zooms: int) -> _Found:
    """Branch and bound for the rows that their bound leaves open.

    A gap means that some platform sits, or could sit, where its marginals rise. Its box is cut there in two; both
    halves are solved and bounded like the whole, and a half whose bound is below the best split known is given up. What
    is left after `LEVELS` cuts, or beyond `WIDTH` halves of a row, keeps its bound.
    """
    row = torch.argwhere(found.open(found.revenue_B)).squeeze(1)
    if not len(row):
        return found
    touched = row
    share, best, bound = found.share_BP.clone(), found.revenue_B.clone(), found.bound_B.clone()
    bound[row] = best[row]
    boxes, nodes = curves.rows(row), found.rows(row)
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
    again = _certify(whole, _closing_in(whole, share[touched], steps, zooms), True)
    merged = _Found(*(getattr(found, item.name).clone() for item in fields(found)))
    for item in fields(found):
        getattr(merged, item.name)[touched] = getattr(again, item.name)
    merged.bound_B[touched] = torch.maximum(torch.minimum(again.bound_B, bound[touched]), again.revenue_B)
    return merged


def _halves(boxes: _Curves, nodes: _Found, row: Tensor) -> tuple[_Curves, Tensor, Tensor]:
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


# ---- the curves ------------------------------------------------------------------------------------------------------


class _Columns(EmpiricalPrice):
    """An empirical price of (B, P) cells at G points each: arguments are (B, P, G), the tables are not repeated."""

    __slots__ = ()

    def mean(self) -> Tensor:
        return self.area[..., -1:]

    def win(self, s: Tensor) -> Tensor:
        target = s.clamp(EDGE, 1 - EDGE) * self.mean()
        pieces = self.knots.shape[-1] - 1
        with torch.no_grad():
            index = torch.searchsorted(self.area, target.detach().contiguous(), right=True) - 1
            index = index.clamp(0, pieces - 1)
        left, right = self.knots.gather(-1, index), self.knots.gather(-1, index + 1)
        rest = (target - self.area.gather(-1, index)).clamp(min=0)
        root = torch.sqrt((left**2 + 2 * rest * (right - left) * pieces).clamp(min=1e-24))
        return (index / pieces + 2 * rest / (left + root).clamp(min=1e-12)).clamp(0, 1)

    def square(self, w: Tensor) -> Tensor:
        pieces = self.knots.shape[-1] - 1
        place = w.clamp(0, 1) * pieces
        index = place.detach().long().clamp(0, pieces - 1)
        part = place - index
        left = self.knots.gather(-1, index)
        middle = left + (self.knots.gather(-1, index + 1) - left) * part
        return self.area2.gather(-1, index) + part / pieces * (left**2 + left * middle + middle**2) / 3


@dataclass(frozen=True, slots=True)
class _Curves:
    """Revenue of every platform as a function of its share, in double precision."""

    conditions: Conditions
    """Each field (B, P, 1)."""
    budget_B: Tensor
    low_BP: Tensor
    high_BP: Tensor
    even_BP: Tensor
    """The feasible split nearest to the even one."""
    scale_B: Tensor
    """Revenue if every platform had its highest share, currency; 1 where that is nothing."""

    @classmethod
    def of(cls, conditions: Conditions, budget_B: Tensor, low_BP: Tensor, high_BP: Tensor) -> _Curves:
        shape, price = low_BP.shape, conditions.price
        wide_price: Price
        if isinstance(price, LogNormalPrice):
            wide_price = LogNormalPrice(price.mu.double()[..., None], price.sigma.double()[..., None])
        else:
            exact = EmpiricalPrice.of(price.knots.double().expand(*shape, -1).contiguous())
            wide_price = _Columns(exact.knots, exact.area, exact.area2)
        wide = conditions.each(lambda table: table.double().expand(shape)[..., None], wide_price)
        even = project(torch.full_like(low_BP, 1 / shape[1]), low_BP, high_BP)
        scale = expected(wide, (budget_B[:, None] * high_BP)[..., None]).revenue.sum((1, 2))
        return cls(wide, budget_B, low_BP, high_BP, even, torch.where(scale > 0, scale, 1.0))

    def rows(self, index: Tensor) -> _Curves:
        conditions = self.conditions
        price = conditions.price
        some: Price = type(price)(*(getattr(price, item.name)[index] for item in fields(price)))
        mine = (getattr(self, item.name)[index] for item in fields(self) if item.name != "conditions")
        return _Curves(conditions.each(lambda table: table[index], some), *mine)

    def value(self, share_BPG: Tensor) -> Tensor:
        """Revenue over the scale, with the tie-break, (B, P, G)."""
        revenue = expected(self.conditions, self.budget_B[:, None, None] * share_BPG).revenue
        return revenue / self.scale_B[:, None, None] - EVEN * (share_BPG - self.even_BP[..., None]) ** 2

    def slope(self, share_BPG: Tensor) -> tuple[Tensor, Tensor]:
        """Revenue and marginal ROI, currency and 1, each (B, P, G)."""
        return marginal(self.conditions, self.budget_B[:, None, None] * share_BPG)


# ---- the split -------------------------------------------------------------------------------------------------------


def _lattice(curves: _Curves, steps: int) -> Tensor:
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


def _closing_in(curves: _Curves, share_BP: Tensor, steps: int, zooms: int) -> Tensor:
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
        best_BT, place = (before.unfold(1, choices, 1) + value_BPK[:, p].flip(-1)[:, None]).max(-1)
        taken.append(choices - 1 - place)
    total = torch.full((batch, 1), end, device=value_BPK.device)
    chosen = []
    for taken_BT in reversed(taken):
        choice = taken_BT.gather(1, total)
        total = total - choice + unit
        chosen.append(choice)
    return torch.cat(chosen[::-1], 1)


# ---- the certificate -------------------------------------------------------------------------------------------------


def _certify(curves: _Curves, share_BP: Tensor, tight: bool) -> _Found:
    """Revenue, shadow price, optimality residual and bound of a split."""
    low, high = curves.low_BP, curves.high_BP
    # One-sided marginals: at a kink any value between them is a marginal.
    near = (1e-6 * share_BP + 1e-9)[..., None] * torch.tensor([-1.0, 0.0, 1.0], dtype=low.dtype, device=low.device)
    at = torch.minimum(torch.maximum(share_BP[..., None] + near, low[..., None]), high[..., None])
    revenue, slope = curves.slope(at)
    revenue_B, smallest, largest = revenue[..., 1].sum(1), slope.amin(2), slope.amax(2)
    at_low, at_high = share_BP <= low + 1e-8, share_BP >= high - 1e-8
    # The shadow price is at least the marginal of what could take more, at most that of what could give some away.
    floor = torch.where(at_high, -torch.inf, smallest).amax(1)
    ceiling = torch.where(at_low, torch.inf, largest).amin(1)
    held = (share_BP * slope[..., 1]).sum(1)
    floor, ceiling = torch.where(floor.isfinite(), floor, ceiling), torch.where(ceiling.isfinite(), ceiling, floor)
    shadow = torch.where(floor.isfinite(), 0.5 * (floor + ceiling), held)
    violation = torch.where(floor.isfinite(), 0.5 * (floor - ceiling), 0.0).clamp(min=0)
    roi = revenue_B / curves.budget_B.clamp(min=1e-300)
    unit = torch.maximum(slope.abs().amax((1, 2)), roi).clamp(min=1e-300)
    bound, gap, wanted = _bound(curves, share_BP, shadow, revenue[..., 1], tight)
    cut = gap.argmax(1, keepdim=True)
    at, wish = share_BP.gather(1, cut), wanted.gather(1, cut)
    left, right = low.gather(1, cut), high.gather(1, cut)
    inside = (at - left > 1e-3 * (right - left)) & (right - at > 1e-3 * (right - left))
    at = torch.where(inside, at, 0.5 * (at + wish))
    return _Found(
        share_BP, revenue_B, shadow, violation / unit, torch.maximum(bound, revenue_B), cut.squeeze(1), at.squeeze(1)
    )


def _bound(
    curves: _Curves, share_BP: Tensor, shadow_B: Tensor, revenue_BP: Tensor, tight: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Upper bound on the revenue of any feasible split, currency, (B,): the Lagrangian dual.

    For every lambda, sum_i R_i(B a_i) <= lambda B + sum_i max_a (R_i(B a) - lambda B a). The inner maxima are taken
    over a polygon above each curve, drawn from its values and marginals at points that crowd where the curve bends
    (near one impression, near the supply) and around `share_BP`. Between two neighbours the polygon is the chord where
    the curve is convex, the two tangents where it is concave, and the tangent at the concave end where it turns once;
    it lies above the curve if no two turns fall between neighbours. If `tight`, the best lambda is found by bisection
    where `shadow_B` does not already certify the row.

    Returns also how much each platform adds to the gap, currency, and the share it would rather have, both (B, P).
    """
    share = _points(curves, share_BP)
    revenue, slope = curves.slope(share)
    x_BPV, y_BPV = _above(share * curves.budget_B[:, None, None], revenue, slope)
    money_BP = share_BP * curves.budget_B[:, None]

    worth, place = (y_BPV - shadow_B[:, None, None] * x_BPV).max(2)
    wanted = x_BPV.gather(2, place[..., None]).squeeze(2)
    gap = worth - revenue_BP + shadow_B[:, None] * money_BP
    rows = torch.argwhere(gap.sum(1) > revenue_BP.sum(1) * CERTIFIED).squeeze(1)
    if tight and len(rows):
        bottom, top = slope[rows].amin((1, 2)), slope[rows].amax((1, 2))
        least = gap[rows].sum(1)
        x, y = x_BPV[rows], y_BPV[rows]
        for _ in range(50):
            middle = 0.5 * (bottom + top)
            worth, place = (y - middle[:, None, None] * x).max(2)
            spent = x.gather(2, place[..., None]).squeeze(2)
            mine = worth - revenue_BP[rows] + middle[:, None] * money_BP[rows]
            lower = mine.sum(1) < least
            least = torch.where(lower, mine.sum(1), least)
            gap[rows] = torch.where(lower[:, None], mine, gap[rows])
            wanted[rows] = torch.where(lower[:, None], spent, wanted[rows])
            scarce = spent.sum(1) > curves.budget_B[rows]
            bottom, top = torch.where(scarce, middle, bottom), torch.where(scarce, top, middle)
    bound = (revenue_BP.sum(1) + gap.sum(1).clamp(min=0)) * (1 + ROUNDING)
    return bound, gap, wanted / curves.budget_B[:, None].clamp(min=1e-300)


def _points(curves: _Curves, share_BP: Tensor) -> Tensor:
    """Shares at which the polygon touches the curve, sorted, (B, P, G)."""
    low, high = curves.low_BP[..., None], curves.high_BP[..., None]
    conditions, budget = curves.conditions, curves.budget_B[:, None, None].clamp(min=1e-300)
    kind: dict[str, Any] = {"dtype": low.dtype, "device": low.device}
    whole = (high - low) * torch.linspace(0, 1, 65, **kind) ** 2 + low
    impression = conditions.price_multiplier * conditions.price.mean() / budget * torch.linspace(0, 3, 25, **kind) ** 2
    away = torch.linspace(0, 1, 17, **kind) ** 2
    away = torch.cat([-0.5 * away.flip(0), away[1:], torch.tensor([EDGE - 1, -EDGE], **kind)])
    supply = conditions.supply_cost() / budget * (1 + away)
    close = 4.0 ** -torch.arange(1, 14, **kind)
    around = share_BP[..., None] + torch.cat([-close, torch.zeros(1, **kind), close])
    every = torch.cat([part.expand(*low.shape[:2], -1) for part in (whole, impression, supply, around)], 2)
    return torch.minimum(torch.maximum(every, low), high).sort(2).values


def _above(x_BPG: Tensor, y_BPG: Tensor, slope_BPG: Tensor) -> tuple[Tensor, Tensor]:
    """Vertices (x, y), each (B, P, V), of a polygon above the curves through (x, y) with these slopes."""
    left, right, bottom, top = x_BPG[..., :-1], x_BPG[..., 1:], y_BPG[..., :-1], y_BPG[..., 1:]
    first, last = slope_BPG[..., :-1], slope_BPG[..., 1:]
    width = right - left
    rise = top - bottom
    starts, ends = first * width >= rise, last * width <= rise
    bend = first - last
    meet = left + ((rise - last * width) / torch.where(bend > 0, bend, 1.0)).clamp(min=0).minimum(width)
    meet = torch.where(starts & ends, meet, torch.where(starts, right, left))
    before, after = bottom + first * (meet - left), top - last * (right - meet)
    height = torch.where(starts & ends, torch.maximum(before, after), torch.where(starts, before, after))
    height = torch.where(starts | ends, height, bottom)
    return torch.cat([x_BPG, meet], 2), torch.cat([y_BPG, height], 2)
