"""Sale weeks and stock-outs of a spend history: short times in which all platforms' money and sales leave their course.

In a sale week budgets and conversion rates rise together for some days and fall back; in a stock-out both fall. A few
such weeks move what all platforms spend more than all other days do, so that they would tell what money does, and what
they tell is the promotion. A fit leaves their cycles out as if unseen.

Of every platform the residual of ln spend is what it is over its running median, less its weekday's median. The
account's is the platforms' median. A run is what that is clearly off (`CLEAR` robust deviations and `LEAST`), with its
edges (`EDGE` of them), short (no longer than today's window), over (half as long as that before the history's end), and
one in which nearly all platforms moved the same way (`ALL`).

Money alone is no promotion: budgets are raised for a week on purpose as well. Twice the money never sells more than
twice as much, so that sales per money rise with it only where something else sells. With n the conversions of the run
over what its money sold at the rate of the usual cycles around it, platform by platform,

    z = ln n / deviation        of the same figure of as many usual cycles, wherever they begin (1.4826 MAD)

says so: a run up is one where z of it, or sqrt(runs) times the mean z of all runs up, is above `SURE`; down below.

Shapes: T cycles, C campaigns, P platforms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

AROUND = 2
"""Today's windows on either side that the usual course is of."""
CLEAR, EDGE = 4.0, 2.0
"""Robust deviations by which a run, and a cycle at its edge, is off."""
LEAST, SOME = float(np.log(1.25)), float(np.log(1.1))
"""The same in ln, at least; the second is of an edge, of a platform, and of sales over what the money sold."""
ALL = 0.75
"""Part of the platforms that move the same way."""
SURE = 3.5
"""z from which on sales moved by more than money."""
NORMAL = 1.4826
"""Of a median absolute deviation: the deviation of a normal."""
FEWEST = 8
"""Stretches of usual cycles below which nothing is told of how much they vary."""


@dataclass(frozen=True, slots=True)
class Promotion:
    """A run of cycles."""

    first: int
    last: int
    sold: float
    """Conversions over those of as many usual cycles around it."""
    paid: float
    """Spend over theirs."""


def promotions(
    totals: Mapping[str, Array], seen_T: Mask, weekday_T: npt.NDArray[np.int64] | None, window: int
) -> list[Promotion]:
    """All of a history, in order of time.

    Args:
        totals: spend and conversions, (T, C, P) each.
        seen_T: cycles of which conversions may be known; those after the last are not looked at.
        weekday_T: Monday 0; `None`: every day is alike.
        window: cycles of today's window.
    """
    end = int(seen_T.nonzero()[0].max(initial=-1)) + 1
    spend_TP, sold_TP = (np.asarray(totals[name][:end], float).sum(1) for name in ("spend", "conversions"))
    weekday_T = None if weekday_T is None else weekday_T[:end]
    if window < 1 or end < 2 * AROUND * window or not (spend_TP > 0).any():
        return []
    off_TP = _off(spend_TP, weekday_T, AROUND * window)
    runs = _runs(off_TP, window)
    if not runs:
        return []
    usual_T = np.ones(end, bool)
    for run in runs:
        usual_T[run] = False
    told = [_told(run, spend_TP, sold_TP, seen_T[:end], usual_T, AROUND * window) for run in runs]
    way = np.array([np.sign(np.nanmedian(off_TP[run])) for run in runs])
    beyond, z = way * np.array([one[0] for one in told]), way * np.array([one[1] for one in told])
    found = []
    for run, sign, much, clear, (_, _, sold, paid) in zip(runs, way, beyond, z, told, strict=True):
        alike = z[way == sign]
        together = float(np.sqrt(len(alike)) * alike.mean())
        if much > SOME and (clear > SURE or together > SURE):
            found.append(Promotion(run.start, run.stop - 1, sold, paid))
    return found


def cycles(found: list[Promotion], times: int) -> Mask:
    """Those of any of them, (T,)."""
    within = np.zeros(times, bool)
    for one in found:
        within[one.first : one.last + 1] = True
    return within


def told(found: list[Promotion], start: date, days: int) -> list[str]:
    """A sentence for those up, and one for those down.

    Args:
        start: the first cycle's day.
        days: of a cycle.
    """

    def named(one: Promotion) -> str:
        first, last = start + timedelta(days * one.first), start + timedelta(days * (one.last + 1) - 1)
        when = f"{first.isoformat()} to {last.isoformat()}" if last > first else first.isoformat()
        return f"{when} (sold {one.sold:.1f} times the usual at {one.paid:.1f} times the money)"

    sentences = []
    for what, some in (
        ("a promotion", [one for one in found if one.paid > 1]),
        ("a stock-out or the like", [one for one in found if one.paid <= 1]),
    ):
        if some:
            sentences.append(
                f"All platforms' money and sales left their course together, sales by more than money moves them: "
                f"{', '.join(map(named, some))}. Taken as {what}: these days do not count for what money does."
            )
    return sentences


def _off(spend_TP: Array, weekday_T: npt.NDArray[np.int64] | None, around: int) -> Array:
    """ln spend over its running median, less its weekday's median; NaN where nothing was spent."""
    log_TP = np.where(spend_TP > 0, np.log(np.maximum(spend_TP, 1e-9)), np.nan)
    edge = np.full((around, log_TP.shape[1]), np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(np.concatenate([edge, log_TP, edge]), 2 * around + 1, 0)
    off_TP = log_TP - _median(windows, -1)
    if weekday_T is not None:
        for day in range(7):
            off_TP[weekday_T == day] -= _median(off_TP[weekday_T == day], 0)
    return np.asarray(off_TP)


def _median(values: Array, axis: int) -> Array:
    """Of what is known; 0 where nothing is."""
    known = ~np.isnan(values).all(axis, keepdims=True)
    return np.asarray(np.nanmedian(np.where(known, values, 0.0), axis))


def _runs(off_TP: Array, window: int) -> list[slice]:
    off_T = _median(off_TP, 1)
    deviation = NORMAL * float(np.median(np.abs(off_T - np.median(off_T))))
    found = []
    for sign in (1.0, -1.0):
        edge_T = sign * off_T > max(EDGE * deviation, SOME)
        starts = np.flatnonzero(np.diff(edge_T.astype(np.int8), prepend=0) == 1)
        stops = np.flatnonzero(np.diff(edge_T.astype(np.int8), append=0) == -1) + 1
        for run in (slice(int(a), int(b)) for a, b in zip(starts, stops, strict=True)):
            clear = (sign * off_T[run]).max() > max(CLEAR * deviation, LEAST)
            inside = run.start > 0 and len(off_T) - run.stop >= max(window // 2, 1)
            mean_P = sign * _median(off_TP[run], 0)[~np.isnan(off_TP[run]).all(0)]
            if clear and inside and run.stop - run.start <= window and (mean_P > SOME).mean() >= ALL:
                found.append(run)
    return sorted(found, key=lambda run: run.start)


def _told(
    run: slice, spend_TP: Array, sold_TP: Array, seen_T: Mask, usual_T: Mask, around: int
) -> tuple[float, float, float, float]:
    """ln of sales over what the run's money sold at the usual rate, that over its deviation, and sales and spend over
    the usual; zeros where nothing was seen."""
    near = slice(max(run.start - around, 0), run.stop + around)
    base = np.flatnonzero(seen_T[near] & usual_T[near]) + near.start
    inside = np.flatnonzero(seen_T[run]) + run.start
    if not len(inside) or not len(base):
        return 0.0, 0.0, 1.0, 1.0
    rate_P = sold_TP[base].sum(0) / np.maximum(spend_TP[base].sum(0), 1e-9)
    expected_T = (spend_TP * rate_P).sum(1)
    sold_T = sold_TP.sum(1)
    size = len(inside)
    length = run.stop - run.start
    paid = spend_TP[run].sum() / length / max(spend_TP[base].sum() / len(base), 1e-9)
    sold = sold_T[inside].sum() / size / max(sold_T[base].sum() / len(base), 1e-9)
    beyond = _over(sold_T[inside].sum(), expected_T[inside].sum())
    stretches = [base[i : i + size] for i in range(len(base) - size + 1)]
    if len(stretches) < FEWEST:
        return 0.0, 0.0, float(sold), float(paid)
    others = np.array([_over(sold_T[some].sum(), expected_T[some].sum()) for some in stretches])
    counted = 1 / max(float(expected_T[inside].sum()), 1.0)
    deviation = max(NORMAL * float(np.median(np.abs(others - np.median(others)))), counted**0.5)
    return beyond, (beyond - float(np.median(others))) / deviation, float(sold), float(paid)


def _over(sold: float, expected: float) -> float:
    return float(np.log((sold + 0.5) / (expected + 0.5)))


__all__ = ["Promotion", "cycles", "promotions", "told"]
