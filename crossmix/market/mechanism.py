"""One cycle of the market, in three fidelities of the same parameters (§2.2; docs/design.md#market).

`exact` plays every auction and is the judge; `counts` draws sufficient statistics and is for learning; `expected` is
the closed form, differentiable in the budget and in the market's parameters. All three model the budget stop: the
platform bids so that its *expected* spend is the budget, and stops when the budget is gone.

The k-th win of a cycle's N requests responds at exp(-kappa k / N) (saturation), so that W wins yield
c (1 - e^(-kappa W / N)) / (1 - e^(-kappa / N)) clicks.

Shapes: B batch, P platforms; K cells: a cell is one row's platform.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from crossmix.fading import per_click
from crossmix.history import Outcome
from crossmix.market.conditions import Bank, Conditions, probability
from crossmix.market.price import EDGE, LogNormalPrice

FEW = 16
"""Up to so many expected wins `counts` plays a cell out: beyond, the sum of the prices is close enough to normal."""


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
    mean = s * conditions.supply_cost()
    square = conditions.requests * conditions.price_multiplier**2 * conditions.price.square(win)
    variance = square - mean**2 / conditions.requests.clamp(min=1)
    if error_BP is None:
        variance = variance + (conditions.pacing * mean) ** 2
    wins = (conditions.requests * win).clamp(min=1e-9)
    price1 = (mean / wins).clamp(min=1e-12)
    return _Pace(win, mean, variance.clamp(min=1e-18).sqrt(), price1, square / wins)


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
    # No more than the budget's worth of them, so that no budget wins nothing.
    extra = torch.minimum(over * (paced.price2 / paced.price1**2 - 1), budget_BP / paced.price1)
    wins = torch.minimum((spend / paced.price1 + extra).clamp(min=0), conditions.requests * paced.win)
    clicks = conditions.ctr * _saturated(wins, conditions)
    conversions = clicks * _converting(wins, conditions)
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
    """One draw of a cycle's sufficient statistics: Binomial wins, their spend with the stop, Binomial clicks."""
    paced = pace(conditions, budget_BP, _normal(budget_BP, generator))
    requests = conditions.requests.round()
    won = torch.binomial(requests, paced.win.clamp(0, 1), generator)
    wins, spend = _stop(conditions, paced, won, budget_BP, generator)
    # Where only a few wins are to be had, sums are not normal: those cells are played out.
    few = (requests * paced.win <= FEW).reshape(-1).nonzero().squeeze(1)
    if len(few):
        cells = _slice(_flat(replace(conditions, bank=None)), few)
        wins_few, spend_few = _play(
            cells, paced.win.reshape(-1)[few], won.reshape(-1)[few], budget_BP.reshape(-1)[few], generator
        )
        wins.view(-1)[few], spend.view(-1)[few] = wins_few, spend_few
    rate = (conditions.ctr * _saturated(wins, conditions) / wins.clamp(min=1)).clamp(0, 1)
    converting = _converting(wins, conditions).clamp(0, 1)
    clicks = torch.binomial(wins, rate, generator)
    conversions = torch.binomial(clicks, converting, generator)
    return Outcome(
        requests=requests,
        impressions=wins,
        clicks=clicks,
        conversions=conversions,
        revenue=_values(conversions, conditions, generator),
        spend=spend,
        planned=budget_BP,
        expected_revenue=wins * rate * converting * conditions.value,
    )


def _stop(
    conditions: Conditions, paced: _Pace, won_BP: Tensor, budget_BP: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Wins and spend when the budget stops `won_BP` wins whose prices sum up to a normal number, (B, P) each."""
    spread = (paced.price2 - paced.price1**2).clamp(min=0)
    unstopped = (won_BP * paced.price1 + (won_BP * spread).sqrt() * _normal(won_BP, generator)).clamp(min=0)
    stopped = unstopped > budget_BP
    # What is left over is a uniform part of the win that did not fit, whose price is size-biased (renewal theory): the
    # price at the level up to which a uniform part of all spend goes.
    part, size = torch.rand(2, *won_BP.shape, generator=generator, dtype=won_BP.dtype, device=won_BP.device)
    at = conditions.price.win(size * paced.mean / conditions.supply_cost().clamp(min=1e-12))
    left = part * conditions.price_multiplier * conditions.price.quantile(at)
    # Given the total, wins come evenly: the budget runs out after the fraction budget / total of them, and the win
    # that would have crossed it is not made.
    reached = torch.floor(won_BP * budget_BP / unstopped.clamp(min=1e-12))
    wins = torch.where(stopped, torch.minimum(reached, won_BP), won_BP)
    return wins, torch.where(stopped, (budget_BP - left).clamp(min=0), unstopped)


def _play(
    cells: Conditions, win: Tensor, won: Tensor, budget: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Wins and spend of cells with few wins, price by price; all (K,)."""
    most = int(won.max())
    level = torch.rand(len(win), most, generator=generator, dtype=win.dtype, device=win.device) * win[:, None]
    price = cells.price.spread(most).quantile(level) * cells.price_multiplier[:, None]
    kept = torch.arange(most, device=win.device) < won[:, None]
    total = (price * kept).cumsum(1)
    kept &= total <= budget[:, None]
    return kept.sum(1).to(win.dtype), (price * kept).sum(1)


@torch.no_grad()
def exact(conditions: Conditions, budget_BP: Tensor, generator: torch.Generator, block: int = 1 << 18) -> Outcome:
    """Every request is an auction: competing price, paced bid, second price, budget stop, click, conversion, value.

    Cells are laid end to end and played in blocks of about `block` requests, which stay in the cache.
    """
    win_BP = pace(conditions, budget_BP, _normal(budget_BP, generator)).win
    cells = _flat(conditions)
    budget, win = budget_BP.reshape(-1), win_BP.reshape(-1)
    parts = [
        _auctions(_slice(cells, slice(start, stop)), budget[start:stop], win[start:stop], generator)
        for start, stop in _blocks(cells.requests, block)
    ]
    return Outcome(
        requests=cells.requests.reshape(budget_BP.shape),
        **{name: torch.cat([part[name] for part in parts]).reshape(budget_BP.shape) for name in parts[0]},
        planned=budget_BP,
    )


def _flat(conditions: Conditions) -> Conditions:
    """Every cell a row of its own, (B P,); requests are whole numbers."""
    shape = conditions.requests.shape
    bank = conditions.bank
    if bank is not None:
        _, platforms, size = bank.click_CPR.shape
        row = bank.row_B[:, None] * platforms + torch.arange(platforms, device=bank.row_B.device)
        bank = Bank(bank.click_CPR.reshape(-1, size), bank.convert_CPR.reshape(-1, size), row.reshape(-1))
    flat = conditions.each(lambda table: table.expand(shape).reshape(-1), conditions.price.flat(shape), bank)
    return replace(flat, requests=flat.requests.round())


def _slice(cells: Conditions, which: slice | Tensor) -> Conditions:
    """Some of the cells; a stretch is not copied."""
    bank = None if cells.bank is None else replace(cells.bank, row_B=cells.bank.row_B[which])
    return cells.each(lambda table: table[which], cells.price.rows(which), bank)


def _blocks(requests: Tensor, block: int) -> list[tuple[int, int]]:
    """Stretches of cells with about `block` requests each."""
    number = torch.div(requests.double().cumsum(0), block, rounding_mode="floor").long()
    lengths = torch.unique_consecutive(number, return_counts=True)[1].tolist()
    edges = [0, *itertools.accumulate(lengths)]
    return list(itertools.pairwise(edges))


def _auctions(cells: Conditions, budget: Tensor, win: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
    """The auctions of a stretch of cells, those of the first, of the second, ...; all arguments and results (K,)."""
    kind: Any = {"dtype": budget.dtype, "device": budget.device}
    requests = cells.requests.long()
    level = torch.rand(int(requests.sum()), generator=generator, **kind)
    # A bid at the quantile level `win` beats exactly the prices below it; ties are split by the level itself.
    won = level < win.repeat_interleave(requests)
    count = _per_run(won, requests)
    cell = _cells(count)
    price = _price_at(cells, level.index_select(0, won.nonzero().squeeze(1)), cell)
    # The budget is gone at the first win that does not fit; everything later is not made either.
    kept = _running_sum(price, count, cell) <= budget.index_select(0, cell)
    if not bool(kept.all()):
        price = price.index_select(0, kept.nonzero().squeeze(1))
        count = _per_run(kept, count)
        cell = _cells(count)
    first = (count.cumsum(0) - count).to(torch.int32)
    rank = torch.arange(len(cell), dtype=torch.int32, device=cell.device) - first.index_select(0, cell)
    fade = torch.exp((-cells.saturation / requests.clamp(min=1)).index_select(0, cell) * rank)
    converting = _converting(count.to(win.dtype), cells)
    p_click, p_convert = cells.ctr.index_select(0, cell) * fade, converting.index_select(0, cell)
    if cells.bank is not None:
        click_factor, convert_factor = _contexts(cells.bank, cell, generator)
        p_click, p_convert = p_click * click_factor, p_convert * convert_factor
    clicked = (torch.rand(len(price), generator=generator, **kind) < p_click).nonzero().squeeze(1)
    converted = torch.rand(len(clicked), generator=generator, **kind) < p_convert.index_select(0, clicked)
    click_cell = cell.index_select(0, clicked)
    conversion_cell = click_cell[converted]
    value = _lognormal(cells.value[conversion_cell], cells.value_cv[conversion_cell], generator)
    sums = {
        "impressions": count,
        "clicks": torch.bincount(click_cell, minlength=len(win)),
        "conversions": torch.bincount(conversion_cell, minlength=len(win)),
        "revenue": torch.zeros_like(win).index_add_(0, conversion_cell, value),
        "spend": _per_run(price, count),
        "expected_revenue": _per_run(p_click.clamp_(max=1) * p_convert.clamp_(max=1), count) * cells.value,
    }
    return {name: total.to(win.dtype) for name, total in sums.items()}


def _cells(count: Tensor) -> Tensor:
    """Number of the cell that each element belongs to, the cells' runs of `count` elements laid end to end."""
    cell = torch.arange(len(count), dtype=torch.int32, device=count.device)
    return cell.repeat_interleave(count)


def _per_run(amount: Tensor, count: Tensor) -> Tensor:
    """Sum of each cell's run of `count` elements, (K,)."""
    if not len(amount):
        return torch.zeros(
            count.shape, dtype=count.dtype if amount.dtype == torch.bool else amount.dtype, device=amount.device
        )
    if amount.dtype == torch.bool:
        return torch.segment_reduce(amount.to(torch.float32), "sum", lengths=count).long()
    return torch.segment_reduce(amount, "sum", lengths=count)


def _running_sum(amount: Tensor, count: Tensor, cell: Tensor) -> Tensor:
    """Cumulative sum within each cell's run; in double, as the base of late runs is large."""
    total = amount.cumsum(0, dtype=torch.float64)
    before = torch.cat([total.new_zeros(1), total])[count.cumsum(0) - count]
    return (total - before.index_select(0, cell)).to(amount.dtype)


def _contexts(bank: Bank, cell: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Click and conversion multipliers of a context resampled for every win."""
    size = bank.click_CPR.shape[-1]
    pick = torch.randint(size, cell.shape, generator=generator, device=cell.device, dtype=torch.int32)
    pick += (bank.row_B * size).to(torch.int32).index_select(0, cell)
    return bank.click_CPR.reshape(-1).index_select(0, pick), bank.convert_CPR.reshape(-1).index_select(0, pick)


def _price_at(cells: Conditions, level: Tensor, cell: Tensor) -> Tensor:
    """Competing price of every win, given its quantile level."""
    if isinstance(cells.price, LogNormalPrice):
        mu, sigma = cells.price.mu.index_select(0, cell), cells.price.sigma.index_select(0, cell)
        price = torch.exp(mu + sigma * torch.special.ndtri(level.clamp(EDGE, 1 - EDGE)))
        return price * cells.price_multiplier.index_select(0, cell)
    knots = cells.price.knots * cells.price_multiplier[:, None]
    pieces = knots.shape[-1] - 1
    position = level * pieces
    index = position.to(torch.int32).clamp_(max=pieces - 1)
    part = position.sub_(index)
    index += cell * (pieces + 1)
    flat = knots.reshape(-1)
    left = flat.index_select(0, index)
    return torch.lerp(left, flat.index_select(0, index.add_(1)), part)


def _converting(wins: Tensor, conditions: Conditions) -> Tensor:
    """Conversion probability of a click in a cycle of so many wins (`crossmix.fading`)."""
    fading = conditions.fading
    if not fading.any:
        return conditions.cvr
    return probability(conditions.cvr * per_click(fading, wins / conditions.requests.clamp(min=1)))


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
