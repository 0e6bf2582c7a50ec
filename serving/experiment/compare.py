"""Figures of the arms and what their difference is worth, as plain data.

The tests are those of `crossmix.evaluate.stats.sequential`.

A comparison that cannot be made says why, and how much more is needed. Several cycles are summed to one figure where
single ones hold nothing to divide, as `crossmix experiment simulate` does.

Shapes: A arms (policy, control), T cycles, F figures (sums of cycles), N users.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import stats

from crossmix.evaluate.stats.sequential import (
    AnalysisError,
    Lift,
    closing,
    days_needed,
    fewest_days,
    paired,
    ratio_of_sums,
    sequential_by_day,
    summed,
)
from crossmix.evaluate.stats.significance import welch
from crossmix.ledger.outcomes import Array, Outcomes, Users
from crossmix.metrics import ARMS, JUDGED, METRIC, QUANTITIES

FIGURES = {key: (METRIC[key].numerator, METRIC[key].denominator) for key in JUDGED}
"""What each is a ratio of. Of a platform, `roi` and `utilisation` are over the arm's whole planned budget, so that
platforms add up to the arm."""
FEWEST = 3
"""Figures that a comparison needs: two have a deviation, and hardly know it."""
QUESTIONS = (0.05, 0.1)
"""Lifts of which is told how many cycles they need."""


def own(top_T: Array, bottom_T: Array, level: float) -> dict[str, Any]:
    """Ratio of the sums of an arm, its interval from the spread between cycles (delta method, t with T - 1 degrees)."""
    if not bottom_T.sum() > 0:
        return {"value": None, "low": None, "high": None}
    ratio, n = float(top_T.sum() / bottom_T.sum()), len(top_T)
    if n < 2:
        return {"value": ratio, "low": None, "high": None}
    rest_T = top_T - ratio * bottom_T
    error = math.sqrt(n / (n - 1) * float(rest_T @ rest_T)) / float(bottom_T.sum())
    reach = float(stats.t.ppf(1 - level / 2, n - 1)) * error
    return {"value": ratio, "low": max(ratio - reach, 0.0), "high": ratio + reach}


def figures(top_AT: Array, bottom_AT: Array) -> tuple[int, Array] | str:
    """Cycles per figure and the figures, (A, F); or the sentence that says what is missing."""
    cycles = top_AT.shape[1]
    if cycles < FEWEST:
        return f"{cycles} finished cycles with feedback; {FEWEST} are needed: {FEWEST - cycles} more"
    period = fewest_days(*(part[None] for part in (*top_AT, *bottom_AT)))
    if period is not None:
        return period, summed(top_AT, period) / summed(bottom_AT, period)
    for side, table in (("numerator", top_AT), ("denominator", bottom_AT)):
        for arm, row in zip(ARMS, table, strict=True):
            if not row.sum() > 0:
                return f"the {arm} arm's {side} is 0 in all {cycles} cycles; wait for the first above 0"
    # A period holds the longest gap, and three periods make a verdict.
    gap = max(_longest_gap(row) for row in (*top_AT, *bottom_AT))
    more = max(FEWEST * (gap + 1) - cycles, 1)
    return f"an arm has nothing to compare in {gap} of {cycles} cycles on end; wait for about {more} more cycles"


def _longest_gap(row_T: Array) -> int:
    longest = now = 0
    for value in row_T:
        now = 0 if value > 0 else now + 1
        longest = max(longest, now)
    return longest


def compare(
    top_AT: Array, bottom_AT: Array, level: float, *, by_figure: bool = False, closes: bool = False
) -> dict[str, Any]:
    """Policy over control, paired by cycle: fixed-horizon and always-valid tests, and the paper's Welch beside them.

    Args:
        by_figure: also how the always-valid test stood at each figure, and how many cycles lifts need.
        closes: also the paired test at what daily looks have left of the level (`sequential.closing`).
    """
    figured = figures(top_AT, bottom_AT)
    if isinstance(figured, str):
        return {"verdict": "insufficient data", "reason": figured}
    period, (one_F, other_F) = figured
    always = sequential_by_day(one_F, other_F, level)
    comparison: dict[str, Any] = {
        "cycles_per_figure": period,
        "paired": lift(paired(one_F, other_F, level)),
        "always_valid": lift(always[-1]),
    }
    try:
        beside = welch(one_F, other_F)
        comparison["welch"] = {
            "difference": beside.difference,
            "low": beside.ci95[0],
            "high": beside.ci95[1],
            "p": beside.p,
        }
    except ValueError:
        comparison["welch"] = {"verdict": "insufficient data", "reason": "neither arm's figures have any spread"}
    if closes:
        left = closing(one_F.size, level)
        comparison["closing"] = lift(paired(one_F, other_F, left)) | {"level": left}
    if by_figure:
        comparison["by_figure"] = [lift(one) for one in always]
        noise = float(np.log(one_F / other_F).std(ddof=1))
        comparison["cycles_needed"] = {f"{size:g}": _needed(size, noise, level, period) for size in QUESTIONS}
    return comparison


def lift(one: Lift) -> dict[str, Any]:
    """As plain data; an end that is not known yet is `None`."""
    return {
        "lift": one.lift,
        "low": one.low if one.low > -1 else None,
        "high": one.high if math.isfinite(one.high) else None,
        "p": one.p,
        "figures": one.days,
    }


def of_arms(outcomes: Outcomes, name: str, platform: str | None = None) -> tuple[Array, Array]:
    """Numerator and denominator of a figure, (A, T) each."""
    top, bottom = FIGURES[name]
    return outcomes.of(top, platform), outcomes.of(bottom, platform)


def by_user(users: Users, all_impressions: float, level: float) -> dict[str, Any]:
    """Ratios per user by the delta method, and by CUPED where users were known before the experiment."""
    if not any(len(rows) for rows in users.during.values()):
        return {"verdict": "not applicable", "reason": "no event names its user; send user_id with the feedback"}
    comparison: dict[str, Any] = {
        "users": {arm: len(rows) for arm, rows in users.during.items()},
        "known_before": users.known,
        "in_both_arms": users.crossed,
        "of_impressions": users.impressions / all_impressions if all_impressions > 0 else None,
    }
    for name, (top, bottom) in FIGURES.items():
        if bottom == "planned":
            comparison[name] = {"verdict": "not applicable", "reason": "no user has a planned budget"}
            continue
        y, x = ([users.during[arm][:, QUANTITIES.index(part)] for arm in ARMS] for part in (top, bottom))
        try:
            comparison[name] = _difference((y[0], y[1]), (x[0], x[1]), None, level)
        except AnalysisError as error:
            comparison[name] = {"verdict": "insufficient data", "reason": str(error)}
            continue
        comparison[name]["cuped"] = _cuped(users, top, bottom, (y[0], y[1]), (x[0], x[1]), level)
    return comparison


def _cuped(
    users: Users, top: str, bottom: str, y: tuple[Array, Array], x: tuple[Array, Array], level: float
) -> dict[str, Any]:
    """Covariate: the user's deviation from everybody's ratio before the experiment, top - ratio x bottom."""
    was_y, was_x = ([users.before[arm][:, QUANTITIES.index(part)] for arm in ARMS] for part in (top, bottom))
    denominator = sum(float(part.sum()) for part in was_x)
    if not users.known:
        reason = "no user of the experiment has feedback from before it"
    elif not denominator > 0:
        reason = f"no {bottom} before the experiment"
    else:
        ratio = sum(float(part.sum()) for part in was_y) / denominator
        before = [a - ratio * b for a, b in zip(was_y, was_x, strict=True)]
        return _difference(y, x, (before[0], before[1]), level)
    return {"verdict": "not applicable", "reason": reason}


def _difference(
    y: tuple[Array, Array], x: tuple[Array, Array], before: tuple[Array, Array] | None, level: float
) -> dict[str, Any]:
    one = ratio_of_sums(y, x, before, level)
    return {
        "policy": one.treatment,
        "control": one.control,
        "difference": one.difference,
        "low": one.low,
        "high": one.high,
        "p": one.p,
    }


def _needed(size: float, noise: float, level: float, period: int) -> int | None:
    """Cycles in all until the paired test finds such a lift with power 0.8, from the noise so far."""
    try:
        return days_needed(size, noise, level=level) * period
    except AnalysisError:
        return None
