"""Partial pooling: what seen cells keep, what unseen ones borrow, and that the truth lies within the errors."""

from __future__ import annotations

import numpy as np
import pytest

from crossmix.market.fit.pooling import Spread, linked, pooled

SPREAD = Spread(mean=0.0, mean_sd=10.0, platform=0.5, campaign=0.3, own=0.2)


def test_cells_that_are_known_keep_what_they_are() -> None:
    figure = np.array([[1.0, 2.0, 0.5], [1.4, 2.1, 0.7]])
    mean, variance, _ = pooled(figure, np.full((2, 3), 1e-6), SPREAD)
    np.testing.assert_allclose(mean, figure, atol=1e-3)
    np.testing.assert_allclose(variance, 1e-6, rtol=0.01)


def test_a_hole_in_a_two_by_two_table_is_what_its_row_and_column_say() -> None:
    figure = np.array([[3.0, 1.0], [np.nan, 1.4]])
    variance = np.full((2, 2), 1e-4)
    variance[1, 0] = np.inf
    mean, left, _ = pooled(figure, variance, SPREAD)
    # Campaign 1 lies 0.4 above campaign 0 where both ran, part of which is the cell's own.
    assert 3.0 < mean[1, 0] < 3.4
    # Little is known of a cell's own effect, and one difference tells little of campaigns.
    assert 0.1 < np.sqrt(left[1, 0]) < 0.8


def test_nothing_seen_is_the_prior() -> None:
    mean, variance, covariance = pooled(np.full((2, 2), np.nan), np.full((2, 2), np.inf), SPREAD)
    np.testing.assert_allclose(mean, 0.0)
    np.testing.assert_allclose(variance, 100 + 0.5**2 + 0.3**2 + 0.2**2)
    # A campaign's platforms have the mean and the campaign in common.
    np.testing.assert_allclose(covariance[:, 0, 1], [100 + 0.3**2] * 2)
    np.testing.assert_allclose(np.diagonal(covariance, axis1=1, axis2=2), variance)


def test_what_is_known_of_all_cells_is_no_error_in_common() -> None:
    """Known well, cells have errors of their own alone; known badly, they share that of the mean."""
    figure = np.array([[1.0, 2.0, 0.5], [1.4, 2.1, 0.7]])
    shared = []
    for noise in (1e-3, 1.0, 100.0):
        _, variance, covariance = pooled(figure, np.full((2, 3), noise), SPREAD)
        shared.append(covariance[:, *np.triu_indices(3, 1)].mean(1) / variance.mean(1))
        assert (np.abs(shared[-1]) <= 1).all()
    assert np.abs(shared[0]).max() < 0.05
    assert (shared[1] < shared[2]).all()
    assert (shared[2] > 0.5).all()


@pytest.mark.parametrize("seed", range(3))
def test_the_truth_lies_within_the_errors(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = 2 + 0.6 * rng.standard_normal(5) + 0.3 * rng.standard_normal((20, 1)) + 0.2 * rng.standard_normal((20, 5))
    noise = rng.uniform(0.05, 0.4, truth.shape)
    hidden = rng.random(truth.shape) < 0.3
    seen = truth + noise * rng.standard_normal(truth.shape)
    mean, variance, _ = pooled(np.where(hidden, np.nan, seen), np.where(hidden, np.inf, noise**2), SPREAD)
    z = (mean - truth) / np.sqrt(variance)
    # The deviation of 30 and of 70 normals: within a third of 1.
    assert 0.67 < z[hidden].std() < 1.33
    assert 0.67 < z[~hidden].std() < 1.33
    # Borrowing helps: an unseen cell is nearer to the truth than the mean of all is, a seen one than what was seen.
    assert np.abs(mean - truth)[hidden].mean() < 0.6 * np.abs(seen[~hidden].mean() - truth)[hidden].mean()
    assert np.square(mean - truth)[~hidden].mean() < np.square(seen - truth)[~hidden].mean()


def test_a_chain_of_seen_cells_tells_of_a_cell() -> None:
    # Campaigns 0 and 1 meet on platform 1, 1 and 2 on platform 2; campaign 3 runs alone on platform 3.
    seen = np.array([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 1]], bool)
    wanted = np.zeros((4, 4), bool)
    wanted[:3, :3] = wanted[3, 3] = True
    np.testing.assert_array_equal(linked(seen), wanted)
    np.testing.assert_array_equal(linked(np.eye(3, dtype=bool)), np.eye(3, dtype=bool))
