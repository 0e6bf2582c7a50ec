"""Last days with fewer results than ever: booked on the day of the click, they come in for days after it.

Ad platforms book a conversion on the day of its click or on its own. Of the first kind an export's last days lack what
is still to come, and all that is said of today is too low. Totals cannot tell that from a market that fell in its last
days, so it is no error: it is told, with what to do.

Conversions beside clicks are compared with what the weeks before lead one to expect, day by day back from the end. A
lack that dies away, or one that stays since some day,

    come_a = 1 - l exp(-a / tau)    or    1 - l for a < since        a: days before the end

explains the last days so much better than no lack does, ln likelihood; the same is asked at every earlier end of the
history. The end's days are told where no earlier end had half as much: so drifts, weekdays and falls that the account
itself had before set how much is needed.

Shapes: T days, E ends, A days before an end, P platforms, M shapes of a lack.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

NEAR, BEFORE = 14, 28
"""Last days that are looked at, and days before them that tell what is usual."""
EARLIER = 28
"""Earlier ends that it takes to compare with."""
LACKS, DIES = (0.1, 0.2, 0.35, 0.5, 0.65, 0.8), (1.0, 2.0, 4.0)
"""l and tau, days, that are tried."""
CLEAR, BEYOND = 6.0, 2.0
"""Least gain of ln likelihood, and over what any earlier end has, as a multiple."""
SOME = 2.0
"""The same gain that shows that the others lack something too."""
WORTH = 0.05
"""Part of the last days' results that has to be lacking to be told."""
LARGE = 0.1
"""Part of the money of a platform that is looked at by itself."""
LEAST = 0.05
"""Part that a day lacks at least to count as one of them."""
Array = npt.NDArray[np.float64]


class Lack(NamedTuple):
    """Of last days."""

    days: int
    part: float
    """Of their conversions that is not in."""
    clear: float
    """Gain of ln likelihood over no lack."""
    sure: bool


def told(frame: pd.DataFrame) -> list[str]:
    """A sentence where the last days may not be all in.

    Args:
        frame: platform, date, spend, clicks, conversions; a row is a day.
    """
    first, last = frame["date"].min(), frame["date"].max()
    dates = pd.date_range(first, last).date
    money = frame.groupby("platform", observed=True)["spend"].sum()
    series = {str(name): _series(frame[frame["platform"] == name], dates) for name in money.index}
    large = [str(name) for name in money.index[money >= min(LARGE * money.sum(), money.max())]]
    each = {name: lacking(*series[name]) for name in large}
    found = {name: one for name, one in each.items() if one.sure}
    if len(series) > 1:
        # What all have in common shows most in their sum; of one that falls by itself the others are as they were.
        worst = max(each, key=lambda name: each[name].clear)
        whole, rest = (
            lacking(*np.stack([one for name, one in series.items() if name != without], 1)) for without in (None, worst)
        )
        alike = rest.clear >= SOME and rest.part >= each[worst].part / 2
        if whole.sure:
            found = {"all platforms together": whole} if alike else found or {worst: each[worst]}
    if not found:
        return []
    days = max(one.days for one in found.values())
    named = ", ".join(f"{name} by {one.part:.0%}" for name, one in found.items())
    return [
        f"The last {days} days have fewer conversions per click than the four weeks before, as no days before had "
        f"({named}). Results that are booked on the click's day are not all in then, and today's revenue is told too "
        f"low: export again {days} days from now, or end the history on {last - timedelta(days=days)}. If something "
        "else is the reason, as goods that ran out, what is said of today holds as long as it lasts."
    ]


def _series(rows: pd.DataFrame, dates: npt.NDArray[np.object_]) -> tuple[Array, Array]:
    """Conversions and clicks of every day of the history; without clicks its money."""
    by = rows.groupby("date")[["conversions", "clicks", "spend"]].sum().reindex(dates, fill_value=0.0).clip(lower=0.0)
    beside = "clicks" if by["clicks"].sum() > 0 else "spend"
    return by["conversions"].to_numpy(float), by[beside].to_numpy(float)


def lacking(conversions_PT: Array, beside_PT: Array) -> Lack:
    """What the last days lack.

    Args:
        conversions_PT: of platforms that are summed, or of one, (T,).
        beside_PT: clicks, each platform's with a rate of its own.
    """
    conversions_PT, beside_PT = np.atleast_2d(conversions_PT), np.atleast_2d(beside_PT)
    ends = np.arange(NEAR + BEFORE, conversions_PT.shape[1] + 1)
    if len(ends) <= EARLIER + NEAR:
        return Lack(0, 0.0, 0.0, sure=False)
    at_EA = ends[:, None] - 1 - np.arange(NEAR + BEFORE)
    came_EPA, beside_EPA = (table[:, at_EA].swapaxes(0, 1) for table in (conversions_PT, beside_PT))
    rate_EP = came_EPA[..., NEAR:].sum(2) / np.maximum(beside_EPA[..., NEAR:].sum(2), 1e-12)
    came_EA, expected_EA = came_EPA.sum(1), (rate_EP[..., None] * beside_EPA).sum(1)
    # Days stray by more than counting, by as much as those of the weeks before do.
    off_EA, usual_EA = (came_EA - expected_EA)[:, NEAR:], expected_EA[:, NEAR:]
    extra_E = np.maximum((off_EA**2 - usual_EA).sum(1) / np.maximum((usual_EA**2).sum(1), 1e-12), LEAST**2)
    age_A = np.arange(NEAR)
    shapes = [1 - lack * np.exp(-age_A / dies) for lack, dies in product(LACKS, DIES)]
    shapes += [np.where(age_A < since, 1 - lack, 1.0) for lack, since in product(LACKS, range(2, NEAR))]
    likely_EM = np.stack(
        [_likelihood(came_EA[:, :NEAR], expected_EA[:, :NEAR], extra_E, one) for one in (np.ones(NEAR), *shapes)], 1
    )
    clear_E = likely_EM[:, 1:].max(1) - likely_EM[:, 0]
    best_A = shapes[int(likely_EM[-1, 1:].argmax())]
    late_A = best_A < 1 - LEAST
    # Ends that share last days with the last one would show the same.
    least = max(CLEAR, BEYOND * float(clear_E[:-NEAR].max()))
    expected_A = expected_EA[-1, :NEAR][late_A]
    lack = 1 - float((best_A[late_A] * expected_A).sum() / max(expected_A.sum(), 1e-12))
    return Lack(int(late_A.sum()), lack, float(clear_E[-1]), sure=bool(clear_E[-1] >= least and lack >= WORTH))


def _likelihood(came_EA: Array, expected_EA: Array, extra_E: Array, shape_A: Array) -> Array:
    """Of counts around shape x expected with `extra_E` of their mean's square as variance beside, (E,)."""
    mean_EA = np.maximum(expected_EA * shape_A, 1e-9)
    variance_EA = mean_EA + extra_E[:, None] * mean_EA**2
    return np.asarray(-0.5 * ((came_EA - mean_EA) ** 2 / variance_EA + np.log(variance_EA)).sum(1))
