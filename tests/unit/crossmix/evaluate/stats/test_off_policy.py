"""Off-policy estimates where the truth is known: by hand, coverage, variance, overlap."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import norm

from crossmix.evaluate.stats.off_policy import ENOUGH, FeedbackError, estimate
from crossmix.exploration import Exploration

SHIFT, NOISE, SPREAD = 0.5, 0.4, 0.3


def _log(rng: np.random.Generator, rows: int, shift: float = SHIFT) -> dict[str, np.ndarray]:
    """Logits of one dimension around the state, N(s, 1); the target's mean is `shift` further. r = z - z^2/4."""
    state = SPREAD * rng.normal(size=rows)
    z = state + rng.normal(size=rows)
    reward = z - z**2 / 4 + NOISE * rng.normal(size=rows)

    def density(mean: np.ndarray) -> np.ndarray:
        return -0.5 * (z - mean) ** 2 - 0.5 * math.log(2 * math.pi)

    mean = state + shift
    return {
        "log_served_N": density(state),
        "log_target_N": density(mean),
        "reward_N": reward,
        "model_N": z - z**2 / 4,
        "model_target_N": mean - (mean**2 + 1) / 4,
    }


TRUTH = SHIFT - (SPREAD**2 + SHIFT**2 + 1) / 4
"""E[z - z^2/4] with z ~ N(s + shift, 1), s ~ N(0, SPREAD^2)."""


def test_estimates_by_hand() -> None:
    weight, reward = np.array([0.5, 2.0, 1.0]), np.array([1.0, 3.0, -1.0])
    model, target = np.array([0.5, 2.0, 0.0]), np.array([1.0, 1.0, 2.0])
    found = estimate(np.log(weight), np.zeros(3), reward, model_N=model, model_target_N=target)
    assert found.logged.value == 1.0
    assert found.ips.value == pytest.approx((0.5 + 6 - 1) / 3)
    assert found.snips.value == pytest.approx((0.5 + 6 - 1) / 3.5)
    assert found.doubly_robust is not None
    assert found.doubly_robust.value == pytest.approx((1 + 0.25 + 1 + 2 + 2 - 1) / 3)
    assert found.effective == pytest.approx(3.5**2 / 5.25)
    assert found.largest == pytest.approx(2 / 3.5)
    assert found.covered == pytest.approx(3.5 / 3)
    assert found.needed == math.ceil(3 * ENOUGH / found.effective)
    values = weight * reward
    assert found.ips.error == pytest.approx(values.std(ddof=1) / math.sqrt(3))


@pytest.mark.parametrize("trials", [200, pytest.param(1_000, marks=pytest.mark.soak)])
def test_intervals_cover_the_truth_and_a_model_narrows_them(trials: int) -> None:
    rng = np.random.default_rng(0)
    found = [estimate(**_log(rng, 600)) for _ in range(trials)]
    spread = 3 * math.sqrt(0.95 * 0.05 / trials)
    for name in ("ips", "snips", "doubly_robust"):
        estimates = [getattr(one, name) for one in found]
        covered = np.mean([one.ci95[0] <= TRUTH <= one.ci95[1] for one in estimates])
        # Heavy weights make normal intervals a little too short.
        assert 0.95 - spread - 0.02 < covered < 0.95 + spread + 0.01, (name, covered)
        values = np.array([one.value for one in estimates])
        assert abs(values.mean() - TRUTH) < 4 * values.std() / math.sqrt(trials), name
        assert np.mean([one.error for one in estimates]) == pytest.approx(values.std(), rel=0.25), name
    variance = {name: np.var([getattr(one, name).value for one in found]) for name in ("ips", "doubly_robust")}
    assert variance["doubly_robust"] < 0.7 * variance["ips"]


def test_a_wrong_model_leaves_the_doubly_robust_estimate_unbiased() -> None:
    rng = np.random.default_rng(1)
    values = []
    for _ in range(200):
        log = _log(rng, 600)
        # q(s, a) = 2, whatever the split.
        log |= {"model_N": np.full(600, 2.0), "model_target_N": np.full(600, 2.0)}
        found = estimate(**log).doubly_robust
        assert found is not None
        values.append(found.value)
    assert abs(np.mean(values) - TRUTH) < 4 * np.std(values) / math.sqrt(200)


def test_cycles_of_a_flight_are_not_independent() -> None:
    rng = np.random.default_rng(2)
    flights, length = 40, 10
    hits = {True: 0, False: 0}
    for _ in range(200):
        cluster = np.repeat(np.arange(flights), length)
        reward = rng.normal(size=flights)[cluster] + 0.1 * rng.normal(size=flights * length)
        zero = np.zeros(len(reward))
        for clustered in hits:
            low, high = estimate(zero, zero, reward, cluster_N=cluster if clustered else None).logged.ci95
            hits[clustered] += low <= 0 <= high
    assert 0.90 < hits[True] / 200 < 0.99
    assert hits[False] / 200 < 0.6


def test_a_target_far_away_is_called_so() -> None:
    rng = np.random.default_rng(3)
    near, far = estimate(**_log(rng, 600)), estimate(**_log(rng, 600, shift=3.0))
    assert near.enough
    assert near.needed <= 600
    assert not far.enough
    assert far.needed > 600
    assert far.largest > 0.1
    names = {"logged", "ips", "snips", "doubly_robust", "effective", "largest", "covered", "enough", "needed"}
    assert set(near.plain()) == names


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"reward_N": [1.0]}, "log_target: shape"),
        ({"reward_N": [1.0, math.nan, 2.0]}, r"reward: nan in row 1"),
        ({"model_N": [1.0, 1.0, 1.0]}, "model: give both"),
        ({"cluster_N": [7, 7, 7]}, "cluster: 1 flight in 3 rows"),
    ],
)
def test_logs_that_cannot_be_judged_are_refused(changed: dict, told: str) -> None:
    given: dict = {"log_target_N": [0.0] * 3, "log_served_N": [0.0] * 3, "reward_N": [1.0, 2.0, 3.0]}
    with pytest.raises(FeedbackError, match=told):
        estimate(**given | changed)


def test_splits_that_cut_exploration_cannot_serve_weigh_nothing() -> None:
    law, shift, rows = Exploration(0.5, 2.0), 0.5, 20_000
    served = torch.zeros(rows, 2)
    target = served + torch.tensor([shift, 0.0])
    logits, density = law.sample(served, torch.Generator().manual_seed(0))
    log_target = law.log_density(target, logits)
    beyond = logits[:, 0] < shift - 1.0
    assert torch.equal(log_target.isneginf(), beyond)
    found = estimate(log_target, density, 1 + logits[:, 1])
    # Of the target's own law the log holds all but what lies more than one deviation above its mean.
    inside = norm.cdf(2) - norm.cdf(-2)
    assert found.covered == pytest.approx((norm.cdf(1) - norm.cdf(-2)) / inside, abs=0.02)
    assert found.snips.value == pytest.approx(1, abs=0.02)
    assert found.ips.value == pytest.approx(found.covered, abs=0.02)


def test_a_target_beyond_the_log_is_refused() -> None:
    with pytest.raises(FeedbackError, match="none of the logged splits; more cycles do not help"):
        estimate(np.full(3, -math.inf), np.zeros(3), np.ones(3))
    with pytest.raises(FeedbackError, match="log_served: -inf in row 0"):
        estimate(np.zeros(3), np.full(3, -math.inf), np.ones(3))
