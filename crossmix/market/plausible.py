"""Can what a feed reports be so? Cells that contradict themselves, the money told, the fitted market, or the other arm.

Four tests, each of every arm's cells, none of which asks whether the market has moved: that is for
`crossmix.market.levels`, and a move within reason is honest.

| cause      | a cell is suspect where                                                                               |
|------------|-------------------------------------------------------------------------------------------------------|
| identity   | clicks exceed impressions, impressions requests; or an amount is below 0                              |
| overspent  | spend exceeds the most that was told in its cycle by more than `overspend`, and by more than one       |
|            | impression's price                                                                                     |
| impossible | requests, price, click rate, conversion rate or value lie beyond `factor` times what was fitted, or,  |
|            | but for requests, below a `factor`-th of it: not their estimate, but all that they may be             |
| disagree   | two arms of one market differ in one of these by more than chance and `alike`; both are suspect, but   |
|            | where one of them is for another cause                                                                 |
| shared     | the same quantity of `SEVERAL` other platforms of the arm is suspect, on the same side                 |

The last two look at the newest cycle and at the trailing 3 and 7 together: few events a cycle add up. What is named is
the newest cycle of such a stretch, and those that the stretch covers from the first on that leans that way by itself;
no stretch is named whose newest does not, as that of the first good cycle after bad ones.

A campaign may have run before its cycle 0: conversions of clicks that nobody told are honest. As long as the delay
reaches back to before it, those clicks may be none or all that the platform's usual requests would have made, and the
arms' conversions are not held against each other. An account whose totals were fitted did run: its clicks of then are
guessed to be as many as those since, and what the guess may be wrong by is noise.

Shapes: T cycles, C campaigns, P platforms; all of a `Feedback`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crossmix.config import Guard
from crossmix.feedback import Array, Feedback
from crossmix.market import level_evidence as evidence
from crossmix.market.level_evidence import QUANTITIES, Seen, Usual
from crossmix.market.levels import rows

WINDOWS = (1, 3, 7)
"""Cycles that are looked at together."""
FURTHEST = 7.0
"""A logarithm is taken to lie within this of what is usual: a broken feed may be a factor of 1,000 off."""
SEVERAL = 2
"""Platforms of an arm whose same quantity is suspect on the same side: then the feed is, and none of it is believed."""
ENOUGH = 5
"""Conversions below which their mean value is not judged."""
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Suspect:
    """Cells of one arm that cannot be so, for one cause."""

    cause: str
    """identity, overspent, impossible, disagree or shared."""
    arm: str
    campaign: str
    platform: str
    cycle: int
    """The newest of its campaign's cycles that are suspect."""
    first: int
    """The oldest."""
    quantity: str
    observed: float
    """Sum over the cycles, in the quantity's unit: a count or currency."""
    expected: float
    """What was usual, or what the other arm leads one to expect."""
    z: float | None
    """Distance from the nearest that is possible, in standard deviations; `None`: of what needs no law."""

    @property
    def sentence(self) -> str:
        """For a person."""
        span = f"cycle {self.cycle}" if self.first == self.cycle else f"cycles {self.first} to {self.cycle}"
        what = {
            "identity": f"{self.quantity} {self.observed:,.6g} against {self.expected:,.6g}, which cannot be",
            "overspent": f"spend {self.observed:,.6g} where {self.expected:,.6g} was told",
            "impossible": f"{self.quantity} {self.observed:,.6g} where about {self.expected:,.6g} is usual",
            "disagree": f"{self.quantity} {self.observed:,.6g} where the other arm leads one to expect "
            f"{self.expected:,.6g}",
            "shared": f"{self.quantity} of {self.observed:g} other platforms is suspect, so that none is believed",
        }[self.cause]
        return f"{self.campaign}, arm {self.arm}, {self.platform}, {span}: {what}"


class _Stretch(NamedTuple):
    """A quantity over some cycles on end, by the newest of them: (T, C, P) each."""

    cycles: int
    seen: Seen
    """Sums of counts; a logarithm's mean by precision."""
    variance: Tensor
    """Of u, beside counting: drift, contexts, and a logarithm's own noise."""
    room: Tensor
    """Log of the most that may be usual over `seen.usual`: what clicks of before the flight add; else 0."""


def suspects(usual: Usual | None, arms: Mapping[str, Feedback], settings: Guard) -> list[Suspect]:
    """Every suspect cell of the feedback, in order of cause, arm, campaign, platform and cycle.

    Args:
        usual: of the market that the champion's plan came from, rows as the feedback's campaigns; `None`: it knows none
            of them, and only the tests that need no law are made.
        arms: of the same campaigns, platforms and cycles, enough of them that conversions due are known.

    Raises:
        ValueError: the arms are of other campaigns, platforms or cycles.
    """
    first = next(iter(arms.values()), None)
    if first is None:
        return []
    for one in arms.values():
        same = (one.campaigns, one.platforms) == (first.campaigns, first.platforms)
        if not same or not np.array_equal(one.cycle_TC, first.cycle_TC):
            raise ValueError("feedback: arms of other campaigns, platforms or cycles; read them with one call")
    found: list[Suspect] = []
    for arm, feedback in arms.items():
        found += [*_identities(arm, feedback), *_overspent(arm, feedback, settings)]
    if usual is not None and len(first):
        stretches = {arm: _stretches(usual, feedback) for arm, feedback in arms.items()}
        for arm, feedback in arms.items():
            found += _impossible(arm, feedback, stretches[arm], settings)
        found += _disagreeing(arms, stretches, settings)
    found = list(_unexplained(found))
    found += _shared(found, arms)
    return sorted(found, key=lambda one: (one.cause, one.arm, one.campaign, one.platform, one.cycle))


def _shared(found: Sequence[Suspect], arms: Mapping[str, Feedback]) -> Iterator[Suspect]:
    """The other platforms where several are suspect: were they believed, the money would go to those of them that are
    wrong too, but show too little to be found."""
    named: dict[tuple[str, str, int, str, bool], set[str]] = {}
    for one in found:
        for cycle in range(one.first, one.cycle + 1):
            key = one.arm, one.campaign, cycle, one.quantity, one.observed > one.expected
            named.setdefault(key, set()).add(one.platform)
    for (arm, campaign, cycle, quantity, _), platforms in named.items():
        others = [name for name in arms[arm].platforms if name not in platforms]
        for name in others if len(platforms) >= SEVERAL else ():
            yield Suspect("shared", arm, campaign, name, cycle, cycle, quantity, float(len(platforms)), 0.0, None)


def _unexplained(found: Sequence[Suspect]) -> Iterator[Suspect]:
    """All but disagreements of an arm that is sound where another is not: whose feed is wrong is known there."""
    wrong: dict[tuple[str, str, int], set[str]] = {}
    for one in found:
        for cycle in range(one.first, one.cycle + 1) if one.cause != "disagree" else ():
            wrong.setdefault((one.campaign, one.platform, cycle), set()).add(one.arm)
    for one in found:
        arms = [wrong.get((one.campaign, one.platform, cycle), set()) for cycle in range(one.first, one.cycle + 1)]
        if one.cause != "disagree" or not any(some and one.arm not in some for some in arms):
            yield one


# ---- what needs no law -----------------------------------------------------------------------------------------------


def _identities(arm: str, feedback: Feedback) -> Iterator[Suspect]:
    amounts = {name: getattr(feedback, f"{name}_TCP") for name in ("requests", "impressions", "clicks", "spend")}
    for name, table_TCP in amounts.items():
        yield from _named("identity", arm, feedback, table_TCP < 0, name, table_TCP, np.zeros_like(table_TCP))
    for smaller, larger in (("clicks", "impressions"), ("impressions", "requests")):
        few, many = amounts[smaller], amounts[larger]
        yield from _named("identity", arm, feedback, few > many * (1 + 1e-9), smaller, few, many)


def _overspent(arm: str, feedback: Feedback, settings: Guard) -> Iterator[Suspect]:
    """More than any answer of the cycle told, beyond rounding and the impression that was under way."""
    spend, told = feedback.spend_TCP, feedback.most_TCP
    one = np.divide(spend, feedback.impressions_TCP, out=np.zeros_like(spend), where=feedback.impressions_TCP > 0)
    yield from _named("overspent", arm, feedback, spend > told * (1 + settings.overspend) + one, "spend", spend, told)


def _named(
    cause: str, arm: str, feedback: Feedback, suspect_TCP: Mask, quantity: str, observed: Array, expected: Array
) -> Iterator[Suspect]:
    for t, c, p in np.argwhere(suspect_TCP & (feedback.cycle_TC >= 0)[..., None]).tolist():
        cycle = int(feedback.cycle_TC[t, c])
        yield Suspect(
            cause=cause,
            arm=arm,
            campaign=feedback.campaigns[c],
            platform=feedback.platforms[p],
            cycle=cycle,
            first=cycle,
            quantity=quantity,
            observed=float(observed[t, c, p]),
            expected=float(expected[t, c, p]),
            z=None,
        )


# ---- what the fitted market makes of it ------------------------------------------------------------------------------


def _stretches(usual: Usual, feedback: Feedback) -> list[list[_Stretch]]:
    """Of each quantity, its stretches of `WINDOWS` cycles."""
    told: list[list[Seen]] = [[] for _ in QUANTITIES]
    clicks_DCP = torch.full_like(usual.delay_DCP, torch.nan)
    before_DC = torch.zeros(clicks_DCP.shape[:2], dtype=torch.bool)
    none = torch.zeros_like(usual.cvr)
    most, earlier = _most_conversions(usual), []
    for cycle_C, row in rows(feedback):
        clicks_DCP = torch.where((cycle_C == 0)[:, None], usual.clicks_before, clicks_DCP)
        begins_C = (cycle_C == 0) & (usual.clicks_before == 0)
        before_DC = torch.cat([torch.zeros_like(before_DC[:1]), (before_DC | begins_C)[:-1]])
        earlier.append((usual.delay_DCP * before_DC[..., None]).sum(0) * most)
        idle = (row.told_CP.nan_to_num(0.0) <= 0) | (row.part_C <= 0)[:, None]
        clicks_CP = torch.where(idle & row.clicks_CP.isnan(), 0.0, row.clicks_CP)
        win, unsure = evidence.win_rate(usual, row, none, none)
        clicks_DCP = torch.cat([evidence.due(usual, clicks_CP, win)[None], clicks_DCP[:-1]])
        each = (
            evidence.requests_seen(usual, row),
            evidence.price_seen(usual, row, win, unsure),
            evidence.clicks_seen(usual, row, win),
            evidence.conversions_seen(usual, row, clicks_DCP),
            evidence.value_seen(usual, row, FURTHEST),
        )
        for one, kept in zip(each, told, strict=True):
            kept.append(one)
    if not earlier:
        return [[] for _ in QUANTITIES]
    sigma2_QCP, windows = usual.sigma2_QCP, [window for window in WINDOWS if window <= len(feedback)]
    added_TCP = torch.stack(earlier)
    found = [
        [_stretch(_stacked(one), window, sigma2_QCP[q], added_TCP * (name == "cvr")) for window in windows]
        for q, (name, one) in enumerate(zip(QUANTITIES, told, strict=True))
    ]
    value = QUANTITIES.index("value")
    found[value] = [one._replace(seen=_of_enough(one.seen, usual)) for one in found[value]]
    return found


def _of_enough(seen: Seen, usual: Usual) -> Seen:
    """Values of `ENOUGH` conversions or more: one order may be worth next to nothing, or a hundred others."""
    conversions = seen.usual / usual.value.clamp(min=1e-12)
    return seen._replace(known=seen.known & (conversions >= ENOUGH - 0.5))


def _most_conversions(usual: Usual) -> Tensor:
    """Of a cycle's clicks, (C, P), had every usual request of its best weekday been won, by all users."""
    sated = -torch.expm1(-usual.saturation) / usual.saturation
    return usual.requests_7CP.amax(0) * usual.ctr_7CP.amax(0) * sated * usual.cvr


def _stacked(seen: list[Seen]) -> Seen:
    """Cycles lead."""
    tables = {name: torch.stack([getattr(one, name) for one in seen]) for name in Seen._fields[:-1]}
    return Seen(**tables, kind=seen[0].kind)


def _stretch(seen: Seen, window: int, sigma2_CP: Tensor, earlier_TCP: Tensor) -> _Stretch:
    """Args: earlier_TCP: events beside the usual ones that clicks of before the flight may have made."""

    def summed(table: Tensor) -> Tensor:
        total = torch.where(seen.known, table.double().nan_to_num(0.0), 0.0).cumsum(0)
        return total - torch.cat([torch.zeros_like(total[:window]), total[:-window]])[: len(total)]

    weight = seen.usual if seen.counted else 1 / seen.noise.clamp(min=1e-9)
    whole = summed(weight).clamp(min=1e-12)

    def mean(table: Tensor) -> Tensor:
        return summed(weight * table) / whole

    events, noise = (summed(seen.events), mean(seen.noise)) if seen.counted else (mean(seen.events), 1 / whole)
    added = Seen(
        known=seen.known,
        teaches=seen.teaches,
        events=events,
        usual=summed(seen.usual),
        amount=summed(seen.amount),
        thin=mean(seen.thin),
        noise=noise,
        reach=mean(seen.reach),
        offset=mean(seen.offset),
        kind=seen.kind,
    )
    room = (summed(earlier_TCP) / added.usual.clamp(min=1e-12)).log1p()
    return _Stretch(window, added, sigma2_CP + (noise if seen.counted else 0.0), room)


def _impossible(arm: str, feedback: Feedback, stretches: list[list[_Stretch]], settings: Guard) -> Iterator[Suspect]:
    """Beyond `factor` either way, and by more than chance from there."""
    bound = math.log(settings.factor)
    for quantity, some in zip(QUANTITIES, stretches, strict=True):
        looks = [(one.cycles, _beyond(quantity, one, bound), one.seen.amount, one.seen.usual) for one in some]
        yield from _found("impossible", arm, feedback, quantity, looks, _leans(some[0], bound / 2), settings)


def _leans(stretch: _Stretch, least: float) -> Tensor:
    """Which side of what is usual a cycle by itself lies on, -1, 0 or 1: by `least` in the logarithm."""
    seen = stretch.seen
    log = ((seen.events + 0.5) / (seen.usual + 0.5)).log() if seen.counted else seen.events
    return torch.where(seen.known & (log.abs() >= least - 1e-9), log.sign(), 0.0)


def _beyond(quantity: str, stretch: _Stretch, bound: float) -> Tensor:
    """Standard deviations by which a stretch lies beyond a log multiplier of `bound` either way; 0 within.

    Requests have no lower bound: a platform that goes out is no broken feed.
    """
    seen, furthest = stretch.seen, torch.zeros_like(stretch.variance)
    for side in (bound, -bound)[: 1 if quantity == "requests" else 2]:
        thin = (seen.thin * math.exp(side)).clamp(0, 0.9)
        offset = seen.offset + side + (stretch.room if side > 0 else 0.0)
        z = evidence.surprise(seen, offset, stretch.variance, thin).z.nan_to_num(0.0)
        furthest = torch.where(z * side > 0, z, furthest)
    return furthest


# ---- one arm against the other ---------------------------------------------------------------------------------------


def _disagreeing(
    arms: Mapping[str, Feedback], stretches: Mapping[str, list[list[_Stretch]]], settings: Guard
) -> Iterator[Suspect]:
    """Two arms live in one market: its drift, its contexts and its moves are the same for both.

    Both arms' cells are suspect, for the feed that is wrong may be either's.
    """
    for pair in combinations(arms, 2):
        for quantity, *both in zip(QUANTITIES, *(stretches[arm] for arm in pair), strict=True):
            apart = [_apart(quantity, one, other, settings.alike) for one, other in zip(*both, strict=True)]
            for number, arm in enumerate(pair):
                looks = [
                    (one.cycles, z if number == 0 else -z, one.seen.amount, expected[number])
                    for one, (z, expected) in zip(both[number], apart, strict=True)
                ]
                leans = torch.where(looks[0][1].abs() >= 1, looks[0][1].sign(), 0.0)
                yield from _found("disagree", arm, arms[arm], quantity, looks, leans, settings)


def _apart(quantity: str, one: _Stretch, other: _Stretch, alike: float) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Standard deviations between two arms' multipliers, and what each arm leads one to expect of the other.

    Of counts by the square root transform of Huffman (1984), whose level holds for few events too. Contexts are the
    same for both arms; of conversions, what is guessed of clicks that nobody told is each arm's own.
    """
    a, b = one.seen, other.seen
    known = a.known & b.known & (a.usual > 0) & (b.usual > 0) & (one.room <= 0) & (other.room <= 0)
    if a.counted:
        ratio = a.usual / b.usual.clamp(min=1e-12)
        z = 2 * ((a.events + 0.375).sqrt() - (ratio * (b.events + 0.375)).sqrt()) / (1 + ratio).sqrt()
        apart2 = alike**2 + (a.noise + b.noise if quantity == "cvr" else 0.0)
        z = z / (1 + apart2 * (a.events + b.events) * ratio / (1 + ratio) ** 2).sqrt()
        expected = a.usual * b.events / b.usual.clamp(min=1e-12), b.usual * a.events / a.usual.clamp(min=1e-12)
    else:
        z = (a.events - b.events) / (a.noise + b.noise + alike**2).sqrt()
        expected = a.usual * b.events.exp(), b.usual * a.events.exp()
    return torch.where(known, z, 0.0), expected


# ---- what is named ---------------------------------------------------------------------------------------------------


def _found(
    cause: str,
    arm: str,
    feedback: Feedback,
    quantity: str,
    looks: list[tuple[int, Tensor, Tensor, Tensor]],
    leans: Tensor,
    settings: Guard,
) -> Iterator[Suspect]:
    """Suspects of the shortest stretch that is beyond `settings.z`, and whose newest cycle leans that way.

    Args:
        looks: cycles of a stretch, z, observed and expected, (T, C, P) each, the shortest stretch first.
        leans: of single cycles, -1, 0 or 1.
    """
    open_TCP = np.repeat((feedback.cycle_TC >= 0)[..., None], len(feedback.platforms), 2)
    for cycles, z, observed, expected in looks:
        beyond_TCP: Mask = ((z.abs() > settings.z) & (z * leans > 0)).numpy() & open_TCP
        open_TCP = open_TCP & ~beyond_TCP
        for t, c, p in np.argwhere(beyond_TCP).tolist():
            cycle, start = int(feedback.cycle_TC[t, c]), max(t - cycles + 1, 0)
            along = (leans[start : t + 1, c, p] * z[t, c, p] > 0).tolist().index(True)
            yield Suspect(
                cause=cause,
                arm=arm,
                campaign=feedback.campaigns[c],
                platform=feedback.platforms[p],
                cycle=cycle,
                first=max(cycle - (t - start - along), 0),
                quantity=quantity,
                observed=float(observed[t, c, p]),
                expected=float(expected[t, c, p]),
                z=float(z[t, c, p]),
            )
