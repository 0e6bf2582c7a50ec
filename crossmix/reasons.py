"""Why a split is what it is: what holds each share, what the next unit would earn there, and what moved it.

Where a bundle tells what its policy believes of the coming cycle, what money earns is computed under that, so that free
platforms earn alike but for what moved the split away from the base plan's: the trained network, exploration, limits.

Shapes: P platforms, M movers of a split, D drifting factors of a belief, T cycles before, the newest first.
"""

from __future__ import annotations

import itertools
import math
import operator
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crossmix import constraints
from crossmix.response import BELIEF, EDGE, Belief, Response
from crossmix.unusual import Lasting, unlike

Array = NDArray[Any]

NOTHING = 5e-4
"""Shares below it are told as nothing: they would be shown as 0.0 %."""
CENT = 0.005
"""Amounts below it are shown as 0.00."""
LEAST = 0.001
"""Marginal ROI below which the figure says nothing more."""
Z95 = 1.959963984540054
NEAR = 0.05
"""Marginal ROIs this close, relative, to what the median free platform earns count as equal."""
LEFT_OUT = "the base plan leaves out pacing and the last win that does not fit, and solves on a grid of win rates"
"""What makes a free platform earn unlike the others where nothing moved its share.

The response has both, and no grid."""
NEAR_BLIND = 0.25
"""The same where the response is an average day's: the policy sees drift."""
SOLD_OUT = 0.97
"""Part of what all its requests cost from which on a platform has nothing more to sell: the grid's last stretch."""
POINT = 0.001
"""Least move of a share that is told."""
CLEAR = 0.005
"""Least move that a platform's reason names where it earns what the others do."""


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
    differs: str | None
    """What the policy believes that differs from usual, in words; `None`: the bundle does not tell."""
    since: tuple[Lasting, ...] | None
    """Since when, of each that does; `None`: no cycle before is known."""


class Proved(NamedTuple):
    """Limits that nobody set: what was proved of a change goes so far (`crossmix.evaluate.decision`), (P,) bools."""

    minimum_P: NDArray[np.bool_]
    maximum_P: NDArray[np.bool_]

    def of(self, kind: str) -> NDArray[np.bool_]:
        """Of `PlatformShare.binding`'s min or max."""
        return self.minimum_P if kind == "min" else self.maximum_P


MOVERS = ("network", "exploration", "limits")


@dataclass(frozen=True, slots=True)
class Decided:
    """How a split came about, as `reasoned` explains it."""

    belief: Belief
    moved: tuple[list[float], ...] | None
    """How far each of `MOVERS` moved each platform's share away from the base plan's, (M, P); `None`: the split is
    somebody's, not the policy's."""
    part: float = 1.0
    """Of the supply, that the answer's users have."""
    elsewhere: str | None = None
    """Why the base plan was solved for something else than this answer's money and limits."""
    before_TDP: Array | None = None
    """`crossmix.unusual.told` of the cycles before, newest first, as the same policy sees them; `None`: not known."""

    @classmethod
    def of(
        cls,
        belief: Belief,
        share_P: Array,
        logits_P: Array,
        noise_P: Array | None = None,
        part: float = 1.0,
        elsewhere: str | None = None,
        before_TDP: Array | None = None,
    ) -> Decided:
        """A policy's split.

        Args:
            share_P: as it is served.
            logits_P: the policy's, before noise.
        """
        raw = _softmax(logits_P)
        explored = raw if noise_P is None else _softmax(logits_P + noise_P)
        steps = (belief.base_P.tolist(), raw, explored, share_P.tolist())
        moved = tuple(list(map(operator.sub, after, before)) for before, after in itertools.pairwise(steps))
        return cls(belief, moved, part, elsewhere, before_TDP)

    def as_dict(self) -> dict[str, Any]:
        """What is believed and what moved the split, a number per platform each, ready for JSON."""
        return {
            "belief": dict(zip(BELIEF, self.belief.value_QP.tolist(), strict=True)),
            "moved": None if self.moved is None else dict(zip(MOVERS, self.moved, strict=True)),
        }


def _softmax(logits_P: Array) -> list[float]:
    # A few numbers: plain Python is quicker than arrays.
    logits = logits_P.tolist()
    most = max(logits)
    weights = [math.exp(logit - most) for logit in logits]
    total = sum(weights)
    return [weight / total for weight in weights]


def reasoned(
    platforms: tuple[str, ...],
    limits: constraints.Limits[Array],
    previous_BP: Array | None,
    share_P: Array,
    edges: tuple[Array, Array],
    response: Response,
    money: float,
    decided: Decided | None = None,
    *,
    supply_known: bool = True,
    proved: Proved | None = None,
) -> tuple[PlatformShare, ...]:
    """Every platform's share of `money`, with what holds it and what the next unit would earn there.

    Args:
        previous_BP: last shares, (1, P); `None`: none.
        edges: low and high of the box that the limits leave, (P,) each.
        response: under what `decided` believes; without it on an average day.
        supply_known: of impressions; a spend history's curve has an end, which is no supply.
        proved: which limits nobody set.
    """
    share, low, high = share_P.tolist(), edges[0].tolist(), edges[1].tolist()
    revenue, revenue_se = response.revenue_P.tolist(), response.revenue_se_P.tolist()
    marginal, marginal_se = response.marginal_P.tolist(), response.marginal_se_P.tolist()
    differs: Sequence[tuple[str | None, tuple[Lasting, ...] | None]] = [(None, None)] * len(platforms)
    supply = [0.0] * len(platforms)
    if decided is not None:
        differs = unlike(decided.belief.value_QP, decided.before_TDP)
        if supply_known:
            supply = (decided.part * decided.belief.supply_P).tolist()
    kinds = [
        _kind(limits, previous_BP, slot, part, low[slot], high[slot])
        or ("supply" if part * money >= SOLD_OUT * supply[slot] > 0 else None)
        for slot, part in enumerate(share)
    ]
    # What the median free platform earns is what money moved away from a bound would earn. The median of those that
    # nothing held in the base plan either, where there are any: the others have left their bounds, but by a little.
    free = [slot for slot, kind in enumerate(kinds) if kind is None]
    at_base: dict[int, str | None] = {}
    base: list[float] = []
    if decided is not None:
        base = decided.belief.base_P.tolist()
        at_base = {slot: _base(limits, base[slot], slot, money, supply[slot]) for slot in free}
    rule = [marginal[slot] for slot in free if at_base.get(slot) is None] or [marginal[slot] for slot in free]
    common = statistics.median(rule) if rule else None
    reasons = []
    for slot, platform in enumerate(platforms):
        kind, part, earns = kinds[slot], share[slot], marginal[slot]
        held_at = "free" if kind is None else _held(kind, part, low[slot], part * money, supply[slot])
        if proved is not None and kind in ("min", "max") and bool(proved.of(kind)[slot]):
            held_at = f"held at {part:.1%}, beyond which nothing was proved"
        # Of a bundle that tells no belief the figures are another day's, and contradict nothing.
        astray = decided is not None and _astray(kind, earns, common, at_low=part <= low[slot] + EDGE)
        if astray:
            held_at = held_at.removeprefix("held ")
            at_base[slot] = _base(limits, base[slot], slot, money, supply[slot])
        if decided is None:
            why = _earns(kind, earns, common, sum(one != slot for one in free))
        else:
            others = sum(one != slot for one in free)
            why = _believed(None if astray else kind, earns, common, decided, slot, at_base.get(slot), others)
        reasons.append(
            PlatformShare(
                platform, part, part * money, low[slot], high[slot],
                revenue[slot], interval_of(revenue[slot], revenue_se[slot]),
                earns, interval_of(earns, marginal_se[slot]),
                kind, f"{held_at}; {why}", held_at, *differs[slot],
            )
        )  # fmt: skip
    return tuple(reasons)


def at_limits(shares: Sequence[PlatformShare]) -> list[str]:
    """Which platforms are at a limit, a sentence; none where none is."""
    held = [f"{one.platform}: {one.held}" for one in shares if one.binding]
    return [f"At a limit: {'; '.join(held)}."] if held else []


def overall(shares: Sequence[PlatformShare], decided: Decided | None, campaign: str) -> tuple[str, ...]:
    """What `reasoned`'s answer about a campaign says as a whole, a sentence each."""
    reasons = at_limits(shares)
    if decided is None:
        return (
            *reasons,
            "Marginal ROI and expected revenue are those of an average day without drift: this bundle does not tell "
            "what its policy believes of the coming cycle.",
        )
    for mover, moves in zip(MOVERS, decided.moved or (), strict=False):
        most, least = max(moves), min(moves)
        if max(most, -least) >= POINT:
            points = 50 * sum(map(abs, moves))
            gained, lost = shares[moves.index(most)].platform, shares[moves.index(least)].platform
            reasons.append(
                f"{_WHO[mover]} moved {points:.1f} points of the split, most to {gained} ({100 * most:+.1f}) and from "
                f"{lost} ({100 * least:+.1f})."
            )
    if decided.belief.usual != campaign:
        reasons.append(
            f"The state's context is nearest to that of {decided.belief.usual}, which the policy takes it for: "
            "figures are of that campaign's market."
        )
    if decided.elsewhere is not None:
        reasons.append(f"{decided.elsewhere[:1].upper()}{decided.elsewhere[1:]}.")
    return tuple(reasons)


_WHO = {
    "network": "Away from its base plan the trained network",
    "exploration": "Exploration",
    "limits": "What limits of other platforms take or leave",
}


def _kind(
    limits: constraints.Limits[Array], previous_BP: Array | None, slot: int, share: float, low: float, high: float
) -> str | None:
    """Which of the four limits is the edge of the box [low, high] that holds this share."""
    if not (share <= low + EDGE or share >= high - EDGE):
        return None
    if previous_BP is not None and limits.freeze_P[slot]:
        return "frozen"
    edge = low if share <= low + EDGE else high
    if abs(edge - float(limits.minimum_P[slot])) <= 1e-6:
        return "min"
    return "max" if abs(edge - float(limits.maximum_P[slot])) <= 1e-6 else "step"


def _astray(kind: str | None, marginal: float, common: float | None, *, at_low: bool) -> bool:
    """Whether a share lies at an edge that is not what holds it: at a floor where more would earn more than elsewhere,
    at a cap where less would. Then something else moved it there, and is named."""
    if kind in (None, "frozen", "supply") or common is None:
        return False
    near = NEAR * max(abs(common), 1e-12)
    return marginal > common + near if at_low else marginal < common - near


def _held(kind: str, share: float, low: float, amount: float, supply: float) -> str:
    if kind == "frozen":
        return f"frozen at {share:.1%}"
    if kind == "step":
        return f"its step limit keeps it {'above' if share <= low + EDGE else 'below'} {share:.1%}"
    if kind == "supply":
        bought = f"all its requests are bought for {supply:,.2f}"
        return f"{bought}, {amount - supply:,.2f} find nothing to buy" if amount > 1.02 * supply else bought
    if kind in ("min", "step") and share <= low + EDGE and share < NOTHING:
        return _little(amount, "gets")
    return f"held at its {kind} of {share:.1%}"


def _earns(kind: str | None, marginal: float, common: float | None, others: int) -> str:
    """What the next unit earns, against `others` free platforms beside this one."""
    earns = f"the next unit earns {_earned(marginal)}"
    if common is None:
        return earns
    if kind is None and not others:
        return f"{earns}; no other platform is free"
    if kind is not None:
        return f"{earns} against {common:.3g} on free platforms"
    if abs(marginal - common) <= NEAR_BLIND * max(common, 1e-12):
        return f"{earns}, near what the other free platforms earn"
    return f"{earns} on an average day without drift, where the median of free platforms earns {common:.3g}"


def _believed(
    kind: str | None,
    marginal: float,
    common: float | None,
    decided: Decided,
    slot: int,
    at_base: str | None,
    others: int,
) -> str:
    """What the next unit earns as the policy believes, and on a free platform that earns unlike the others why."""
    if common is None:
        return f"the next unit earns {_earned(marginal)}"
    if kind is not None or decided.moved is None:
        return f"the next unit earns {_earned(marginal)} against {common:.3g} on free platforms"
    near = abs(marginal - common) <= NEAR * max(abs(common), 1e-12)
    least = CLEAR if near else POINT
    moves = ", ".join(
        [
            f"{who} {100 * row[slot]:+.1f} points"
            for who, row in zip(_BY, decided.moved, strict=True)
            if abs(row[slot]) >= least
        ]
    )
    if near:
        alike = ", as on the other free platforms" if others else "; no other platform is free"
        text = f"the next unit earns {_earned(marginal)}{alike}"
        return f"{text}; moved by {moves}" if moves else text
    text = f"the next unit earns {_earned(marginal)} against {common:.3g} on free platforms"
    if decided.elsewhere is not None:
        return f"{text}: {decided.elsewhere}"
    causes = [at_base, f"moved by {moves}" if moves else None]
    named = ", ".join(filter(None, causes))
    return f"{text}: {named or LEFT_OUT}"


def _base(limits: constraints.Limits[Array], base: float, slot: int, money: float, supply: float) -> str | None:
    """What held the base plan's share, where something did."""
    least, most = float(limits.minimum_P[slot]), float(limits.maximum_P[slot])
    if base <= least + EDGE:
        if least > EDGE:
            return f"the base plan holds it at its min of {least:.1%}"
        return f"the base plan {_little(base * money, 'gives it')}"
    if base >= most - EDGE:
        return f"the base plan holds it at its max of {most:.1%}"
    return "the base plan buys all its requests" if base * money >= SOLD_OUT * supply > 0 else None


def _little(amount: float, verb: str) -> str:
    """An amount of a share that is shown as 0.0 %, in words that the table of amounts does not contradict."""
    return f"{verb} nothing" if amount < CENT else f"{verb} next to nothing ({amount:,.2f})"


_BY = ("the trained network", "exploration", "the limits")


def interval_of(value: float, se: float) -> tuple[float, float]:
    """95 % interval of a figure that cannot be negative, revenue or marginal ROI (`intervals_of`)."""
    low, high = intervals_of(np.array([value]), np.array([se]))
    return float(low[0]), float(high[0])


def intervals_of(value_K: Array, se_K: Array) -> tuple[Array, Array]:
    """95 % intervals of the lognormal laws that have these means and standard deviations, (K,) each.

    Products of rates, values and powers of money are what `crossmix whatif` draws, and takes quantiles of: those of the
    same draws lie within their own error of these (a sum of lognormals is nearly one: Fenton, IRE Transactions on
    Communications Systems 8, 1960). A lognormal law of a given mean has a quantile that falls again once its deviation
    of the logarithm passes 1.96, where it is 6.8 times the mean: the upper end stays there, and is never below 1.96
    standard errors, so that it rises the less is known. Where the value is 0 that is the interval.
    """
    value_K, se_K = np.maximum(value_K, 0.0), np.asarray(se_K, float)
    with np.errstate(over="ignore"):
        s2_K = np.log1p((se_K / np.where(value_K != 0, value_K, 1.0)) ** 2)
    s_K = np.sqrt(s2_K)
    highest_K = np.minimum(s_K, Z95)
    low_K = value_K * np.exp(-Z95 * s_K - 0.5 * s2_K)
    high_K = value_K * np.exp(Z95 * highest_K - 0.5 * np.minimum(s2_K, Z95**2))
    return low_K, np.maximum(high_K, Z95 * se_K)


def _earned(marginal: float) -> str:
    """Marginal ROI in a sentence: what is bought out has one of 1e-31, which nobody wants to read."""
    return f"{marginal:.3g}" if marginal >= LEAST else "next to nothing"
