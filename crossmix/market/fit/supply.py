"""Request volume and competing prices from a log that holds only won auctions.

A won impression shows its price p and its bid b with p <= b: the price is right-truncated at the bid. The
product-limit estimator for truncated data (Lynden-Bell 1971) recovers the price's distribution up to the largest bid,
and each win then stands for 1 / F(b) requests (Horvitz-Thompson). A price multiplier per cycle (drift) is estimated
along. Where the log has no bids, volume and the order of winning rest on assumptions (`config.market.assumed_*`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from crossmix.market.fit.blocks import Array, Ints, add, blocks, summed

# A win never stands for more requests than this inverse.
LEAST_WIN_RATE = 0.01
# A price counts only if so many bids were at least as high.
LEAST_AT_RISK = 20


@dataclass(frozen=True, slots=True)
class Supply:
    """Supply of one campaign on one platform."""

    knots: Array
    """Price quantiles on the levels k / K at multiplier 1, (K + 1,), currency."""
    curve: Array
    """Price in the order in which requests are won (`cost_curve`), (K + 1,), currency."""
    dispersion: float
    """Deviation of the log bid between requests of a cycle."""
    price_multiplier: Array
    """Price of each cycle over the average, mean 1 over the cycles fitted on, (T,)."""
    price_multiplier_error: Array
    """Standard error of ln price_multiplier, (T,)."""
    requests: Array
    """Estimated requests of each cycle, (T,)."""
    requests_error: Array
    """Standard error of requests, (T,)."""
    mean_price: float
    """Mean competing price at multiplier 1, currency."""
    approximated: bool
    """No bids in the log: volume rests on the assumed win rate."""

    def cost(self) -> Array:
        """What all requests of each cycle would have cost, (T,)."""
        return self.requests * self.price_multiplier * self.mean_price


def product_limit(price: Array, bid: Array) -> tuple[Array, Array]:
    """Lynden-Bell estimator of F from pairs with price <= bid.

    Returns the sorted distinct prices and F at each; F is 1 at the largest. F(x) = prod over prices p > x of
    (1 - d(p) / R(p)), where d counts ties at p and R counts the pairs with price <= p <= bid. Where fewer than
    `LEAST_AT_RISK` bids reach up to a price, the log cannot tell how much lies above: the law ends below it.
    """
    return _product_limit(np.sort(price), np.sort(bid))


def _product_limit(ordered: Array, bids: Array) -> tuple[Array, Array]:
    """`product_limit` of sorted prices and sorted bids."""
    count, kind = len(ordered), np.int32 if len(ordered) < 2**31 else np.int64
    new = np.ones(count, bool)
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    points = ordered[new]
    # Pairs up to each point: the place after its last tie.
    end: npt.NDArray[Any] = np.empty(len(points), kind)
    end[:-1], end[-1] = np.flatnonzero(new)[1:], count
    del new
    ties = np.diff(end, prepend=np.zeros(1, kind))
    lower = np.empty_like(end)
    for part in blocks(len(points)):
        lower[part] = np.searchsorted(bids, points[part], side="left")
    out_of_reach = count - lower < min(LEAST_AT_RISK, count // 2)
    end -= lower
    del lower
    at_risk = np.maximum(end, ties, out=end)
    hazard = ties / at_risk
    hazard[out_of_reach] = 0.0
    # A risk set that is all ties would put the rest of the distribution at 0; one more keeps it open.
    closed = (at_risk == ties) & (np.arange(len(points)) > 0) & (hazard > 0)
    hazard[closed] = ties[closed] / (at_risk[closed] + 1)
    del at_risk, ties, end
    left = np.subtract(1, hazard, out=hazard)[::-1]
    survival = np.ones(len(points))
    survival[:-1] = np.cumprod(left, out=left)[::-1][1:]
    return points, survival


def estimate(
    price: Array,
    bid: Array | None,
    cycle: Ints,
    fit: npt.NDArray[np.bool_],
    cycles: int,
    *,
    fit_cycles: int,
    quantiles: int,
    assumed_win_rate: float,
    assumed_dispersion: float = 0.5,
    rounds: int = 6,
) -> Supply:
    """Supply of one campaign and platform.

    Args:
        price, bid, cycle: of every won impression, (n,); `bid` is `None` where the log has none.
        fit: which impressions the price law may be fitted on, (n,).
        cycles: cycles in the log; `fit_cycles`: the first so many are the training period.
    """
    counts = np.bincount(cycle, minlength=cycles).astype(float)
    usable = fit & (price > 0)
    if not usable.any():
        usable = price > 0
    if not usable.any():
        flat = np.full(quantiles + 1, 1e-6)
        return Supply(flat, flat, 0.0, np.ones(cycles), np.full(cycles, np.inf), counts, counts, 1e-6, True)
    truncated = bid is not None
    ceiling = bid if bid is not None else np.full_like(price, np.inf)
    law = _price_law(price, ceiling, cycle, usable, counts, fit_cycles, rounds)
    knots = np.interp(np.linspace(0, 1, quantiles + 1), law.level, law.price)
    multiplier, multiplier_error = law.multiplier, law.multiplier_error
    win = _won(law, ceiling, cycle) if truncated else np.full_like(price, assumed_win_rate)
    # As long as the log, and done with.
    del law
    dispersion = (
        _dispersion(ceiling, cycle, np.where(usable, 1 / win, 0.0), cycles) if truncated else assumed_dispersion
    )
    curve = cost_curve(knots, dispersion)
    if not truncated:
        # What was paid is what wins cost: scale the curve so that its mean up to the assumed win rate is that.
        grid = np.linspace(0, assumed_win_rate, 501)
        won = float(np.interp(grid, np.linspace(0, 1, len(curve)), curve).mean())
        curve = curve * (0.5 * (knots[1:] + knots[:-1])).mean() / max(won, 1e-12)
    return Supply(
        knots=knots,
        curve=curve,
        dispersion=dispersion,
        price_multiplier=multiplier,
        price_multiplier_error=multiplier_error,
        requests=np.bincount(cycle, 1 / win, cycles).astype(float),
        requests_error=np.sqrt(np.bincount(cycle, (1 - win) / win**2, cycles)),
        mean_price=float(np.mean(0.5 * (curve[1:] + curve[:-1]))),
        approximated=not truncated,
    )


def _won(law: _PriceLaw, ceiling: Array, cycle: Ints) -> Array:
    """Chance of every win to be won: F at its bid.

    F is a step: between two prices that occur it is that of the lower, not of something in between.
    """
    win = np.empty(len(ceiling))
    for rows in blocks(len(win)):
        below = np.searchsorted(law.price, ceiling[rows] / law.multiplier[cycle[rows]], side="right") - 1
        win[rows] = np.clip(law.level[np.maximum(below, 0)], LEAST_WIN_RATE, 1)
    return win


@dataclass(frozen=True, slots=True)
class _PriceLaw:
    price: Array
    """Prices that occur, over their cycle's multiplier, sorted, (n,)."""
    level: Array
    """F at each, (n,)."""
    multiplier: Array
    """Of every cycle, (T,)."""
    multiplier_error: Array
    """Standard error of its logarithm, (T,)."""


def _price_law(
    price: Array,
    ceiling: Array,
    cycle: Ints,
    usable: npt.NDArray[np.bool_],
    counts: Array,
    fit_cycles: int,
    rounds: int,
) -> _PriceLaw:
    """The price's law and every cycle's multiplier, by turns.

    Args:
        ceiling: bids; infinite where the log has none.
        usable: which impressions the law is fitted on.
        counts: impressions of every cycle, (T,).
    """
    cycles = len(counts)
    multiplier = np.ones(cycles)
    points, law = np.array([1.0]), np.array([1.0])
    surprise, slope = np.zeros_like(price), np.ones(cycles)
    impressions = np.bincount(cycle[price > 0], minlength=cycles)
    for _ in range(rounds):
        points, law = _product_limit(*(_over(values, multiplier, cycle, usable) for values in (price, ceiling)))
        below = _running_mean(points, law)
        # E[ln p | p <= b] under the current law, against what the cycle shows. Truncation hides part of a move (a
        # higher multiplier meets the same bids), by the slope of that expectation in ln b: a Newton step undoes it.
        hidden_T, surprise_T = np.zeros(cycles), np.zeros(cycles)
        for rows in blocks(len(price)):
            cap, positive = ceiling[rows] / multiplier[cycle[rows]], price[rows] > 0
            log_price = np.log(np.maximum(price[rows], 1e-12))
            surprise[rows] = log_price - np.log(multiplier[cycle[rows]]) - _below(points, below, cap)
            hidden = (_below(points, below, cap * np.exp(0.1)) - _below(points, below, cap * np.exp(-0.1))) / 0.2
            add(hidden_T, cycle[rows][positive], hidden[positive])
            add(surprise_T, cycle[rows][positive], surprise[rows][positive])
        del below
        slope = np.clip(1 - hidden_T / np.maximum(impressions, 1), 0.1, 1)
        step = surprise_T / np.maximum(impressions, 1) / slope
        multiplier = multiplier * np.exp(np.clip(step, -0.5, 0.5))
        mean = float(np.average(multiplier[:fit_cycles], weights=np.maximum(counts[:fit_cycles], 1e-9)))
        multiplier = multiplier / max(mean, 1e-12)
    spread = float(np.std(surprise[usable])) / slope
    return _PriceLaw(points, law, multiplier, spread / np.sqrt(np.maximum(impressions, 0.25)))


def _over(values: Array, multiplier: Array, cycle: Ints, usable: npt.NDArray[np.bool_]) -> Array:
    """The usable values over their cycle's multiplier, sorted."""
    result, start = np.empty(int(usable.sum())), 0
    for rows in blocks(len(values)):
        part = values[rows][usable[rows]] / multiplier[cycle[rows][usable[rows]]]
        result[start : start + len(part)] = part
        start += len(part)
    result.sort()
    return result


def _running_mean(points: Array, law: Array) -> Array:
    """E[ln p | p <= point] at every point of a law."""
    mass = np.diff(law, prepend=0.0)
    weight = np.cumsum(mass)
    mass *= np.log(points)
    mean = np.cumsum(mass, out=mass)
    mean /= np.maximum(weight, 1e-12, out=weight)
    return mean


def _below(points: Array, below: Array, cap: Array) -> Array:
    """E[ln p | p <= cap] of a law on `points`, whose running means are `below`."""
    return below[np.clip(np.searchsorted(points, cap, side="right") - 1, 0, len(points) - 1)]


def _dispersion(bid: Array, cycle: Ints, weight: Array, cycles: int) -> float:
    """Deviation of ln bid within cycles; each win weighs 1 / F(bid), which undoes that high bids win more often."""
    total_T, mean_T = np.zeros(cycles), np.zeros(cycles)
    for rows in blocks(len(bid)):
        add(total_T, cycle[rows], weight[rows])
        add(mean_T, cycle[rows], weight[rows] * np.log(np.maximum(bid[rows], 1e-12)))
    mean_T /= np.maximum(total_T, 1e-12)

    def squares(rows: slice) -> Array:
        away = np.log(np.maximum(bid[rows], 1e-12)) - mean_T[cycle[rows]]
        return np.asarray(weight[rows] * away**2)

    return float(np.sqrt(summed(len(bid), squares) / max(float(weight.sum()), 1e-12)))


def cost_curve(knots: Array, dispersion: float) -> Array:
    """The competing price in the order in which requests are won, (K + 1,), when the log bid has noise.

    A request is won where the price over its bid's noise, p e^(-tau z), is small. With q_u the quantile of that ratio,
    the curve is E[p | ratio = q_u]: it takes the place of the price's quantile function in all that a budget buys.
    """
    if dispersion < 1e-3:
        return knots
    from scipy.special import ndtri

    pieces = len(knots) - 1
    levels = (np.arange(16 * pieces) + 0.5) / (16 * pieces)
    price = np.interp(levels, np.linspace(0, 1, pieces + 1), knots)
    noise = np.exp(dispersion * ndtri((np.arange(101) + 0.5) / 101))
    ratio = (price[:, None] / noise).ravel()
    ordered = np.repeat(price, len(noise))[np.argsort(ratio, kind="stable")]
    middle = ordered.reshape(2 * pieces, -1).mean(1)
    curve = np.interp(np.linspace(0, 1, pieces + 1), (np.arange(2 * pieces) + 0.5) / (2 * pieces), middle)
    curve = np.maximum.accumulate(curve)
    mean = 0.5 * (curve[1:] + curve[:-1]).mean()
    return curve * (float(ordered.mean()) / max(float(mean), 1e-12))
