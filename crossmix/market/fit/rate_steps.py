"""Figures of one platform that moved at once, some weeks ago, and stayed: an attribution window that was shortened,
tracking that broke, an audience that ended.

A series' rate, counts over exposures, after a day is compared with the rate before it, at every day of the history:

    e_s = ln (counts of s .. s + w) - ln (exposures of s .. s + w  x  rate of s - 2 w .. s) - b d_s

with d_s, the change of ln spend, and b what rates do with it (a budget that moved moves prices and rates). That is
asked of the platform and of the platform less the median of the others: what all do alike is no step of one. A step is
found where both lie beyond everything that the series did before (`BEYOND`), beyond counting (`COUNTED`), and where
every half window since lies on the far side of the half way. So drifts and habits of an account set what it takes, and
a history that is too short to have any says nothing.

Shapes: T cycles, C campaigns, P platforms, S days at which a step is asked for.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

AGO = 4.3
"""Windows before the end within which steps are asked for; older ones are history that a fit follows."""
BEFORE, EARLIER = 3, 2
"""Windows that tell the rate before, and least number of windows' days that tell what is usual."""
LEAST = 0.3
"""|ln| of a step that is worth telling."""
BEYOND, USUAL, COUNTED = 1.5, 4.5, 4.0
"""Over the largest of what was before, over its mean square's root, over the deviation of counting."""
BESIDE, BESIDE_USUAL = 1.0, 2.5
"""The first two of the platform less the others, which move too."""
OF_SPEND = 0.7
"""Most that a rate moves by with ln spend."""
STAYED = 0.5
"""Part of the step that every half window since keeps, and of that part, what it keeps beside the others."""
FEW = 10.0
"""Expected counts below which half a window tells nothing."""
RATES = {
    "impressions": ("impressions", "spend", "clicks"),
    "clicks": ("clicks", "impressions", "clicks"),
    "conversions": ("conversions", "clicks", "conversions"),
    "value": ("revenue", "conversions", "conversions"),
}
"""Of each rate what is counted, beside what, and the events by which it strays."""


class Step(NamedTuple):
    """Of one platform's rate."""

    platform: int
    at: int
    """First cycle after it."""
    size: float
    """ln of the rate since over that of before."""


def found(count_TCP: Array, exposure_TCP: Array, spend_TCP: Array, events_TCP: Array, window: int) -> list[Step]:
    """Steps of the last `AGO` windows, at most one of each platform.

    Args:
        count_TCP, exposure_TCP: whose ratio is asked about.
        spend_TCP: money.
        events_TCP: independent ones that the count is of, by which it strays.
        window: cycles, those of two weeks.
    """
    times = len(count_TCP)
    at_S = np.arange(BEFORE * window, times - window + 1)
    if len(at_S) < (EARLIER + 1) * window:
        return []
    tables = (count_TCP, exposure_TCP, spend_TCP, events_TCP)
    sums = [np.concatenate([np.zeros((1, *one.shape[1:])), one.cumsum(0)]) for one in map(np.nan_to_num, tables)]
    since = [one[at_S + window] - one[at_S] for one in sums]
    off_SP, spent_SP, noise_SP = _off(sums, since, at_S, window, window)
    gain_P = _of_spend(off_SP, spent_SP, at_S <= times - AGO * window - window)
    own_SP = off_SP - gain_P * spent_SP
    found = []
    for platform in range(own_SP.shape[1]):
        others = np.delete(np.arange(own_SP.shape[1]), platform)
        beside_S = own_SP[:, platform] - _median(own_SP[:, others])
        best = _clearest(own_SP[:, platform], beside_S, spent_SP[:, platform], noise_SP[:, platform], at_S, window)
        if best is None:
            continue
        at = _likeliest(sums, int(at_S[best]), window, platform)
        size = _stayed(sums, at, window, gain_P, platform, float(own_SP[best, platform]))
        if size is not None:
            found.append(Step(platform, at, size))
    return found


def _clearest(
    own_S: Array, beside_S: Array, spent_S: Array, noise_S: Array, at_S: npt.NDArray[np.int64], window: int
) -> int | None:
    """The place of the largest step of late, if it is clear; `beside_S` is what others do not share of `own_S`."""
    times = int(at_S[-1]) + window
    strength_S = np.where(at_S >= times - round(AGO * window), np.minimum(np.abs(own_S), np.abs(beside_S)), np.nan)
    if np.isnan(strength_S).all():
        return None
    best = int(np.nanargmax(strength_S))
    before_S = (at_S <= at_S[best] - window) & np.isfinite(own_S)
    if before_S.sum() < EARLIER * window:
        return None
    sign, least = np.sign(own_S[best]), max(LEAST, COUNTED * noise_S[best], OF_SPEND * abs(spent_S[best]))
    asked = ((own_S, least, BEYOND, USUAL), (beside_S, max(LEAST, STAYED * least), BESIDE, BESIDE_USUAL))
    clear = all(
        sign * one_S[best] >= max(above, most * np.abs(one_S[before_S]).max(), usual * _size(one_S[before_S]))
        for one_S, above, most, usual in asked
    )
    return best if clear else None


def _size(off_S: Array) -> float:
    return float(np.sqrt((off_S**2).mean()))


def _off(sums: list[Array], since: list[Array], at_S: npt.NDArray[np.int64], window: int, length: int) -> list[Array]:
    """ln of counts since over what the rate before has expected, that of money, and counting's deviation, (S, P)."""
    before = [one[at_S] - one[at_S - BEFORE * window] for one in sums]
    known = (before[1] > 0) & (since[1] > 0)
    expected = np.where(known, since[1] * before[0] / np.maximum(before[1], 1e-12), 0.0).sum(1)
    came = np.where(known, since[0], 0.0).sum(1)
    events = [np.where(known, one, 0.0).sum(1) for one in (before[3], since[3])]
    # Of a platform that sold nothing, half an event stands for it.
    half = 0.5 * expected / np.maximum(events[0] * length / (BEFORE * window), 1e-12)
    with np.errstate(divide="ignore", invalid="ignore"):
        off = np.log((came + half) / (expected + half))
        spent = np.log(since[2].sum(1) / length) - np.log(before[2].sum(1) / (BEFORE * window))
    sound = (expected > 0) & (events[0] >= 2 * FEW) & np.isfinite(spent)
    # As counting strays where nothing moved: as many events as before.
    came_before = events[0] * length / (BEFORE * window)
    noise = np.sqrt(1 / np.maximum(events[0], 0.5) + 2 / np.maximum(events[1] + came_before, 0.5))
    # ln of next to no events strays by more than so: what their likelihood says of one rate.
    part = expected / np.maximum(np.where(known, before[0], 0.0).sum(1), 1e-12)
    since_events = events[0] * part * came / np.maximum(expected, 1e-12)
    both = (events[0] + since_events) / (1 + part)
    gain = _x_log_ratio(events[0], both) + _x_log_ratio(since_events, part * both)
    noise = np.maximum(noise, np.abs(off) / np.sqrt(np.maximum(2 * gain, 1e-12)))
    return [np.where(sound, one, np.nan) for one in (off, spent, noise)]


def _x_log_ratio(x: Array, over: Array) -> Array:
    """x ln(x / over), 0 where x is."""
    return np.asarray(x * np.log(np.maximum(x, 1e-300) / np.maximum(over, 1e-12)))


def _of_spend(off_SP: Array, spent_SP: Array, earlier_S: npt.NDArray[np.bool_]) -> Array:
    """What rates do with ln spend, by least squares over earlier days, shrunk where spend hardly moved."""
    off, spent = (np.nan_to_num(one[earlier_S]) for one in (off_SP, spent_SP))
    return np.asarray(((off * spent).sum(0) / ((spent**2).sum(0) + 0.01 * len(off) + 1e-9)).clip(-OF_SPEND, OF_SPEND))


def _median(off_SP: Array) -> Array:
    """Over platforms; 0 where there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nan_to_num(np.nanmedian(off_SP, axis=1))


def _likeliest(sums: list[Array], at: int, window: int, platform: int) -> int:
    """Day between two rates, of counts that stray as events do, by likelihood."""
    count, exposure, _, events = (np.diff(one[:, :, platform].sum(1)[at - BEFORE * window :]) for one in sums)
    unit = events.sum() / max(float(count.sum()), 1e-12)
    days = np.arange(BEFORE * window - window, min(BEFORE * window + window, len(count) - window) + 1)
    count, exposure = np.append(0.0, (unit * count).cumsum()), np.append(0.0, exposure.cumsum())
    early, late = count[days], count[-1] - count[days]
    likely = early * np.log(np.maximum(early, 0.5) / np.maximum(exposure[days], 1e-12))
    likely += late * np.log(np.maximum(late, 0.5) / np.maximum(exposure[-1] - exposure[days], 1e-12))
    return int(at - BEFORE * window + days[likely.argmax()])


def _stayed(sums: list[Array], at: int, window: int, gain_P: Array, platform: int, step: float) -> float | None:
    """ln of the rate since over that of before; `None` where half a window is back, or is where all are."""
    half, end = max(window // 2, 1), len(sums[0]) - 1

    def moved(begin: int, stop: int) -> tuple[float, float, float, float]:
        """ln, the same less the others', that of money, and events."""
        since = [(one[stop] - one[begin])[None] for one in sums]
        off_1P, spent_1P, _ = _off(sums, since, np.array([at]), window, stop - begin)
        own_P = (off_1P - gain_P * spent_1P)[0]
        others = float(_median(np.delete(own_P, platform)[None])[0])
        own, spent, events = own_P[platform], spent_1P[0, platform], since[3][0, :, platform].sum()
        return float(own), float(own - others), float(spent), float(events)

    for begin in range(at, end - half + 1, half):
        # The last part has what is left over.
        own, beside, _, events = moved(begin, end if begin + 2 * half > end else begin + half)
        told = not np.isnan(own) and events * np.exp(max(-step, 0.0)) >= FEW
        kept = min(np.sign(step) * own, np.sign(step) * beside / STAYED)
        if told and kept < STAYED * abs(step) - events**-0.5:
            return None
    own, _, spent, _ = moved(at, end)
    # Nor may what money did, by a rule that is fitted, make a step larger than it looks.
    least = min(abs(own), abs(own + float(gain_P[platform]) * spent))
    return own if least >= max(LEAST, OF_SPEND * abs(spent)) else None
