"""What choices of channels would have earned on a log that says with which chance it took its own: by propensities.

Every exposure of a test user after another one is a place where a policy could have taken another channel, or shown
nothing. A policy is its chances pi(c | journey), (S, C); what a row lacks to 1 is the chance to show nothing, which
earns and costs nothing. Revenue per cost is estimated twice, by SNIPS and doubly robust (`off_policy`), as a ratio:

    rho = V / K,    V, K: estimates of what an exposure earns and costs;    error(rho) = error(V - rho K) / K

with errors clustered by user. All policies have the same budget: what `journeys.allocation.picked` of these exposures
cost the log. The response model's lambda is such that it would spend just that at expected costs: of what came of these
exposures it knows their prices paid, through the budget, and neither clicks nor revenue.

Shapes: S judged steps, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from crossmix.evaluate.stats import off_policy
from crossmix.evaluate.stats.off_policy import Estimate, OffPolicy
from crossmix.exploration import FeedbackError
from crossmix.journeys.log import Floats, Ints
from crossmix.journeys.score import Figure

SNIPS, ROBUST = "SNIPS", "doubly robust"


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Exposures with a logged propensity, and what a model says of them."""

    user_S: Ints
    channel_S: Ints
    """That the log took."""
    propensity_S: Floats
    """With this chance."""
    revenue_S: Floats
    """What the exposure was worth, currency: revenue, and clicks at their worth."""
    cost_S: Floats
    """Price paid, currency."""
    value_SC: Floats
    """What the model says an exposure is worth on each channel, currency."""
    expected_SC: Floats
    """What one is expected to cost, currency."""
    picked: float
    """Share of the log's cost of these exposures that every policy may spend."""

    def __len__(self) -> int:
        return len(self.user_S)

    @property
    def budget(self) -> float:
        """Currency."""
        return self.picked * float(self.cost_S.sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Earning:
    """What a policy would have earned."""

    per_cost: Mapping[str, Figure]
    """Revenue per cost by `SNIPS` and by `ROBUST`, with 95 % intervals by user."""
    spent: Figure
    """What it would have paid over the budget, doubly robust."""
    effective: float
    """Effective sample size."""
    enough: bool
    needed: int
    """Exposures for an effective sample size that is enough, at this overlap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """What a log with propensities says."""

    exposures: int
    log: Figure
    """The log's own revenue per cost."""
    policies: Mapping[str, Earning]
    """By name; one of which the log holds nothing is not there."""

    def lead(self, name: str, other: str, by: str) -> Figure:
        """Revenue per cost of a policy less another's, or less the log's where `other` is none of the policies.

        The two are taken as independent: they are estimated from the same exposures, so that the interval is wide.
        """
        own = self.policies[name].per_cost[by]
        theirs = self.policies[other].per_cost[by] if other in self.policies else self.log
        half = float(np.hypot(_half(own), _half(theirs)))
        value = own.value - theirs.value
        return Figure(value, value - half, value + half)


def judged(places: Places, policies: Mapping[str, Floats]) -> Logged:
    """Estimate policies, given as chances of each channel, (S, C).

    Raises:
        FeedbackError: fewer than two users.
    """
    own, ones = places.cost_S.sum(), np.zeros(len(places))
    rate = float(places.revenue_S.sum() / own) if own > 0 else 0.0
    net = off_policy.estimate(ones, ones, places.revenue_S - rate * places.cost_S, cluster_N=places.user_S).logged
    half = _half(net) / max(float(places.cost_S.mean()), 1e-12)
    found = {}
    for name, policy_SC in policies.items():
        try:
            found[name] = earning(places, policy_SC)
        except FeedbackError:  # it takes no channel where the log took it
            continue
    return Logged(exposures=len(places), log=Figure(rate, rate - half, rate + half), policies=found)


def earning(places: Places, policy_SC: Floats) -> Earning:
    """One policy's.

    Raises:
        FeedbackError: fewer than two users, or it would have taken none of the log's channels.
    """
    revenue = _estimate(places, policy_SC, 1.0, 0.0)
    cost = _estimate(places, policy_SC, 0.0, 1.0)
    per_cost = {}
    for by in (SNIPS, ROBUST):
        paid = max(_by(cost, by).value, 1e-12)
        rate = _by(revenue, by).value / paid
        half = _half(_by(_estimate(places, policy_SC, 1.0, -rate), by)) / paid
        per_cost[by] = Figure(rate, rate - half, rate + half)
    share = len(places) / places.budget if places.budget > 0 else 0.0
    paid_ci = _by(cost, ROBUST)
    return Earning(
        per_cost=per_cost,
        spent=Figure(share * paid_ci.value, share * paid_ci.ci95[0], share * paid_ci.ci95[1]),
        effective=revenue.effective,
        enough=revenue.enough,
        needed=revenue.needed,
    )


def _estimate(places: Places, policy_SC: Floats, of_revenue: float, of_cost: float) -> OffPolicy:
    """Of a x revenue + b x cost of an exposure."""
    row = np.arange(len(places))
    with np.errstate(divide="ignore"):
        target_S = np.log(policy_SC[row, places.channel_S])
    model_SC = of_revenue * places.value_SC + of_cost * places.expected_SC
    return off_policy.estimate(
        target_S,
        np.log(places.propensity_S),
        of_revenue * places.revenue_S + of_cost * places.cost_S,
        model_N=model_SC[row, places.channel_S],
        model_target_N=(policy_SC * model_SC).sum(1),
        cluster_N=places.user_S,
    )


def _by(found: OffPolicy, by: str) -> Estimate:
    if by == SNIPS:
        return found.snips
    assert found.doubly_robust is not None
    return found.doubly_robust


def _half(one: Estimate | Figure) -> float:
    low, high = one.ci95 if isinstance(one, Estimate) else (one.low, one.high)
    return (high - low) / 2
