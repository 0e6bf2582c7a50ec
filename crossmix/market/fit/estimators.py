"""Estimators behind the fit: rates, values, saturation and drift from a log's counts, each with its error.

Shapes: T cycles, C campaigns, P platforms.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from crossmix.drift import autocovariance, filtered, smoothed
from crossmix.market.fit.blocks import Of, Rows, blocks
from crossmix.market.fit.log import Array, Log
from crossmix.market.fit.supply import Supply

# Prior on kappa where the log says little about it.
SATURATION_PRIOR_SD = 0.5


def stack(supplies: list[list[Supply]], name: str) -> Array:
    """An attribute of every cell over time, (T, C, P)."""
    return np.stack([[getattr(cell, name) for cell in row] for row in supplies]).transpose(2, 0, 1)


def ranks(log: Log) -> npt.NDArray[np.int32]:
    """k of every impression: how many of its campaign, platform and cycle came before it, (n,)."""
    cycle, c, p = (log.column(name) for name in ("cycle", "c", "p"))
    rank_N = np.empty(len(cycle), np.int32)
    before = np.zeros(int(np.prod(log.shape)), np.int64)
    for rows in blocks(len(cycle)):
        cell = np.asarray(np.ravel_multi_index((cycle[rows], c[rows], p[rows]), log.shape))
        order = np.argsort(cell, kind="stable")
        own = cell[order]
        first = np.flatnonzero(np.concatenate([[True], own[1:] != own[:-1]]))
        count = np.diff(np.append(first, len(own)))
        rank_N[rows][order] = np.arange(len(own)) - np.repeat(first, count) + before[own]
        before[own[first]] += count
    return rank_N


def rank_fraction(log: Log, supplies: list[list[Supply]]) -> Of:
    """k / N of impressions: their place among the wins of their cycle, over the cycle's requests."""
    cycle, c, p = (log.column(name) for name in ("cycle", "c", "p"))
    rank_N, requests = ranks(log), np.maximum(stack(supplies, "requests"), 1)

    def of(rows: Rows) -> Array:
        return np.asarray(rank_N[rows] / requests[cycle[rows], c[rows], p[rows]])

    return of


def exposure(log: Log, used: Of, saturation_CP: Array) -> Of:
    """exp(-kappa k / N) of impressions: what saturation leaves of their click probability.

    `used`: k / N, see `rank_fraction`.
    """
    c, p = log.column("c"), log.column("p")

    def of(rows: Rows) -> Array:
        return np.asarray(np.exp(-saturation_CP[c[rows], p[rows]] * used(rows)))

    return of


def saturation(log: Log, used: Of, keep: npt.NDArray[np.bool_], prior: float) -> tuple[Array, Array]:
    """kappa per platform, pooled over campaigns: conditional likelihood of which impressions of a cycle were clicked.

    With g a campaign x cycle, clicks at ranks x_i, the profile log-likelihood is
    -kappa sum_clicks x - sum_g C_g ln sum_{i in g} exp(-kappa x_i): free of the cycle's click rate. A normal prior
    around `prior` speaks where the log does not.
    """
    platform, campaign, cycle = (log.column(name) for name in ("p", "c", "cycle"))
    kappa, error = np.zeros(log.shape[2]), np.zeros(log.shape[2])
    for p in range(log.shape[2]):
        rows = np.flatnonzero(keep & (platform == p))
        x, group = used(rows), campaign[rows].astype(np.int64) * log.shape[0] + cycle[rows]
        clicked = log.column("clicked")[rows].astype(float)
        del rows
        clicks_g = np.bincount(group, clicked, minlength=1)
        clicked_ranks = (clicked * x).sum()
        estimate, information = prior, 0.0
        for _ in range(20):
            weight = np.exp(-estimate * x)
            s0 = np.maximum(np.bincount(group, weight), 1e-12)
            s1 = np.bincount(group, weight * x) / s0
            s2 = np.bincount(group, weight * x * x) / s0
            score = -clicked_ranks + (clicks_g * s1).sum() - (estimate - prior) / SATURATION_PRIOR_SD**2
            information = (clicks_g * (s2 - s1**2)).sum() + 1 / SATURATION_PRIOR_SD**2
            move = float(np.clip(score / information, -1, 1))
            estimate = max(estimate + move, 0.0)
            if abs(move) < 1e-6:
                break
        kappa[p], error[p] = estimate, information**-0.5
    shape = log.shape[1:]
    return np.broadcast_to(kappa, shape).copy(), np.broadcast_to(error, shape).copy()


def rate(hits_CP: Array, trials_CP: Array) -> tuple[Array, Array]:
    """Rates shrunk towards the mean of all cells by a beta prior, whose strength the cells' spread sets (moments)."""
    raw = hits_CP / np.maximum(trials_CP, 1e-9)
    mean = hits_CP.sum() / max(trials_CP.sum(), 1e-9)
    noise = mean * (1 - mean) / np.maximum(trials_CP, 1)
    # Weighted by trials: a cell that was hardly tried tells little about how much cells differ.
    spread = max(float(np.average((raw - mean) ** 2 - noise, weights=np.maximum(trials_CP, 1e-9))), 1e-8)
    strength = float(np.clip(mean * (1 - mean) / spread - 1, 2, 1e4))
    rate = (hits_CP + strength * mean) / (trials_CP + strength)
    return rate, np.sqrt(rate * (1 - np.minimum(rate, 1)) / (trials_CP + strength))


def value(log: Log, keep: npt.NDArray[np.bool_]) -> tuple[Array, Array, Array]:
    """`values` of the conversions in a log of impressions."""
    shape = log.shape[1:]
    index = np.ravel_multi_index((log.column("c")[keep], log.column("p")[keep]), shape)
    size, revenue = int(np.prod(shape)), log.column("revenue")[keep].astype(float)
    n, total, square = (np.bincount(index, revenue**power, size).astype(float) for power in (0, 1, 2))
    return values(n.reshape(shape), total.reshape(shape), square.reshape(shape))


def value_of_totals(conversions_TCP: Array, revenue_TCP: Array) -> tuple[Array, Array, Array]:
    """`values` where only a cycle's sums are known.

    With m the mean value and n the conversions of a cycle, its revenue varies around m n by m^2 cv^2 n: so much tells
    the spread of single values. It is pooled over all cells, as short series tell little.
    """
    n, total = conversions_TCP.sum(0), revenue_TCP.sum(0)
    mean = total / np.maximum(n, 1e-9)
    counted = (conversions_TCP > 0) & (n > 1)
    surprise = (revenue_TCP - mean * conversions_TCP) ** 2 / np.maximum(mean**2 * conversions_TCP, 1e-12)
    # One mean per cell was fitted to its cycles.
    freedom = max(int(counted.sum() - counted.any(0).sum()), 1)
    cv2 = float(surprise[counted].sum() / freedom)
    return values(n, total, n * mean**2 * (1 + cv2))


def values(n_CP: Array, total_CP: Array, square_CP: Array) -> tuple[Array, Array, Array]:
    """Mean value of a conversion, its error and coefficient of variation; means shrunk by their precision.

    Args: number, sum and sum of squares of the single values.
    """
    n, total, square = n_CP, total_CP, square_CP
    overall = float(total.sum() / n.sum()) if n.sum() > 0 else 0.0
    spread = max(float(square.sum() / n.sum()) - overall**2, 0.0) if n.sum() > 0 else 0.0
    overall_cv = spread**0.5 / overall if overall > 0 else 0.0
    mean = np.where(n > 0, total / np.maximum(n, 1), overall)
    within = np.maximum(square / np.maximum(n, 1) - mean**2, 0)
    cv = np.where(n >= 10, np.sqrt(within) / np.maximum(mean, 1e-12), overall_cv)
    noise = (cv * mean) ** 2 / np.maximum(n, 1)
    between = max(float(np.average((mean - overall) ** 2 - noise, weights=np.maximum(n, 1e-9))), (0.05 * overall) ** 2)
    trust = np.where(n > 0, between / (between + noise), 0.0)
    value = trust * mean + (1 - trust) * overall
    error = np.sqrt(np.where(n > 0, between * noise / np.maximum(between + noise, 1e-12), between))
    return value, error, cv


def log_rate(hits_TCP: Array, trials_TCP: Array) -> Array:
    """ln of a smoothed rate; NaN where a cycle says nothing."""
    base = hits_TCP.sum(0) / np.maximum(trials_TCP.sum(0), 1e-9)
    smooth = (hits_TCP + 0.5) / (trials_TCP + 0.5 / np.maximum(base, 1e-9))
    return np.where(trials_TCP * base >= 1, np.log(np.maximum(smooth, 1e-12)), np.nan)


def drift(y_TCP: Array, noise_TCP: Array, known: float | Array) -> tuple[Array, Array]:
    """AR(1) deviation and persistence from cycle-to-cycle values with known sampling variance.

    From the variogram, which no unknown mean biases: E[(y_{t+k} - y_t)^2] / 2 = sigma^2 (1 - rho^k) + noise. The
    persistence is pooled over all cells; each cell's variance is shrunk halfway towards the pooled one, since a
    single short series tells little. `known`: variance that contexts explain already.
    """
    cells = y_TCP.shape[1:]
    lags = np.arange(1, len(y_TCP) // 2 + 1)
    if not len(lags):
        return np.zeros(cells), np.zeros(cells)
    rise, weight = [], []
    for lag in lags:
        step = y_TCP[lag:] - y_TCP[:-lag]
        usable = np.isfinite(step)
        count = usable.sum(0)
        noise = np.where(usable, 0.5 * (noise_TCP[lag:] + noise_TCP[:-lag]), 0.0).sum(0)
        total = 0.5 * np.where(usable, step**2, 0.0).sum(0) - noise
        rise.append(total / np.maximum(count, 1) - known)
        weight.append(count)
    rise_KCP, weight_KCP = np.stack(rise), np.stack(weight).astype(float)
    if weight_KCP.sum() == 0:
        return np.zeros(cells), np.zeros(cells)
    pooled_K = (rise_KCP * weight_KCP).sum((1, 2)) / np.maximum(weight_KCP.sum((1, 2)), 1)
    weight_K = weight_KCP.sum((1, 2))
    best = (np.inf, 0.0, 0.0)
    for rho in np.linspace(0, 0.98, 50):
        shape_K = _rise(rho, lags)
        variance = max(float((weight_K * pooled_K * shape_K).sum() / (weight_K * shape_K**2).sum()), 0.0)
        misfit = float((weight_K * (pooled_K - variance * shape_K) ** 2).sum())
        best = min(best, (misfit, float(rho), variance))
    _, rho, pooled = best
    shape_K11 = _rise(rho, lags)[:, None, None]
    own = (weight_KCP * rise_KCP * shape_K11).sum(0) / np.maximum((weight_KCP * shape_K11**2).sum(0), 1e-12)
    own = np.where(weight_KCP.sum(0) > 0, np.maximum(own, 0.0), pooled)
    return np.sqrt(0.5 * own + 0.5 * pooled), np.full(cells, rho if pooled > 1e-6 else 0.0)


def _rise(rho: float, lag_K: npt.NDArray[np.int64]) -> Array:
    """The variogram of a drift of variance 1: what its autocovariance falls by, (K,)."""
    return 1 - autocovariance(np.asarray(rho), np.asarray(1.0), lag_K.astype(float))


def path(hits_TCP: Array, trials_TCP: Array, rate_CP: Array, deviation_CP: Array, rho_CP: Array) -> Array:
    """Multiplier of the rate in each cycle: Kalman-smoothed AR(1) log-drift, scaled so that all hits are explained."""
    y = log_rate(hits_TCP, trials_TCP) - np.log(np.maximum(rate_CP, 1e-12))
    rho = torch.from_numpy(rho_CP)
    steps = filtered(
        torch.from_numpy(np.nan_to_num(y)),
        torch.from_numpy(1 / np.maximum(hits_TCP, 0.5)),
        torch.from_numpy(np.isfinite(y)),
        rho,
        torch.from_numpy(np.maximum(deviation_CP**2, 1e-10)),
    )
    multiplier = np.asarray(np.exp(smoothed(steps, rho).numpy()))
    explained = (multiplier * trials_TCP * rate_CP).sum(0)
    return multiplier * np.where(explained > 0, hits_TCP.sum(0) / np.maximum(explained, 1e-9), 1.0)


def persistence_se(rho: Array, times: int) -> Array:
    return np.asarray(np.sqrt(np.maximum(1 - rho**2, 0) / max(times, 1)))
