"""Why a split is what it is: what holds each share, what the next unit would earn there, and what moved it.

Where a bundle tells what its policy believes of the coming cycle, what money earns is computed under that, so that free
platforms earn alike but for what moved the split away from the base plan's: the trained network, exploration, limits.

Shapes: P platforms, M movers of a split.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crossmix import constraints
from crossmix.response import FACTORS, Belief, Response

Array = NDArray[Any]

Z95 = 1.959963984540054
NEAR = 0.05
"""Marginal ROIs this close, relative, to what the median free platform earns count as equal: the base plan solves on a
grid of win rates, which the response does not."""
NEAR_BLIND = 0.25
"""The same where the response is an average day's: the policy sees drift."""
SOLD_OUT = 0.97
"""Part of what all its requests cost from which on a platform has nothing more to sell: the grid's last stretch."""
LEAST = 2e-4
"""Share up to which a platform has no more than the policy's floor (`agents.policy.LEAST`)."""
POINT = 0.001
"""Least move of a share that is told."""
CLEAR = 0.005
"""Least move that a platform's reason names where it earns what the others do."""
UNUSUAL = 0.05
"""Least difference from usual that is told, relative."""


class PlatformShare(NamedTuple):
    """What the answer says of one platform."""

    platform: str
    share: float
    amount: float
    """share x budget, currency per cycle."""
    low: float
    high: float
    expected_revenue: float
    expected_revenue_interval: tuple[float, float]
    marginal_roi: float
    marginal_roi_interval: tuple[float, float]
    binding: str | None
    """What holds this share where it is: frozen, step, min, max, or supply where the platform has nothing more to sell;
    `None` where it is free."""
    reason: str
    held: str
    """The reason without what money earns: what holds the share where it is, or that it is free."""
    belief: Mapping[str, float] | None
    """`crossmix.response.FACTORS` that the policy believes in; `None`: the bundle does not tell."""
    differs: str | None
    """What of that differs from usual, in words."""
    moved: Mapping[str, float] | None
    """By what the share lies where it does and not at the base plan's, `MOVERS`; `None`: not known."""


MOVERS = ("network", "exploration", "limits")


@dataclass(frozen=True, slots=True)
class Decided:
    """How a split came about, as `reasoned` explains it."""

    belief: Belief
    moved_MP: Array | None
    """How far each of `MOVERS` moved each share, (M, P); `None`: the split is somebody's, not the policy's."""
    part: float = 1.0
    """Of the supply, that the answer's users have."""
    elsewhere: str | None = None
    """Why the base plan was solved for something else than this answer's money and limits."""

    @classmethod
    def of(
        cls,
        belief: Belief,
        share_P: Array,
        logits_P: Array,
        noise_P: Array | None = None,
        part: float = 1.0,
        elsewhere: str | None = None,
    ) -> Decided:
        """A policy's split.

        Args:
            share_P: as it is served.
            logits_P: the policy's, before noise.
        """
        raw_P = _softmax(logits_P)
        explored_P = raw_P if noise_P is None else _softmax(logits_P + noise_P)
        moved_MP = np.stack([raw_P - belief.base_P, explored_P - raw_P, share_P - explored_P])
        return cls(belief, moved_MP, part, elsewhere)


def _softmax(logits_P: Array) -> Array:
    weight_P = np.exp(logits_P - logits_P.max(), dtype=np.float64)
    return np.asarray(weight_P / weight_P.sum())


def reasoned(
    platforms: tuple[str, ...],
    limits: constraints.Limits[Array],
    previous_BP: Array | None,
    share_P: Array,
    edges: tuple[Array, Array],
    response: Response,
    money: float,
    decided: Decided | None = None,
) -> tuple[PlatformShare, ...]:
    """Every platform's share of `money`, with what holds it and what the next unit would earn there.

    Args:
        previous_BP: last shares, (1, P); `None`: none.
        edges: low and high of the box that the limits leave, (P,) each.
        response: under what `decided` believes; without it on an average day.
    """
    low_P, high_P = edges
    at_low, at_high = (flags.tolist() for flags in constraints.binding(share_P, low_P, high_P))
    share, low, high = share_P.tolist(), low_P.tolist(), high_P.tolist()
    revenue, revenue_se = response.revenue_P.tolist(), response.revenue_se_P.tolist()
    marginal, marginal_se = response.marginal_P.tolist(), response.marginal_se_P.tolist()
    kinds = [
        _kind(limits, previous_BP, slot, low[slot] if floor else high[slot]) if floor or cap else None
        for slot, (floor, cap) in enumerate(zip(at_low, at_high, strict=True))
    ]
    count = len(platforms)
    beliefs: Sequence[Mapping[str, float] | None] = [None] * count
    moved: Sequence[Mapping[str, float] | None] = [None] * count
    supply: list[float] = []
    if decided is not None:
        beliefs = [dict(zip(FACTORS, row, strict=False)) for row in decided.belief.value_PQ.tolist()]
        supply = (decided.belief.supply_P * decided.part).tolist()
        for slot, (part, whole) in enumerate(zip(share, supply, strict=True)):
            if kinds[slot] is None and part * money >= SOLD_OUT * whole > 0:
                kinds[slot] = "supply"
        if decided.moved_MP is not None:
            moved = [dict(zip(MOVERS, row, strict=True)) for row in decided.moved_MP.T.tolist()]
    free = [earns for earns, kind in zip(marginal, kinds, strict=True) if kind is None]
    # The median free platform: what money moved away from a bound would earn.
    common = statistics.median(free) if free else None
    reasons = []
    for slot, platform in enumerate(platforms):
        kind, earns, belief = kinds[slot], marginal[slot], beliefs[slot]
        if kind == "supply":
            held_at = _sold_out(share[slot] * money, supply[slot])
        else:
            held_at = _held(kind, at_low[slot], share[slot])
        if decided is None:
            why = _earns(kind, earns, common)
        else:
            why = _earns_believed(kind, earns, common, moved[slot], decided.elsewhere, share[slot])
        reasons.append(
            PlatformShare(
                platform=platform,
                share=share[slot],
                amount=share[slot] * money,
                low=low[slot],
                high=high[slot],
                expected_revenue=revenue[slot],
                expected_revenue_interval=interval_of(revenue[slot], revenue_se[slot]),
                marginal_roi=earns,
                marginal_roi_interval=interval_of(earns, marginal_se[slot]),
                binding=kind,
                reason=f"{held_at}; {why}",
                held=held_at,
                belief=belief,
                differs=None if belief is None else _differs(belief),
                moved=moved[slot],
            )
        )
    return tuple(reasons)


def overall(shares: Sequence[PlatformShare], decided: Decided | None) -> tuple[str, ...]:
    """What `reasoned`'s answer says as a whole, a sentence each."""
    reasons = []
    held = [f"{one.platform}: {one.held}" for one in shares if one.binding]
    if held:
        reasons.append(f"At a limit: {'; '.join(held)}.")
    if decided is None:
        return (
            *reasons,
            "Marginal ROI and expected revenue are those of an average day without drift: this bundle was saved before "
            "bundles told what they believe of the coming cycle; train again for one that does.",
        )
    if decided.moved_MP is not None:
        for mover, row in zip(MOVERS, decided.moved_MP.tolist(), strict=True):
            moves = [(one.platform, move) for one, move in zip(shares, row, strict=True) if abs(move) >= POINT]
            if moves:
                points = 100 * sum(abs(move) for move in row) / 2
                each = ", ".join(f"{name} {100 * move:+.1f}" for name, move in sorted(moves, key=lambda x: -abs(x[1])))
                reasons.append(f"{_WHO[mover]} moved {points:.1f} points of the split{_FROM[mover]}: {each}.")
    if decided.elsewhere is not None:
        reasons.append(f"{decided.elsewhere[:1].upper()}{decided.elsewhere[1:]}.")
    return tuple(reasons)


_WHO = {"network": "The trained network", "exploration": "Exploration", "limits": "Limits"}
_FROM = {"network": " away from its base plan", "exploration": "", "limits": ""}


def _kind(limits: constraints.Limits[Array], previous_BP: Array | None, slot: int, edge: float) -> str:
    """Which of the four limits is the edge of the box that holds this share."""
    if previous_BP is not None and limits.freeze_P[slot]:
        return "frozen"
    if abs(edge - float(limits.minimum_P[slot])) <= 1e-6:
        return "min"
    return "max" if abs(edge - float(limits.maximum_P[slot])) <= 1e-6 else "step"


def _held(kind: str | None, at_low: bool, share: float) -> str:
    if kind is None:
        return "free"
    if kind == "frozen":
        return f"frozen at {share:.1%}"
    if kind == "step":
        return f"its step limit keeps it {'above' if at_low else 'below'} {share:.1%}"
    if kind == "min" and share <= constraints.TOLERANCE:
        return "gets nothing"
    return f"held at its {kind} of {share:.1%}"


def _earns(kind: str | None, marginal: float, common: float | None) -> str:
    earns = f"the next unit earns {marginal:.3g}"
    if common is None:
        return earns
    if kind is not None:
        return f"{earns} against {common:.3g} on free platforms"
    if abs(marginal - common) <= NEAR_BLIND * max(common, 1e-12):
        return f"{earns}, near what the other free platforms earn"
    return f"{earns} on an average day without drift, where the median of free platforms earns {common:.3g}"


def _earns_believed(
    kind: str | None,
    marginal: float,
    common: float | None,
    moved: Mapping[str, float] | None,
    elsewhere: str | None,
    share: float,
) -> str:
    """What the next unit earns, and on a free platform that earns unlike the others why."""
    earns = f"the next unit earns {marginal:.3g}"
    if common is None:
        return earns
    if kind is not None or moved is None:
        return f"{earns} against {common:.3g} on free platforms"
    near = abs(marginal - common) <= NEAR * max(common, 1e-12)
    least = CLEAR if near else POINT
    moves = [f"{_MOVER[mover]} {100 * move:+.1f} points" for mover, move in moved.items() if abs(move) >= least]
    if near:
        return f"{earns}, as on the other free platforms" + (f"; moved by {', '.join(moves)}" if moves else "")
    earns = f"{earns} against {common:.3g} on free platforms"
    if moves:
        return f"{earns}: moved by {', '.join(moves)}"
    if elsewhere is not None:
        return f"{earns}: {elsewhere}"
    if share <= LEAST and marginal < common:
        return f"{earns}: it gets the least that the policy gives"
    return f"{earns}: the base plan's grid of win rates is coarse here"


_MOVER = {"network": "the trained network", "exploration": "exploration", "limits": "the limits"}


def _sold_out(amount: float, supply: float) -> str:
    bought = f"all its requests are bought for {supply:,.2f}"
    return f"{bought}, {amount - supply:,.2f} find nothing to buy" if amount > 1.02 * supply else bought


def _differs(belief: Mapping[str, float]) -> str:
    """What differs from usual, in words."""
    now, weekday = list[str](), list[str]()
    for name, factor in belief.items():
        if abs(factor - 1) >= UNUSUAL:
            text = f"{_WORDS[name]} {100 * abs(factor - 1):.0f} % {'below' if factor < 1 else 'above'}"
            (weekday if name.startswith("weekday") else now).append(text)
    usual = f"{', '.join(now)} usual" if now else "as usual"
    return f"{usual}; by weekday {', '.join(weekday)}" if weekday else usual


_WORDS = {name: name.removeprefix("weekday_").replace("_", " ") for name in FACTORS}


def interval_of(value: float, se: float) -> tuple[float, float]:
    """95 % interval; revenue and marginal ROI cannot be negative."""
    return max(0.0, value - Z95 * se), value + Z95 * se
