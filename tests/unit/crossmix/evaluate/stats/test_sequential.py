"""An experiment's analysis: false positives under shared shocks and peeking, power, ratios per user."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from crossmix.evaluate.stats.sequential import (
    AnalysisError,
    balance,
    closing,
    days_needed,
    fewest_days,
    found_by_day,
    paired,
    power_of,
    ratio_of_sums,
    sequential,
    sequential_by_day,
    summed,
)


def test_a_leak_is_caught_and_a_fair_split_is_not() -> None:
    weights = {"policy": 0.7, "control": 0.3}
    assert balance({"policy": 6_500, "control": 3_500}, weights).blocks
    rng = np.random.default_rng(0)
    fair = rng.binomial(10_000, 0.7, 2_000)
    blocked = np.mean([balance({"policy": int(n), "control": 10_000 - int(n)}, weights).blocks for n in fair])
    # At most 0.1 %: 2 expected of 2,000; 9 or more would have probability 2e-4.
    assert blocked < 9 / 2_000
    with pytest.raises(AnalysisError, match=r"users: arms \['policy'\]"):
        balance({"policy": 3}, weights)


def _same(rng: np.random.Generator, runs: int, days: int, lift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Daily ROI of both arms: market shocks of 30 % shared, noise of 5 % their own."""
    shock = np.exp(0.3 * rng.standard_normal((runs, days)))
    own = np.exp(0.05 * rng.standard_normal((2, runs, days)))
    return shock * own[0] * (1 + lift), shock * own[1]


def test_false_positives_under_shared_shocks() -> None:
    """A/A: the paired test fires in 5 %, the sequential one with daily peeking in no more, the paper's Welch hardly."""
    rng, runs, days = np.random.default_rng(1), 2_000, 14
    one, other = _same(rng, runs, days)
    fixed = np.mean([paired(one[i], other[i]).p < 0.05 for i in range(runs)])
    # Binomial deviation of 5 % over 2,000: 0.5 %.
    assert abs(fixed - 0.05) < 0.015
    peeking = np.mean([sequential(one[i], other[i]).p <= 0.05 for i in range(runs)])
    assert peeking < 0.05
    naive = np.mean([min(paired(one[i, :n], other[i, :n]).p for n in range(2, days + 1)) < 0.05 for i in range(500)])
    assert naive > 0.12
    unpaired = stats.ttest_ind(one, other, axis=1, equal_var=False).pvalue
    assert np.mean(unpaired < 0.05) < 0.005


def _market_days(rng: np.random.Generator, runs: int, days: int, lift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Daily ROI (R, T) of arms of 70 % and 30 %, as an advertiser of 500 conversions a day meets them.

    The market is shared: conversions swing with the weekday and with an AR(1) shock of 30 %. Luck is each arm's own:
    Poisson conversions of gamma values (deviation 0.7 of the mean). A model, and not the simulated market: arms of 70 %
    and 30 % of that differ by themselves, as the smaller one leaves more of its money unspent (about 1 % of ROI), which
    10,000 runs would rightly find; here both arms spend all they have, so that nothing but luck is between them.
    """
    week = 1 + 0.2 * np.sin(2 * np.pi * np.arange(days) / 7)
    shock = np.empty((runs, days))
    shock[:, 0] = rng.standard_normal(runs)
    for day in range(1, days):
        shock[:, day] = 0.8 * shock[:, day - 1] + 0.6 * rng.standard_normal(runs)
    roi = []
    for weight, more in ((0.7, 1 + lift), (0.3, 1.0)):
        sold = rng.poisson(500 * weight * more * week * np.exp(0.3 * shock))
        roi.append(rng.gamma(np.maximum(sold, 1) / 0.7**2) * 0.7**2 / (500 * weight))
    return roi[0], roi[1]


def _errors(runs: int, seed: int, days: int = 14, lift: float = 0.0) -> dict[str, int]:
    """How many experiments each test finds a difference in; `verdict`: what the status page would decide."""
    one_RT, other_RT = _market_days(np.random.default_rng(seed), runs, days, lift)
    early_R = found_by_day(one_RT, other_RT)[:, -1]
    p_R = np.array([paired(one, other).p for one, other in zip(one_RT, other_RT, strict=True)])
    welch_R = stats.ttest_ind(one_RT, other_RT, axis=1, equal_var=False).pvalue <= 0.05
    return {
        "paired": int((p_R <= 0.05).sum()),
        "always-valid": int(early_R.sum()),
        "verdict": int((early_R | (p_R <= closing(days))).sum()),
        "Welch": int(welch_R.sum()),
    }


def _bounds(found: int, runs: int) -> tuple[float, float]:
    """Clopper and Pearson's one-sided 95 % bounds, below and above."""
    law = stats.binomtest(found, runs).proportion_ci(0.9, "exact")
    return float(law.low), float(law.high)


def test_a_a_in_short(capsys: pytest.CaptureFixture[str]) -> None:
    """1,000 experiments: three binomial deviations are 2.1 points at 5 %."""
    found, planted = _errors(1_000, 11), _errors(1_000, 12, lift=0.1)
    assert found["paired"] == pytest.approx(50, abs=21)
    assert found["verdict"] == pytest.approx(50, abs=21)
    assert found["always-valid"] <= 50
    assert found["Welch"] <= 10
    with capsys.disabled():
        print(f"\nfalse positives of 1,000: {found}\na planted lift of 10 % found in, of 1,000: {planted}")
    # The noncentral t law's power at the model's mean noise; days of strong demand have less, and weigh the same.
    one, other = _market_days(np.random.default_rng(13), 2_000, 14)
    power = power_of(0.1, float(np.log(one / other).std()), 14)
    assert planted["paired"] / 1_000 == pytest.approx(power, abs=0.08)
    assert planted["always-valid"] > 300


@pytest.mark.soak
def test_a_a_in_long(capsys: pytest.CaptureFixture[str]) -> None:
    """10,000 experiments of 14 days: the fixed-horizon test's false positives equivalent to 5 % within a point (both
    one-sided 95 % bounds), those of the sequential one with daily peeking below 5.5 % with 95 % confidence.
    """
    runs = 10_000
    found, planted = _errors(runs, 21), _errors(runs, 22, lift=0.1)
    with capsys.disabled():
        for name in found:
            low, high = _bounds(found[name], runs)
            print(f"\n{name:<14}A/A {found[name] / runs:.2%} [{low:.2%}, {high:.2%}]", end="")
            print(f"   power at +10 % {planted[name] / runs:.1%}", end="")
    for name in ("paired", "verdict"):
        low, high = _bounds(found[name], runs)
        assert low >= 0.04
        assert high <= 0.06
    assert _bounds(found["always-valid"], runs)[1] <= 0.055


@pytest.mark.soak
def test_a_sequential_test_of_a_quarter_keeps_its_level() -> None:
    """90 days of peeking; and arms of equal size under heavy-tailed luck."""
    one, other = _market_days(np.random.default_rng(31), 10_000, 90)
    assert _bounds(int(found_by_day(one, other)[:, -1].sum()), 10_000)[1] <= 0.055
    tails = np.exp(0.1 * np.random.default_rng(32).standard_t(3, (2, 10_000, 30)))
    assert _bounds(int(found_by_day(*tails)[:, -1].sum()), 10_000)[1] <= 0.055


def test_the_level_left_for_the_end_makes_both_together_the_level() -> None:
    for days in (5, 14, 60):
        rng = np.random.default_rng(days)
        one, other = np.exp(rng.standard_normal((2, 20_000, days)))
        early = found_by_day(one, other)[:, -1]
        p = stats.ttest_1samp(np.log(one / other), 0, axis=1).pvalue
        assert paired(one[0], other[0]).p == pytest.approx(p[0])
        # Binomial deviation 0.15 %.
        assert np.mean(early | (p <= closing(days))) == pytest.approx(0.05, abs=0.006)
        assert closing(days) <= 0.05
    assert closing(14) > closing(60) > closing(365) > 0.01
    assert closing(14, 0.1) > closing(14)
    with pytest.raises(AnalysisError, match="days: 1; a verdict needs two"):
        closing(1)


def test_the_bayes_factor_is_that_of_the_mixture() -> None:
    """Against numerical integration: N(0, 1) standardised lifts, the deviation's right Haar measure cancelled."""
    ratio = np.random.default_rng(7).normal(1.0, 0.8, 6)
    n, t = len(ratio), ratio.mean() / (ratio.std(ddof=1) / math.sqrt(len(ratio)))
    lifts = np.linspace(-9, 9, 20_001)
    mixed = np.trapezoid(stats.nct.pdf(t, n - 1, math.sqrt(n) * lifts) * stats.norm.pdf(lifts), lifts)
    look = sequential(np.exp(ratio), np.ones(n))
    if look.p < sequential(np.exp(ratio[:-1]), np.ones(n - 1)).p:
        assert 1 / look.p == pytest.approx(mixed / stats.t.pdf(t, n - 1), rel=1e-4)
    else:
        pytest.fail("the last day must be the one with the strongest evidence; take another seed")


def test_all_days_at_once_are_each_day_on_its_own() -> None:
    rng = np.random.default_rng(8)
    one, other = _market_days(rng, 20, 12, lift=0.1)
    found = found_by_day(one, other)
    for run in range(20):
        alone = [sequential(one[run, :n], other[run, :n]) for n in range(2, 13)]
        assert alone == sequential_by_day(one[run], other[run])
        assert found[run].tolist() == [False, *(look.p <= 0.05 for look in alone)]
    assert 0 < found[:, -1].sum() < 20
    with pytest.raises(AnalysisError, match="control: 0 on day 3"):
        found_by_day(np.ones((2, 4)), np.array([[1.0, 1, 1, 1], [1, 1, 0, 1]]))


def test_days_are_summed_until_none_is_empty() -> None:
    part = np.array([[1.0, 0, 0, 0, 5, 0, 2]])
    assert summed(part, 3).tolist() == [[1.0, 5.0]]
    assert fewest_days(np.ones((1, 7)), np.array([[0.0, 1, 0, 1, 1, 0, 1]])) == 2
    assert fewest_days(part) is None
    assert fewest_days(np.ones((1, 2))) is None  # too few for three figures


def test_the_sequential_interval_covers_at_all_days_together() -> None:
    rng, runs, days = np.random.default_rng(2), 600, 20
    one, other = _same(rng, runs, days, lift=0.03)
    missed = 0
    for i in range(runs):
        looks = [sequential(one[i, :n], other[i, :n]) for n in range(2, days + 1)]
        missed += any(not look.low <= 0.03 <= look.high for look in looks)
    assert missed / runs < 0.05 + 0.02


def test_a_lift_is_found_and_its_size_is_right() -> None:
    rng = np.random.default_rng(3)
    one, other = _same(rng, 400, 14, lift=0.10)
    found = [sequential(one[i], other[i]) for i in range(400)]
    assert np.mean([look.significant for look in found]) > 0.8
    assert np.mean([look.lift for look in found]) == pytest.approx(0.10, abs=0.01)
    assert all(look.low < look.lift < look.high for look in found)


def test_planned_days_give_the_planned_power() -> None:
    deviation = 0.05 * math.sqrt(2)
    days = days_needed(0.05, deviation, power=0.8)
    assert power_of(0.05, deviation, days) >= 0.8 > power_of(0.05, deviation, days - 1)
    rng = np.random.default_rng(4)
    one, other = _same(rng, 3_000, days, lift=0.05)
    got = np.mean([paired(one[i], other[i]).significant for i in range(3_000)])
    # Binomial deviation 0.7 %.
    assert got == pytest.approx(power_of(0.05, deviation, days), abs=0.025)
    with pytest.raises(AnalysisError, match=r"lift: 1e-06 needs more than 3,650 days"):
        days_needed(1e-6, deviation)


def test_ratios_per_user_by_the_delta_method() -> None:
    """Users differ in volume and rate: false positives at 5 %, where a test that takes clicks for independent fires."""
    rng, runs, fired, naive = np.random.default_rng(5), 800, 0, 0
    for _ in range(runs):
        arms = []
        for users in (700, 300):
            seen = rng.poisson(np.exp(rng.normal(3, 1, users))) + 1
            arms.append((rng.binomial(seen, rng.beta(0.5, 4.5, users)), seen))
        found = ratio_of_sums((arms[0][0], arms[1][0]), (arms[0][1], arms[1][1]))
        fired += found.p < 0.05
        table = [[part[0].sum(), part[1].sum() - part[0].sum()] for part in arms]
        naive += stats.chi2_contingency(table).pvalue < 0.05
    assert abs(fired / runs - 0.05) < 0.025
    assert naive / runs > 0.5
    assert found.treatment == pytest.approx(arms[0][0].sum() / arms[0][1].sum())


def test_a_covariate_from_before_narrows_the_interval_and_moves_nothing() -> None:
    rng = np.random.default_rng(6)
    before = [rng.gamma(2, 1, users) for users in (4_000, 2_000)]
    spend = [np.ones(len(b)) for b in before]
    revenue = [2 * b + rng.normal(0.2 * (arm == 0), 0.5, len(b)) for arm, b in enumerate(before)]
    plain = ratio_of_sums((revenue[0], revenue[1]), (spend[0], spend[1]))
    cuped = ratio_of_sums((revenue[0], revenue[1]), (spend[0], spend[1]), (before[0], before[1]))
    assert cuped.high - cuped.low < 0.35 * (plain.high - plain.low)
    assert cuped.low < 0.2 < cuped.high
    assert cuped.p < 0.001


@pytest.mark.parametrize(
    ("one", "other", "named"),
    [
        ([1.0], [1.0], r"days: 1; a verdict needs two"),
        ([1.0, 0.0], [1.0, 1.0], r"treatment: 0 on day 2; leave out"),
        ([1.0, 2.0], [1.0, math.nan], r"control: nan on day 2"),
        ([1.0, 2.0], [1.0], r"give one figure each per day"),
    ],
)
def test_figures_that_cannot_be_compared_are_named(one: list, other: list, named: str) -> None:
    for test in (paired, sequential):
        with pytest.raises(AnalysisError, match=named):
            test(one, other)


def test_the_last_digit_is_no_lift() -> None:
    """Spend of 93 % of two budgets, day by day: the quotients differ by 1e-16."""
    budget = np.array([700.0, 300.0])
    spent = np.array([[sum([0.93 * b * part for part in (0.4, 0.3, 0.2, 0.1)]) for b in budget] for _ in range(9)])
    one, other = (spent / budget).T
    assert one[0] != other[0]
    for look in (paired(one, other), sequential(one, other)):
        assert (look.lift, look.p) == (0.0, 1.0)
