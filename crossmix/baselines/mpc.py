"""Model-predictive control: the fitted market with filtered levels and drift, solved anew every cycle.

What an engineer with the fitted market would run: what each campaign's platforms have moved to, and the AR(1) drifts of
click rate, conversion rate and price, are tracked from delivery reports (`crossmix.market.levels`: the filter that
re-adaptation uses too); the coming cycle is predicted, and its best split is solved for. It knows the market's
parameters, never its hidden state. Requests are in no delivery report, so that of volume it learns nothing.

Shapes: B batch, P platforms, Q quantities, D + 1 delays.
"""

from __future__ import annotations

import torch
from torch import Tensor

from crossmix.baselines.player import Delivery, Task
from crossmix.baselines.registry import BASELINES, Baseline
from crossmix.config import Levels as Law
from crossmix.drift import Belief, expected_factor
from crossmix.market.conditions import Average, Conditions, scaled
from crossmix.market.level_evidence import QUANTITIES, Row, Usual
from crossmix.market.levels import believed, learn, pass_cycle, start
from crossmix.market.model import Market
from crossmix.market.oracle import best_share


class Mpc:
    """`Player` that filters and solves.

    Args:
        market: fitted parameters.
        campaign_B: which campaign each flight is.
        law: of lasting moves.
    """

    def __init__(self, market: Market, campaign_B: Tensor, law: Law | None = None) -> None:
        self.market, self.campaign_B, self.law = market, campaign_B, law or Law()
        self.average = Average.of(market, campaign_B)
        self.usual = Usual.of(market, campaign_B)
        state = start(self.usual, self.law)
        # A flight begins with its first report: no clicks were before it.
        self.state = state._replace(clicks_DCP=torch.zeros_like(state.clicks_DCP))

    def learn(self, delivery: Delivery) -> None:
        """Filter a cycle's report, then move to the next cycle."""
        row = Row(
            weekday_C=delivery.weekday_B,
            part_C=torch.ones(len(delivery.weekday_B), dtype=torch.float64),
            told_CP=delivery.planned.double(),
            spend_CP=delivery.spend.double(),
            requests_CP=torch.full_like(delivery.spend, torch.nan).double(),
            impressions_CP=delivery.impressions.double(),
            clicks_CP=delivery.clicks.double(),
            conversions_CP=delivery.conversions.double(),
            revenue_CP=delivery.revenue.double(),
        )
        self.state, _ = learn(self.usual, self.law, self.state, row)
        self.state = pass_cycle(self.usual, self.law, self.state)

    def act(self, task: Task) -> Tensor:
        """The best split of the predicted cycle."""
        return best_share(self.predicted(task), task.budget_B, task.low_BP, task.high_BP, grid=32, zooms=3)

    def predicted(self, task: Task) -> Conditions:
        """Mean conditions of the coming cycle."""
        belief = believed(self.state, self.law)
        drifted = expected_factor(Belief(belief.drift, belief.drift2), self.usual.sigma2_QCP)
        factor = dict(zip(QUANTITIES, (belief.level.exp() * drifted).to(task.budget_B.dtype), strict=True))
        return scaled(
            self.average.conditions(task.weekday_B),
            price_multiplier=factor["price"],
            ctr=(factor["ctr"], self._context_rate(task.context_BD)),
            **{name: factor[name] for name in ("requests", "cvr", "value")},
        )

    def _context_rate(self, context_BD: Tensor) -> Tensor:
        """Click-rate multiplier of the logged context that is nearest, (B, P)."""
        bank_BND = self.market.context[self.campaign_B]
        nearest = (bank_BND - context_BD[:, None]).square().sum(2).argmin(1)
        return self.market.context_rate[self.campaign_B, nearest]


BASELINES.register(Baseline(name="mpc", label="MPC: filtered drift, solved each cycle", player=Mpc))
