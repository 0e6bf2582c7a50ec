"""What one cycle gave on each platform, as the held-out users saw it and as the market draws it for as many users.

Shapes: T cycles, C campaigns, P platforms, F features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from crossmix.market.fit.log import Log
from crossmix.market.model import Market
from crossmix.market.replay_splits import retrace

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

FEATURES = ("impressions", "price", "ctr", "cvr", "roi", "spend")


@dataclass(frozen=True, slots=True)
class Cycles:
    """Sums over some users' impressions, each (T, C, P); money in currency."""

    impressions: Array
    clicks: Array
    conversions: Array
    revenue: Array
    spend: Array
    planned: Array
    """The whole campaign's plan, whoever the users are."""

    def steps(self) -> dict[str, Array]:
        """ln of the ratio of a cycle's CTR, CVR, ROI and spend to those of the cycle before, (T - 1, C, P).

        NaN where one of the two cycles has nothing to compare.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            series = {
                "ctr": np.log(self.clicks / self.impressions),
                "cvr": np.log(self.conversions / self.clicks),
                "roi": np.log(self.revenue / np.where(self.planned > 0, self.planned, np.nan)),
                "spend": np.log(self.spend),
            }
        return {name: np.diff(np.where(np.isfinite(x), x, np.nan), axis=0) for name, x in series.items()}

    def features(self) -> Array:
        """A row per cycle, campaign and platform for a classifier, (T, C, P, F); NaN where nothing was won.

        Rates are logs of counts plus one half, ROI is a square root: zeros stay finite and noise is about even.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            price = np.where(self.impressions > 0, np.log(self.spend / self.impressions), np.nan)
            roi = np.where(self.planned > 0, np.sqrt(self.revenue / self.planned), np.nan)
            spend = np.where(self.spend > 0, np.log(self.spend), np.nan)
        return np.stack(
            [
                np.log(self.impressions + 0.5),
                price,
                np.log((self.clicks + 0.5) / (self.impressions + 1)),
                np.log((self.conversions + 0.5) / (self.clicks + 1)),
                roi,
                spend,
            ],
            -1,
        )

    def part(self, cycles: slice) -> Cycles:
        """Some of the cycles."""
        return Cycles(*(getattr(self, name)[cycles] for name in self.__dataclass_fields__))


def observed(log: Log, keep: Mask, planned_TCP: Array, times: int) -> Cycles:
    """The log's first `times` cycles; `keep`: which impressions count."""

    totals = {name: table[:times] for name, table in log.totals(keep).items()}
    return Cycles(**totals, planned=planned_TCP[:times])


def held_out(log: Log) -> Mask:
    """Impressions of the training period whose users the market was not fitted on."""
    return np.asarray(log.within("train") & log.column("holdout").astype(bool, copy=False))


def held_share(log: Log) -> Array:
    """Held-out impressions of the training period over all of it, per campaign and platform, (C, P)."""
    ours, of_all = (log.per_cycle(keep=keep).sum(0) for keep in (held_out(log), log.within("train")))
    overall = np.full_like(ours, ours.sum() / max(of_all.sum(), 1))
    return np.asarray(np.divide(ours, of_all, out=overall, where=of_all > 0))


def drawn(market: Market, planned_TCP: Array, share_CP: Array, seed: int, *, plan_is_spend: bool) -> Cycles:
    """One draw of the market over the fitted cycles, of which each impression belongs to the held-out users with
    chance `share_CP`.

    Given the whole cycle, thinning is exact for what `counts` draws: conversions, clicks without one and impressions
    without a click thin independently; a sum of Gamma values splits by a Beta, and the price paid by the part
    scatters around that of the whole as a sample without replacement does.
    """
    shape = tuple(market.path["requests"].shape)
    outcome = retrace(market, planned_TCP, torch.Generator().manual_seed(seed), plan_is_spend=plan_is_spend)
    rng = np.random.default_rng(seed)

    def cube(name: str) -> Array:
        return np.asarray(getattr(outcome, name).double().numpy().reshape(shape))

    def thin(count: Array) -> Array:
        return rng.binomial(np.maximum(np.rint(count), 0).astype(np.int64), np.clip(share_CP, 0, 1)).astype(float)

    wins, clicks, conversions = (cube(name) for name in ("impressions", "clicks", "conversions"))
    of_conversions = thin(conversions)
    of_clicks = of_conversions + thin(clicks - conversions)
    of_wins = of_clicks + thin(wins - clicks)
    per_value = 1 / np.maximum(market.value["value_cv"].double().numpy(), 1e-3) ** 2
    left_out = conversions - of_conversions
    split = rng.beta(np.maximum(of_conversions * per_value, 1e-6), np.maximum(left_out * per_value, 1e-6))
    split = np.where(of_conversions == 0, 0.0, np.where(left_out == 0, 1.0, split))
    scatter = price_deviation(market, planned_TCP) * np.sqrt(of_wins * (wins - of_wins) / np.maximum(wins, 1))
    spend = cube("spend") * of_wins / np.maximum(wins, 1) + scatter * rng.standard_normal(shape)
    spend = np.where(of_wins > 0, np.maximum(spend, 0.0), 0.0)
    return Cycles(of_wins, of_clicks, of_conversions, cube("revenue") * split, spend, planned_TCP[: shape[0]])


def price_deviation(market: Market, planned_TCP: Array) -> Array:
    """Standard deviation of the price paid within a cycle under the paced bid, currency, (T, C, P)."""
    times, campaigns, _ = market.path["requests"].shape
    price = market.prices(torch.arange(campaigns).repeat(times))
    requests, level = (market.path[name].flatten(0, 1) for name in ("requests", "level"))
    planned = torch.as_tensor(planned_TCP[:times], dtype=torch.float32).flatten(0, 1)
    won = price.win(planned / (requests.clamp(min=1) * level * price.mean()).clamp(min=1e-12)).clamp(min=1e-6)
    variance = price.square(won) / won - (price.spend(won) / won) ** 2
    return np.asarray((level * variance.clamp(min=0).sqrt()).double().numpy().reshape(market.path["requests"].shape))
