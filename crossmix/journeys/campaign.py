"""A campaign paced over test users: lambda and expected costs are the bundle's, what is paid are prices of the log.

Nothing that lambda was fitted on is judged with: users are the test users, and each exposure that is bought costs what
one of test users' own exposures of that campaign and channel did, drawn, and told only once it is paid. Pacing knows
the bundle's costs, whoever those prices are far from. Spend is added up apart from what pacing believes to have left.

Shapes: U users, C channels, N logged exposures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from crossmix.config.journeys import Allocation
from crossmix.journeys import allocate
from crossmix.journeys.answer import Answer, Prices
from crossmix.journeys.log import Events, Floats
from crossmix.journeys.measured import budget_of

ASKING = 0.5
"""Share of users who come in a round, drawn anew."""
Pools = tuple[Floats, ...]
"""Of each channel the prices that exposures were sold at, currency."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """What a campaign did with its budget."""

    budget: float
    """Currency."""
    spend: float
    """What all exposures together were paid, currency."""
    expected: float
    """What they were expected to cost, currency."""
    exposures: int

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
    """Rounds over users as they are, half of them in each; lambda begins as the bundle has it.

    Args:
        answer: what the bundle says of test users.
        sold: prices that are drawn from.
    """
    rng = np.random.default_rng([seed, 12])
    value_UC, cost_C, users = prices.value(answer), np.asarray(prices.cost_C), len(answer.click_UC)
    budget = budget_of(settings, users, float(cost_C.mean()))
    pace = replace(allocate.begin(value_UC, cost_C, budget, settings.rounds), shadow=prices.shadow)
    spend = expected = 0.0
    exposures = 0
    for _ in range(settings.rounds):
        asking = np.flatnonzero(rng.random(users) < ASKING)
        drawn_BC = np.stack([pool[(rng.random(len(asking)) * len(pool)).astype(int)] for pool in sold], axis=1)
        chosen = allocate.choose(value_UC[asking], cost_C, pace.shadow, budget=pace.cap)
        price_B = drawn_BC[np.arange(len(asking)), chosen.channel_B]
        order = np.argsort(-chosen.margin_B, kind="stable")
        won = allocate.paid_for(order[chosen.allocated_B[order]], price_B, pace.budget)
        paid = float(price_B[won].sum())
        spend, expected = spend + paid, expected + float(cost_C[chosen.channel_B[won]].sum())
        exposures, pace = exposures + len(won), pace.after(paid)
    return Campaign(budget, spend, expected, exposures)


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
