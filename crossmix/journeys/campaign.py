"""A campaign over test users in batches, as who calls the server does it: `budget_left` is money over batches left.

Nothing that the bundle was fitted on is judged with: users are the test users, what they are worth and what an exposure
is expected to cost is the bundle's, who is allocated to is what the server answers (`batch.settle`). Each exposure then
costs what one of test users' own exposures of that campaign and channel did, drawn, and told only once it is paid. The
budget is the log's money, so that a bundle whose prices are far from it spends too little of it or asks for too much.

lambda, by which a request without `budget_left` is answered, is held against the one that test users' budget finds.

Shapes: U users, C channels, N logged exposures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from crossmix.config.journeys import Allocation
from crossmix.journeys import allocate, batch
from crossmix.journeys.answer import Answer, Prices
from crossmix.journeys.log import Events, Floats
from crossmix.journeys.measured import budget_of

USERS = 256
"""Of a batch at most, drawn anew for each."""
Pools = tuple[Floats, ...]
"""Of each channel the prices that exposures were sold at, currency."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """What a campaign did with its budget, currency."""

    budget: float
    spend: float
    """What was paid."""
    asked: float
    """What all exposures that were allocated to cost, won or not."""
    expected: float
    """What the bundle expected of them."""
    exposures: int
    """That were allocated to."""
    fullest: float
    """Largest share of a batch's `budget_left` that its exposures were expected to cost."""
    shadow: float
    """The bundle's lambda."""
    found: float
    """That at which all test users together spend a batch's part of the budget."""
    bought: float
    """Expected cost of what all test users buy at the bundle's lambda."""
    due: float
    """The same at that one."""

    @property
    def share(self) -> float:
        """Spend over budget."""
        return self.spend / self.budget if self.budget > 0 else 0.0


def pools(events: Events, campaign_R: np.ndarray, name: str) -> Pools:
    """Prices of a campaign's exposures by channel; where it has none, those of all campaigns, then of all channels."""
    own_R = campaign_R.astype(str) == name
    found = []
    for channel in range(len(events.channels)):
        here_R = events.channel_R == channel
        whole = (here_R & own_R, here_R, np.ones(len(events), bool))
        found.append(next((events.cost_R[one] for one in whole if one.any()), np.zeros(1)))
    return tuple(found)


def paced(prices: Prices, answer: Answer, sold: Pools, settings: Allocation, seed: int) -> Campaign:
    """`settings.rounds` batches of users, each with its part of what is left; an exposure dearer than that is not won.

    Args:
        answer: what the bundle says of test users.
        sold: prices that are drawn from.
    """
    rng = np.random.default_rng([seed, 12])
    value_UC, users = prices.value(answer), len(answer.click_UC)
    cost_UC = np.broadcast_to(np.asarray(prices.cost_C), value_UC.shape)
    # Of an exposure as the log chose channels, which is what lambda's budget was counted in (`measured.prices_of`).
    size, mean = min(users, USERS), float(np.concatenate(sold).mean())
    budget = left = budget_of(settings, size, mean)
    asked = expected = fullest = 0.0
    exposures = 0
    for gone in range(settings.rounds):
        user_B = rng.choice(users, size, replace=False)
        part = left / (settings.rounds - gone)
        _, chosen, cost = settled(value_UC[user_B], cost_UC[user_B], prices.shadow, part)
        row_K = np.flatnonzero(chosen.allocated_B)
        row_K = row_K[np.argsort(-chosen.margin_B[row_K], kind="stable")]
        price_B = np.array([pool[int(rng.random() * len(pool))] for pool in (sold[c] for c in chosen.channel_B)])
        left -= float(price_B[allocate.paid_for(row_K, price_B, left)].sum())
        asked, expected, exposures = asked + float(price_B[row_K].sum()), expected + cost, exposures + len(row_K)
        fullest = max(fullest, cost / part if part > 0 else float(cost > 0))
    found, _, due = settled(value_UC, cost_UC, prices.shadow, budget_of(settings, users, mean) / settings.rounds)
    _, _, bought = settled(value_UC, cost_UC, prices.shadow, np.inf)
    return Campaign(
        budget=budget,
        spend=budget - left,
        asked=asked,
        expected=expected,
        exposures=exposures,
        fullest=fullest,
        shadow=prices.shadow,
        found=found,
        bought=bought,
        due=due,
    )


def settled(value_BC: Floats, cost_BC: Floats, shadow: float, left: float) -> tuple[float, allocate.Chosen, float]:
    """One campaign's batch as the server settles it: lambda, who is allocated to, and their expected cost, currency.

    Args:
        left: `budget_left`; infinite: none is said, and `shadow` holds.
    """
    asked = batch.Asked(np.zeros(len(value_BC), np.int64), np.array([shadow]), np.array([left]), np.array([np.inf]))
    shadow_G, chosen = batch.settle(value_BC, cost_BC, asked)
    return float(shadow_G[0]), chosen, float(batch.spend(chosen, cost_BC, asked)[0])


def campaigns(
    prices: Mapping[str, Prices],
    answer: Answer,
    events: Events,
    campaign_R: np.ndarray,
    settings: Allocation,
    seed: int = 0,
) -> dict[str, Campaign]:
    """Every campaign of a bundle, paced.

    Args:
        answer: what the bundle says of test users.
        events: of test users, whose prices are drawn.
        campaign_R: of each of those exposures.
    """
    return {
        name: paced(one, answer, pools(events, campaign_R, name), settings, seed + number)
        for number, (name, one) in enumerate(prices.items())
    }
