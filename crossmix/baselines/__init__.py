"""What a policy has to beat: splits that any advertiser could run, none of them clairvoyant (§3.1).

Contract: docs/design.md#learning.

Those here see what the policy sees: the state, the limits and the campaign's number. Those of `PLAYERS` have a memory
and see every cycle's delivery report (`player.Delivery`) instead. `project` keeps their limits too.

Shapes: B batch, P platforms.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from crossmix.baselines.adaptive import BudgetBandit, MirrorDescent, Pid
from crossmix.baselines.mpc import Mpc
from crossmix.baselines.player import Player
from crossmix.constraints import project
from crossmix.market.conditions import nominal
from crossmix.market.model import Market
from crossmix.market.oracle import solve
from crossmix.state import ALLOCATION, weekday_index

Competitor = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""(state (B, 640), low (B, P), high (B, P), campaign (B,)) -> share (B, P)."""


LABELS = {
    "uniform": "uniform split",
    "static": "static 40 / 30 / rest",
    "control": "control: historical average",
    "rule": "rule: yesterday's ROI",
    "windowed_roi": "windowed ROI",
    "plug_in": "concave plug-in",
    "mpc": "MPC: filtered drift, solved each cycle",
    "pid": "PID pacing per platform",
    "mirror_descent": "dual mirror descent",
    "ucb": "budget bandit, UCB",
    "thompson": "budget bandit, Thompson sampling",
}


def platform_field(state_BS: Tensor, name: str, platforms: int) -> Tensor:
    """One of the platform fields, (B, P)."""
    return ALLOCATION.of_platforms(ALLOCATION.statistics(state_BS), name, platforms)


def weekday(state_BS: Tensor) -> Tensor:
    """Weekday of the coming cycle, (B,)."""
    _, _, campaign_BC = ALLOCATION.split(state_BS)
    return weekday_index(ALLOCATION.by_campaign(campaign_BC))


def uniform(market: Market) -> Competitor:
    """The same share everywhere: the zero of the quality scale."""
    share = torch.full((len(market.platforms),), 1 / len(market.platforms))
    return _fixed(share.expand(len(market.campaigns), -1))


def static(market: Market) -> Competitor:
    """40 % on social, 30 % on search, the rest evenly (§3.1); without such names, on the two largest of the plan."""
    names = list(market.platforms)
    if len(names) < 3:
        return _fixed(market.static)
    share = torch.zeros_like(market.static)
    for c in range(len(share)):
        order = market.static[c].argsort(descending=True).tolist()
        first = names.index("social") if "social" in names else order[0]
        second = names.index("search") if "search" in names else next(i for i in order if i != first)
        share[c] = 0.3 / (len(names) - 2)
        share[c, first], share[c, second] = 0.4, 0.3
    return _fixed(share)


def control(market: Market) -> Competitor:
    """The historical average split of spend (§3.1)."""
    return _fixed(market.control)


def rule(market: Market) -> Competitor:
    """In proportion to yesterday's ROI (§3.1)."""
    return _proportional(market, "last_roi")


def windowed_roi(market: Market) -> Competitor:
    """In proportion to the ROI over the window."""
    return _proportional(market, "windowed_roi")


def plug_in(market: Market) -> Competitor:
    """The best split for the fitted average market and the coming weekday: concave, solved exactly; drift unseen."""
    campaigns = torch.arange(len(market.campaigns))
    # Without a step limit the answer depends on campaign and weekday alone: solve those once.
    table_C7P = torch.stack(
        [
            solve(
                nominal(market, campaigns, torch.full_like(campaigns, day)),
                market.budget,
                market.minimum,
                market.maximum,
            ).share_BP
            for day in range(7)
        ],
        1,
    )

    def act(state_BS: Tensor, low_BP: Tensor, high_BP: Tensor, campaign_B: Tensor) -> Tensor:
        day_B = weekday(state_BS)
        if torch.equal(low_BP, market.minimum[campaign_B]) and torch.equal(high_BP, market.maximum[campaign_B]):
            return table_C7P[campaign_B, day_B]
        return solve(nominal(market, campaign_B, day_B), market.budget[campaign_B], low_BP, high_BP).share_BP

    return act


COMPETITORS: dict[str, Callable[[Market], Competitor]] = {
    "uniform": uniform,
    "static": static,
    "control": control,
    "rule": rule,
    "windowed_roi": windowed_roi,
    "plug_in": plug_in,
}


PLAYERS: dict[str, Callable[[Market, Tensor], Player]] = {
    "mpc": Mpc,
    "pid": Pid,
    "mirror_descent": MirrorDescent,
    "ucb": BudgetBandit,
    "thompson": lambda market, campaign_B: BudgetBandit(market, campaign_B, thompson=True),
}
"""Competitors with a memory, made for a batch of flights."""


def _fixed(share_CP: Tensor) -> Competitor:
    def act(state_BS: Tensor, low_BP: Tensor, high_BP: Tensor, campaign_B: Tensor) -> Tensor:
        return project(share_CP[campaign_B], low_BP, high_BP)

    return act


def _proportional(market: Market, field: str) -> Competitor:
    def act(state_BS: Tensor, low_BP: Tensor, high_BP: Tensor, campaign_B: Tensor) -> Tensor:
        roi = platform_field(state_BS, field, len(market.platforms))
        # A platform that has shown nothing yet keeps a hundredth of the mean, so that it can still show something.
        roi = roi + 0.01 * roi.mean(1, keepdim=True) + 1e-9
        return project(roi / roi.sum(1, keepdim=True), low_BP, high_BP)

    return act
