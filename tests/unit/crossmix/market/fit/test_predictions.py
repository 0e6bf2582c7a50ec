"""Predictions join the log by position; what is of another dataset is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crossmix.market.fit.log import Log
from crossmix.market.fit.predictions import FILE, predictions
from crossmix.schema import DataError, Meta

ROWS = 1_000
MARKS = {0: "i0", 400: "i400", 999: "i999"}


def log() -> Log:
    meta = Meta("toy", True, "USD", ("x",), ("a",), "2025-01-06", 24, 1, {"validation": 1}, (), {}, False, "toy")
    return Log(meta, pd.DataFrame({"cycle": np.zeros(ROWS, np.int32)}), MARKS)


def write(folder: Path, ids: list[str]) -> np.ndarray:
    """A file of several row groups; returns its click probabilities."""
    p_click = np.random.default_rng(0).random(len(ids)).astype(np.float32)
    table = pd.DataFrame({"impression_id": ids, "p_click": p_click, "trained": p_click > 0.5})
    table.to_parquet(folder / FILE, row_group_size=300)
    return p_click


def test_columns_come_in_the_logs_order(tmp_path: Path) -> None:
    p_click = write(tmp_path, [f"i{row}" for row in range(ROWS)])
    found = predictions(log(), tmp_path, ("p_click", "trained"))
    np.testing.assert_array_equal(found["p_click"], p_click)
    np.testing.assert_array_equal(found["trained"], p_click > 0.5)
    assert (found["p_click"].dtype, found["trained"].dtype) == (np.float32, np.bool_)


def test_another_number_of_rows_is_refused(tmp_path: Path) -> None:
    write(tmp_path, [f"i{row}" for row in range(ROWS - 1)])
    with pytest.raises(
        DataError, match=r"predictions\.parquet: 999 rows, but the log has 1,000 impressions; run fusion"
    ):
        predictions(log(), tmp_path, ("p_click",))


@pytest.mark.parametrize("shift", [1, -1])
def test_rows_in_another_order_are_refused(tmp_path: Path, shift: int) -> None:
    """The first rows are the log's; from row 300 on all are moved by one."""
    ids = [f"i{row}" for row in range(ROWS)]
    write(tmp_path, ids[:300] + list(np.roll(ids[300:], shift)))
    with pytest.raises(
        DataError, match=r"impression_id: 'i(399|401)' in row 400, where the log has 'i400'; run fusion"
    ):
        predictions(log(), tmp_path, ("p_click",))
