"""Figures of the arms and what their difference is worth, as plain data.

The tests are those of `crossmix.evaluate.stats.sequential`.

A comparison that cannot be made says why, and how much more is needed. Several cycles are summed to one figure where
single ones hold nothing to divide, as `crossmix experiment simulate` does.

Shapes: A arms (policy, control), C currencies, T cycles, F figures (sums of cycles), N users.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from crossmix.evaluate.stats.sequential import (
    AnalysisError,
    Lift,
    closing,
    days_needed,
    paired,
    ratio_of_sums,
    sequential,
    summed,
)
from crossmix.evaluate.stats.significance import welch
from crossmix.ledger.outcomes import Array, Outcomes
from crossmix.ledger.outcomes_by_user import Users
from crossmix.metrics import ARMS, JUDGED, METRIC, QUANTITIES, QUANTITY
from crossmix.pages import format as formats

FIGURES = {key: (METRIC[key].numerator, METRIC[key].denominator) for key in JUDGED}
"""What each is a ratio of. Of a platform, `roi` and `utilisation` are over the arm's whole planned budget, so that
platforms add up to the arm."""
FEWEST = 3
"""Figures that a comparison needs: two have a deviation, and hardly know it."""
QUESTIONS = (0.05, 0.1)
"""Lifts of which is told how many cycles they need."""
MONEY = {key for key, one in QUANTITY.items() if one.format == "money"}
POLICY, CONTROL, RUNNING = "policy better", "control better", "running"
"""What an interval says."""


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


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Pairs of figures, one for so many cycles on end."""

    period: int
    """Cycles of a figure."""
    policy_F: Array
    control_F: Array
    """1 where currencies are pooled: `policy_F` is then the ratio of the two."""
    pooled: bool = False
    """Of several currencies."""
    left_out: tuple[int, ...] = ()
    """Currencies whose cycles are too empty for a figure of `period`."""


def figures(top_AT: Array, bottom_AT: Array) -> tuple[int, Array] | str:
    """Cycles per figure and the figures, (A, F); or the sentence that says what is missing."""
    one = series(top_AT[None], bottom_AT[None], np.ones((1, top_AT.shape[1])))
    return one if isinstance(one, str) else (one.period, np.stack([one.policy_F, one.control_F]))


def series(top_CAT: Array, bottom_CAT: Array, campaigns_CT: Array, *, over: bool = False) -> Series | str:
    """The pairs that are tested, or the sentence that says what is missing.

    Within a currency an arm's figure is the ratio of its sums. Currencies are never added: the logarithms of their
    ratios between arms are averaged, each with its number of campaigns in those cycles as weight, which no outcome and
    no exchange rate moves. So many cycles make a figure that the currencies with half of the weight or more have one;
    the others are left out.

    Args:
        over: the experiment has ended: the sentence asks for nothing more.
    """
    cycles = top_CAT.shape[2]
    if cycles < FEWEST:
        finished = f"{cycles} finished cycle{'s' * (cycles != 1)} with feedback"
        if over:
            return f"{finished} by its end; {FEWEST} were needed"
        return f"{finished}; {FEWEST} are needed: {FEWEST - cycles} more"
    weight_C = campaigns_CT.sum(1)
    for period in range(1, cycles // FEWEST + 1):
        top_CAF, bottom_CAF = (_in_periods(part, period) for part in (top_CAT, bottom_CAT))
        weight_CF = _in_periods(campaigns_CT[:, None], period)[:, 0]
        there_CF = np.asarray(weight_CF > 0, np.bool_)
        full_CF = np.asarray(((top_CAF > 0) & (bottom_CAF > 0)).all(1), np.bool_)
        usable_C = np.asarray((full_CF | ~there_CF).all(1) & there_CF.any(1), np.bool_)
        some_F = np.asarray(there_CF[usable_C].any(0), np.bool_)
        if 2 * weight_C[usable_C].sum() < weight_C.sum() or some_F.sum() < FEWEST:
            continue
        left_out = tuple(np.flatnonzero(~usable_C).tolist())
        if len(weight_C) == 1:
            return Series(period, *(top_CAF[0] / bottom_CAF[0])[:, some_F])
        weight_CF = np.where(there_CF & usable_C[:, None], weight_CF, 0.0)[:, some_F]
        top_CAF, bottom_CAF = (
            np.where(weight_CF[:, None] > 0, part[:, :, some_F], 1.0) for part in (top_CAF, bottom_CAF)
        )
        ratio_CF = np.log(top_CAF[:, 0] / bottom_CAF[:, 0]) - np.log(top_CAF[:, 1] / bottom_CAF[:, 1])
        pooled_F = np.exp((weight_CF * ratio_CF).sum(0) / weight_CF.sum(0))
        return Series(period, pooled_F, np.ones_like(pooled_F), True, left_out)
    return _missing(top_CAT, bottom_CAT, over)


def _in_periods(value_CAT: Array, period: int) -> Array:
    currencies, rows, cycles = value_CAT.shape
    return summed(value_CAT.reshape(currencies * rows, cycles), period).reshape(currencies, rows, -1)


def _missing(top_CAT: Array, bottom_CAT: Array, over: bool) -> str:
    """What keeps the currency with the most delivered cycles from a figure."""
    best = int((top_CAT > 0).sum((1, 2)).argmax())
    top_AT, bottom_AT = top_CAT[best], bottom_CAT[best]
    cycles = top_AT.shape[1]
    for side, table in (("numerator", top_AT), ("denominator", bottom_AT)):
        for arm, row in zip(ARMS, table, strict=True):
            if not row.sum() > 0:
                said = f"the {arm} arm's {side} {'was' if over else 'is'} 0 in all {cycles} cycles"
                return f"{said} until its end" if over else f"{said}; wait for the first above 0"
    # A period holds the longest gap, and three periods make a verdict.
    gap = max(_longest_gap(row) for row in (*top_AT, *bottom_AT))
    more = max(FEWEST * (gap + 1) - cycles, 1)
    if over:
        return f"an arm had nothing to compare in {gap} of {cycles} cycles on end, until the experiment's end"
    return f"an arm has nothing to compare in {gap} of {cycles} cycles on end; wait for about {more} more cycles"


def _longest_gap(row_T: Array) -> int:
    longest = now = 0
    for value in row_T:
        now = 0 if value > 0 else now + 1
        longest = max(longest, now)
    return longest


def interval(mean: float, low: float | None, high: float | None) -> str:
    """A lift with its interval, in plain words where that is not bounded yet."""
    if low is None and high is None:
        return f"{mean:+.1%} (too early for an interval)"
    return formats.lift(mean, low, high) if None not in (low, high) else _half(mean, low, high)


def _half(mean: float, low: float | None, high: float | None) -> str:
    return f"{mean:+.1%} ({f'{low:+.1%} or more' if high is None else f'{high:+.1%} or less'})"


def of_outcomes(outcomes: Outcomes, name: str, platform: str | None = None) -> Series | str:
    """The pairs of a figure, over all currencies."""
    top, bottom = FIGURES[name]
    amounts = outcomes.by_currency(top, platform), outcomes.by_currency(bottom, platform)
    return series(*amounts, outcomes.campaigns_CT, over=outcomes.experiment.ended is not None)


def compare(pairs: Series | str, level: float, *, closes: bool = False, needed: bool = False) -> dict[str, Any]:
    """Policy over control, paired by cycle: fixed-horizon and always-valid tests, and the paper's Welch beside them.

    Args:
        closes: also the paired test at what daily looks have left of the level (`sequential.closing`).
        needed: also how many cycles lifts need.
    """
    if isinstance(pairs, str):
        return {"verdict": "insufficient data", "reason": pairs}
    one_F, other_F = pairs.policy_F, pairs.control_F
    comparison: dict[str, Any] = {
        "cycles_per_figure": pairs.period,
        "paired": lift(paired(one_F, other_F, level)),
        "always_valid": lift(sequential(one_F, other_F, level)),
        "welch": _welch(pairs),
    }
    if closes:
        left = closing(one_F.size, level)
        comparison["closing"] = lift(paired(one_F, other_F, left)) | {"level": left}
    if needed:
        noise = float(np.log(one_F / other_F).std(ddof=1))
        comparison["cycles_needed"] = {f"{size:g}": _needed(size, noise, level, pairs.period) for size in QUESTIONS}
    return comparison


def history(outcomes: Outcomes, level: float) -> list[dict[str, Any]]:
    """The lift of ROI with its always-valid interval as it was told when each cycle was first counted.

    The same cycles, put together to figures as they were then, with what was known then; but for the newest, which is
    as of now.
    """
    looks = []
    for cycles in range(FEWEST, len(outcomes.slot_T) + 1):
        newest = cycles == len(outcomes.slot_T)
        pairs = of_outcomes(outcomes, "roi") if newest else series(*outcomes.as_of(cycles))
        if isinstance(pairs, str):
            continue
        always = lift(sequential(pairs.policy_F, pairs.control_F, level))
        looks.append(
            {"cycle": outcomes.slot_T[cycles - 1] + 1, "cycles_per_figure": pairs.period}
            | always
            | {"word": word_of(always)}
        )
    return looks


def word_of(one: dict[str, Any]) -> str:
    """What an interval says: which arm is better, or that none is known to be."""
    if one["low"] is not None and one["low"] > 0:
        return POLICY
    return CONTROL if one["high"] is not None and one["high"] < 0 else RUNNING


def _welch(pairs: Series) -> dict[str, Any]:
    if pairs.pooled:
        return {"verdict": "not applicable", "reason": "figures of several currencies are compared in pairs only"}
    try:
        beside = welch(pairs.policy_F, pairs.control_F)
    except ValueError:
        return {"verdict": "insufficient data", "reason": "neither arm's figures have any spread"}
    return {"difference": beside.difference, "low": beside.ci95[0], "high": beside.ci95[1], "p": beside.p}


def lift(one: Lift) -> dict[str, Any]:
    """As plain data; an end that is not known yet is `None`."""
    return {
        "lift": one.lift,
        "low": one.low if one.low > -1 else None,
        "high": one.high if math.isfinite(one.high) else None,
        "p": one.p,
        "figures": one.days,
    }


def by_user(users: Users, all_impressions: float, level: float, *, mixed: bool = False) -> dict[str, Any]:
    """Ratios per user by the delta method, and by CUPED where users were known before the experiment.

    Args:
        mixed: their money is in several currencies, so that its ratios mean nothing.
    """
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
        if mixed and METRIC[name].numerator in MONEY:
            reason = "users' money is in several currencies; ask for one campaign"
            comparison[name] = {"verdict": "not applicable", "reason": reason}
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
