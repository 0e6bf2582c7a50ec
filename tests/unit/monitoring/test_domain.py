"""The domain classifier's door: tables become the arrays of `two_sample.paired`, cell by cell."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from crossmix.evaluate.fidelity import two_sample
from monitoring import domain
from monitoring.columns import TableError

CYCLES, CAMPAIGNS, PLATFORMS, DRAWS = 20, ("brand", "shop"), ("search", "video"), 3
FEATURES = ("price", "clicks")


def tables(shift: float = 0.0) -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray]:
    """Log, draws, and both as (1 + D, T, C, P, F)."""
    shape = (1 + DRAWS, CYCLES, len(CAMPAIGNS), len(PLATFORMS), len(FEATURES))
    values = np.random.default_rng(1).standard_normal(shape)
    values[0] += shift
    rows = [
        (d, t, campaign, platform, *values[d, t, c, p])
        for d in range(1 + DRAWS)
        for t in range(CYCLES)
        for c, campaign in enumerate(CAMPAIGNS)
        for p, platform in enumerate(PLATFORMS)
    ]
    frame = pd.DataFrame(rows, columns=[domain.DRAW, *domain.CELL, *FEATURES]).sample(frac=1, random_state=1)
    log = frame[frame[domain.DRAW] == 0].drop(columns=domain.DRAW)
    return log, frame[frame[domain.DRAW] > 0], values


@pytest.mark.parametrize("shift", [0.0, 1.5])
def test_it_is_the_paired_test_of_the_cells_in_order(shift: float) -> None:
    log, draws, values = tables(shift)
    keep_TCP = np.ones(values.shape[1:4], bool)
    expected = two_sample.paired(values[0], values[1:], keep_TCP, PLATFORMS)
    found = domain.told_apart(log, draws, FEATURES)
    assert found == expected
    assert list(found) == ["total", *PLATFORMS]
    assert (found["total"].low > 0.7) == (shift > 0)


def test_only_cells_that_all_have_are_compared() -> None:
    log, draws, values = tables()
    fewer = draws[~((draws["draw"] == 2) & (draws["cycle"] == 4) & (draws["platform"] == "video"))]
    keep_TCP = np.ones(values.shape[1:4], bool)
    keep_TCP[4, :, 1] = False
    expected = two_sample.paired(values[0], values[1:], keep_TCP, PLATFORMS)
    assert domain.told_apart(log, fewer, FEATURES)["total"] == expected["total"]


def test_tables_that_do_not_fit_are_refused() -> None:
    log, draws, _ = tables()
    with pytest.raises(TableError, match="log: has no column 'cvr'"):
        domain.told_apart(log, draws, ["cvr"])
    with pytest.raises(TableError, match="log: has more than one row of"):
        domain.told_apart(pd.concat([log, log.head(1)]), draws, FEATURES)
    with pytest.raises(TableError, match="draw its cycles"):
        domain.told_apart(log.assign(cycle=log["cycle"] + CYCLES), draws, FEATURES)
    with pytest.raises(TableError, match="draw its cycles"):
        domain.told_apart(log, draws.head(0), FEATURES)
    with pytest.raises(TableError, match="none are named"):
        domain.told_apart(log, draws, [])
