"""The gates of re-adaptation: what a challenger must show before it is registered (§2.3.2; docs/readapt.md).

Each has a figure, a threshold, a verdict and a reason. `readapt.required` says which must pass. An off-policy estimate
of some cycles is by nature insufficient data: that is told, and is no pass; once there is enough, it is required.

Shapes: T held-out cycles, C campaigns, P platforms, Q quantities.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from crossmix.agents import online
from crossmix.agents.policy import Policy
from crossmix.artifacts import FeedbackReport, SuspectCell
from crossmix.bundle import Bundle
from crossmix.config import Config, Levels
from crossmix.evaluate.gates.flights import Flights, mean_and_interval
from crossmix.evaluate.gates.policy import measure_latency_ms
from crossmix.evaluate.stats.off_policy import ENOUGH, estimate
from crossmix.exploration import Exploration, FeedbackError
from crossmix.feedback import Feedback
from crossmix.market.level_evidence import QUANTITIES
from crossmix.market.levels import Refit, Residuals, follow, refit
from crossmix.market.model import Market
from crossmix.verdicts import FAIL, INSUFFICIENT, NOT_APPLICABLE, PASS, Gate

Array = NDArray[np.float64]
CHAMPION, CHALLENGER = "champion", "challenger"
PREFIX = "readapt."
GAIN = f"{PREFIX}gain"
SURE = 1.96
"""Standard errors on either side of a level."""
FAR = 6.0
"""Standard deviations beyond which a cell is as unlikely as here: one holiday must not decide what predicts better."""
SLIGHT = 0.02
"""Nats a cell by which the refitted market may predict surely worse: as much as a level costs that lies a fifth of a
cycle's standard deviation off (0.2^2 / 2). Levels are estimates: in a market that has not moved, or moved among the
cycles held out, a refit costs some 0.005, in every cycle."""
DISAGREE = "disagree"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReadaptCase:
    """Everything that is judged."""

    config: Config
    market: Market
    """The one that the champion's plan came from."""
    refitted: Market
    feedback: Feedback
    told: FeedbackReport
    flights: Flights
    """Of `CHAMPION` and `CHALLENGER`, in the refitted market."""
    challenger: Policy
    bundle: Bundle
    """The challenger's, as it would be served."""
    served: online.Feedback | None

    def gate(self, name: str, value: float | None, threshold: str, verdict: str, detail: str) -> Gate:
        """A row of the table."""
        required = name in self.config.readapt.required
        return Gate(f"{PREFIX}{name}", value, threshold, verdict, required, detail)


def judged(case: ReadaptCase) -> Iterator[Gate]:
    """Every gate, in the order of the table."""
    yield plausible(case)
    yield levels(case)
    yield arms(case)
    yield predicts(case)
    yield gain(case)
    yield limits(case)
    yield latency(case)
    yield off_policy(case)


def plausible(case: ReadaptCase) -> Gate:
    """No report that contradicts itself, the money told or what is possible stands undecided."""
    return _suspects(case, "plausible", [one for one in case.told.suspects if one.cause != DISAGREE])


def arms(case: ReadaptCase) -> Gate:
    """Arms that meet one market tell the same of it."""
    if len(case.told.arms) < 2:
        who = f"arm {case.told.arms[0]} alone" if case.told.arms else "no arm"
        return case.gate("arms", None, "0 cells", NOT_APPLICABLE, f"{who} has delivered: there is nothing to compare")
    return _suspects(case, "arms", [one for one in case.told.suspects if one.cause == DISAGREE])


def _suspects(case: ReadaptCase, name: str, found: Sequence[SuspectCell]) -> Gate:
    if not found:
        return case.gate(name, 0, "0 cells", PASS, "no report is held")
    cells = sum(one.cycle - one.first + 1 for one in found)
    worst = max(found, key=lambda one: (one.z is None, one.z or 0.0))
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    detail = f"stopped: {worst.cause} on {worst.platform}: {worst.sentence}{more}"
    return case.gate(name, cells, "0 cells", FAIL, f"{detail}; confirm or discard what is held, then run again")


def levels(case: ReadaptCase) -> Gate:
    """No level lies wholly beyond what a market does."""
    factor = case.config.serving.guard.factor
    found = refit(case.market, case.feedback, case.config.levels)
    near_CPQ = near(found)
    c, p, q = np.unravel_index(int(near_CPQ.argmax()), near_CPQ.shape)
    least = float(np.exp(max(near_CPQ[c, p, q], 0.0)))
    level, error = found.level_CPQ[c, p, q], found.error_CPQ[c, p, q]
    low, mean, high = (float(np.exp(level + side * SURE * error)) for side in (-1, 0, 1))
    where = f"{QUANTITIES[q]} of {case.market.campaigns[c]} on {case.market.platforms[p]}"
    detail = f"{where}: x{mean:.3g} [{low:.3g}, {high:.3g}], the farthest of {near_CPQ.size} levels"
    beyond = least > factor
    return case.gate(
        "levels",
        least,
        f"<= x{factor:g}, or below it within the interval",
        FAIL if beyond else PASS,
        f"stopped: {detail}" if beyond else detail,
    )


def near(found: Refit) -> Array:
    """How far each level surely lies from what was fitted: ln of its interval's nearer end, (C, P, Q).

    Below 0 it may be as fitted.
    """
    near_CPQ: Array = np.abs(found.level_CPQ) - SURE * found.error_CPQ
    # A platform may lose all its requests: that is an outage, and no broken feed.
    requests = QUANTITIES.index("requests")
    near_CPQ[..., requests] = np.where(found.level_CPQ[..., requests] > 0, near_CPQ[..., requests], 0.0)
    return near_CPQ


def predicts(case: ReadaptCase) -> Gate:
    """A refit without the last cycles predicts them, one step ahead, not markedly worse than the champion's market."""
    held, law = case.config.readapt.held_out, case.config.levels
    threshold = f"95 % interval of the last {held} cycles not wholly below -{SLIGHT:g}"
    if case.told.cycles < 2 * held:
        detail = f"{case.told.cycles} cycles tell something; {2 * held} are needed, half of them to refit on"
        return case.gate("predicts", None, threshold, INSUFFICIENT, detail)
    found = predicted(ahead(case.market, case.feedback, law, held))
    if found is None:
        return case.gate("predicts", None, threshold, INSUFFICIENT, "nothing was delivered in the cycles held out")
    mean, low, high = found.interval
    detail = (
        f"log-likelihood one step ahead, the refitted market's over the champion's: {mean:+.3g} [{low:+.3g}, "
        f"{high:+.3g}] nats a cell, over {found.cycles} campaigns' cycles"
    )
    return case.gate("predicts", mean, threshold, FAIL if high < -SLIGHT else PASS, detail)


def ahead(market: Market, feedback: Feedback, law: Levels, held: int) -> Array:
    """Log-likelihood one step ahead of the last `held` cycles: that of a refit without them, over the market's own.

    Returns:
        (`held`, C, P, Q), nats; NaN where a cell told nothing.
    """
    before = len(feedback) - held
    # The same standard errors for both: where the market moves among the cycles held out neither knows of it, and who
    # is less sure of the old levels would be taken to predict better.
    moved = replace(refit(market, feedback.between(0, before), law).market, error=market.error)
    plain = replace(law, size=1e-6, walk=0.0)
    likely = [_log_likelihood(follow(one, feedback, plain).residuals) for one in (moved, market)]
    return np.asarray((likely[0] - likely[1])[before:])


class Predicted(NamedTuple):
    """How much better the held-out cycles are predicted; each campaign's cycle by the mean of its cells."""

    interval: tuple[float, float, float]
    """Mean with its 95 % interval, nats a cell."""
    cycles: int
    """Campaigns' cycles that told something."""


def predicted(ahead_TCPQ: Array) -> Predicted | None:
    """`None`: fewer than two of the cycles told anything."""
    cells_TC = np.isfinite(ahead_TCPQ).sum((2, 3))
    known_TC = cells_TC > 0
    if known_TC.sum() < 2:
        return None
    gap_TC = np.nansum(ahead_TCPQ, (2, 3)) / np.maximum(cells_TC, 1)
    return Predicted(mean_and_interval(gap_TC[known_TC]), int(known_TC.sum()))


def _log_likelihood(residuals: Residuals) -> Array:
    """Of every cell, nats, beside a constant; NaN where it told nothing."""
    z_TCPQ = np.clip(residuals.z_TCPQ, -FAR, FAR)
    with np.errstate(invalid="ignore", divide="ignore"):
        likely: Array = -0.5 * (z_TCPQ**2 + np.log(residuals.variance_TCPQ))
    return np.where(np.isfinite(likely), likely, np.nan)


def gained(flights: Flights, least: float) -> bool:
    """Whether the challenger is expected to earn as much more than the champion, the whole interval."""
    mean, low, _ = flights.lead(CHALLENGER, CHAMPION)
    return low >= least and mean > 0


def gain(case: ReadaptCase) -> Gate:
    """What it is expected to earn more than the champion, in the refitted market, is worth a change."""
    least = case.config.readapt.gain
    mean, low, high = case.flights.lead(CHALLENGER, CHAMPION)
    enough = gained(case.flights, least)
    detail = (
        f"{mean:+.4f} [{low:+.4f}, {high:+.4f}] of the oracle's revenue over the champion, "
        f"{len(case.flights.ratio_N[CHAMPION])} market seeds that nothing was chosen on"
    )
    return case.gate(
        "gain",
        mean,
        f"95 % interval >= {least:g}",
        PASS if enough else FAIL,
        detail if enough else f"gain below {least:g}: {detail}",
    )


def limits(case: ReadaptCase) -> Gate:
    """No limit is ever broken."""
    breaks = case.flights.breaks[CHALLENGER]
    return case.gate("limits", breaks, "0 cycles", PASS if breaks == 0 else FAIL, "cycles that broke a limit")


def latency(case: ReadaptCase) -> Gate:
    """One answer takes no more processor time than allowed."""
    largest, taken = case.config.gates.latency_ms, measure_latency_ms(case.bundle)
    return case.gate(
        "latency",
        taken,
        f"<= {largest:g} ms at the 99th percentile",
        PASS if taken <= largest else FAIL,
        "one state through the exported policy, milliseconds of processor time, rounded up",
    )


def off_policy(case: ReadaptCase) -> Gate:
    """What the served splits say of the challenger, as far as they can."""
    threshold, log = "not surely below the champion's", case.served
    if log is None:
        detail = "the champion has served no cycle whose split was explored and reported; so it tells nothing"
        return case.gate("off_policy", None, threshold, INSUFFICIENT, detail)
    with torch.no_grad():
        target_N = Exploration.of(case.config).log_density(case.challenger.logits(log.state_NS), log.logits_NP)
    try:
        found = estimate(
            target_N.double().numpy(), log.log_density_N.numpy(), log.reward_N.numpy(), cluster_N=log.group_N.numpy()
        )
    except FeedbackError as error:
        return case.gate("off_policy", None, threshold, INSUFFICIENT, f"{len(log)} served cycles: {error}")
    low, high = found.snips.ci95
    detail = (
        f"eq. 11 {found.snips.value:.4g} [{low:.4g}, {high:.4g}] against {found.logged.value:.4g} as served; "
        f"{len(log)} served cycles count as {found.effective:.3g}"
    )
    if not found.enough:
        return case.gate(
            "off_policy", None, threshold, INSUFFICIENT, f"{detail}, {ENOUGH:g} are needed: some {found.needed} cycles"
        )
    row = case.gate("off_policy", found.snips.value, threshold, PASS if high >= found.logged.ci95[0] else FAIL, detail)
    return replace(row, required=True)
