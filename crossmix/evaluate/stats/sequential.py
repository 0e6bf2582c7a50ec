"""Analysis of a running experiment: may it be judged at all, what is the lift, and is it more than luck.

Contract: docs/design.md#serving.

Both arms meet the same market, so a day's shocks are in both arms' figures: days are compared in pairs, which takes the
shocks out (the paper's Welch on daily ROI, `significance.welch`, keeps them and hardly ever fires). Ratios per user
(CTR, CVR, CPA, ROAS) are compared by the delta method. Looking every day is safe with `sequential`, whose level holds
at all days together; `closing` tells how the paired test may be read after such looks. Where single days earn nothing,
`fewest_days` on end make a figure (`summed`).

Shapes: R experiments, T days, N users.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Array = NDArray[np.float64]
IMBALANCE = 0.001
"""A sample-ratio p below this blocks the verdict: usual, as the check is made every day."""
SPREAD = 1.0
"""Deviation, in units of a day's own deviation, of the lifts that `sequential` is most sensitive to."""


class AnalysisError(ValueError):
    """Figures that cannot be analysed; the message names the field, the value and the remedy."""


@dataclass(frozen=True, slots=True)
class Balance:
    """Sample-ratio check."""

    users: dict[str, int]
    wanted: dict[str, float]
    p: float
    blocks: bool
    """The arms do not hold the users that they should: no verdict."""


@dataclass(frozen=True, slots=True)
class Lift:
    """Treatment over control, relative: 0.1 is 10 % more."""

    lift: float
    low: float
    high: float
    p: float
    days: int
    """Pairs used."""

    @property
    def significant(self) -> bool:
        """The interval leaves out 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class Difference:
    """Treatment less control of a ratio per user."""

    treatment: float
    control: float
    difference: float
    low: float
    high: float
    p: float


def balance(users: Mapping[str, int], weights: Mapping[str, float]) -> Balance:
    """Chi-square test of the arms' numbers of users against their weights.

    Raises:
        AnalysisError: arms that differ, a negative number, or no user at all.
    """
    if set(users) != set(weights):
        raise AnalysisError(f"users: arms {sorted(users)}; the experiment has {sorted(weights)}")
    count = np.array([users[arm] for arm in weights], float)
    if (count < 0).any() or count.sum() <= 0:
        raise AnalysisError(f"users: {dict(users)}; give at least one user, and no negative number")
    share = np.array(list(weights.values()))
    used = share > 0
    p = 0.0 if count[~used].any() else float(stats.chisquare(count[used], share[used] * count.sum()).pvalue)
    return Balance(dict(users), dict(weights), p, p < IMBALANCE)


def paired(treatment_T: ArrayLike, control_T: ArrayLike, level: float = 0.05) -> Lift:
    """Fixed-horizon paired t-test of the daily log-ratio; to be looked at once, at the planned end.

    Args:
        treatment_T, control_T: a figure of each day (ROI, ROAS, ...), above 0.

    Raises:
        AnalysisError: fewer than two days, unequal lengths, a figure that is not above 0.
    """
    ratio = log_ratio(treatment_T, control_T)
    mean, error, n = float(ratio.mean()), float(ratio.std(ddof=1) / math.sqrt(len(ratio))), len(ratio)
    reach = float(stats.t.ppf(1 - level / 2, n - 1)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, n - 1)) if error > 0 else float(mean == 0)
    return Lift(math.expm1(mean), math.expm1(mean - reach), math.expm1(mean + reach), p, n)


def sequential(treatment_T: ArrayLike, control_T: ArrayLike, level: float = 0.05, spread: float = SPREAD) -> Lift:
    """Always-valid t-test of the daily log-ratio: its level holds at all days together, whenever one looks or stops.

    The mixture t-test: standardised lifts are mixed over N(0, spread^2) and the unknown deviation over its right Haar
    measure, which gives the Bayes factor

        B = r^(-1/2) [(1 + t^2 / nu) / (1 + t^2 / (nu r))]^((nu + 1) / 2),    r = 1 + n spread^2, nu = n - 1,

    a test martingale under every deviation (Perez-Ortiz, Lardy, de Heide, Gruenwald 2024); by Ville's inequality it
    exceeds 1 / level ever with probability at most `level`. p = 1 / B of today, and the interval is the set of lifts
    not rejected today: p is below the level exactly where the interval leaves out 0. A difference that was found
    earlier may be gone again; `found_by_day` remembers it.

    Raises:
        AnalysisError: as `paired`.
    """
    ratio = log_ratio(treatment_T, control_T)
    return _judged(ratio, float(_log_evidence(ratio[None], spread)[0, -1]), level, spread)


def sequential_by_day(
    treatment_T: ArrayLike, control_T: ArrayLike, level: float = 0.05, spread: float = SPREAD
) -> list[Lift]:
    """`sequential` as seen on every day from the second on, T - 1 of them.

    Raises:
        AnalysisError: as `paired`.
    """
    ratio = log_ratio(treatment_T, control_T)
    evidence = _log_evidence(ratio[None], spread)[0]
    return [_judged(ratio[:n], float(evidence[n - 1]), level, spread) for n in range(2, len(ratio) + 1)]


def found_by_day(
    treatment_RT: ArrayLike, control_RT: ArrayLike, level: float = 0.05, spread: float = SPREAD
) -> NDArray[np.bool_]:
    """Whether `sequential`, looked at every day, has found a difference by each day, (R, T); the first day never has.

    Raises:
        AnalysisError: a figure that is not above 0, or arms of different shapes.
    """
    ratio_RT = log_ratio(treatment_RT, control_RT, dimensions=2)
    return np.asarray(
        np.maximum.accumulate(_log_evidence(ratio_RT, spread), axis=1) >= -math.log(level) - 1e-12, np.bool_
    )


def below_by_day(
    treatment_RT: ArrayLike, control_RT: ArrayLike, threshold: float, level: float = 0.05, spread: float = SPREAD
) -> NDArray[np.bool_]:
    """Whether the whole interval of `sequential`, looked at every day, has been below `threshold` by each day, (R, T).

    Raises:
        AnalysisError: a figure that is not above 0, or arms of different shapes.
    """
    ratio_RT = log_ratio(treatment_RT, control_RT, dimensions=2) - math.log1p(threshold)
    clear_RT = _log_evidence(ratio_RT, spread) >= -math.log(level) - 1e-12
    return np.asarray(np.maximum.accumulate(clear_RT & (ratio_RT.cumsum(1) < 0), axis=1), np.bool_)


@cache
def closing(days: int, level: float = 0.05, spread: float = SPREAD) -> float:
    """The p below which the paired test counts at the planned end, where `sequential` was looked at every day before.

    Whoever would stop at an early finding, and else reads the paired test at the end, has two chances of a false
    positive. With the paired test read at this level, they are `level` together. Both tests are functions of the days'
    t statistics, whose law without a lift has no unknown: it is drawn, the same every time (200,000 experiments of 14
    days; the error of the level is 0.0005).

    Raises:
        AnalysisError: fewer than two days.
    """
    if days < 2:
        raise AnalysisError(f"days: {days}; a verdict needs two or more")
    rng, early, far = np.random.default_rng(0), [], []
    # In parts: a server that asks has other uses for its memory.
    for _ in range(10):
        ratio_RT = rng.standard_normal((max(280_000 // days, 2_000), days))
        early.append((_log_evidence(ratio_RT, spread) >= -math.log(level)).any(1))
        far.append(np.abs(ratio_RT.mean(1)) / (ratio_RT.std(1, ddof=1) / math.sqrt(days)))
    early_R, t_R = np.concatenate(early), np.concatenate(far)
    left = level - float(early_R.mean())
    t = float(np.quantile(t_R[~early_R], 1 - left / (1 - float(early_R.mean()))))
    return min(level, float(2 * stats.t.sf(t, days - 1)))


def summed(value_RT: Array, days: int) -> Array:
    """Sums of `days` days on end, (R, T // days); what does not fill a period is left out."""
    runs, all_days = value_RT.shape
    whole = all_days // days
    return np.asarray(value_RT[:, : whole * days].reshape(runs, whole, days).sum(2), float)


def fewest_days(*parts_RT: Array) -> int | None:
    """Fewest days on end that leave no part without a sum above 0, with three figures or more left; `None`: none do.

    Args:
        parts_RT: what must not be 0, of the same days, as revenue of either arm.
    """
    days = parts_RT[0].shape[1]
    for period in range(1, days // 3 + 1):
        if all((summed(part, period) > 0).all() for part in parts_RT):
            return period
    return None


def ratio_of_sums(
    top: tuple[ArrayLike, ArrayLike],
    bottom: tuple[ArrayLike, ArrayLike],
    before: tuple[ArrayLike, ArrayLike] | None = None,
    level: float = 0.05,
) -> Difference:
    """Difference of sum(top) / sum(bottom) between arms, users independent: the delta method, with CUPED if asked.

    Args:
        top, bottom: of each user, (treatment, control), as clicks and impressions.
        before: a covariate of each user from before the experiment; what it explains is taken out (Deng et al. 2013).

    Raises:
        AnalysisError: an arm of fewer than two users, lengths that differ, a denominator that sums to 0.
    """
    y, x = ([np.asarray(part, float) for part in pair] for pair in (top, bottom))
    for arm, (a, b) in zip(("treatment", "control"), zip(y, x, strict=True), strict=True):
        if len(a) != len(b) or len(a) < 2:
            raise AnalysisError(f"users: {len(a)} and {len(b)} figures of {arm}; give both of each of two or more")
        if not b.sum() > 0:
            raise AnalysisError(f"denominator: it sums to {b.sum():g} in {arm}; wait for data")
    ratio = [float(a.sum() / b.sum()) for a, b in zip(y, x, strict=True)]
    # A user's influence on its arm's ratio; its mean is the ratio.
    part = [r + (a - r * b) / b.mean() for r, a, b in zip(ratio, y, x, strict=True)]
    if before is not None:
        covariate = [np.asarray(arm, float) for arm in before]
        if [len(c) for c in covariate] != [len(p) for p in part]:
            raise AnalysisError(
                f"before: {[len(c) for c in covariate]} users; the experiment has {[len(p) for p in part]}"
            )
        whole = np.concatenate(covariate)
        within = np.concatenate([p - p.mean() for p in part])
        centred = np.concatenate([c - c.mean() for c in covariate])
        slope = float(within @ centred / (centred @ centred)) if centred.any() else 0.0
        part = [p - slope * (c - whole.mean()) for p, c in zip(part, covariate, strict=True)]
    mean = [float(p.mean()) for p in part]
    error = math.sqrt(sum(float(p.var(ddof=1)) / len(p) for p in part))
    difference = mean[0] - mean[1]
    reach = float(stats.norm.ppf(1 - level / 2)) * error
    p_value = float(2 * stats.norm.sf(abs(difference) / error)) if error > 0 else float(difference == 0)
    return Difference(mean[0], mean[1], difference, difference - reach, difference + reach, p_value)


def days_needed(lift: float, deviation: float, power: float = 0.8, level: float = 0.05, most: int = 3_650) -> int:
    """Days until the paired t-test finds a lift with the wanted power.

    Args:
        lift: relative, as 0.1.
        deviation: of a day's log-ratio between arms without a lift.

    Raises:
        AnalysisError: a value outside its domain, or more than `most` days.
    """
    check_question(lift, power, level)
    if not (deviation > 0 and math.isfinite(deviation)):
        raise AnalysisError(f"deviation: {deviation!r}; give a number above 0")
    low, high = 2, most
    if power_of(lift, deviation, most, level) < power:
        raise AnalysisError(f"lift: {lift:g} needs more than {most:,} days; plan for a larger lift or less power")
    while low < high:
        middle = (low + high) // 2
        if power_of(lift, deviation, middle, level) >= power:
            high = middle
        else:
            low = middle + 1
    return low


def check_question(lift: float, power: float, level: float) -> None:
    """Refuse what no number of days answers, before anything is simulated.

    Raises:
        AnalysisError: a value outside its domain.
    """
    if not (lift > -1 and lift != 0 and math.isfinite(lift)):
        raise AnalysisError(f"lift: {lift!r}; give a relative change above -1 and not 0, as 0.1")
    for name, value in (("power", power), ("level", level)):
        if not 0 < value < 1:
            raise AnalysisError(f"{name}: {value!r}; give a number between 0 and 1")


def power_of(lift: float, deviation: float, days: int, level: float = 0.05) -> float:
    """Probability that the paired t-test finds the lift in so many days: the noncentral t law."""
    nu, far = days - 1, abs(math.log1p(lift)) / deviation * math.sqrt(days)
    edge = stats.t.ppf(1 - level / 2, nu)
    # The other tail adds less than level / 2, and its law has no stable form far out.
    power = float(stats.nct.sf(edge, nu, far))
    return power if math.isfinite(power) else 1.0


def log_ratio(treatment: ArrayLike, control: ArrayLike, dimensions: int = 1) -> Array:
    """ln of treatment over control, of a day each.

    Raises:
        AnalysisError: shapes that differ, fewer than two days, a figure that is not above 0.
    """
    one, other = np.asarray(treatment, float), np.asarray(control, float)
    if one.shape != other.shape or one.ndim != dimensions:
        raise AnalysisError(f"days: {one.shape} of treatment, {other.shape} of control; give one figure each per day")
    if one.shape[-1] < 2:
        raise AnalysisError(f"days: {one.shape[-1]}; a verdict needs two or more")
    for name, values in (("treatment", one), ("control", other)):
        bad = ~(np.isfinite(values) & (values > 0))
        if bad.any():
            at = np.unravel_index(int(bad.argmax()), bad.shape)
            raise AnalysisError(f"{name}: {values[at]:g} on day {at[-1] + 1}; leave out days without a figure above 0")
    # Arms that deliver the same differ in the last digit of a quotient, always the same way: that is no lift.
    return np.asarray(np.round(np.log(one / other), 12), float)


def _log_evidence(ratio_RT: Array, spread: float) -> Array:
    """ln of the Bayes factor by each day, (R, T); 0 on the first, infinite without any spread around a lift."""
    n_T = np.arange(1, ratio_RT.shape[1] + 1, dtype=float)
    # Sums around the first day's figure keep their digits where the lift is large and the spread small.
    shifted_RT = ratio_RT - ratio_RT[:, :1]
    mean_RT = shifted_RT.cumsum(1) / n_T
    squares_RT = np.maximum((shifted_RT**2).cumsum(1) - n_T * mean_RT**2, 0.0)
    nu_T, r_T = n_T - 1, 1 + n_T * spread**2
    with np.errstate(divide="ignore", invalid="ignore"):
        over_RT = n_T * (mean_RT + ratio_RT[:, :1]) ** 2 / squares_RT  # t^2 / nu
        log_RT = 0.5 * (nu_T + 1) * (np.log1p(over_RT) - np.log1p(over_RT / r_T)) - 0.5 * np.log(r_T)
    flat_RT = squares_RT <= 0
    never_RT = np.maximum.accumulate(np.abs(ratio_RT), axis=1) == 0
    log_RT = np.where(flat_RT, np.where(never_RT, -0.5 * np.log(r_T), math.inf), log_RT)
    log_RT[:, 0] = 0.0
    return np.asarray(log_RT, float)


def _judged(ratio_T: Array, evidence: float, level: float, spread: float) -> Lift:
    """The lift with today's always-valid interval; `evidence`: ln of today's Bayes factor."""
    n, mean = len(ratio_T), float(ratio_T.mean())
    # Around the first figure: equal figures then have no spread at all, also in the last digit.
    error = float((ratio_T - ratio_T[0]).std(ddof=1)) / math.sqrt(n)
    r, nu = 1 + n * spread**2, n - 1
    k = (math.sqrt(r) / level) ** (2 / (nu + 1))
    reach = math.sqrt(nu * (k - 1) / (1 - k / r)) * error if k < r else math.inf
    if error == 0:
        reach = 0.0  # no spread at all: the evidence is infinite, or there is no lift
    low, high = mean - reach, mean + reach
    return Lift(math.expm1(mean), math.expm1(low), _expm1(high), min(1.0, math.exp(-evidence)), n)


def _expm1(value: float) -> float:
    return math.expm1(value) if value < 700 else math.inf
