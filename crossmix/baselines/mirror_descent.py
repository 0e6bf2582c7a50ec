"""Dual mirror descent over a campaign's budget.

Sees delivery reports only, knows no market (docs/design.md#learning). Its answers go through `project`, so limits hold.

Shapes: B batch, P platforms.
"""

from __future__ import annotations

import torch
from torch import Tensor

from crossmix.baselines.player import Delivery, Task
from crossmix.baselines.registry import BASELINES, Baseline
from crossmix.constraints import project
from crossmix.market.model import Market


class MirrorDescent:
    """Dual mirror descent for budgeted allocation (Balseiro, Lu, Mirrokni, arXiv 2011.10124, algorithm 1), per cycle.

    One dual price mu per flight for its budget rate; each platform's reward is a concave curve r_p(b) = v_p b^theta,
    v_p learned from reports; the primal step buys b_p = argmax r_p(b) - mu b = (theta v_p / mu)^(1 / (1 - theta)); the
    dual step is entropic: mu' = mu exp(-eta (budget - sum b) / budget).
    """

    THETA, ETA, MEMORY = 0.7, 0.5, 0.9

    def __init__(self, market: Market, campaign_B: Tensor) -> None:
        shape = market.static[campaign_B].shape
        self.revenue, self.curve = torch.zeros(shape), torch.zeros(shape)
        self.price_B = torch.ones(shape[0])

    def learn(self, delivery: Delivery) -> None:
        self.revenue = self.MEMORY * self.revenue + delivery.revenue
        self.curve = self.MEMORY * self.curve + delivery.spend.clamp(min=0) ** self.THETA

    def act(self, task: Task) -> Tensor:
        prior = self.revenue.sum(1, keepdim=True) / self.curve.sum(1, keepdim=True).clamp(min=1e-12)
        weight = 0.1 * self.curve.mean(1, keepdim=True).clamp(min=1e-12)
        value = (self.revenue + prior * weight) / (self.curve + weight)
        bought = (self.THETA * value / self.price_B[:, None].clamp(min=1e-9)) ** (1 / (1 - self.THETA))
        total = bought.sum(1)
        for _ in range(20):  # a cycle's budget is known: the dual is walked to where it is met
            slack = ((task.budget_B - total) / task.budget_B.clamp(min=1e-12)).clamp(-4, 1)
            self.price_B = self.price_B * torch.exp(-self.ETA * (1 - self.THETA) * slack)
            bought = (self.THETA * value / self.price_B[:, None].clamp(min=1e-9)) ** (1 / (1 - self.THETA))
            total = bought.sum(1)
        share = bought / total[:, None].clamp(min=1e-12)
        return project(share, task.low_BP, task.high_BP)


BASELINES.register(Baseline(name="mirror_descent", label="dual mirror descent", player=MirrorDescent))
