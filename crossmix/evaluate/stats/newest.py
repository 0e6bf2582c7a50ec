"""Has something gone wrong lately: tests of the newest days alone, whose level holds at all days together.

An always-valid test of all days (`sequential`) weighs a bad week against every good day before it, and hardly moves.
Here the mean of the newest days is compared with 0 by a t-test that takes the days' deviation from the newest days and
from those before them, each around a mean of its own, so that a change between the two does not widen it. Windows of
three lengths are looked at after every day (`windows`). The level is spent over days and windows (`spent`), so that by
the union bound a false alarm is ever raised with at most that probability, however long it runs and whenever one looks.

Shapes: R experiments, T days.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from crossmix.evaluate.stats.sequential import AnalysisError, Lift, log_ratio

Array = NDArray[np.float64]
BLOCK, FIRST = 28, 0.75
"""So many days share the first three quarters of the level; twice as many three quarters of what is left, and so on."""
PARTS = (0.2, 0.6, 0.2)
"""What the short, the middle and the long window have of a day's level."""
FEWEST_DEGREES = 2
"""Of freedom, below which a deviation is not known."""


def windows(days: int) -> tuple[int, int, int]:
    """Lengths that are looked at: for what is plain after a few days, the one asked for, and for what is slow."""
    return (days // 2 + 1, days, 2 * days)


def spent(day: int) -> float:
    """Part of the level that the look after `day` (1, 2, ...) may use; over all days without end they sum to 1."""
    if day < 1:
        raise AnalysisError(f"day: {day}; the first is 1")
    part, size, last = FIRST, BLOCK, BLOCK
    while day > last:
        part, size = part * (1 - FIRST), size * 2
        last += size
    return part / size


def newest(treatment_T: ArrayLike, control_T: ArrayLike, window: int, level: float) -> Lift | None:
    """Lift of the newest `window` days, its interval and two-sided p; `None`: too few days to know a deviation.

    Args:
        treatment_T, control_T: a figure of each day (ROI, ROAS, ...), above 0, the newest last.
        level: two-sided, of this look alone.

    Raises:
        AnalysisError: unequal lengths, fewer than two days, a figure that is not above 0.
    """
    ratio_T = log_ratio(treatment_T, control_T)
    if len(ratio_T) < window:
        return None
    mean_R, error_R, degrees = _newest(ratio_T[None], window)
    if degrees < FEWEST_DEGREES:
        return None
    mean, error = float(mean_R[0]), float(error_R[0])
    reach = float(stats.t.isf(level / 2, degrees)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, degrees)) if error > 0 else float(mean == 0)
    return Lift(math.expm1(mean), math.expm1(mean - reach), math.expm1(min(mean + reach, 700.0)), p, window)


def alarmed_by_day(
    treatment_RT: ArrayLike, control_RT: ArrayLike, days: int, level: float, threshold: float = 0.0
) -> NDArray[np.bool_]:
    """Whether some window's whole interval has been below `threshold` by each day, (R, T), looked at every day.

    The same as asking `newest` after every day for each of `windows(days)`, with `look_level` of the level.

    Raises:
        AnalysisError: a figure that is not above 0, or arms of different shapes.
    """
    ratio_RT = log_ratio(treatment_RT, control_RT, dimensions=2)
    alarm_RT = np.zeros(ratio_RT.shape, np.bool_)
    edge = math.log1p(threshold)
    for day in range(2, ratio_RT.shape[1] + 1):
        for window, one_level in zip(windows(days), look_levels(day, level), strict=True):
            if day < window:
                continue
            mean_R, error_R, degrees = _newest(ratio_RT[:, :day], window)
            if degrees >= FEWEST_DEGREES:
                alarm_RT[:, day - 1] |= mean_R + stats.t.isf(one_level / 2, degrees) * error_R < edge
    return np.asarray(np.maximum.accumulate(alarm_RT, axis=1), np.bool_)


def look_levels(day: int, level: float) -> tuple[float, float, float]:
    """Two-sided levels of the looks at each of `windows` after `day`.

    `level` is that of a false alarm on one side, ever: only one end of an interval raises it.
    """
    short, middle, long = (2 * level * spent(day) * part for part in PARTS)
    return short, middle, long


def _newest(ratio_RT: Array, window: int) -> tuple[Array, Array, int]:
    """Mean of the newest days, its standard error, and the degrees of freedom of that."""
    late_RT, early_RT = ratio_RT[:, -window:], ratio_RT[:, :-window]
    squares_R, degrees = _squares(late_RT), window - 1
    if early_RT.shape[1] > 1:
        squares_R, degrees = squares_R + _squares(early_RT), degrees + early_RT.shape[1] - 1
    return late_RT.mean(1), np.sqrt(squares_R / max(degrees, 1) / window), degrees


def _squares(ratio_RT: Array) -> Array:
    return np.asarray(((ratio_RT - ratio_RT.mean(1, keepdims=True)) ** 2).sum(1), float)
