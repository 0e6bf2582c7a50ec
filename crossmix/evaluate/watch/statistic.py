"""When do residuals alarm? Sums over an advertiser's campaigns, the largest of a cycle, CUSUM, one budget of alerts.

Per platform and quantity z = sum(observed - expected) / sqrt(sum(variance)) over the campaigns that told something; NaN
where none did. Where cycles are shorter than a day, the same over the trailing day stands beside the cycle's own.

| rule    | alarms where                                                  | of                                 |
|---------|---------------------------------------------------------------|------------------------------------|
| largest | abs(z) / scale > `largest`                                    | all quantities, cycle and day      |
| cusum   | S = max(0, S + z - k) > `cusum`, the same of -z               | conversion rate and value, a cycle |

`scale` is what a quiet market's z of this sign has for its 99th percentile, over the normal law's: counts of few have
long tails upwards. Where cycles are shorter than a day it is of what lies further out too. A cell that alarms rests for
a cooldown and its sums begin anew, so that what lasts is told once.

Shapes: T cycles, F flights of an advertiser (1 when served), C campaigns, P platforms, Q quantities, W windows, 2 signs
(up, down), K quantities with a CUSUM, R cycles of the longest window but one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crossmix.feedback import Array, Whole
from crossmix.market.level_evidence import QUANTITIES
from crossmix.market.levels import Residuals

Flags = NDArray[np.bool_]

SUMMED_UP = ("cvr", "value")
"""What has a CUSUM: their moves hide in counting noise, those of the others show in a cycle or two."""
_K = [QUANTITIES.index(name) for name in SUMMED_UP]


class Sums(NamedTuple):
    """An advertiser's residuals, each (T, F, P, Q); 0 where nothing was told."""

    observed: Array
    expected: Array
    variance: Array

    def z(self) -> Array:
        """(observed - expected) / standard deviation; NaN where nothing was told."""
        return _z(self.observed - self.expected, self.variance)


def sums(residuals: Residuals, flights: int = 1) -> Sums:
    """Over each flight's campaigns, which stand on end."""
    parts = []
    told = np.isfinite(residuals.observed_TCPQ) & np.isfinite(residuals.expected_TCPQ)
    for table in (residuals.observed_TCPQ, residuals.expected_TCPQ, residuals.variance_TCPQ):
        cycles, rows, *cells = table.shape
        parts.append(np.where(told, table, 0.0).reshape(cycles, flights, rows // flights, *cells).sum(2))
    return Sums(*parts)


@dataclass(frozen=True, slots=True, eq=False)
class Thresholds:
    """From when on a residual alarms, in one market."""

    largest: float
    """Of abs(z) / scale."""
    cusum: float
    """Of the CUSUM, standard deviations."""
    reference: float
    """k, standard deviations a cycle."""
    cooldown: int
    """Cycles in which a cell that alarmed rests."""
    windows: tuple[int, ...]
    """Cycles over which z is taken, the first 1."""
    scale_2WPQ: Array

    @property
    def before(self) -> int:
        """Cycles that a look needs from before it."""
        return max(self.windows) - 1


class Track(NamedTuple):
    """What a look goes on from."""

    cusum_2FPK: Array
    since_2FPK: Whole
    """Cycles since the CUSUM was 0."""
    rest_FPQ: Whole
    """Cycles of its cooldown that are left."""
    difference_RFPQ: Array
    """Of the cycles before, oldest first."""
    variance_RFPQ: Array

    @classmethod
    def begin(cls, thresholds: Thresholds, flights: int, platforms: int) -> Track:
        cells = (flights, platforms)
        return cls(
            np.zeros((2, *cells, len(_K))),
            np.zeros((2, *cells, len(_K)), np.int64),
            np.zeros((*cells, len(QUANTITIES)), np.int64),
            np.zeros((thresholds.before, *cells, len(QUANTITIES))),
            np.zeros((thresholds.before, *cells, len(QUANTITIES))),
        )


class Looked(NamedTuple):
    """What every cycle shows, each (T, F, P, Q) where nothing else is said."""

    z_WTFPQ: Array
    score: Array
    """Largest abs(z) / scale of the windows; NaN where nothing was told."""
    window: Whole
    """Which of the windows it is of."""
    cusum_TFPK: Array
    """The larger of both signs, with its sign."""
    since_TFPK: Whole
    """Cycles that it took, 0: it is 0."""
    by_largest: Flags
    by_cusum: Flags
    resting: Flags
    """In its cooldown."""

    @property
    def alarms(self) -> Flags:
        return self.by_largest | self.by_cusum


def windows(days: float) -> tuple[int, ...]:
    """Cycles of `days` over which z is taken: one, and those of a day where they are more."""
    day = round(1 / days)
    return (1, day) if day > 1 else (1,)


def windowed(told: Sums, wide: tuple[int, ...], track: Track | None = None) -> Array:
    """z over the windows that end with each cycle, (W, T, F, P, Q)."""
    difference, variance = told.observed - told.expected, told.variance
    before = 0 if track is None else len(track.difference_RFPQ)
    if track is not None and before:
        difference = np.concatenate([track.difference_RFPQ, difference])
        variance = np.concatenate([track.variance_RFPQ, variance])
    return np.stack([_z(_trailing(difference, one)[before:], _trailing(variance, one)[before:]) for one in wide])


def scores(z_WTFPQ: Array, scale_2WPQ: Array) -> Array:
    """abs(z) / scale of its sign."""
    up, down = (scale[:, None, None] for scale in scale_2WPQ)
    return np.asarray(np.where(z_WTFPQ >= 0, z_WTFPQ / up, -z_WTFPQ / down))


def look(told: Sums, thresholds: Thresholds, track: Track) -> tuple[Looked, Track]:
    """Look at finished cycles, oldest first; the answer's track goes on after the last."""
    z_WTFPQ = windowed(told, thresholds.windows, track)
    every_WTFPQ = scores(z_WTFPQ, thresholds.scale_2WPQ)
    known_WTFPQ = np.nan_to_num(every_WTFPQ, nan=-1.0)
    window, score = known_WTFPQ.argmax(0), known_WTFPQ.max(0)
    score = np.where(score >= 0, score, np.nan)
    steps = z_WTFPQ[0][..., _K]
    cusum, since, rest = track.cusum_2FPK.copy(), track.since_2FPK.copy(), track.rest_FPQ.copy()
    parts: list[tuple[NDArray[Any], ...]] = []
    for t in range(len(steps)):
        moved = np.stack([steps[t], -steps[t]]) - thresholds.reference
        moved = np.where(np.isnan(moved), 0.0, moved)
        resting = rest > 0
        cusum = np.where(resting[None][..., _K], 0.0, np.maximum(cusum + moved, 0.0))
        since = np.where(cusum > 0, since + 1, 0)
        up = cusum[0] >= cusum[1]
        shown, how_long = np.where(up, cusum[0], -cusum[1]), np.where(up, since[0], since[1])
        largest = (score[t] > thresholds.largest) & ~resting
        summed = np.zeros_like(largest)
        summed[..., _K] = np.abs(shown) > thresholds.cusum
        alarms = largest | summed
        parts.append((shown, how_long, largest, summed, resting))
        rest = np.where(alarms, thresholds.cooldown, np.maximum(rest - 1, 0))
        cusum = np.where(alarms[None][..., _K], 0.0, cusum)
        since = np.where(cusum > 0, since, 0)
    if parts:
        sequence = [np.stack(each) for each in zip(*parts, strict=True)]
    else:
        sequence = [np.zeros(shape, kind) for shape, kind in _empty(score.shape)]
    difference = np.concatenate([track.difference_RFPQ, told.observed - told.expected])
    variance = np.concatenate([track.variance_RFPQ, told.variance])
    first = len(difference) - thresholds.before
    after = Track(cusum, since, rest, difference[first:], variance[first:])
    return Looked(z_WTFPQ, score, window, *sequence), after


def _empty(shape: tuple[int, ...]) -> list[tuple[tuple[int, ...], type]]:
    summed = (*shape[:-1], len(_K))
    return [(summed, float), (summed, int), (shape, bool), (shape, bool), (shape, bool)]


def _trailing(table: Array, width: int) -> Array:
    """Sums of the last `width` cycles, oldest first: the same bits whichever cycles are before them."""
    padded = np.concatenate([np.zeros((width - 1, *table.shape[1:])), table])
    total = padded[: len(table)].copy()
    for later in range(1, width):
        total += padded[later : later + len(table)]
    return total


def _z(difference: Array, variance: Array) -> Array:
    return np.where(variance > 0, difference / np.sqrt(np.where(variance > 0, variance, 1.0)), np.nan)


def reference(per_day: float, days: float) -> float:
    """k of a cycle of `days`: an error that is `per_day` deviations of a day's sum is as many of a cycle's, times the
    root of its length."""
    return per_day * math.sqrt(days)
