"""A history's conversion rate in each cycle, where conversions come late: over the clicks that they are due of.

Over a cycle's own clicks, clicks that rose last week look like a rate that fell. Over those due it is the fitted rate
but for its drift (`estimators.path`). What the last week's conversions W of n expected say besides of the level itself,
which the fit knows to a standard error e and which may have moved since, is asked as feedback is
(`crossmix.market.levels`): with g = ln(W / n), of variance 1 / n + drift,

    as fitted   N(0, e^2)                  has moved   N(0, e^2 + size^2), of probability `moved` before

first of all of a campaign's platforms together, by the part of e that they share, then of each besides; the mean over
both is what the week is told with.

Shapes: T cycles, C campaigns, P platforms.
"""

from __future__ import annotations

import numpy as np

from crossmix.config import Levels
from crossmix.market.fit import estimators
from crossmix.market.fit.evidence import Evidence
from crossmix.market.fit.log import Array
from crossmix.market.fit.today import WEEK_HOURS


def path(
    conversions_TCP: Array,
    owed_TCP: Array,
    evidence: Evidence,
    drift: tuple[Array, Array],
    hours: float,
    law: Levels,
) -> Array | None:
    """Multiplier of the rate, (T, C, P); `None`: conversions come at once, or the log is one of impressions.

    Args:
        owed_TCP: clicks that the conversions are due of, times the slow moves of the rate.
        drift: deviation and persistence, (C, P) each.
        hours: of a cycle; the last week's are asked what the level is.
    """
    whole, week = evidence.whole, max(1, round(WEEK_HOURS / hours))
    if whole is None or not (evidence.delay[..., 1:] > 0).any():
        return None
    rate_CP, error_CP = whole.cvr
    path_TCP = estimators.path(conversions_TCP, owed_TCP, rate_CP, *drift)
    came_CP = conversions_TCP[-week:].sum(0)
    expected_CP = (path_TCP * owed_TCP * rate_CP)[-week:].sum(0)
    part_CP = expected_CP / np.maximum(expected_CP.sum(1, keepdims=True), 1e-9)
    whole2_CP, drift2_CP = (error_CP / np.maximum(rate_CP, 1e-12)) ** 2, drift[0] ** 2
    shared_CP = whole.shared["cvr"] * whole2_CP
    own2_CP = whole2_CP - shared_CP
    shared2_C1 = (part_CP * np.sqrt(shared_CP)).sum(1, keepdims=True) ** 2
    besides_C1 = (part_CP**2 * (own2_CP + drift2_CP)).sum(1, keepdims=True)
    came_C1, expected_C1 = (one.sum(1, keepdims=True) for one in (came_CP, expected_CP))
    alike_C1 = _move(came_C1, expected_C1, shared2_C1, besides_C1, law)
    path_TCP[-week:] *= alike_C1 * _move(came_CP, alike_C1 * expected_CP, own2_CP, drift2_CP, law)
    return np.asarray(path_TCP * evidence.slow("conversions"))


def _move(came: Array, expected: Array, error2: Array, drift2: Array, law: Levels) -> Array:
    """The factor by which a rate is taken to be another than was fitted."""
    gap = np.log((came + 0.5) / (expected + 0.5))
    noise = 1 / (expected + 0.5) + drift2
    known, moved = error2, error2 + law.size**2
    narrow, wide = known + noise, moved + noise
    odds = np.log(law.moved / (1 - law.moved)) + 0.5 * (np.log(narrow / wide) + gap**2 * (1 / narrow - 1 / wide))
    weight = 1 / (1 + np.exp(-odds))
    return np.asarray(np.exp(gap * ((1 - weight) * known / narrow + weight * moved / wide)))


__all__ = ["path"]
