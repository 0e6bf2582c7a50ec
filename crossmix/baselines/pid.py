"""PID pacing per platform.

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


class Pid:
    """PID pacing per platform: its share follows its ROI's error against the campaign's mean.

    u = Kp e + Ki sum e + Kd (e - e'), with e = ln(ROI_p / ROI); share' ~ share exp(u). The textbook form (Aastrom and
    Murray, Feedback Systems, ch. 11) on the logarithm, with a clamped integral against wind-up.
    """

    GAINS = (0.10, 0.01, 0.05)
    MEMORY = 0.8
    """Exponential smoothing of the reports, as ROI of a single cycle is mostly luck."""

    def __init__(self, market: Market, campaign_B: Tensor) -> None:
        shape = market.static[campaign_B].shape
        self.revenue, self.planned = torch.zeros(shape), torch.zeros(shape)
        self.total, self.last = torch.zeros(shape), torch.zeros(shape)

    def learn(self, delivery: Delivery) -> None:
        self.revenue = self.MEMORY * self.revenue + delivery.revenue
        self.planned = self.MEMORY * self.planned + delivery.planned

    def act(self, task: Task) -> Tensor:
        mean = self.revenue.sum(1, keepdim=True) / self.planned.sum(1, keepdim=True).clamp(min=1e-12)
        roi = (self.revenue + mean * 0.02 * task.budget_B[:, None]) / (self.planned + 0.02 * task.budget_B[:, None])
        error = (roi / mean.clamp(min=1e-12)).clamp(0.05, 20).log()
        self.total = (self.total + error).clamp(-10, 10)
        p, i, d = self.GAINS
        move = p * error + i * self.total + d * (error - self.last)
        self.last = error
        share = task.share_BP.clamp(min=0.002) * move.exp()
        return project(share / share.sum(1, keepdim=True), task.low_BP, task.high_BP)


BASELINES.register(Baseline(name="pid", label="PID pacing per platform", player=Pid))
