"""The market of an arm of a served experiment, a day at a time, with the split and the money that a server tells.

Arms see the same drift, volume and contexts (one seed), and their own users' luck. An arm's part of the users may
change from one day to the next, as it does where a canary takes its steps.

Shapes: B campaigns, P platforms, D days of delay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from crossmix.config import Config
from crossmix.history import Outcome
from crossmix.market.environment import MarketEnvironment
from crossmix.market.model import Market

LUCK = 1_000_003
"""Parts the luck of arms."""


@dataclass(frozen=True, slots=True, eq=False)
class Day:
    """What an arm's day gave."""

    outcome: Outcome
    """Conversions and revenue credited to the day of the impression, all of them."""
    arrives_2DBP: Tensor
    """Conversions and revenue of this day's impressions that become known so many days later, currency."""


class ArmWorld(MarketEnvironment):
    """One arm's market: of everybody's requests, each is the arm's by the chance that is its part of users.

    Args:
        market: everybody's; its scenario plays.
        number: of the arm, for its own luck.
        weekday: of the first day, Monday 0.
        others: as `MarketEnvironment`: campaign_B, cycles, mechanism (exact or counts), seed.
    """

    def __init__(
        self,
        market: Market,
        config: Config,
        number: int,
        *,
        campaign_B: Tensor,
        cycles: int,
        mechanism: str,
        seed: int,
        weekday: int,
    ) -> None:
        super().__init__(
            market,
            config,
            campaign_B=campaign_B,
            cycles=cycles,
            mechanism=mechanism,
            seed=seed,
            whole=True,
            weekday=weekday,
        )
        self.luck.manual_seed(2 * seed + LUCK * (number + 1))
        self.arrival.manual_seed(2 * seed + LUCK * (number + 1) + 1)

    def day(self, share_BP: Tensor, budget_B: Tensor, part: float) -> Day:
        """Play a day with what a server told.

        Args:
            share_BP: rows sum to 1; budget_B: currency.
            part: of the users, in [0, 1].
        """
        requests = self.conditions.requests
        own = torch.binomial(requests, torch.full_like(requests, part), self.luck)
        self.conditions = replace(self.conditions, requests=own)
        before_2DBP = self.pending_DBP.clone()
        began = self.cycle == 0 and self.market.of_totals
        outcome = self.deliver(share_BP, budget_B)
        due = torch.stack([self.history.past(0)[row] for row in (2, 3)])
        # What came to wait in each place: slot 0 was due at once, and the others have moved up since.
        after_2DBP = torch.cat([due[:, None], self.pending_DBP[:, :-1]], 1)
        arrives = (after_2DBP - before_2DBP).clamp(min=0)
        arrives[0] = arrives[0].round()
        arrives[1] *= arrives[0] > 0
        if began:
            # An account of which totals were fitted ran before: its arm's part of what is due of then comes too.
            mine = torch.binomial(before_2DBP[0], torch.full_like(before_2DBP[0], part), self.arrival)
            arrives += torch.stack([mine, before_2DBP[1] * mine / before_2DBP[0].clamp(min=1)])
        return Day(outcome, arrives)


def worlds(
    market: Market,
    config: Config,
    arms: Sequence[str],
    *,
    campaigns: int,
    cycles: int,
    mechanism: str,
    seed: int,
    weekday: int,
) -> dict[str, ArmWorld]:
    """Each arm's, paired; of the market's first `campaigns`."""
    return {
        arm: ArmWorld(
            market,
            config,
            number,
            campaign_B=torch.arange(campaigns),
            cycles=cycles,
            mechanism=mechanism,
            seed=seed,
            weekday=weekday,
        )
        for number, arm in enumerate(arms)
    }
