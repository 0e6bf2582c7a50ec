"""What a campaign's platforms have in common of an error, and draws that have it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from crossmix.market.fit.history_parameters import _shared
from crossmix.market.fit.pooling import Pooled, Spread, pooled
from crossmix.market.model import load, save
from crossmix.market.uncertain import drawn
from tests.support.markets import make_market

PAIRS = np.triu_indices(4, 1)


def of(correlation_PP: np.ndarray, deviation_P: np.ndarray) -> Pooled:
    covariance = correlation_PP * np.outer(deviation_P, deviation_P)
    return Pooled(np.zeros((1, len(deviation_P))), np.diag(covariance)[None], covariance[None])


def pairs(part_P: np.ndarray) -> np.ndarray:
    return np.sqrt(np.outer(part_P, part_P))[PAIRS]


def test_the_parts_of_one_factor_are_found_whatever_the_errors_are() -> None:
    part = np.array([0.81, 0.5, 0.2, 0.05])
    correlation = np.sqrt(np.outer(part, part))
    np.fill_diagonal(correlation, 1.0)
    one, other = of(correlation, np.array([0.1, 2.0, 0.5, 1.0])), of(np.eye(4), np.array([0.1, 2.0, 0.5, 1.0]))
    np.testing.assert_allclose(_shared(one)[0], part, atol=2e-3)
    # Of a sum of two terms, one of them apart, half of the variance has nothing in common.
    np.testing.assert_allclose(_shared(one, other)[0], part / 2, atol=2e-3)
    assert _shared(of(np.eye(1), np.ones(1))).tolist() == [[0.0]]
    np.testing.assert_array_equal(_shared(other), np.zeros((1, 4)))
    two = np.array([[1.0, 0.3], [0.3, 1.0]])
    np.testing.assert_allclose(np.prod(_shared(of(two, np.array([0.1, 1.0])))), 0.09, rtol=1e-6)


def test_two_platforms_that_are_known_and_two_that_hardly_are_correlate_pair_by_pair() -> None:
    rng = np.random.default_rng(0)
    truth = 0.4 * rng.standard_normal((20, 1)) + 0.3 * rng.standard_normal((1, 4)) + 0.05 * rng.standard_normal((20, 4))
    variance = np.tile([0.002, 0.002, 1.0, 1.0], (20, 1))
    figure = truth + np.sqrt(variance) * rng.standard_normal(truth.shape)
    found = pooled(figure, variance, Spread(0.0, 5.0, 0.4, 0.4, 0.25))
    deviation = np.sqrt(found.variance)
    exact = (found.covariance / (deviation[:, :, None] * deviation[:, None]))[0]
    part = _shared(found)[0]
    told = np.sqrt(np.outer(part, part))
    # Those known 2 % as badly as the others correlate most; one number for all pairs would be far below.
    assert exact[0, 1] > 2 * exact[2, 3]
    np.testing.assert_allclose(told[PAIRS], exact[PAIRS], atol=0.05)
    whole = told * np.outer(deviation[0], deviation[0])
    np.fill_diagonal(whole, found.variance[0])
    assert whole.sum() == pytest.approx(found.covariance[0].sum(), rel=0.05)


def test_draws_of_a_market_that_was_saved_correlate_by_their_parts(tmp_path) -> None:  # type: ignore[no-untyped-def]
    part = torch.tensor([[0.9, 0.5, 0.1, 0.0], [0.0, 0.0, 0.0, 0.0]])
    market = make_market(platforms=4, campaigns=2)
    value = dict(market.value) | {"elasticity": torch.full((2, 4), 0.7), "bend": torch.full((2, 4), 0.2)}
    error = dict(market.error) | {"elasticity": torch.tensor([0.02, 0.05, 0.1, 0.1]).expand(2, 4).clone()}
    save(replace(market, value=value, error=error, shared={"elasticity": part}), tmp_path)
    kept = load(tmp_path)
    torch.testing.assert_close(kept.shared["elasticity"], part)
    for slot in (0, 1):
        draws = drawn(kept, slot, 20_000, torch.Generator().manual_seed(3)).factor["elasticity"].numpy()
        assert np.corrcoef(draws.T)[PAIRS] == pytest.approx(pairs(part[slot].numpy()), abs=0.03)
        assert draws.std(0) == pytest.approx(np.array([0.02, 0.05, 0.1, 0.1]) / 0.7, rel=0.03)
