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
    return _halved(part, 0, count, max(rows, 128))


def _halved(part: Callable[[slice], Array], start: int, stop: int, rows: int) -> float:
    # A function within `summed` would hold on to itself, and to what `part` holds, until garbage is collected.
    if stop - start <= rows:
        return float(np.sum(part(slice(start, stop))))
    middle = (stop - start) // 2
    middle += start - middle % 8
    return _halved(part, start, middle, rows) + _halved(part, middle, stop, rows)
