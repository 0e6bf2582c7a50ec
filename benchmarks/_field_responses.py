"""What money brings in the planted worlds of `benchmarks.field`, a class per family, and the exact optimum of a budget.

A response is given at a reference spend and says how a day's money becomes impressions, clicks and conversions under
noise (`play`), and what it brings on average (`mean`). `Power` and its shapes are what a fit may contain; `Hill`,
`Logarithm`, `CarryOver` and `Auction` are there because none does.

Shapes: T days, C campaigns, P platforms; a cell is a campaign on a platform. Money is currency per day.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray

from crossmix.market.conditions import Conditions, scaled
from crossmix.market.mechanism import exact, expected
from crossmix.market.price import LogNormalPrice

Array = NDArray[np.float64]
NOISE = 0.1
"""Deviation of ln of the noise on impressions, and of that on clicks; of conversions the noise is their count's."""
STEPS, REACH, ZOOMS = 240, 8, 4
"""Steps of the first lattice of `best`, its points to either side while it closes in, and how often it does."""


@dataclass(frozen=True, slots=True)
class Played:
    """Means of a day's counts under its noise, or the counts themselves where the response draws them, (T, C, P)."""

    impressions: Array
    clicks: Array
    conversions: Array
    counted: bool = False


@dataclass(frozen=True, slots=True)
class Cells:
    """What the reference spend brings in a day, (C, P) each."""

    spend: Array
    impressions: Array
    clicks: Array
    conversions: Array

    def of(self, size_C: Array, sold_C: Array) -> Cells:
        """The cells of campaigns that are so large, and convert so well, of these of one campaign."""
        size = size_C[:, None]
        sold = size * sold_C[:, None]
        return Cells(self.spend * size, self.impressions * size, self.clicks * size, self.conversions * sold)


class Response(Protocol):
    """How money becomes conversions."""

    @property
    def spend(self) -> Array:
        """The reference spend, (C, P)."""

    def of(self, size_C: Array, sold_C: Array) -> Self:
        """The response of campaigns that are so large, and convert so well, of this of one campaign."""

    def play(self, spend_TCP: Array, noise_2TCP: Array, rng: np.random.Generator) -> Played:
        """Every day's counts; `noise_2TCP`: factors of mean 1 on the impressions and the clicks."""

    def mean(self, spend_CP: Array) -> Array:
        """Expected conversions of a day at that spend, day after day; (..., C, P)."""


def moment(power: Array) -> Array:
    """E[noise^power] of one stage's noise, which is lognormal with mean 1."""
    return np.asarray(np.exp(0.5 * power * (power - 1) * NOISE**2))


@dataclass(frozen=True, slots=True)
class Power:
    """impressions ~ spend^gamma, clicks ~ impressions^delta, conversions ~ clicks^eta; (P,) each."""

    at: Cells
    gamma: Array
    delta: Array
    eta: Array

    @property
    def spend(self) -> Array:
        return self.at.spend

    def of(self, size_C: Array, sold_C: Array) -> Self:
        return replace(self, at=self.at.of(size_C, sold_C))

    def play(self, spend_TCP: Array, noise_2TCP: Array, rng: np.random.Generator) -> Played:
        impressions = self.at.impressions * (spend_TCP / self.at.spend) ** self.gamma * noise_2TCP[0]
        clicks = self.at.clicks * (impressions / self.at.impressions) ** self.delta * noise_2TCP[1]
        conversions = self.at.conversions * (clicks / self.at.clicks) ** self.eta
        return Played(impressions, clicks, conversions)

    def mean(self, spend_CP: Array) -> Array:
        power = self.gamma * self.delta * self.eta
        noise = moment(self.delta * self.eta) * moment(self.eta)
        return np.asarray(self.at.conversions * (spend_CP / self.at.spend) ** power * noise)


@dataclass(frozen=True, slots=True)
class Hill:
    """conversions ~ x^k / (x^k + half^k) of x = spend over the reference, k > 1: little below a threshold."""

    at: Cells
    half: Array
    """(P,), of the reference spend."""
    k: Array

    @property
    def spend(self) -> Array:
        return self.at.spend

    def of(self, size_C: Array, sold_C: Array) -> Self:
        return replace(self, at=self.at.of(size_C, sold_C))

    def play(self, spend_TCP: Array, noise_2TCP: Array, rng: np.random.Generator) -> Played:
        impressions = self.at.impressions * spend_TCP / self.at.spend * noise_2TCP[0]
        clicks = self.at.clicks / self.at.impressions * impressions * noise_2TCP[1]
        return Played(impressions, clicks, self.mean(spend_TCP) * noise_2TCP.prod(0))

    def mean(self, spend_CP: Array) -> Array:
        x = (spend_CP / self.at.spend) ** self.k
        bend = self.half**self.k
        return np.asarray(self.at.conversions * (1 + bend) * x / (x + bend))


@dataclass(frozen=True, slots=True)
class Logarithm:
    """impressions ~ ln(1 + x / bend) of x = spend over the reference; clicks and conversions follow in proportion."""

    at: Cells
    bend: Array
    """(P,), of the reference spend."""

    @property
    def spend(self) -> Array:
        return self.at.spend

    def of(self, size_C: Array, sold_C: Array) -> Self:
        return replace(self, at=self.at.of(size_C, sold_C))

    def play(self, spend_TCP: Array, noise_2TCP: Array, rng: np.random.Generator) -> Played:
        part = self._part(spend_TCP)
        up_to = noise_2TCP.cumprod(0)
        return Played(
            self.at.impressions * part * up_to[0],
            self.at.clicks * part * up_to[1],
            self.at.conversions * part * up_to[1],
        )

    def mean(self, spend_CP: Array) -> Array:
        return self.at.conversions * self._part(spend_CP)

    def _part(self, spend: Array) -> Array:
        return np.asarray(np.log1p(spend / self.at.spend / self.bend) / np.log1p(1 / self.bend))


@dataclass(frozen=True, slots=True)
class CarryOver:
    """`Power`, but on one platform people buy for what was spent over days: conversions ~ carried^(gamma delta eta).

    carried_t = keep carried_(t-1) + (1 - keep) spend_t, which is the spend itself where that stays the same: `mean` is
    of that steady state.
    """

    usual: Power
    slot: int
    keep: float

    @property
    def spend(self) -> Array:
        return self.usual.spend

    def of(self, size_C: Array, sold_C: Array) -> Self:
        return replace(self, usual=self.usual.of(size_C, sold_C))

    def play(self, spend_TCP: Array, noise_2TCP: Array, rng: np.random.Generator) -> Played:
        played = self.usual.play(spend_TCP, noise_2TCP, rng)
        carried = spend_TCP[..., self.slot].copy()
        for day in range(1, len(carried)):
            carried[day] = self.keep * carried[day - 1] + (1 - self.keep) * carried[day]
        instead = spend_TCP.copy()
        instead[..., self.slot] = carried
        later = self.usual.play(instead, noise_2TCP, rng).conversions
        conversions = played.conversions.copy()
        conversions[..., self.slot] = later[..., self.slot]
        return Played(played.impressions, played.clicks, conversions)

    def mean(self, spend_CP: Array) -> Array:
        return self.usual.mean(spend_CP)


@dataclass(frozen=True, slots=True)
class Auction:
    """The project's own market, every auction played (`crossmix.market.mechanism.exact`); one campaign.

    The noise moves prices and click rates.
    """

    conditions: Conditions
    """(1, P), in double precision."""
    spend: Array

    def of(self, size_C: Array, sold_C: Array) -> Self:
        """Of one campaign; one that converts better does so in every auction."""
        size, sold = (torch.as_tensor(factor)[:, None] for factor in (size_C, sold_C))
        larger = replace(self.conditions, requests=self.conditions.requests * size, cvr=self.conditions.cvr * sold)
        return replace(self, conditions=larger, spend=self.spend * size_C[:, None])

    def play(self, spend_TCP: Array, noise_2TCP: Array, rng: np.random.Generator) -> Played:
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        price, ctr = (torch.as_tensor(factor[:, 0]) for factor in noise_2TCP)
        days = len(spend_TCP)
        law = self.conditions.price
        wide = type(law)(*(getattr(law, name).expand(days, -1) for name in law.__dataclass_fields__))
        usual = self.conditions.each(lambda table: table.expand(days, -1), wide)
        outcome = exact(scaled(usual, price_multiplier=price, ctr=ctr), torch.as_tensor(spend_TCP[:, 0]), generator)
        shown, clicked, bought = (
            count.numpy()[:, None] for count in (outcome.impressions, outcome.clicks, outcome.conversions)
        )
        return Played(shown, clicked, bought, counted=True)

    def mean(self, spend_CP: Array) -> Array:
        """By the closed form, averaged over the prices' noise (Gauss-Hermite)."""
        money = torch.tensor(spend_CP, dtype=torch.float64).reshape(-1, spend_CP.shape[-1])
        node, weight = np.polynomial.hermite_e.hermegauss(7)
        total = np.zeros(spend_CP.shape)
        for z, part in zip(node, weight / weight.sum(), strict=True):
            price = torch.full_like(money[:1], float(np.exp(NOISE * z - 0.5 * NOISE**2)))
            outcome = expected(scaled(self.conditions, price_multiplier=price), money)
            total += part * outcome.conversions.numpy().reshape(spend_CP.shape)
        return total


def auction(rng: np.random.Generator, spend_P: Array) -> Auction:
    """A market in which the reference spend buys a tenth to four tenths of what there is."""
    platforms = len(spend_P)
    requests = rng.uniform(8_000, 20_000, platforms)
    sigma = rng.uniform(0.4, 0.8, platforms)
    price = spend_P / rng.uniform(0.1, 0.4, platforms) / requests
    table = {
        "requests": requests,
        "price_multiplier": np.ones(platforms),
        "ctr": rng.uniform(0.03, 0.07, platforms),
        "cvr": rng.uniform(0.05, 0.12, platforms),
        "value": np.ones(platforms),
        "value_cv": np.full(platforms, 0.5),
        "saturation": rng.uniform(0.3, 1.5, platforms),
        "pacing": np.full(platforms, 0.02),
    }
    law = LogNormalPrice(*(torch.as_tensor(row)[None] for row in (np.log(price) - 0.5 * sigma**2, sigma)))
    tables = {name: torch.as_tensor(row)[None] for name, row in table.items()}
    return Auction(Conditions(price=law, bank=None, **tables), spend_P[None])


def best(value: Callable[[Array], Array], budget: float, most_P: Array) -> Array:
    """The split of `budget` that earns most, currency, (P,): a dynamic program over a lattice that closes in.

    Needs no concavity; the lattice's first step is 1/240 of the budget, its last 4096 times finer.

    Args:
        value: spend (G, P) -> what each platform brings, (G, P).
        most_P: no more than that on each platform, currency; together at least the budget.
    """
    step = budget / STEPS
    grid = np.arange(STEPS + 1)
    spend_GP = np.broadcast_to(step * grid[:, None], (len(grid), len(most_P)))
    worth = np.where(spend_GP <= most_P + 0.5 * step, value(np.minimum(spend_GP, most_P)), -np.inf)
    spend_P = np.minimum(step * _allot(worth.T, grid, STEPS, STEPS), most_P)
    spend_P = _filled(spend_P, budget, most_P)
    offset = np.arange(-REACH, REACH + 1)
    for zoom in range(1, ZOOMS + 1):
        fine = step / REACH**zoom
        for _ in range(2 * REACH):
            spend_GP = spend_P + fine * offset[:, None]
            allowed = (spend_GP >= 0) & (spend_GP <= most_P)
            allowed[REACH] = True
            worth = np.where(allowed, value(np.clip(spend_GP, 0, most_P)), -np.inf)
            moved = _allot(worth.T, offset, 0, REACH * len(most_P))
            spend_P = spend_P + fine * moved
            if abs(moved).max() < REACH:
                break
    return _filled(np.clip(spend_P, 0, most_P), budget, most_P)


def _allot(worth_PK: Array, cost_K: NDArray[np.int64], total: int, wide: int) -> NDArray[np.int64]:
    """Costs, one of each platform, that sum to `total` and are worth most, (P,); running totals within `wide`."""
    size = 2 * wide + 1
    reached = np.full(size, -np.inf)
    reached[wide] = 0.0
    chosen = []
    for worth_K in worth_PK:
        table = np.full((len(cost_K), size), -np.inf)
        for row, (cost, worth) in enumerate(zip(cost_K, worth_K, strict=True)):
            low, high = max(cost, 0), size + min(cost, 0)
            table[row, low:high] = reached[low - cost : high - cost] + worth
        chosen.append(table.argmax(0))
        reached = table.max(0)
    place, costs = wide + total, []
    for pick in reversed(chosen):
        costs.append(int(cost_K[pick[place]]))
        place -= costs[-1]
    return np.array(costs[::-1])


def _filled(spend_P: Array, budget: float, most_P: Array) -> Array:
    """The spend with what rounding left over put where there is room."""
    room = most_P - spend_P
    rest = budget - spend_P.sum()
    return np.asarray(spend_P + rest * (room / room.sum() if rest > 0 else spend_P / max(spend_P.sum(), 1e-300)))
