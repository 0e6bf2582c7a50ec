"""Sums of blocks are those of whole arrays, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from crossmix.market.fit.blocks import add, blocks, summed


def numbers(count: int) -> np.ndarray:
    """Of very different sizes, so that every other order of additions gives another sum."""
    rng = np.random.default_rng(count)
    return np.asarray(rng.standard_normal(count) * np.exp(5 * rng.standard_normal(count)))


def test_blocks_cover_every_row_once() -> None:
    assert list(blocks(10, 4)) == [slice(0, 4), slice(4, 8), slice(8, 10)]
    assert list(blocks(0)) == []


@pytest.mark.parametrize("count", [0, 1, 7, 128, 129, 1_000, 4_096, 50_001])
def test_a_sum_in_parts_is_the_sum_of_all(count: int) -> None:
    values = numbers(count)
    longest = []

    def part(rows: slice) -> np.ndarray:
        longest.append(rows.stop - rows.start)
        return values[rows]

    assert summed(count, part, rows=500) == values.sum()
    assert max(longest) <= 500
    if count == 50_001:
        assert sum(float(values[rows].sum()) for rows in blocks(count, 500)) != values.sum()


def test_adding_in_blocks_is_counting_at_once() -> None:
    values, index = numbers(20_000), np.random.default_rng(0).integers(50, size=20_000).astype(np.int32)
    total, count, flags = np.zeros(60), np.zeros(60), np.zeros(60)
    for rows in blocks(len(values), 900):
        add(total, index[rows], values[rows])
        add(count, index[rows], None)
        add(flags, index[rows], values[rows] > 0)
    np.testing.assert_array_equal(total, np.bincount(index, values, 60))
    np.testing.assert_array_equal(count, np.bincount(index, minlength=60))
    np.testing.assert_array_equal(flags, np.bincount(index, values > 0, 60))
