"""One cycle of the market, in three fidelities of the same parameters (§2.2; DESIGN 4).

`exact` plays every auction and is the judge; `counts` draws sufficient statistics and is for learning; `expected` is
the closed form, differentiable in the budget and in the market's parameters. All three model the budget stop: the
platform bids so that its *expected* spend is the budget, and stops when the budget is gone.

The k-th win of a cycle's N requests responds at exp(-kappa k / N) (saturation), so that W wins yield
c (1 - e^(-kappa W / N)) / (1 - e^(-kappa / N)) clicks.

Shapes: B batch, P platforms, N requests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from crossmix.history import Outcome
from crossmix.market.price import EDGE, Price


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a cycle's market is like, each (B, P); prices in currency per impression."""

    requests: Tensor
    """Auction requests, whole numbers."""
    price: Price
    """Highest competing price before drift, (B, P)."""
    level: Tensor
    """Price drift: the competing price is `level` x `price`."""
    ctr: Tensor
    """Click probability of the first impression."""
    cvr: Tensor
    """Conversion probability of a click."""
    value: Tensor
    """Mean revenue of a conversion, currency."""
    value_cv: Tensor
    """Coefficient of variation of a conversion's revenue."""
    saturation: Tensor
    """kappa >= 0."""
    pacing: Tensor
    """Relative error with which the platform paces a cycle's unstopped spend, standard deviation."""
    bank: Tensor | None = None
    """Contexts resampled from the log: click and conversion multipliers of mean 1, (B, P, R, 2); `exact` only."""

    def supply_cost(self) -> Tensor:
        """What all requests would cost, (B, P)."""
        return self.requests * self.level * self.price.mean()


@dataclass(frozen=True, slots=True)
class _Pace:
    """The paced bid and the moments of the spend it leads to, each (B, P)."""

    win: Tensor
    mean: Tensor
    deviation: Tensor
    price1: Tensor
    """E[price | won]."""
    price2: Tensor
    """E[price^2 | won]."""


def pace(conditions: Conditions, budget_BP: Tensor, error_BP: Tensor | None = None) -> _Pace:
    """The uniform bid whose expected spend is the budget, and the moments of the unstopped spend.

    `error_BP`: a draw of the relative pacing error; without one its variance adds to the spend's.
    """
    supply = conditions.supply_cost().clamp(min=1e-12)
    aim = budget_BP if error_BP is None else budget_BP * (1 + conditions.pacing * error_BP).clamp(min=0.05)
    s = (aim / supply).clamp(EDGE, 1 - EDGE)
    win = conditions.price.win(s)
    mean = s * supply
    square = conditions.requests * conditions.level**2 * conditions.price.square(win)
    variance = square - mean**2 / conditions.requests.clamp(min=1)
    if error_BP is None:
        variance = variance + (conditions.pacing * mean) ** 2
    wins = (conditions.requests * win).clamp(min=1e-9)
    return _Pace(win, mean, variance.clamp(min=1e-18).sqrt(), mean / wins, square / wins)


def expected(conditions: Conditions, budget_BP: Tensor) -> Outcome:
    """Mean outcome of a cycle, in closed form.

    Unstopped spend is close to normal, S ~ N(m, d^2). Stopped spend is E[min(S, B)] less what the first win that no
    longer fits leaves over, on average E[p^2] / (2 E[p]); the wins follow by Wald's identity with the size-biased last
    price. Gradients with respect to `budget_BP` and every parameter are finite.
    """
    paced = pace(conditions, budget_BP)
    z = (budget_BP - paced.mean) / paced.deviation
    over = torch.special.ndtr(-z)
    density = torch.exp(-0.5 * z.clamp(-30, 30) ** 2) / math.sqrt(2 * math.pi)
    kept = paced.mean - paced.deviation * (density - z * over)
    leftover = 0.5 * paced.price2 / paced.price1
    spend = torch.minimum((kept - over * leftover).clamp(min=0), budget_BP)
    wins = (spend / paced.price1 + over * (paced.price2 / paced.price1**2 - 1)).clamp(min=0)
    wins = torch.minimum(wins, conditions.requests * paced.win)
    clicks = conditions.ctr * _saturated(wins, conditions)
    conversions = clicks * conditions.cvr
    return Outcome(
        requests=conditions.requests,
        impressions=wins,
        clicks=clicks,
        conversions=conversions,
        revenue=conversions * conditions.value,
        spend=spend,
        planned=budget_BP,
    )


@torch.no_grad()
def counts(conditions: Conditions, budget_BP: Tensor, generator: torch.Generator) -> Outcome:
    """One draw of a cycle's sufficient statistics: Binomial wins, normal spend with the stop, Binomial clicks."""
    paced = pace(conditions, budget_BP, _normal(budget_BP, generator))
    requests = conditions.requests.round()
    wins = torch.binomial(requests, paced.win.clamp(0, 1), generator)
    spread = (paced.price2 - paced.price1**2).clamp(min=0)
    unstopped = (wins * paced.price1 + (wins * spread).sqrt() * _normal(wins, generator)).clamp(min=0)
    stopped = unstopped > budget_BP
    uniform = torch.rand(wins.shape, generator=generator, dtype=wins.dtype, device=wins.device)
    left = uniform * (paced.price2 / paced.price1)
    spend = torch.where(stopped, (budget_BP - left).clamp(min=0), unstopped)
    # Given the total, wins come evenly: the budget runs out after the fraction budget / total of them, and the win
    # that would have crossed it is not made.
    reached = wins * budget_BP / unstopped.clamp(min=1e-12)
    wins = torch.where(stopped, torch.minimum(torch.floor(reached), wins), wins)
    rate = conditions.ctr * _saturated(wins, conditions) / wins.clamp(min=1)
    clicks = torch.binomial(wins, rate.clamp(0, 1), generator)
    conversions = torch.binomial(clicks, conditions.cvr.clamp(0, 1), generator)
    return Outcome(
        requests=requests,
        impressions=wins,
        clicks=clicks,
        conversions=conversions,
        revenue=_values(conversions, conditions, generator),
        spend=spend,
        planned=budget_BP,
    )


@torch.no_grad()
def exact(conditions: Conditions, budget_BP: Tensor, generator: torch.Generator, block: int = 1 << 18) -> Outcome:
    """Every request is an auction: competing price, paced bid, second price, budget stop, click, conversion, value.

    Rows are processed in blocks of about `block` requests, so that a block stays in the cache.
    """
    win_BP = pace(conditions, budget_BP, _normal(budget_BP, generator)).win
    batch, platforms = budget_BP.shape
    longest = int(conditions.requests.max().round())
    if longest == 0:
        zero = torch.zeros_like(budget_BP)
        return Outcome(zero, zero, zero, zero, zero, zero, budget_BP, zero)
    per_block = max(1, block // (longest * platforms))
    parts = []
    for start in range(0, batch, per_block):
        rows = torch.arange(start, min(start + per_block, batch), device=budget_BP.device)
        parts.append(_auctions(_rows(conditions, rows), budget_BP[rows], win_BP[rows], longest, generator))
    return Outcome(
        requests=conditions.requests.round(),
        **{
            name: torch.cat([part[name] for part in parts])
            for name in ("impressions", "clicks", "conversions", "revenue", "spend", "merit")
        },
        planned=budget_BP,
    )


def _auctions(
    conditions: Conditions,
    budget_BP: Tensor,
    win_BP: Tensor,
    longest: int,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    kind: Any = {"dtype": budget_BP.dtype, "device": budget_BP.device}
    requests = conditions.requests.round()
    level_BPN = torch.rand(*budget_BP.shape, longest, generator=generator, **kind)
    real = torch.arange(longest, device=budget_BP.device) < requests[..., None]
    # A bid at the quantile level `win` beats exactly the prices below it; ties are split by the level itself.
    won_BPN = (level_BPN < win_BP[..., None]) & real
    row, column, _ = won_BPN.nonzero(as_tuple=True)
    cell = row * budget_BP.shape[1] + column
    at_win = level_BPN[won_BPN]
    price = _price_at(conditions, cell, at_win)
    spent = _running_sum(price, cell)
    kept = spent <= budget_BP.reshape(-1)[cell]
    # The budget is gone at the first win that does not fit; everything later is not made either.
    cell, price = cell[kept], price[kept]
    count = torch.zeros(budget_BP.numel(), **kind)
    rank = _rank(cell)
    flat = {name: getattr(conditions, name).reshape(-1) for name in ("ctr", "cvr", "value", "value_cv", "saturation")}
    fade = torch.exp(-flat["saturation"][cell] * rank / requests.reshape(-1)[cell])
    p_click, p_convert = flat["ctr"][cell] * fade, flat["cvr"][cell]
    if conditions.bank is not None:
        bank = conditions.bank.reshape(budget_BP.numel(), -1, 2)
        pick = torch.randint(bank.shape[1], cell.shape, generator=generator, device=cell.device)
        context = bank[cell, pick]
        p_click, p_convert = p_click * context[:, 0], p_convert * context[:, 1]
    clicked = torch.rand(cell.shape, generator=generator, **kind) < p_click
    click_cell = cell[clicked]
    converted = torch.rand(click_cell.shape, generator=generator, **kind) < p_convert[clicked]
    conversion_cell = click_cell[converted]
    value = _lognormal(flat["value"][conversion_cell], flat["value_cv"][conversion_cell], generator)

    def total(index: Tensor, amount: Tensor | None = None) -> Tensor:
        amount = torch.ones(index.shape, **kind) if amount is None else amount
        summed: Tensor = count.clone().index_add_(0, index, amount).reshape(budget_BP.shape)
        return summed

    return {
        "impressions": total(cell),
        "clicks": total(click_cell),
        "conversions": total(conversion_cell),
        "revenue": total(conversion_cell, value),
        "spend": total(cell, price),
        "merit": total(cell, p_click.clamp(max=1) * p_convert.clamp(max=1) * flat["value"][cell]),
    }


def _price_at(conditions: Conditions, cell: Tensor, level: Tensor) -> Tensor:
    """Competing price at a quantile level, for flat cells."""
    from crossmix.market.price import LogNormalPrice

    drift = conditions.level.reshape(-1)[cell]
    if isinstance(conditions.price, LogNormalPrice):
        mu, sigma = conditions.price.mu.reshape(-1)[cell], conditions.price.sigma.reshape(-1)[cell]
        return torch.exp(mu + sigma * torch.special.ndtri(level.clamp(EDGE, 1 - EDGE))) * drift
    knots = conditions.price.knots
    pieces = knots.shape[-1] - 1
    place = level * pieces
    index = place.long().clamp(0, pieces - 1)
    flat = knots.reshape(-1)
    at = cell * (pieces + 1) + index
    left, right = flat[at], flat[at + 1]
    return (left + (right - left) * (place - index)) * drift


def _running_sum(amount: Tensor, cell: Tensor) -> Tensor:
    """Cumulative sum within runs of equal `cell` (sorted); in double, as the base of late runs is large."""
    total = amount.double().cumsum(0)
    return (total - _run_start(total - amount.double(), cell)).to(amount.dtype)


def _rank(cell: Tensor) -> Tensor:
    """0, 1, 2, ... within runs of equal `cell` (sorted)."""
    order = torch.arange(len(cell), device=cell.device)
    return order - _run_start(order, cell)


def _run_start(value: Tensor, cell: Tensor) -> Tensor:
    """`value` at the first element of each element's run."""
    if not len(cell):
        return value
    _, lengths = torch.unique_consecutive(cell, return_counts=True)
    first = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)[:-1]])
    return value[first].repeat_interleave(lengths)


def _saturated(wins: Tensor, conditions: Conditions) -> Tensor:
    """sum_{k < W} exp(-kappa k / N) = (1 - e^(-kappa W / N)) / (1 - e^(-kappa / N))."""
    rate = conditions.saturation.clamp(min=1e-4) / conditions.requests.clamp(min=1)
    return torch.expm1(-rate * wins) / torch.expm1(-rate)


def _values(conversions: Tensor, conditions: Conditions, generator: torch.Generator) -> Tensor:
    """Sum of `conversions` values: a Gamma with the same mean and variance."""
    cv2 = conditions.value_cv.clamp(min=1e-3) ** 2
    shape = (conversions / cv2).clamp(min=1e-6)
    draw = torch._standard_gamma(shape, generator=generator) * conditions.value * cv2
    return torch.where(conversions > 0, draw, torch.zeros_like(draw))


def _normal(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator, dtype=like.dtype, device=like.device)


def _lognormal(mean: Tensor, cv: Tensor, generator: torch.Generator) -> Tensor:
    sigma2 = torch.log1p(cv**2)
    noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device)
    return mean * torch.exp(sigma2.sqrt() * noise - 0.5 * sigma2)


def _rows(conditions: Conditions, index: Tensor) -> Conditions:
    return replace(
        conditions,
        requests=conditions.requests[index],
        price=conditions.price.rows(index),
        level=conditions.level[index],
        ctr=conditions.ctr[index],
        cvr=conditions.cvr[index],
        value=conditions.value[index],
        value_cv=conditions.value_cv[index],
        saturation=conditions.saturation[index],
        pacing=conditions.pacing[index],
        bank=None if conditions.bank is None else conditions.bank[index],
    )
