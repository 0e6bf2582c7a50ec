"""Strata of a log (§2.3.2): how its time intervals and regions differ, platform by platform, from the fitted average.

The training cycles of users who are not held out are cut by period x region x platform. For requests, price,
CTR, CVR and value alike, the ratio of a stratum to the base market is

    m[k, r, c, p] = period[k, c, p] x region[r, p] x cell[k, r, p]

and each part is shrunk towards 1 by its sampling error, as `estimators.rate` shrinks rates: the variance of the true
effects is what the raw ones vary beyond their errors (DerSimonian and Laird's moments), and an effect keeps the
fraction variance / (variance + error^2) of itself. A part that varies no more than its errors explain is 1: a stratum
that is noise would be no task.

A region's requests are relative to the region's size: its stratum is the market as if all users were that region's,
under the same budget. `crossmix.market.fit.regions` counts a log's regions, `crossmix.market.tasks` makes markets of
strata.

Shapes: T cycles, K periods, R regions, C campaigns, P platforms; X is K or K, R.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import chi2

from crossmix.market.fit.log import Array
from crossmix.schema import Meta

QUANTITIES = ("requests", "level", "ctr", "cvr", "value")
"""What a stratum multiplies: the same as a shift (`crossmix.market.shift`), named as in market.json."""
COUNTS = ("requests", "ctr", "cvr")
"""Those that are ratios of counts."""
WEEK = 7
"""Days of a period, so that weekdays weigh the same in all; a log with less than four weeks of training, or with
cycles that are not days, is cut into `PERIODS` instead."""
PERIODS = 8
NOTHING = 1e6
"""Sampling variance of a ratio that the log says nothing about."""
INFORMED = 1.0
"""Ratios with at least this variance (less than about one expected event) do not tell how much strata differ."""
LEVEL = 0.05 / (3 * len(QUANTITIES))
"""Chance that a part without any true effect is taken for more than noise: 5 % over all parts of all quantities."""


@dataclass(frozen=True, slots=True)
class Cubes:
    """What the strata delivered, each (X, C, P)."""

    clicks: Array
    exposed: Array
    """Impressions, each weighing what saturation and weekday leave of the click rate."""
    conversions: Array
    revenue: Array
    """Currency."""
    requests: Array
    requests_variance: Array
    """Sampling variance of `requests`."""
    usual: Array
    """Requests that the base market has in the same cycles, up to a factor per campaign and platform."""
    price_multiplier: Array
    """Price over the average, mean about 1."""
    price_multiplier_error: Array
    """Standard error of ln price_multiplier; infinite: unseen."""
    design: dict[str, float] = field(default_factory=dict)
    """Quantity -> sampling variance over that of independent impressions; 1 where not named."""

    def ratios(self, value_cv_CP: Array) -> dict[str, tuple[Array, Array]]:
        """Ratio of every quantity to its mean over the strata, and its sampling variance, (X, C, P) each."""
        table = {
            "requests": _volume(self.requests, self.requests_variance, self.usual),
            "level": _price(self.price_multiplier, self.price_multiplier_error),
            "ctr": _rate(self.clicks, self.exposed),
            "cvr": _rate(self.conversions, self.clicks),
            "value": _mean(self.revenue, self.conversions, value_cv_CP),
        }
        return {name: (ratio, variance * self.design.get(name, 1.0)) for name, (ratio, variance) in table.items()}


def by_period(cycles: Cubes, period_T: npt.NDArray[np.int64]) -> Cubes:
    """Cubes of single cycles (T, C, P) summed over periods (K, C, P); price multipliers averaged by their precision."""
    count = int(period_T.max()) + 1
    member_KT = (period_T == np.arange(count)[:, None]).astype(float)

    def total(series_TCP: Array) -> Array:
        return np.asarray(np.einsum("kt,tcp->kcp", member_KT, series_TCP))

    precision = 1 / np.maximum(cycles.price_multiplier_error**2, 1e-12)
    weight = total(precision)
    known = weight > 0
    return Cubes(
        clicks=total(cycles.clicks),
        exposed=total(cycles.exposed),
        conversions=total(cycles.conversions),
        revenue=total(cycles.revenue),
        requests=total(cycles.requests),
        requests_variance=total(cycles.requests_variance),
        usual=total(cycles.usual),
        price_multiplier=np.where(known, total(precision * cycles.price_multiplier) / np.where(known, weight, 1), 1.0),
        price_multiplier_error=np.where(known, 1 / np.sqrt(np.where(known, weight, 1)), np.inf),
    )


@dataclass(frozen=True, slots=True)
class Effects:
    """Shrunk log effects of one quantity with their standard errors."""

    period_KCP: Array
    region_RP: Array
    cell_KRP: Array
    period_error_KCP: Array
    region_error_RP: Array
    cell_error_KRP: Array
    spread: dict[str, float]
    """period, region, cell -> standard deviation of the true effects, ln; 0: nothing beyond noise."""


@dataclass(frozen=True, slots=True)
class Strata:
    """The strata of a log: names of periods and regions, and the effects of every quantity."""

    periods: tuple[str, ...]
    """First and last day (hour, where cycles are shorter), ISO 8601, `first/last`."""
    regions: tuple[str, ...]
    """Named regions; none where the log has none."""
    effects: dict[str, Effects]

    def multipliers(self, period: int | None, region: int | None) -> dict[str, tuple[Array, Array]]:
        """Quantity -> (multiplier, its relative standard error), (C, P) each; `None`: all periods, all regions."""
        table = {}
        for name, effect in self.effects.items():
            parts = [(np.zeros(effect.period_KCP.shape[1:]), 0.0)]
            if period is not None:
                parts.append((effect.period_KCP[period], effect.period_error_KCP[period]))
            if region is not None:
                parts.append((effect.region_RP[region], effect.region_error_RP[region]))
            if period is not None and region is not None:
                parts.append((effect.cell_KRP[period, region], effect.cell_error_KRP[period, region]))
            log_CP = sum((part for part, _ in parts[1:]), parts[0][0])
            variance_CP = sum((np.square(error) for _, error in parts[1:]), parts[0][0])
            table[name] = (np.exp(log_CP), np.sqrt(variance_CP))
        return table

    def distinct_regions(self) -> list[int]:
        """Indices of the regions that differ from the average in anything."""
        moves = np.zeros(len(self.regions))
        for effect in self.effects.values():
            moves += np.abs(effect.region_RP).sum(1) + np.abs(effect.cell_KRP).sum((0, 2))
        return [int(r) for r in np.flatnonzero(moves)]

    def plain(self) -> dict[str, Any]:
        """As it stands in market.json: names, and nested lists in the order of their shapes."""
        tables = [name for name in Effects.__dataclass_fields__ if name != "spread"]
        return {
            "periods": list(self.periods),
            "regions": list(self.regions),
            "effects": {
                name: {table: np.round(getattr(effect, table), 6).tolist() for table in tables}
                | {"spread": {part: round(deviation, 6) for part, deviation in effect.spread.items()}}
                for name, effect in self.effects.items()
            },
        }

    @classmethod
    def of(cls, plain: dict[str, Any]) -> Strata:
        """From what `plain` returned."""
        periods, regions = tuple(plain["periods"]), tuple(plain["regions"])
        K, R = len(periods), len(regions)
        effects = {}
        for name, saved in plain["effects"].items():
            _, C, P = np.shape(saved["period_KCP"])
            shape = {"period": (K, C, P), "region": (R, P), "cell": (K, R, P)}
            tables = {
                table: np.asarray(numbers, float).reshape(shape[table.split("_")[0]])
                for table, numbers in saved.items()
                if table != "spread"
            }
            effects[name] = Effects(**tables, spread=dict(saved["spread"]))
        return cls(periods, regions, effects)


def estimate(
    periods: tuple[str, ...],
    whole: Cubes,
    value_cv_CP: Array,
    requests_noise_KCP: Array | float = 0.0,
    regions: tuple[str, ...] = (),
    regional: Cubes | None = None,
) -> Strata:
    """Effects of periods, and of regions where the log names them, shrunk by their errors.

    Args:
        periods: names of the K periods.
        whole: all regions together, (K, C, P).
        value_cv_CP: coefficient of variation of a conversion's value.
        requests_noise_KCP: variance of a period's requests, relative, from noise between cycles, which the market
            draws anyway: a period that differs by it is no other market.
        regions, regional: names, and their cubes (K, R, C, P); fewer than two regions have nothing to compare.
    """
    _, C, P = whole.clicks.shape
    K, R = len(periods), len(regions)
    ratio, by_region = whole.ratios(value_cv_CP), {} if regional is None or R < 2 else regional.ratios(value_cv_CP)
    effects = {}
    for name in QUANTITIES:
        raw, variance = ratio[name]
        if name == "requests":
            variance = variance + requests_noise_KCP
        period, period_error, period_spread = _shrunk(raw, variance, (K - 1) * C * P)
        if name in by_region:
            region, region_error, cell, cell_error, spread = _regional(*by_region[name], name in COUNTS)
        else:
            region, cell = np.zeros((R, P)), np.zeros((K, R, P))
            region_error, cell_error, spread = region.copy(), cell.copy(), (0.0, 0.0)
        effects[name] = Effects(
            period,
            region,
            cell,
            period_error,
            region_error,
            cell_error,
            {"period": period_spread, "region": spread[0], "cell": spread[1]},
        )
    return Strata(periods, regions, effects)


def _regional(
    ratio_KRCP: Array, variance_KRCP: Array, counts: bool
) -> tuple[Array, Array, Array, Array, tuple[float, float]]:
    """Region effects (R, P) and period x region effects (K, R, P), ln, pooled over campaigns, each with its errors.

    Weighted by 1 / variance, the mean of ratios of counts is the ratio of their sums. `counts`: the quantity is one of
    counts, whose relative variance falls as they rise: what is explained so far changes it.
    """
    K, R, _, P = ratio_KRCP.shape
    weight = 1 / variance_KRCP
    # What a period does to all regions alike is not regional.
    mean = (weight * ratio_KRCP).sum(1, keepdims=True) / weight.sum(1, keepdims=True)
    mean = np.where(mean > 0, mean, 1.0)
    rest, weight = ratio_KRCP / mean, weight * (mean if counts else 1.0)
    ratio_RP = (weight * rest).sum((0, 2)) / weight.sum((0, 2))
    region, region_error, region_spread = _shrunk(ratio_RP, 1 / weight.sum((0, 2)), (R - 1) * P)
    ratio_RP = np.where(ratio_RP > 0, ratio_RP, 1.0)
    rest, weight = rest / ratio_RP[:, None], weight * (ratio_RP[:, None] if counts else 1.0)
    ratio_KRP = (weight * rest).sum(2) / weight.sum(2)
    cell, cell_error, cell_spread = _shrunk(ratio_KRP, 1 / weight.sum(2), (K - 1) * (R - 1) * P)
    return region, region_error, cell, cell_error, (region_spread, cell_spread)


def _shrunk(ratio: Array, variance: Array, freedom: int) -> tuple[Array, Array, float]:
    """Log effects from ratios shrunk towards 1 by empirical Bayes, their errors, and the true effects' deviation.

    `freedom`: degrees of freedom that centring left. With Q = sum((ratio - 1)^2 / variance),
    E[Q] = freedom + tau^2 sum(1 / variance) freedom / n.
    """
    nothing = np.zeros_like(ratio)
    informed = variance < INFORMED
    freedom_left = freedom * float(informed.mean())
    if freedom_left < 1:
        return nothing, nothing.copy(), 0.0
    weight = np.where(informed, 1 / variance, 0.0)
    q = float((weight * (ratio - 1) ** 2).sum())
    if chi2.sf(q, freedom_left) > LEVEL:
        return nothing, nothing.copy(), 0.0
    tau2 = (q - freedom_left) / (float(weight.sum()) * freedom / ratio.size)
    kept = 1 + (ratio - 1) * tau2 / (tau2 + variance)
    return np.log(kept), np.sqrt(tau2 * variance / (tau2 + variance)) / kept, float(np.sqrt(tau2))


def _rate(hits: Array, trials: Array) -> tuple[Array, Array]:
    """Ratio of a rate to its mean, per campaign and platform; Binomial variance at the mean."""
    axes = tuple(range(hits.ndim - 2))
    rate_CP = hits.sum(axes) / np.maximum(trials.sum(axes), 1e-9)
    expected = trials * rate_CP
    known = expected > 1 / NOTHING
    variance = np.clip(1 - rate_CP, 0.05, 1) / np.where(known, expected, 1 / NOTHING)
    return np.where(known, hits / np.where(known, expected, 1), 1.0), variance


def _mean(total: Array, count: Array, cv_CP: Array) -> tuple[Array, Array]:
    """Ratio of a mean to the mean over all strata, per campaign and platform."""
    axes = tuple(range(total.ndim - 2))
    overall_CP = total.sum(axes) / np.maximum(count.sum(axes), 1)
    known = (count > 0) & (overall_CP > 0)
    ratio = total / np.maximum(count, 1) / np.where(overall_CP > 0, overall_CP, 1)
    variance = np.maximum(cv_CP, 0.05) ** 2 / np.maximum(count, 1)
    return np.where(known, ratio, 1.0), np.where(known, variance, NOTHING)


def _price(multiplier: Array, error: Array) -> tuple[Array, Array]:
    """Ratio of the price multiplier to its mean, weighted by precision."""
    axes = tuple(range(multiplier.ndim - 2))
    variance = np.clip(error**2, 1e-12, NOTHING)
    return multiplier / ((multiplier / variance).sum(axes) / (1 / variance).sum(axes)), variance


def _volume(requests: Array, requests_variance: Array, usual: Array) -> tuple[Array, Array]:
    """Ratio of requests to the usual ones; both the estimate's error and the Poisson arrivals are sampling."""
    axes = tuple(range(requests.ndim - 2))
    usual = usual * requests.sum(axes) / np.maximum(usual.sum(axes), 1e-9)
    known = usual > 0
    ratio = np.where(known, requests / np.where(known, usual, 1), 1.0)
    variance = (requests_variance + usual) / np.where(known, usual, 1) ** 2
    return ratio, np.where(known, np.minimum(variance, NOTHING), NOTHING)


def periods(meta: Meta, cycles: int) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
    """Names of the periods of the first `cycles` cycles, and the period of each, (T,)."""
    if meta.cycle_hours == 24 and cycles >= 4 * WEEK:
        # What is left of a last week joins the week before.
        index = np.minimum(np.arange(cycles) // WEEK, cycles // WEEK - 1)
    else:
        index = np.arange(cycles) * min(PERIODS, cycles) // cycles
    width, start = pd.Timedelta(hours=meta.cycle_hours), pd.Timestamp(meta.start).tz_localize(None)
    form = "%Y-%m-%d" if meta.cycle_hours >= 24 else "%Y-%m-%dT%H"
    names = []
    for k in range(int(index.max()) + 1):
        own = np.flatnonzero(index == k)
        first, last = start + int(own[0]) * width, start + (int(own[-1]) + 1) * width - pd.Timedelta(seconds=1)
        names.append(f"{first.strftime(form)}/{last.strftime(form)}")
    return tuple(names), index.astype(np.int64)


__all__ = ["QUANTITIES", "Cubes", "Effects", "Strata", "by_period", "estimate", "periods"]
