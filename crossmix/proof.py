"""What is said where limits leave no split and some of them nobody set: a proof did, which goes no further.

Shapes: P platforms.
"""

from __future__ import annotations

import shlex
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossmix.bundle import Bundle
from crossmix.constraints import TOLERANCE, Limits

NEAR_TODAY = 0.0101
"""How far limits of a proof lie from a split that they keep (`crossmix.evaluate.decision.table.SLACK`), to rounding."""
SET = 1e-6
"""A limit as far from the bundle's was set by the call."""


def of_a_proof(bundle: Bundle, campaign: str, limits: Limits[NDArray[Any]]) -> str | None:
    """Which limits that leave no split nobody set, where they come from, and what to do.

    Args:
        limits: in force, shares of the cycle budget.

    Returns:
        `None`: no proof has a part in it; the limits that were set leave no split with any others.
    """
    proved = bundle.proved(campaign, limits)
    if proved is None:
        return None
    known = bundle.limits[campaign]
    low_P, high_P = np.asarray(limits.minimum_P, float), np.asarray(limits.maximum_P, float)
    crossed = np.flatnonzero(low_P > high_P + TOLERANCE)
    if len(crossed):
        slot = int(crossed[0])
        name, own_P = bundle.platforms[slot], np.arange(len(low_P)) == slot
        if proved.maximum_P[slot]:
            instead = f"a min of at most {high_P[slot]:.1%}"
            return _told(bundle, campaign, "max", high_P, own_P, f"give {name} {instead}", f"{name}:{low_P[slot]:g}:1")
        if proved.minimum_P[slot]:
            instead = f"a max of at least {low_P[slot]:.1%}"
            return _told(bundle, campaign, "min", low_P, own_P, f"give {name} {instead}", f"{name}:0:{high_P[slot]:g}")
        return None
    if low_P.sum() > 1 + TOLERANCE:
        side, bound_P, own_P, before_P, lifted = "min", low_P, proved.minimum_P, known.minimum_P, "{}:0:"
        if low_P[~own_P].sum() > 1 + TOLERANCE:
            return None
    elif high_P.sum() < 1 - TOLERANCE:
        side, bound_P, own_P, before_P, lifted = "max", high_P, proved.maximum_P, known.maximum_P, "{}::1"
    else:
        return None
    if not own_P.any():
        return None
    set_P = np.abs(bound_P - np.asarray(before_P, float)) > SET
    names = [name for name, given in zip(bundle.platforms, set_P.tolist(), strict=True) if given]
    left = 1 - float(bound_P[~set_P].sum())
    instead = f"give {' and '.join(names)} a {side} of {'at most' if side == 'min' else 'at least'} {left:.1%}"
    if len(names) > 1:
        instead += " together"
    lift = [lifted.format(name) for name, own in zip(bundle.platforms, own_P.tolist(), strict=True) if own]
    return _told(bundle, campaign, side, bound_P, own_P, instead if names and 0 <= left <= 1 else "", *lift)


def _told(
    bundle: Bundle,
    campaign: str,
    side: str,
    bound_P: NDArray[np.float64],
    own_P: NDArray[np.bool_],
    instead: str,
    *lift: str,
) -> str:
    today_P = np.asarray(bundle.plans[campaign].share, float)
    own = zip(bundle.platforms, bound_P.tolist(), own_P.tolist(), strict=True)
    bounds = ", ".join(f"{name} {bound:.1%}" for name, bound, is_own in own if is_own)
    near = float(np.abs(bound_P - today_P)[own_P].max()) <= NEAR_TODAY
    reach = "within 1 point of today's split" if near else "between today's split and the one that was proved"
    options = " ".join(f"--limit {shlex.quote(one)}" for one in lift)
    whose = "the others' limits, too" if len(lift) > 1 else "that limit, too"
    return (
        f"Nobody set the {side} of {bounds}: the proof did, {reach}, beyond which nothing was proved. "
        f"{f'{instead[0].upper()}{instead[1:]}, or lift' if instead else 'Lift'} {whose}: {options}"
    )
