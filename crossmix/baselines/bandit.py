"""A combinatorial bandit over daily budgets, by confidence bounds or by Thompson sampling.

Sees delivery reports only, knows no market (docs/design.md#learning). Its answers go through `project`, so limits hold.

Shapes: B batch, P platforms, L budget levels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from crossmix.baselines.player import Delivery, Task
from crossmix.baselines.registry import BASELINES, Baseline
from crossmix.constraints import project
from crossmix.market.model import Market


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


def thompson(market: Market, campaign_B: Tensor) -> BudgetBandit:
    """The bandit that draws its curves."""
    return BudgetBandit(market, campaign_B, thompson=True)


BASELINES.register(Baseline(name="ucb", label="budget bandit, UCB", player=BudgetBandit))
BASELINES.register(Baseline(name="thompson", label="budget bandit, Thompson sampling", player=thompson))
