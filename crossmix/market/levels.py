"""Has the market moved for good? Levels of what was fitted, followed from feedback, and the market refitted to them.

Per campaign, platform and quantity (`QUANTITIES`) the log multiplier on the fitted market is a lasting level plus the
fitted AR(1) drift (`crossmix.drift`). Two hypotheses are followed side by side, each by a Kalman filter of level and
drift, whose level is

    as fitted   constant,                 N(0, e^2) before anything was seen, e its standard error as fitted
    has moved   level' = level + a step,  N(0, e^2 + size^2)

A step is N(0, walk), and once in size^2 / walk days N(0, size^2) on top: a move that comes overnight is taken for one.

The log odds that it has moved are those of the prior plus the evidence E, by how much more likely the second makes what
was seen. Evidence fades in cycles that tell something, so that what was long ago does not outweigh what is seen now:

    E <- (1 - fade) E + ln p(seen | has moved) - ln p(seen | as fitted)

What a cycle tells is in `crossmix.market.level_evidence`. A cell without delivery teaches nothing: time passes for
drift and walk alone. Each cycle's residual is against what was believed before: both predictions, weighted by their
odds and their precision, so that a wide guess about what a move would be like hides no surprise. The refitted market is
the geometric mean over both.

All is pure, and batched: cells are independent of each other.

Shapes: T cycles, C campaigns, P platforms, Q quantities, H = 2 hypotheses, D + 1 delays.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crossmix.config import Levels as Law
from crossmix.drift import Belief, predict
from crossmix.feedback import AMOUNTS, Feedback
from crossmix.market import level_evidence as evidence
from crossmix.market.conditions import scaled_market
from crossmix.market.level_evidence import MOST, QUANTITIES, Row, Seen, Surprise, Usual
from crossmix.market.model import Market

Array = NDArray[np.float64]

BOUND = 20.0
"""Most that the evidence counts, either way: odds of 5e8."""


class State(NamedTuple):
    """What is believed before the coming cycle, in double precision."""

    level_QHCP: Tensor
    """Mean of the level, as fitted and has moved."""
    level2_QHCP: Tensor
    """Its variance."""
    drift_QHCP: Tensor
    """Mean of the coming cycle's drift."""
    drift2_QHCP: Tensor
    cross_QHCP: Tensor
    """Covariance of the two."""
    evidence_QCP: Tensor
    """E, ln."""
    clicks_DCP: Tensor
    """Clicks of the last cycles, newest first: those whose conversions are still due. NaN: unknown."""


class Believed(NamedTuple):
    """Both hypotheses together, each (Q, C, P)."""

    moved: Tensor
    """Probability that the level has moved."""
    level: Tensor
    level2: Tensor
    """Variance of the level, that between the hypotheses included."""
    drift: Tensor
    drift2: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Residuals:
    """One-step residuals, oldest first; NaN where a cell told nothing. Quantities in the order of `QUANTITIES`."""

    z_TCPQ: Array
    """Near N(0, 1) while the market is what it was."""
    observed_TCPQ: Array
    """Requests, currency spent, clicks, conversions, currency earned."""
    expected_TCPQ: Array
    """The same unit: of the impressions, clicks and conversions that there were. Sums over cells are to be compared."""
    variance_TCPQ: Array
    """Of observed - expected, unit squared."""


class Followed(NamedTuple):
    """What is believed in the end, and what surprised on the way."""

    state: State
    residuals: Residuals


@dataclass(frozen=True, slots=True, eq=False)
class Refit:
    """A market with its levels, and what moved. Quantities in the order of `QUANTITIES`."""

    market: Market
    """Parameters times exp(level), standard errors those of the levels."""
    level_CPQ: Array
    """ln of the factor on what was fitted."""
    error_CPQ: Array
    """Its standard error."""
    moved_CPQ: Array
    """Probability that it has moved."""
    drift_CPQ: Array
    """Believed log-drift of the coming cycle; 0 where a quantity does not drift."""
    drift_error_CPQ: Array
    state: State
    residuals: Residuals


def begin(market: Market, law: Law) -> State:
    """What is believed of a market of which nothing has been seen since the fit."""
    return start(Usual.of(market), law)


def start(usual: Usual, law: Law) -> State:
    """`begin`, of rows that `Usual.of` has prepared."""
    error2 = usual.error2_QCP
    none = torch.zeros_like(error2)[:, None].expand(-1, 2, -1, -1)
    return State(
        level_QHCP=none,
        level2_QHCP=torch.stack([error2, error2 + law.size**2], 1),
        drift_QHCP=none,
        drift2_QHCP=usual.sigma2_QCP[:, None].expand(-1, 2, -1, -1),
        cross_QHCP=none,
        evidence_QCP=torch.zeros_like(error2),
        clicks_DCP=torch.full_like(usual.delay_DCP, torch.nan),
    )


def believed(state: State, law: Law) -> Believed:
    """Mean and variance over both hypotheses."""
    moved = _probability(state.evidence_QCP, law)
    level = _mixed(state.level_QHCP, state.level2_QHCP, moved)
    return Believed(moved, *level, *_mixed(state.drift_QHCP, state.drift2_QHCP, moved))


def advance(market: Market, law: Law, state: State, feedback: Feedback) -> tuple[State, Residuals]:
    """Take in finished cycles, one or several, oldest first.

    Raises:
        ValueError: the feedback is of other campaigns or platforms than the market.
    """
    return follow(market, feedback, law, state)


def follow(market: Market, feedback: Feedback, law: Law, state: State | None = None) -> Followed:
    """Take in all finished cycles, from nothing seen or from a `state` on.

    Raises:
        ValueError: the feedback is of other campaigns or platforms than the market.
    """
    if (feedback.campaigns, feedback.platforms) != (market.campaigns, market.platforms):
        raise ValueError(
            f"feedback: of {', '.join(feedback.campaigns)} on {', '.join(feedback.platforms)}, but the market has "
            f"{', '.join(market.campaigns)} on {', '.join(market.platforms)}; give them in the market's order"
        )
    return walk(Usual.of(market), law, feedback, state)


def walk(usual: Usual, law: Law, feedback: Feedback, state: State | None = None) -> Followed:
    """`follow`, of rows that `Usual.of` has prepared: campaigns, or flights of them on end."""
    state = start(usual, law) if state is None else state
    tables = [np.zeros((len(feedback), *usual.cvr.shape, len(QUANTITIES))) for _ in Surprise._fields]
    for t, (cycle_C, row) in enumerate(rows(feedback)):
        clicks = torch.where((cycle_C == 0)[:, None], usual.clicks_before, state.clicks_DCP)
        state, surprises = learn(usual, law, state._replace(clicks_DCP=clicks), row)
        for q, one in enumerate(surprises):
            for table, part in zip(tables, one, strict=True):
                table[t, ..., q] = part.numpy()
        state = pass_cycle(usual, law, state)
    return Followed(state, Residuals(*tables))


def refit(market: Market, feedback: Feedback, law: Law, state: State | None = None) -> Refit:
    """The market with the levels that the feedback tells; what it tells nothing of stays, with a wider error.

    Args:
        state: to go on from, of the same market; `None`: from nothing seen.

    Raises:
        ValueError: the feedback is of other campaigns or platforms than the market.
    """
    state, residuals = follow(market, feedback, law, state)
    belief = believed(state, law)
    factor = dict(zip(QUANTITIES, belief.level.exp().float(), strict=True))
    moved = scaled_market(market, price_multiplier=factor.pop("price"), **factor)
    error = dict(market.error)
    for name, variance in zip(QUANTITIES, belief.level2, strict=True):
        if name in moved.value:
            error[name] = moved.value[name] * variance.sqrt().float()
    level, level2, drift, drift2, probability = (
        table.movedim(0, -1).numpy()
        for table in (belief.level, belief.level2, belief.drift, belief.drift2, belief.moved)
    )
    return Refit(
        market=replace(moved, error=error),
        level_CPQ=level,
        error_CPQ=np.sqrt(level2),
        moved_CPQ=probability,
        drift_CPQ=drift,
        drift_error_CPQ=np.sqrt(drift2),
        state=state,
        residuals=residuals,
    )


# ---- a cycle ---------------------------------------------------------------------------------------------------------


def learn(usual: Usual, law: Law, state: State, row: Row) -> tuple[State, list[Surprise]]:
    """A finished cycle is taken in; the surprise of each quantity against what was believed before."""
    idle = (row.told_CP.nan_to_num(0.0) <= 0) | (row.part_C <= 0)[:, None]
    clicks = torch.where(idle & row.clicks_CP.isnan(), 0.0, row.clicks_CP)
    after: list[_Cell] = []
    surprises: list[Surprise] = []

    def weigh(seen: Seen) -> None:
        cell, surprise = _weighed(usual, law, _Cell.of(state, len(after)), seen)
        after.append(cell)
        surprises.append(surprise)

    weigh(evidence.requests_seen(usual, row))
    volume = after[0]
    grown = _pooled(volume.level, volume.level2, _probability(volume.evidence, law))
    win, unsure = evidence.win_rate(usual, row, *grown)
    clicks_DCP = torch.cat([evidence.due(usual, clicks, win)[None], state.clicks_DCP[:-1]])
    weigh(evidence.price_seen(usual, row, win, unsure))
    weigh(evidence.clicks_seen(usual, row, win))
    weigh(evidence.conversions_seen(usual, row, clicks_DCP))
    weigh(evidence.value_seen(usual, row))
    level, level2, drift, drift2, cross, known = (torch.stack(tables) for tables in zip(*after, strict=True))
    return State(level, level2, drift, drift2, cross, known, clicks_DCP), surprises


class _Cell(NamedTuple):
    """`State` of one quantity: (H, C, P) each, evidence (C, P)."""

    level: Tensor
    level2: Tensor
    drift: Tensor
    drift2: Tensor
    cross: Tensor
    evidence: Tensor

    @classmethod
    def of(cls, state: State, quantity: int) -> _Cell:
        return cls(*(table[quantity] for table in state[:-1]))


def _weighed(usual: Usual, law: Law, cell: _Cell, seen: Seen) -> tuple[_Cell, Surprise]:
    """Both hypotheses take in what was seen, and are weighed by it."""
    # A third way: it has moved, and took a large step just now.
    old = [torch.cat([table, table[1:]]) for table in cell[:-1]]
    old[1][2] += law.size**2
    was, was2, drifted, drifted2, crossed = old
    to_level, to_drift = was2 + seen.reach * crossed, crossed + seen.reach * drifted2
    mean = was + seen.reach * drifted + seen.offset
    variance = to_level + seen.reach * to_drift
    if seen.counted:
        variance = variance + seen.noise
    pooled, pooled_variance = _pooled(mean, variance, _probability(cell.evidence, law))
    thin = (seen.thin * pooled.clamp(max=MOST).exp()).clamp(0, 0.9)
    surprise = evidence.surprise(seen, pooled, pooled_variance, thin)

    took = evidence.taken(seen, mean, variance, thin)
    gain_level, gain_drift = to_level / variance, to_drift / variance
    less = variance - took.after
    level, drift = was + gain_level * took.shift, drifted + gain_drift * took.shift
    level2, drift2 = was2 - gain_level * gain_level * less, drifted2 - gain_drift * gain_drift * less
    cross = crossed - gain_level * gain_drift * less

    often = min(law.walk / law.size**2 * usual.days, 0.5)
    fitted, went_on, jumped = took.log_likelihood
    went_on, jumped = went_on + math.log1p(-often), jumped + math.log(max(often, 1e-300))
    part = torch.sigmoid(jumped - went_on)
    gap_level, gap_drift = level[2] - level[1], drift[2] - drift[1]
    between = part * (1 - part)

    def merged(table: Tensor, apart: Tensor | float = 0.0) -> Tensor:
        return torch.stack([table[0], torch.lerp(table[1], table[2], part) + apart])

    said = torch.logaddexp(went_on, jumped) - fitted
    after = _Cell(
        level=merged(level),
        level2=merged(level2, between * gap_level**2),
        drift=merged(drift),
        drift2=merged(drift2, between * gap_drift**2),
        cross=merged(cross, between * gap_level * gap_drift),
        evidence=((1 - law.fade) ** usual.days * cell.evidence + said).clamp(-BOUND, BOUND),
    )
    if bool(seen.teaches.all()):
        return after, surprise
    return _Cell(*(torch.where(seen.teaches, new, old) for new, old in zip(after, cell, strict=True))), surprise


def _pooled(mean_HCP: Tensor, variance_HCP: Tensor, moved_CP: Tensor) -> tuple[Tensor, Tensor]:
    """Both hypotheses' predictions in one: the product of their densities, each to the power of its probability.

    Hypotheses beyond the second are not asked.
    """
    fitted, moved = (1 - moved_CP) / variance_HCP[0], moved_CP / variance_HCP[1]
    whole = fitted + moved
    return (fitted * mean_HCP[0] + moved * mean_HCP[1]) / whole, 1 / whole


def _probability(evidence_CP: Tensor, law: Law) -> Tensor:
    """That the level has moved."""
    return torch.sigmoid(math.log(law.moved / (1 - law.moved)) + evidence_CP)


def _mixed(mean_HCP: Tensor, variance_HCP: Tensor, moved_CP: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance over both hypotheses, which lead or come after the quantity."""
    (first, second), (within, beside) = mean_HCP.unbind(-3), variance_HCP.unbind(-3)
    variance = torch.lerp(within, beside, moved_CP)
    return torch.lerp(first, second, moved_CP), variance + moved_CP * (1 - moved_CP) * (second - first) ** 2


def pass_cycle(usual: Usual, law: Law, state: State) -> State:
    """One cycle passes: drifts return towards 0, levels that have moved go on."""
    rho = usual.rho_QCP[:, None]
    drift = predict(Belief(state.drift_QHCP, state.drift2_QHCP), rho, usual.sigma2_QCP[:, None])
    walk = torch.tensor([0.0, law.walk * usual.days], dtype=torch.float64)[:, None, None]
    return state._replace(
        level2_QHCP=state.level2_QHCP + walk,
        drift_QHCP=drift.mean,
        drift2_QHCP=drift.variance,
        cross_QHCP=rho * state.cross_QHCP,
    )


def rows(feedback: Feedback) -> Iterator[tuple[Tensor, Row]]:
    """Each cycle's number in its campaign, and its row; where a campaign had no cycle nothing is known or told."""
    for t in range(len(feedback)):
        cycle_C = torch.from_numpy(feedback.cycle_TC[t])
        runs_C = cycle_C >= 0
        amounts = (
            torch.where(runs_C[:, None], torch.from_numpy(getattr(feedback, name)[t]).double(), torch.nan)
            for name in ("told_TCP", *AMOUNTS)
        )
        weekday_C = torch.from_numpy(feedback.weekday_TC[t]).clamp(0, 6)
        part_C = torch.where(runs_C, torch.from_numpy(feedback.part_TC[t]).double().nan_to_num(0.0), 0.0)
        yield cycle_C, Row(weekday_C, part_C, *amounts)
