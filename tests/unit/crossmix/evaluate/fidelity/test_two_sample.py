"""Boosted trees score binned columns as they score the columns themselves."""

from __future__ import annotations

import numpy as np
import pytest

from crossmix.evaluate.fidelity.two_sample import _binned


@pytest.mark.parametrize(("rows", "share"), [(300, 0.5), (400, 0.2), (3_000, 0.11)])
def test_trees_score_the_bins_as_they_score_the_columns(rows: int, share: float) -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier

    rng = np.random.default_rng(rows)

    def table() -> np.ndarray:
        smooth, tied, heavy = rng.normal(size=rows), rng.normal(size=rows).round(2), np.exp(3 * rng.normal(size=rows))
        few, empty = rng.integers(0, 9, rows), np.where(rng.random(rows) < 0.3, 0, rng.normal(size=rows))
        return np.column_stack([smooth, tied, heavy, few, empty])

    train, other = table(), table()
    label = (rng.random(rows) < share * (1 + 0.4 * np.sign(train[:, 0]))).astype(np.int64)
    trees = HistGradientBoostingClassifier(max_iter=30, early_stopping=False, class_weight="balanced", random_state=0)
    plain = trees.fit(train, label).predict_proba(other)[:, 1]
    bins, others = _binned(train, other, label)
    assert np.array_equal(trees.fit(bins, label).predict_proba(others)[:, 1], plain)
    assert np.array_equal(bins[:, 3], train[:, 3])  # of few values, left as it is
    assert len(np.unique(bins[:, 0])) <= 255 < len(np.unique(train[:, 0]))
    assert np.ptp(plain) > 0.3  # the classifier has something to tell
