"""Thresholds from quiet flights: the market as fitted is played, and what its residuals do by themselves is counted.

Of a history that was fitted as totals each flight is in a market of its own, drawn by the fit's errors, and is expected
as fitted: how far rates drift, and for how long, is what such a fit knows least, and its residuals are wider by that.

A false alert is a cycle in which some cell alarms that does not rest. Both rules have the same rate alone; of all such
pairs of thresholds the one is taken that has the budget's alerts together.

Shapes: as `crossmix.evaluate.watch.statistic`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from statistics import NormalDist

import numpy as np
import torch

from crossmix.config import Config
from crossmix.evaluate.play import Act
from crossmix.evaluate.watch.flights import both
from crossmix.evaluate.watch.statistic import Sums, Thresholds, Track, look, reference, sums, windowed, windows
from crossmix.feedback import Array
from crossmix.market.level_evidence import Usual
from crossmix.market.levels import walk
from crossmix.market.model import Market

MONTH = 30.0
"""Days of the budget."""
TAIL = 0.99
"""Quantile at which the scale of z is taken."""
LEAST = 0.5
"""A scale is at least this."""
OWN = 1_000
"""Values of a platform from which on it has a scale of its own."""
RARE = 0.95
"""Quantile of a week's largest z by which the tails of short cycles are made alike: further out are too few."""
STEPS = 14
"""Halvings of a threshold's bracket."""
HIGHEST = 60.0
"""Thresholds are looked for up to here."""


@dataclass(frozen=True, slots=True, eq=False)
class Calibrated:
    """Thresholds, and what they do on the flights that they were found on."""

    thresholds: Thresholds
    achieved: float
    """False alerts per 30 days; at most the budget."""
    alerts: int
    days: float
    """Simulated, of all flights."""
    z_IPQ: Array
    """Quiet z of single cycles, some of them: what is usual, for pictures and drift tables."""


def calibrate(config: Config, market: Market, act: Act) -> Calibrated:
    """Play quiet flights of all campaigns and find the thresholds.

    Args:
        market: in which the policy was planned; it is played and expected alike.
        act: the policy's; the static split has its part beside it (`thresholds.weight`).
    """
    settings = config.thresholds
    cycles = max(round(settings.days * 24 / market.cycle_hours), 2)
    feedback = both(
        config,
        market,
        act,
        flights=settings.flights,
        cycles=cycles,
        seed=settings.seed,
        uncertain=market.of_totals,
    )
    rows = torch.arange(settings.flights * len(market.campaigns)) % len(market.campaigns)
    told = sums(walk(Usual.of(market, rows), config.levels, feedback).residuals, settings.flights)
    return found(config, told, market.cycle_hours / 24)


def found(config: Config, told: Sums, days: float) -> Calibrated:
    """The thresholds of these quiet residuals, of cycles of `days`."""
    settings, wide = config.thresholds, windows(days)
    z_WTFPQ = windowed(told, wide)
    week = max(round(7 / days), 1)
    blank = Thresholds(
        largest=HIGHEST,
        cusum=HIGHEST,
        reference=reference(settings.reference, days),
        cooldown=max(round(settings.cooldown / days), 1),
        windows=wide,
        scale_2WPQ=scaled(z_WTFPQ, week),
    )
    simulated = told.observed.shape[0] * told.observed.shape[1] * days
    halves = _crossed(told, z_WTFPQ, week)

    def alerts(thresholds: Thresholds) -> int:
        return sum(_alerts(half, replace(thresholds, scale_2WPQ=other)) for half, other in halves)

    def rate(largest: float, cusum: float) -> float:
        return float(alerts(replace(blank, largest=largest, cusum=cusum)) / simulated * MONTH)

    def lowest(rate_at: Callable[[float], float], wanted: float) -> float:
        """The lowest threshold of one rule at which it alone has no more than the wanted rate."""
        low, high = 1.0, HIGHEST
        for _ in range(STEPS):
            middle = (low + high) / 2
            low, high = (low, middle) if rate_at(middle) <= wanted else (middle, high)
        return high

    low, high, best = 0.0, settings.budget, blank
    for _ in range(6):
        middle = (low + high) / 2
        largest = lowest(lambda at: rate(at, HIGHEST), middle)
        cusum = lowest(lambda at: rate(HIGHEST, at), middle)
        if rate(largest, cusum) <= settings.budget:
            low, best = middle, replace(blank, largest=largest, cusum=cusum)
        else:
            high = middle
    counted = alerts(best)
    kept = z_WTFPQ[0].reshape(-1, *z_WTFPQ.shape[3:])
    return Calibrated(best, counted / simulated * MONTH, counted, simulated, kept[:: max(len(kept) // 500, 1)][:500])


def _crossed(told: Sums, z_WTFPQ: Array, week: int) -> list[tuple[Sums, Array]]:
    """Each half of the flights with the scale of the other: a scale alarms less on the flights that it was taken from,
    by an eighth in the demo's market. Of one flight there are no halves."""
    flights = told.observed.shape[1]
    if flights < 2:
        return [(told, scaled(z_WTFPQ, week))]
    first, second = slice(0, flights // 2), slice(flights // 2, flights)
    return [
        (Sums(*(table[:, own] for table in told)), scaled(z_WTFPQ[:, :, other], week))
        for own, other in ((first, second), (second, first))
    ]


def scaled(z_WTFPQ: Array, week: int) -> Array:
    """`scale`; where there are several windows their tails are made alike too, (2, W, P, Q).

    Short cycles alarm far beyond the 99th percentile, where counts of few go on and others have ended: the longest tail
    would set the threshold of all. So each sign, window and quantity is measured by the largest that z / scale is in a
    week on any platform: by its `RARE` quantile, over that of as many independent normal z.

    Args:
        week: its cycles.
    """
    scale_2WPQ = scale(z_WTFPQ)
    windows_, cycles, flights, platforms, quantities = z_WTFPQ.shape
    if windows_ == 1:
        return scale_2WPQ
    week = min(week, cycles)
    weeks = cycles // week
    normal = NormalDist().inv_cdf(RARE ** (1 / (platforms * week)))
    for (s, sign), w, q in product(enumerate((1, -1)), range(windows_), range(quantities)):
        score = sign * z_WTFPQ[w, : weeks * week, ..., q] / scale_2WPQ[s, w, :, q]
        if np.isfinite(score).any():
            largest = np.nan_to_num(score).reshape(weeks, week, flights, platforms).max((1, 3))
            scale_2WPQ[s, w, :, q] *= np.quantile(largest, RARE) / normal
    return np.maximum(scale_2WPQ, LEAST)


def scale(z_WTFPQ: Array) -> Array:
    """What z has for its upper and lower 99th percentile, over the normal law's, (2, W, P, Q); at least a half.

    Of each platform where it told enough, else of all of them.
    """
    normal = NormalDist().inv_cdf(TAIL)
    windows_, _, _, platforms, quantities = z_WTFPQ.shape
    result = np.ones((2, windows_, platforms, quantities))
    for s, sign in enumerate((1, -1)):
        for w, q in np.ndindex(windows_, quantities):
            each = [_known(sign * z_WTFPQ[w, :, :, p, q]) for p in range(platforms)]
            every = np.concatenate(each)
            for p, some in enumerate(each):
                of = some if len(some) >= OWN else every
                result[s, w, p, q] = max(np.quantile(of, TAIL) / normal, LEAST) if len(of) else 1.0
    return result


def _known(values: Array) -> Array:
    return np.asarray(values[np.isfinite(values)])


def _alerts(told: Sums, thresholds: Thresholds) -> int:
    track = Track.begin(thresholds, told.observed.shape[1], told.observed.shape[2])
    looked, _ = look(told, thresholds, track)
    return int(looked.alarms.any((2, 3)).sum())
