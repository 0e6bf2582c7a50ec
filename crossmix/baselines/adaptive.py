"""Adaptive competitors that know no market: pacing controllers and bandits (docs/design.md#learning).

Each sees delivery reports only. All answers go through `project`, so limits hold.

Shapes: B batch, P platforms, L budget levels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from crossmix.baselines.player import Delivery, Task
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


class BudgetBandit:
    """A combinatorial bandit over daily budgets, one Gaussian process per platform (Nuara et al., AAAI 2018).

    Each platform's revenue per campaign budget is a GP over the share spent on it, with a mean that rises as share^0.8
    at the campaign's average return. Its index per budget level is the upper confidence bound (GP-UCB), or a draw of
    the whole curve (GP-TS); indices are made monotone, and money goes to the steepest step until the budget is gone
    (exact for concave indices, where the paper runs a knapsack).
    """

    LEVELS = (0.0, 0.01, 0.02, 0.04, 0.06, 0.08, 0.12, 0.16, 0.2, 0.25, 0.3, 0.4, 0.6)
    KEPT = 40
    """Reports remembered: markets drift."""
    LENGTH = 0.15
    """Length scale of the kernel, share."""
    WIDTH = 1.0

    def __init__(self, market: Market, campaign_B: Tensor, *, thompson: bool = False, seed: int = 0) -> None:
        self.level_L = torch.tensor(self.LEVELS)
        self.share_TBP: list[Tensor] = []
        self.earned_TBP: list[Tensor] = []
        self.thompson = thompson
        self.generator = torch.Generator().manual_seed(seed)

    def learn(self, delivery: Delivery) -> None:
        whole = delivery.planned.sum(1, keepdim=True).clamp(min=1e-12)
        self.share_TBP = [*self.share_TBP, delivery.planned / whole][-self.KEPT :]
        self.earned_TBP = [*self.earned_TBP, delivery.revenue / whole][-self.KEPT :]

    def act(self, task: Task) -> Tensor:
        mean, covariance = self.posterior()
        if self.thompson:
            root = torch.linalg.cholesky(covariance + 1e-8 * torch.eye(len(self.level_L), dtype=torch.float64))
            index = mean + (root @ torch.randn(*mean.shape, 1, generator=self.generator, dtype=torch.float64)).squeeze(
                -1
            )
        else:
            index = mean + self.WIDTH * covariance.diagonal(dim1=-2, dim2=-1).clamp(min=0).sqrt()
        index = torch.cat([torch.zeros_like(index[..., :1]), index[..., 1:]], 2).clamp(min=0).cummax(2).values
        return project(self._greedy(index.float()), task.low_BP, task.high_BP)

    def posterior(self) -> tuple[Tensor, Tensor]:
        """Mean (B, P, L) and covariance (B, P, L, L) of every platform's return at the budget levels."""
        x = torch.stack(self.share_TBP, -1).double()
        y = torch.stack(self.earned_TBP, -1).double()
        level = self.level_L.double().expand(*x.shape[:2], -1)
        slope = y.sum((1, 2)) / (x**0.8).sum((1, 2)).clamp(min=1e-12)
        slope = slope[:, None, None]
        rest = y - slope * x**0.8
        noise = rest.diff(dim=-1).square().mean(-1).clamp(min=1e-10)[..., None, None] / 2 + 1e-10
        scale = (slope * 0.5) ** 2

        def kernel(a: Tensor, b: Tensor) -> Tensor:
            # Nothing is earned with nothing: the deviation from the mean grows from 0 with the share.
            grown = (a[..., :, None] * b[..., None, :]).clamp(min=0) ** 0.8
            near: Tensor = torch.exp(-0.5 * ((a[..., :, None] - b[..., None, :]) / self.LENGTH) ** 2)
            return scale[..., None] * grown * near

        gram = kernel(x, x) + noise * torch.eye(x.shape[-1], dtype=torch.float64)
        root = torch.linalg.cholesky(gram)
        cross = torch.linalg.solve_triangular(root, kernel(x, level), upper=False)
        white = torch.linalg.solve_triangular(root, rest[..., None], upper=False)
        mean = slope * level**0.8 + (cross.transpose(-1, -2) @ white).squeeze(-1)
        return mean, kernel(level, level) - cross.transpose(-1, -2) @ cross

    def _greedy(self, index_BPL: Tensor) -> Tensor:
        """Levels bought step by step, the steepest first, scaled to sum to 1."""
        rows, platforms, levels = index_BPL.shape
        step = self.level_L.diff()
        at = torch.zeros(rows, platforms, dtype=torch.long)
        left = torch.ones(rows)
        share = torch.zeros(rows, platforms)
        for _ in range(platforms * (levels - 1)):
            following = (at + 1).clamp(max=levels - 1)
            gain = index_BPL.gather(2, following[..., None]) - index_BPL.gather(2, at[..., None])
            width = step[at.clamp(max=levels - 2)]
            rate = gain.squeeze(2) / width + 1e-6 * torch.rand(rows, platforms, generator=self.generator)
            rate = torch.where((at < levels - 1) & (width <= left[:, None] + 1e-9), rate, -torch.inf)
            best = rate.argmax(1, keepdim=True)
            able = torch.isfinite(rate.gather(1, best))
            if not bool(able.any()):
                break
            spent = torch.where(able, width.gather(1, best), 0.0)
            share.scatter_add_(1, best, spent)
            at.scatter_add_(1, best, able.long())
            left = left - spent.squeeze(1)
        return share / share.sum(1, keepdim=True).clamp(min=1e-9)
