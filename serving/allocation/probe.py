"""What a platform that has gone silent may still have: a probe, so that it is found out when it delivers again.

Shapes: P platforms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmix import constraints
from crossmix.constraints import Limits

Array = NDArray[Any]


def probed(
    limits: Limits[Array],
    previous_P: Array | None,
    platforms: Sequence[str],
    silent: Sequence[tuple[int, int]],
    probe: float,
) -> tuple[Limits[Array], list[str]]:
    """The limits with silent platforms at most at the probe, and what is to say of each.

    A minimum above the probe stands, so does a freeze; and where what the others may have leaves more, a silent
    platform keeps that.

    Args:
        previous_P: shares of the cycle before; `None`: none hold steps and freezes.
        silent: slot and cycles of each.
        probe: share, `limits.probe`.
    """
    slots = [slot for slot, _ in silent if not (limits.freeze_P[slot] and previous_P is not None)]
    wanted_P = np.array(limits.maximum_P, np.float32)
    wanted_P[slots] = np.minimum(wanted_P[slots], np.maximum(limits.minimum_P[slots], probe))
    capped = replace(limits, maximum_P=wanted_P)
    before_BP = None if previous_P is None else previous_P[None]
    missing = 1 - float(constraints.box(capped, before_BP)[1].sum())
    if missing > 0 and slots:
        room_P = np.zeros_like(wanted_P)
        room_P[slots] = constraints.box(limits, before_BP)[1][0][slots] - wanted_P[slots]
        room_P = np.maximum(room_P, 0)
        if room_P.sum() > 0:
            part = min(missing / float(room_P.sum()), 1.0)
            capped = replace(limits, maximum_P=np.asarray(wanted_P + part * room_P, np.float32))
    sentences = []
    for slot, cycles in silent:
        what = f"{platforms[slot]} has reported no spend for {cycles} cycles while others have"
        share = float(capped.maximum_P[slot])
        if slot not in slots:
            sentences.append(f"{what}: its share is frozen, and stays")
        elif float(limits.minimum_P[slot]) > probe:
            sentences.append(f"{what}: it has its minimum of {share:.1%}, which stands above the probe of {probe:.1%}")
        elif share > wanted_P[slot] + 1e-6:
            sentences.append(f"{what}: it has at most {share:.1%}, which the others' limits leave, until it delivers")
        else:
            sentences.append(f"{what}: it is probed with at most {share:.1%} until it delivers")
    return capped, sentences


__all__ = ["probed"]
