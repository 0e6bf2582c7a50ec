"""A horizon bound: what no plan over several cycles can be expected to earn, and a plan that comes near it.

Contract: docs/design.md#market.

`oracle.solve` is clairvoyant but myopic. Where step limits, returned budget or carry-over couple the cycles, a plan may
earn more than the best cycle after the best cycle. Here all cycles' true conditions are known in advance and every
cycle gives what it is expected to give (`mechanism.expected`). It bounds quality from above; it is never a competitor.

Shapes: T cycles, B batch, P platforms, G points of a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from crossmix.config import Market as Settings
from crossmix.constraints import Limits, box, project_through
from crossmix.market.conditions import Conditions, scaled
from crossmix.market.environment import CarryOver
from crossmix.market.mechanism import expected
from crossmix.market.oracle import solve

POINTS = 1_500
"""Budgets tabulated per cell for the bound on returned money."""
CELLS = 40_000
"""Cells tabulated at a time: the price's knots are copied for each."""
REACH = 3.0
"""Up to so many times the supply's cost the table is dense; more money hardly buys more."""
PRICES = 80
"""Halvings of the bracket of the budget's shadow price."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where the horizon begins, and what couples its cycles."""

    budget_B: Tensor
    """Planned budget per cycle, currency."""
    share_BP: Tensor
    """The split in force before; step limits and freezes count from it."""
    limits: Limits
    """(P,) or (B, P)."""
    settings: Settings
    """`return_unspent`, `fatigue`, `adstock`, `adstock_lift`."""
    carried: CarryOver | None = None
    """Exposure stocks at the start; none by default."""


@dataclass(frozen=True, slots=True)
class Horizon:
    """upper >= revenue >= myopic, each the expected revenue of all cycles, currency."""

    upper_B: Tensor
    """No plan within the limits is expected to earn more: step limits dropped, returned money pooled over all cycles,
    no fatigue and the largest adstock that full exposure could build up."""
    revenue_B: Tensor
    """Of the plan."""
    plan_TBP: Tensor
    """Shares that keep every limit, found by gradient from the myopic ones."""
    myopic_B: Tensor
    """Of the cycle-by-cycle optimum played in the same way."""

    @property
    def gap_B(self) -> Tensor:
        """(upper - revenue) / upper: the plan is optimal to within this."""
        return 1 - self.revenue_B / self.upper_B.clamp(min=1e-12)


def bound(conditions: Sequence[Conditions], start: Start, *, steps: int = 60, rate: float = 0.02) -> Horizon:
    """The bound and the plan.

    Args:
        conditions: of every cycle, each (B, P), without any carry-over in their rates.
        steps: gradient steps on the plan; `rate`: their size, in shares (Adam).

    Raises:
        InfeasibleError, BudgetError: as `oracle.solve`.
    """
    cycles = [_double(each) for each in conditions]
    begin = replace(start, budget_B=start.budget_B.double(), share_BP=start.share_BP.double())
    with torch.no_grad():
        myopic_TBP = _myopic(cycles, begin)
        myopic_B, _ = _play(cycles, begin, myopic_TBP)
        upper_B = _pooled(cycles, begin) if begin.settings.return_unspent else _apart(cycles, begin)
    best_B, best_TBP = myopic_B, myopic_TBP
    raw = myopic_TBP.clone().requires_grad_(True)
    optimiser = torch.optim.Adam([raw], rate)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = rate * (1 - step / steps)
        revenue_B, shares_TBP = _play(cycles, begin, raw)
        better = revenue_B.detach() > best_B
        best_B = torch.where(better, revenue_B.detach(), best_B)
        best_TBP = torch.where(better[None, :, None], shares_TBP.detach(), best_TBP)
        optimiser.zero_grad()
        (-revenue_B / myopic_B.clamp(min=1e-12)).sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    kind = start.budget_B.dtype
    # The plan is a lower bound of what the bound bounds: rounding must not turn them round.
    upper_B = torch.maximum(upper_B, best_B)
    return Horizon(upper_B.to(kind), best_B.to(kind), best_TBP.to(kind), myopic_B.to(kind))


def _play(cycles: Sequence[Conditions], start: Start, wanted_TBP: Tensor) -> tuple[Tensor, Tensor]:
    """Expected revenue of all cycles, (B,), and the shares in force, (T, B, P), when these are asked for."""
    previous, carried = start.share_BP, _carried(start)
    left_B = len(cycles) * start.budget_B
    revenue_B = torch.zeros_like(start.budget_B)
    shares = []
    for t, each in enumerate(cycles):
        low, high = box(start.limits, previous)
        previous = project_through(wanted_TBP[t], low, high)
        budget_B = left_B / (len(cycles) - t) if start.settings.return_unspent else start.budget_B
        outcome = expected(_after(each, carried, start.settings), budget_B[:, None] * previous)
        left_B = (left_B - outcome.spend.sum(1)).clamp(min=0)
        carried = carried.after(outcome, start.settings)
        revenue_B = revenue_B + outcome.revenue.sum(1)
        shares.append(previous)
    return revenue_B, torch.stack(shares)


def _myopic(cycles: Sequence[Conditions], start: Start) -> Tensor:
    """The best split of every cycle by itself, one after the other, (T, B, P)."""
    previous, carried = start.share_BP, _carried(start)
    left_B = len(cycles) * start.budget_B
    shares = []
    for t, each in enumerate(cycles):
        low, high = box(start.limits, previous)
        budget_B = left_B / (len(cycles) - t) if start.settings.return_unspent else start.budget_B
        now = _after(each, carried, start.settings)
        previous = solve(now, budget_B, low, high).share_BP
        outcome = expected(now, budget_B[:, None] * previous)
        left_B = (left_B - outcome.spend.sum(1)).clamp(min=0)
        carried = carried.after(outcome, start.settings)
        shares.append(previous)
    return torch.stack(shares)


def _apart(cycles: Sequence[Conditions], start: Start) -> Tensor:
    """Every cycle at its own certified bound, without step limits, (B,)."""
    free = replace(start.limits, step_P=torch.ones_like(start.limits.step_P))
    low, high = box(free, start.share_BP)
    best = zip(cycles, _most_favourable(cycles, start), strict=True)
    bounds = [solve(scaled(each, cvr=factor), start.budget_B, low, high).bound_B for each, factor in best]
    return torch.stack(bounds).sum(0)


def _pooled(cycles: Sequence[Conditions], start: Start) -> Tensor:
    """All money of the horizon spent wherever and whenever it earns most, no limits, (B,).

    Money that is not spent returns, so what is bounded is the sum of *spend*: for any shadow price l >= 0,
    revenue <= l (all money) + sum over cells of max_b R(b) - l S(b). R and S rise with b, so between two points of the
    table the term is at most R at the right one less l S at the left one. The lowest of these bounds is returned.
    """
    everything_B = len(cycles) * start.budget_B
    spent, earned = [], []
    for each, factor in zip(cycles, _most_favourable(cycles, start), strict=True):
        now = scaled(each, cvr=factor)
        dense = (torch.linspace(0, 1, POINTS, dtype=torch.float64) ** 2)[:, None, None] * REACH * now.supply_cost()
        points_GBP = torch.cat([dense, torch.maximum(dense[-1], everything_B[:, None])[None]])
        outcomes = [_tabulate(now, part) for part in torch.split(points_GBP, max(1, CELLS // dense[0].numel()))]
        # Monotone by nature; the running maximum takes rounding out.
        spent.append(torch.cat([spend for spend, _ in outcomes]).cummax(0).values)
        earned.append(torch.cat([revenue for _, revenue in outcomes]).cummax(0).values)
    spend_TGBP, revenue_TGBP = torch.stack(spent), torch.stack(earned)

    def dual(price_B: Tensor) -> Tensor:
        gain = revenue_TGBP[:, 1:] - price_B[:, None] * spend_TGBP[:, :-1]
        return price_B * everything_B + gain.amax(1).clamp(min=0).sum((0, 2))

    # The dual is convex in the price: golden sections between 0 and the largest mean return of any cell.
    right = (revenue_TGBP[:, 1:] / spend_TGBP[:, 1:].clamp(min=1e-12)).amax((0, 1, 3))
    left = torch.zeros_like(right)
    part = (5**0.5 - 1) / 2
    lowest = torch.minimum(dual(left), dual(right))
    for _ in range(PRICES):
        a, b = right - part * (right - left), left + part * (right - left)
        at_a, at_b = dual(a), dual(b)
        lowest = torch.minimum(lowest, torch.minimum(at_a, at_b))
        left, right = torch.where(at_a > at_b, a, left), torch.where(at_a > at_b, right, b)
    return lowest


def _most_favourable(cycles: Sequence[Conditions], start: Start) -> list[Tensor]:
    """The largest conversion factor that adstock can give each cycle, (B, P): that of full exposure from the start."""
    stock_BP = _carried(start).stock_BP
    factors = []
    for _ in cycles:
        factors.append(CarryOver(stock_BP, stock_BP).conversion_factor(start.settings))
        stock_BP = start.settings.adstock * stock_BP + 1
    return factors


def _carried(start: Start) -> CarryOver:
    none = torch.zeros_like(start.share_BP)
    given = start.carried or CarryOver(none, none)
    return CarryOver(given.fatigue_BP.to(none), given.stock_BP.to(none))


def _after(each: Conditions, carried: CarryOver, settings: Settings) -> Conditions:
    """The cycle's conditions, moved by the exposure before it."""
    return scaled(each, ctr=carried.click_factor(each.saturation), cvr=carried.conversion_factor(settings))


def _tabulate(each: Conditions, budget_GBP: Tensor) -> tuple[Tensor, Tensor]:
    """Expected spend and revenue at every budget, (G, B, P) each."""
    points, batch, platforms = budget_GBP.shape
    row = torch.arange(batch, device=budget_GBP.device).repeat(points)
    outcome = expected(each.each(lambda table: table[row], each.price.rows(row)), budget_GBP.reshape(-1, platforms))
    return outcome.spend.reshape(budget_GBP.shape), outcome.revenue.reshape(budget_GBP.shape)


def _double(each: Conditions) -> Conditions:
    price = type(each.price)(*(getattr(each.price, item.name).double() for item in fields(each.price)))
    return each.each(Tensor.double, price)


__all__ = ["Horizon", "Start", "bound"]
