"""What a policy believes that is unlike the usual, by platform, in words, and for how many cycles it has been.

Shapes: P platforms, D drifting factors of a belief, Q its quantities, T cycles before, the newest first.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crossmix.response import FACTORS

Array = NDArray[Any]

DRIFTING = tuple(name for name in FACTORS if not name.startswith("weekday_"))
"""The factors that come and go; those of a weekday come back with it. They are the first ones."""
UNUSUAL = 5
"""Least difference from usual that is told, per cent."""


class Lasting(NamedTuple):
    """Since when a quantity differs from usual the same way, by enough to be told."""

    quantity: str
    """Of `crossmix.response.FACTORS`; by weekday nothing lasts."""
    cycles: int
    """On end, the answer's included."""
    at_least: bool
    """Those are all that are known."""


def told(value_QP: Array) -> NDArray[np.int8]:
    """Which way what drifts differs from usual, by enough to be told: below -1, above 1, as usual 0.

    Args:
        value_QP: `crossmix.response.BELIEF` of each platform, (..., Q, P).

    Returns:
        (..., D, P) of the D factors that are not a weekday's.
    """
    percent = np.rint(100 * value_QP[..., : len(DRIFTING), :] - 100)
    way: NDArray[np.int8] = (np.sign(percent) * (np.abs(percent) >= UNUSUAL)).astype(np.int8)
    return way


def unlike(value_QP: Array, before_TDP: Array | None) -> list[tuple[str, tuple[Lasting, ...] | None]]:
    """What is believed that differs from usual, in words, and since when, per platform."""
    percent_QP = np.rint(100 * value_QP[: len(FACTORS)] - 100)
    if before_TDP is None or not len(before_TDP):
        return [(_in_words(*percents), None) for percents in percent_QP.T.tolist()]
    now_DP = told(value_QP)
    cycles_DP = 1 + np.logical_and.accumulate(before_TDP == now_DP, axis=0).sum(0)
    cycles_DP[now_DP == 0] = 0
    known = 1 + len(before_TDP)
    differing: list[tuple[str, tuple[Lasting, ...] | None]] = []
    for percents, cycles in zip(percent_QP.T.tolist(), cycles_DP.T.tolist(), strict=True):
        since = tuple(Lasting(name, many, many == known) for name, many in zip(DRIFTING, cycles, strict=True) if many)
        differing.append((_in_words(*percents, since=since), since))
    return differing


@lru_cache(maxsize=4096)
def _in_words(*percents: float, since: tuple[Lasting, ...] | None = None) -> str:
    """A platform's differences from usual, per cent; kept, for a state is asked about many times in its cycle."""
    words = [
        f"{word} {abs(percent):.0f} % {'below' if percent < 0 else 'above'}" if abs(percent) >= UNUSUAL else ""
        for word, percent in zip(_WORDS, percents, strict=True)
    ]
    drifts, weekday = list(filter(None, words[: len(DRIFTING)])), ", ".join(filter(None, words[len(DRIFTING) :]))
    if not drifts:
        usual = "as usual"
    elif since is None:
        usual = f"{', '.join(drifts)} usual"
    else:
        usual = ", ".join(f"{word} usual {_lasted(one)}" for word, one in zip(drifts, since, strict=True))
    return f"{usual}; by weekday {weekday} average" if weekday else usual


def _lasted(one: Lasting) -> str:
    if one.at_least:
        return f"for at least {one.cycles} cycles"
    return "since this cycle" if one.cycles == 1 else f"since {one.cycles} cycles"


_WORDS = tuple(name.removeprefix("weekday_").replace("_", " ") for name in FACTORS)
