"""Sums over the rows of a log, a block of rows at a time, so that no temporary array is as long as the log.

The figures are those of the same sums over whole arrays, to the last bit: additions come in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64] | npt.NDArray[np.int32]
Rows = slice | Ints
Of = Callable[[Rows], npt.NDArray[Any]]
"""Values of rows that are named by number: what would be too long to keep is computed where it is needed."""

ROWS = 1 << 17
"""Rows at a time."""


def blocks(count: int, rows: int = ROWS) -> Iterator[slice]:
    """0 to `count` in slices of at most `rows`."""
    for start in range(0, count, rows):
        yield slice(start, min(start + rows, count))


def add(total: Array, index: npt.NDArray[Any] | np.signedinteger[Any], weight: npt.NDArray[Any] | None) -> None:
    """Add `weight` (`None`: one each) to `total` at `index`, row by row: over blocks as `np.bincount` over all rows."""
    if weight is None or weight.dtype.kind in "bui":
        # Whole numbers are exact in any order, and this is faster.
        total += np.bincount(index, weight, len(total))
    else:
        np.add.at(total, index, weight.astype(np.float64, copy=False))


def summed(count: int, part: Callable[[slice], Array], rows: int = ROWS) -> float:
    """Sum of `part` over 0 to `count`: pairwise, halved where `np.sum` of the whole array halves it."""

    def half(start: int, stop: int) -> float:
        length = stop - start
        if length <= max(rows, 128):
            return float(np.sum(part(slice(start, stop))))
        middle = length // 2
        middle -= middle % 8
        return half(start, start + middle) + half(start + middle, stop)

    return half(0, count)
