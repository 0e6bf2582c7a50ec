"""Rows of two views, which a push writes one after the other: a reader that falls between them looks again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from crossmix.schema import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

Rows = tuple["Array", list[float], list[float]]
"""Values (n, X), and the seconds of each view's row."""



class TornError(DataError):
    """Rows of a push that was cut off.

    Args:
        names: of the rows.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
        super().__init__(f"statistics of {names[0]}{more}: {TORN}")


TORN = "platform and campaign rows are of different cycles, a push was cut off; push the last row again"
READS = 20
PAUSE = 0.01
"""A reader looks so often, so many seconds apart."""


def settled(
    names: Sequence[str],
    read: Callable[[Sequence[str]], Rows],
    times: Callable[[Sequence[str]], Sequence[Sequence[float]]],
) -> tuple[Array, list[float]]:
    """Values (n, X) and seconds of rows whose views are of the same cycle.

    Those that are not are looked at again by their times alone: the values of a thousand campaigns take seconds, and a
    push that was cut off leaves as many torn until it is done again.

    Args:
        read: values and times of some campaigns.
        times: by view, the times alone.

    Raises:
        TornError: some stay of different cycles.
    """
    values_NX, first_N, second_N = read(names)
    torn = [row for row in range(len(names)) if first_N[row] != second_N[row]]
    for _ in range(READS - 1):
        if not torn:
            break
        time.sleep(PAUSE)
        stamps = times([names[row] for row in torn])
        whole = [row for row, one, other in zip(torn, *stamps, strict=True) if one == other]
        if whole:
            values_NX[whole], ones, others = read([names[row] for row in whole])
            for row, one, other in zip(whole, ones, others, strict=True):
                first_N[row], second_N[row] = one, other
            torn = [row for row in torn if first_N[row] != second_N[row]]
    if torn:
        raise TornError([names[row] for row in torn])
    return values_NX, first_N
