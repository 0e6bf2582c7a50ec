"""How long whoever asks waits for the database, over all that is done for one request.

A request that waits for its turn among writers, then for the lock, then for the next transaction's, must not wait as
long for each: until its moment all waits of its thread take what is left.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_last: ContextVar[float] = ContextVar("last", default=math.inf)


@contextmanager
def until(moment: float) -> Iterator[None]:
    """What the block does in the database waits until then at most; of two such blocks the earlier moment counts.

    Args:
        moment: of `time.monotonic`.
    """
    before = _last.set(min(moment, _last.get()))
    try:
        yield
    finally:
        _last.reset(before)


def left(most: float) -> float:
    """Seconds that may be waited from now on, `most` at most; 0: only what is free is had."""
    return max(min(most, _last.get() - time.monotonic()), 0.0)
