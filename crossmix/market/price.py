"""The highest competing price of a request, and what a budget buys against it (§2.2; docs/design.md#market).

The platform paces its budget by a uniform bid. With u the price's quantile level, a bid that wins the fraction w of
requests spends S(w) = int_0^w Q(u) du per request; a budget of the fraction s of the supply cost therefore wins
w(s) = S^-1(s E[p]), at the bid b = Q(w). Both models below offer the same four functions of s or w.

Shapes: ... any batch, K knots. Prices are in currency per impression.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# s is kept inside (0, 1): at the ends w'(s) is 0 or infinite.
EDGE = 1e-6


@dataclass(frozen=True, slots=True)
class LogNormalPrice:
    """LN(mu, sigma): x = sigma + Phi^-1(s), b = exp(mu + sigma x), w = Phi(x)."""

    mu: Tensor
    sigma: Tensor

    def mean(self) -> Tensor:
        """E[p]."""
        return torch.exp(self.mu + 0.5 * self.sigma**2)

    def win(self, s: Tensor) -> Tensor:
        """w(s), (...)."""
        won: Tensor = torch.special.ndtr(self.sigma + torch.special.ndtri(s.clamp(EDGE, 1 - EDGE)))
        return won

    def quantile(self, w: Tensor) -> Tensor:
        """Q(w), the bid that wins the fraction w."""
        return torch.exp(self.mu + self.sigma * torch.special.ndtri(w.clamp(EDGE, 1 - EDGE)))

    def spend(self, w: Tensor) -> Tensor:
        """S(w) = E[p; won], per request."""
        spent: Tensor = self.mean() * torch.special.ndtr(torch.special.ndtri(w.clamp(EDGE, 1 - EDGE)) - self.sigma)
        return spent

    def square(self, w: Tensor) -> Tensor:
        """E[p^2; won], per request."""
        x = torch.special.ndtri(w.clamp(EDGE, 1 - EDGE))
        squared: Tensor = torch.exp(2 * self.mu + 2 * self.sigma**2) * torch.special.ndtr(x - 2 * self.sigma)
        return squared

    def rows(self, index: Tensor | slice) -> LogNormalPrice:
        return LogNormalPrice(self.mu[index], self.sigma[index])

    def spread(self, width: int) -> LogNormalPrice:
        """(K,) models as (K, width), without copying."""
        return LogNormalPrice(self.mu[:, None].expand(-1, width), self.sigma[:, None].expand(-1, width))

    def flat(self, shape: torch.Size) -> LogNormalPrice:
        """Every cell of a batch of `shape` a row of its own."""
        return LogNormalPrice(self.mu.expand(shape).reshape(-1), self.sigma.expand(shape).reshape(-1))


@dataclass(frozen=True, slots=True)
class EmpiricalPrice:
    """Piecewise-linear quantile function on the levels k / K.

    An atom of the empirical law is a flat piece of Q: a bid at the atom wins the part of it that the budget pays for
    (ties are split), so that every budget is met. `knots`: (..., K + 1), increasing.
    """

    knots: Tensor
    area: Tensor
    """S at the knots, (..., K + 1)."""
    area2: Tensor
    """int Q^2 at the knots, (..., K + 1)."""

    @classmethod
    def of(cls, knots: Tensor) -> EmpiricalPrice:
        """From the quantile function's values; exact integrals of the piecewise-linear function."""
        left, right, step = knots[..., :-1], knots[..., 1:], 1 / (knots.shape[-1] - 1)
        zero = torch.zeros_like(knots[..., :1])
        area = torch.cat([zero, ((left + right) * 0.5 * step).cumsum(-1)], -1)
        area2 = torch.cat([zero, ((left**2 + left * right + right**2) / 3 * step).cumsum(-1)], -1)
        return cls(knots, area, area2)

    def mean(self) -> Tensor:
        return self.area[..., -1]

    def win(self, s: Tensor) -> Tensor:
        target = s.clamp(EDGE, 1 - EDGE) * self.mean()
        pieces = self.knots.shape[-1] - 1
        with torch.no_grad():
            index = torch.searchsorted(self.area.contiguous(), target.detach()[..., None].contiguous(), right=True) - 1
            index = index.clamp(0, pieces - 1)
        left = self.knots.gather(-1, index).squeeze(-1)
        right = self.knots.gather(-1, index + 1).squeeze(-1)
        rest = (target - self.area.gather(-1, index).squeeze(-1)).clamp(min=0)
        # left d + (right - left) d^2 / (2 h) = rest, solved without cancellation.
        root = torch.sqrt((left**2 + 2 * rest * (right - left) * pieces).clamp(min=1e-24))
        return (index.squeeze(-1) / pieces + 2 * rest / (left + root).clamp(min=1e-12)).clamp(0, 1)

    def quantile(self, w: Tensor) -> Tensor:
        index, part = self._locate(w)
        left = self.knots.gather(-1, index).squeeze(-1)
        right = self.knots.gather(-1, index + 1).squeeze(-1)
        return left + (right - left) * part

    def spend(self, w: Tensor) -> Tensor:
        index, part = self._locate(w)
        left = self.knots.gather(-1, index).squeeze(-1)
        right = self.knots.gather(-1, index + 1).squeeze(-1)
        step = 1 / (self.knots.shape[-1] - 1)
        return self.area.gather(-1, index).squeeze(-1) + step * part * (left + 0.5 * part * (right - left))

    def square(self, w: Tensor) -> Tensor:
        index, part = self._locate(w)
        left = self.knots.gather(-1, index).squeeze(-1)
        middle = left + (self.knots.gather(-1, index + 1).squeeze(-1) - left) * part
        step = part / (self.knots.shape[-1] - 1)
        return self.area2.gather(-1, index).squeeze(-1) + step * (left**2 + left * middle + middle**2) / 3

    def rows(self, index: Tensor | slice) -> EmpiricalPrice:
        return EmpiricalPrice(self.knots[index], self.area[index], self.area2[index])

    def spread(self, width: int) -> EmpiricalPrice:
        """(K,) models as (K, width), without copying."""
        return EmpiricalPrice(*(table[:, None].expand(-1, width, -1) for table in (self.knots, self.area, self.area2)))

    def flat(self, shape: torch.Size) -> EmpiricalPrice:
        """Every cell of a batch of `shape` a row of its own."""
        tables = (self.knots, self.area, self.area2)
        return EmpiricalPrice(*(table.expand(*shape, -1).reshape(-1, table.shape[-1]) for table in tables))

    def _locate(self, w: Tensor) -> tuple[Tensor, Tensor]:
        pieces = self.knots.shape[-1] - 1
        position = w.clamp(0, 1) * pieces
        index = position.detach().long().clamp(0, pieces - 1)
        return index[..., None], position - index


Price = LogNormalPrice | EmpiricalPrice
