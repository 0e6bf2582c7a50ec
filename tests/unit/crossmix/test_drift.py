"""The AR(1) filter against the joint Gaussian law of everything that was seen, computed densely."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from torch import Tensor

from crossmix import drift
from crossmix.drift import Belief

T, RHO, SIGMA = 9, 0.83, 0.4
VARIANCE = torch.tensor([SIGMA**2], dtype=torch.float64)
RHO_1 = torch.tensor([RHO], dtype=torch.float64)


def _case(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Observations, noises and what was seen, (T, 1); the start, the end and two cycles between are missing."""
    g = torch.Generator().manual_seed(seed)
    observed = torch.randn(T, 1, generator=g, dtype=torch.float64)
    noise = 0.05 + torch.rand(T, 1, generator=g, dtype=torch.float64)
    seen = torch.ones(T, 1, dtype=torch.bool)
    seen[[0, 3, 4, T - 1]] = False
    return observed, noise, seen


def _dense(upto: int, noise: Tensor, seen: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the cycles before `upto` that were seen: their numbers, joint covariance, and covariance with all T drifts."""
    index = np.flatnonzero(seen[:upto, 0].numpy())
    lag = np.abs(np.arange(T)[:, None] - np.arange(T))
    law = SIGMA**2 * RHO**lag
    return index, law[np.ix_(index, index)] + np.diag(noise[index, 0].numpy()), law[:, index]


def test_the_likelihood_is_the_density_of_all_that_was_seen() -> None:
    observed, noise, seen = _case()
    found = drift.filtered(observed, noise, seen, RHO_1, VARIANCE)
    index, covariance, _ = _dense(T, noise, seen)
    expected = multivariate_normal(cov=covariance).logpdf(observed[index, 0].numpy())
    assert float(found.log_likelihood) - 0.5 * len(index) * np.log(2 * np.pi) == pytest.approx(expected, rel=1e-12)


def test_every_belief_is_the_conditional_law_of_its_cycle() -> None:
    observed, noise, seen = _case(1)
    found = drift.filtered(observed, noise, seen, RHO_1, VARIANCE)
    for t in range(T):
        for upto, variance_T in ((t, found.ahead_T), (t + 1, found.variance_T)):
            index, covariance, cross = _dense(upto, noise, seen)
            weight = np.linalg.solve(covariance, cross[t]) if len(index) else np.zeros(0)
            assert float(variance_T[t]) == pytest.approx(SIGMA**2 - weight @ cross[t], rel=1e-12)
            if upto == t + 1:
                assert float(found.mean_T[t]) == pytest.approx(weight @ observed[index, 0].numpy(), rel=1e-10)


def test_smoothing_conditions_on_all_cycles() -> None:
    observed, noise, seen = _case(2)
    smooth = drift.smoothed(drift.filtered(observed, noise, seen, RHO_1, VARIANCE), RHO_1)
    index, covariance, cross = _dense(T, noise, seen)
    expected = cross @ np.linalg.solve(covariance, observed[index, 0].numpy())
    np.testing.assert_allclose(smooth[:, 0].numpy(), expected, rtol=1e-10)


def test_the_filter_is_differentiable_in_law_and_observations() -> None:
    observed, noise, seen = _case(3)

    def likelihood(y: Tensor, rho: Tensor, variance: Tensor) -> Tensor:
        path = drift.filtered(y, noise, seen, rho, variance)
        return path.log_likelihood + drift.smoothed(path, rho).sum()

    given = tuple(x.clone().requires_grad_(True) for x in (observed, RHO_1, VARIANCE))
    assert torch.autograd.gradcheck(likelihood, given)


def test_batches_are_filtered_cell_by_cell() -> None:
    cells = [_case(seed) for seed in range(3)]
    observed, noise, seen = (torch.cat(parts, 1) for parts in zip(*cells, strict=True))
    rho, variance = torch.tensor([0.2, 0.7, 0.95]).double(), torch.tensor([0.1, 0.3, 0.2]).double()
    whole = drift.filtered(observed, noise, seen, rho, variance)
    for n, cell in enumerate(cells):
        alone = drift.filtered(*cell, rho[[n]], variance[[n]])
        torch.testing.assert_close(whole.mean_T[:, [n]], alone.mean_T)
        torch.testing.assert_close(whole.variance_T[:, [n]], alone.variance_T)


def test_columns_that_share_noise_and_gaps_are_whitened_as_each_is_filtered() -> None:
    cells = [_case(seed) for seed in range(6)]
    _, noise, seen = (torch.cat(parts, 1) for parts in zip(*cells[:2], strict=True))
    observed = torch.stack([cell[0][:, 0] for cell in cells], 1).reshape(T, 2, 3)
    found = drift.whitened(observed.numpy(), noise.numpy(), seen.numpy(), RHO, SIGMA**2)
    smooth = found.smoothed(RHO)
    for column in range(3):
        alone = drift.filtered(observed[..., column], noise, seen, RHO_1, VARIANCE)
        innovation = found.innovation_TKS[..., column]
        density = -0.5 * (np.log(found.whole_TK) + innovation**2 / found.whole_TK)
        assert density[seen.numpy()].sum() == pytest.approx(float(alone.log_likelihood), rel=1e-12)
        np.testing.assert_allclose(found.mean_TKS[..., column], alone.mean_T.numpy(), rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(found.variance_TK, alone.variance_T.numpy(), rtol=1e-12)
        want = drift.smoothed(alone, RHO_1).numpy()
        np.testing.assert_allclose(smooth[..., column], want, rtol=1e-11, atol=1e-15)
    for series in range(2):
        _, covariance, cross = _dense(T, noise[:, [series]], seen[:, [series]])
        left = SIGMA**2 - np.einsum("ti,it->t", cross, np.linalg.solve(covariance, cross.T))
        np.testing.assert_allclose(found.left(RHO)[:, series], left, rtol=1e-9)


def test_one_cycle_seen_is_an_update_and_a_prediction() -> None:
    noise, innovation = torch.tensor([0.07]).double(), torch.tensor([0.6]).double()
    seen = drift.update(drift.stationary(VARIANCE), innovation, VARIANCE + noise)
    expected = drift.predict(seen, RHO_1, VARIANCE)
    found = drift.ahead_of_one(RHO_1, VARIANCE, VARIANCE / (VARIANCE + noise), innovation)
    torch.testing.assert_close(found.mean, expected.mean)
    torch.testing.assert_close(found.variance, expected.variance)


def test_what_was_not_seen_or_is_all_noise_changes_nothing() -> None:
    belief = Belief(torch.tensor([0.3]), torch.tensor([0.2]))
    hidden = drift.update(belief, torch.tensor([5.0]), torch.tensor([0.3]), torch.tensor([False]))
    noisy = drift.update(belief, torch.tensor([5.0]), torch.tensor([torch.inf]))
    for after in (hidden, noisy):
        assert torch.equal(after.mean, belief.mean)
        assert torch.equal(after.variance, belief.variance)


def test_the_law_keeps_its_variance_and_forgets_by_rho() -> None:
    g = torch.Generator().manual_seed(0)
    rho, sigma = torch.tensor(0.8, dtype=torch.float64), torch.tensor(0.5, dtype=torch.float64)
    path = [sigma * torch.randn(200_000, generator=g, dtype=torch.float64)]
    for _ in range(3):
        path.append(drift.advance(path[-1], rho, sigma, torch.randn(200_000, generator=g, dtype=torch.float64)))
    x_TN = torch.stack(path)
    factor_TN = drift.factor(x_TN, sigma**2)
    for lag in range(4):
        apart = torch.tensor(float(lag), dtype=torch.float64)
        expected = float(drift.autocovariance(rho, sigma**2, apart))
        assert expected == pytest.approx(0.25 * 0.8**lag)
        assert float((x_TN[0] * x_TN[lag]).mean()) == pytest.approx(expected, abs=0.005)
        covariance = float(((factor_TN[0] - 1) * (factor_TN[lag] - 1)).mean())
        assert covariance == pytest.approx(float(drift.factor_covariance(rho, sigma**2, apart)), abs=0.015)
    torch.testing.assert_close(factor_TN.mean(1), torch.ones(4, dtype=torch.float64), atol=0.005, rtol=0)


def test_a_beliefs_factor_is_its_mean_and_one_under_the_stationary_law() -> None:
    variance = torch.tensor([0.25], dtype=torch.float64)
    assert float(drift.expected_factor(drift.stationary(variance), variance)) == 1
    belief = Belief(torch.tensor([0.3]).double(), torch.tensor([0.1]).double())
    x = 0.3 + 0.1**0.5 * torch.randn(400_000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    sampled = float(drift.factor(x, variance).mean())
    assert float(drift.expected_factor(belief, variance)) == pytest.approx(sampled, rel=0.003)
