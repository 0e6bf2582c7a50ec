"""Welch's t against scipy, intervals by their coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from crossmix.evaluate.stats.significance import two_way, welch


def test_welch_is_scipys() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(0.3, 1, 14), rng.normal(0, 3, 22)
    ours, theirs = welch(first, second), stats.ttest_ind(first, second, equal_var=False)
    interval = theirs.confidence_interval()
    np.testing.assert_allclose(
        [ours.t, ours.p, ours.degrees, *ours.ci95],
        [theirs.statistic, theirs.pvalue, theirs.df, interval.low, interval.high],
    )
    assert ours.difference == pytest.approx(first.mean() - second.mean())


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ([1.0], [1.0, 2.0], "first sample"),
        ([1.0, 2.0], [1.0, np.nan], "second sample"),
        ([1.0, 1.0], [2.0, 2.0], "spread"),
    ],
)
def test_samples_that_cannot_be_compared_are_refused(first: list[float], second: list[float], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        welch(first, second)


@pytest.mark.slow
def test_the_two_way_interval_covers() -> None:
    # Effects of training seeds and of market seeds, and noise; the truth is 0. The bootstrap of few rows is narrow
    # (it resamples 5 of them), so that 95 % are not reached; under 75 % would be a mistake, and so would all of them.
    rng = np.random.default_rng(1)
    hits = 0
    for trial in range(60):
        table = 0.2 * rng.normal(size=(5, 1)) + rng.normal(size=(1, 20)) + 0.5 * rng.normal(size=(5, 20))
        low, high = two_way(table, trial)["ci95"]
        hits += low <= 0 <= high
    assert 0.75 < hits / 60 < 1


def test_rows_are_resampled_as_well_as_columns() -> None:
    rows = np.repeat(np.array([[0.0], [1.0], [2.0], [3.0]]), 50, 1)
    told = two_way(rows)
    assert told["mean"] == 1.5
    assert told["ci95"][0] < 0.8
    assert told["ci95"][1] > 2.2
