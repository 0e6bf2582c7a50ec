"""What each region of a log delivered in each period: the evidence behind regional strata (`strata.py`).

Shapes: T cycles, K periods, R regions, C campaigns, P platforms, n impressions.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from crossmix.config import Config
from crossmix.market.fit.estimators import stack
from crossmix.market.fit.log import Array, Log
from crossmix.market.fit.strata import Cubes
from crossmix.market.fit.supply import LEAST_WIN_RATE, Supply, estimate

UNKNOWN = "unknown"
"""Ingest writes it where a row has no region: such rows tell about periods, not about regions."""


def by_region(
    config: Config,
    log: Log,
    supplies: list[list[Supply]],
    period_T: npt.NDArray[np.int64],
    exposed: Array,
    keep: npt.NDArray[np.bool_],
) -> tuple[tuple[str, ...], Cubes | None]:
    """Regions that the log names, most impressions first, and their cubes (K, R, C, P); nothing if it names no two.

    Args:
        supplies: of every campaign and platform: their multipliers are taken out of the prices first.
        period_T: period of every training cycle.
        exposed: of every impression: what saturation leaves of its click probability, (n,).
        keep: impressions that may be fitted on, (n,); all in training cycles.
    """
    frame = log.frame[keep]
    counts = frame["region"].value_counts()
    names = tuple(str(name) for name in counts.index if name != UNKNOWN)
    if len(names) < 2:
        return (), None
    r = pd.Categorical(frame["region"], categories=names).codes.astype(np.int64)
    frame, exposed, r = frame[r >= 0], exposed[keep][r >= 0], r[r >= 0]
    k, c, p = period_T[frame["cycle"].to_numpy()], frame["c"].to_numpy(), frame["p"].to_numpy()
    shape = (int(period_T.max()) + 1, len(names), *log.shape[1:])
    index = np.ravel_multi_index((k, r, c, p), shape)

    def total(weight: Array | None) -> Array:
        return np.bincount(index, weight, int(np.prod(shape))).reshape(shape).astype(float)

    requests, variance, multiplier, error = (np.zeros(shape) for _ in range(4))
    groups = shape[0] * shape[1]
    multiplier_n = stack(supplies, "price_multiplier")[frame["cycle"].to_numpy(), c, p]
    price, bid = frame["price_paid"].to_numpy(float) / multiplier_n, frame["bid_price"].to_numpy(float) / multiplier_n
    for campaign in range(shape[2]):
        for platform in range(shape[3]):
            rows = (c == campaign) & (p == platform)
            group = (k * shape[1] + r)[rows]
            cap = bid[rows] if rows.any() and np.isfinite(bid[rows]).all() else None
            own = estimate(
                price[rows],
                cap,
                group,
                np.ones(int(rows.sum()), bool),
                groups,
                fit_cycles=groups,
                quantiles=config.market.quantiles,
                assumed_win_rate=config.market.assumed_win_rate,
                assumed_dispersion=config.market.assumed_bid_dispersion,
            )
            for cube, table in (
                (requests, own.requests),
                (variance, _requests_variance(own, cap, group)),
                (multiplier, own.price_multiplier),
                (error, own.price_multiplier_error),
            ):
                cube[:, :, campaign, platform] = table.reshape(shape[:2])
    size_R = requests.sum((0, 2, 3)) / max(float(requests.sum()), 1e-9)
    return names, Cubes(
        clicks=total(frame["clicked"].to_numpy(float)),
        exposed=total(exposed),
        conversions=total(frame["converted"].to_numpy(float)),
        revenue=total(frame["revenue"].to_numpy(float)),
        requests=requests,
        requests_variance=variance,
        usual=requests.sum(1, keepdims=True) * size_R[:, None, None],
        price_multiplier=multiplier,
        price_multiplier_error=error,
        design=_design(frame, exposed, r, price),
    )


def _requests_variance(supply: Supply, bid: Array | None, group: npt.NDArray[np.int64]) -> Array:
    """Sampling variance of the requests of each group, with what its price multiplier's error adds.

    A win counts 1 / F(bid / multiplier) requests: a multiplier that is off moves them all, by the slope found in a
    small step.
    """
    variance = supply.requests_error**2
    if bid is None:
        return np.asarray(variance)
    law, groups = np.linspace(0, 1, len(supply.knots)), len(supply.requests)

    def wins(factor: float) -> Array:
        won = np.interp(bid / (supply.price_multiplier[group] * factor), supply.knots, law)
        return np.asarray(np.bincount(group, 1 / np.maximum(won, LEAST_WIN_RATE), groups), float)

    step = 0.1
    known = np.isfinite(supply.price_multiplier_error) & (supply.requests > 0)
    slope = np.log(np.where(known, wins(np.exp(step)), 1) / np.where(known, wins(1.0), 1)) / step
    return np.asarray(variance + np.where(known, (slope * supply.price_multiplier_error * supply.requests) ** 2, 0.0))


def _design(frame: pd.DataFrame, exposed: Array, region: npt.NDArray[np.int64], price: Array) -> dict[str, float]:
    """Sampling variance over that of independent impressions: a region's users come with all their impressions.

    Of rates and means: the squared sum of residuals over each user's impressions on a platform, over the sum of
    squares. Of requests: how much more users differ in which platforms they are met on than chance would make them.
    Residuals are taken within regions: a true difference between regions is no scatter of their users.

    `price`: paid, at multiplier 1.
    """
    platforms = 1 + int(frame["p"].max())
    p = frame["p"].to_numpy()
    user = pd.factorize(frame["user_id"])[0].astype(np.int64)
    cluster = user * platforms + p
    cell = (frame["c"].to_numpy() * platforms + p) * (1 + int(region.max())) + region
    clicked, converted = frame["clicked"].to_numpy(float), frame["converted"].to_numpy(float)
    one = np.ones(len(frame))

    def scatter(hits: Array, trials: Array) -> float:
        rate = np.bincount(cell, hits) / np.maximum(np.bincount(cell, trials), 1e-12)
        residual = hits - trials * rate[cell]
        return float((np.bincount(cluster, residual) ** 2).sum() / max(float((residual**2).sum()), 1e-12))

    met_UP = np.bincount(cluster, minlength=platforms * (1 + int(user.max()))).reshape(-1, platforms)
    home_U = np.zeros(len(met_UP), np.int64)
    home_U[user] = region
    share_RP = np.zeros((1 + int(region.max()), platforms))
    np.add.at(share_RP, home_U, met_UP)
    share_RP /= np.maximum(share_RP.sum(1, keepdims=True), 1)
    usual_UP = met_UP.sum(1, keepdims=True) * share_RP[home_U]
    chance = float((usual_UP * (1 - share_RP[home_U])).sum())
    table = {
        "requests": float(((met_UP - usual_UP) ** 2).sum()) / max(chance, 1e-12),
        "level": scatter(np.log(np.maximum(price, 1e-12)), one),
        "ctr": scatter(clicked, exposed),
        "cvr": scatter(converted, clicked),
        "value": scatter(frame["revenue"].to_numpy(float), converted),
    }
    return {name: max(1.0, value) for name, value in table.items()}


__all__ = ["UNKNOWN", "by_region"]
