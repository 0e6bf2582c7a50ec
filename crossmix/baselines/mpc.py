"""Model-predictive control: the fitted market with filtered drift, solved by the oracle's solver every cycle.

What an engineer with the fitted market would run: three AR(1) log-drifts per campaign and platform (click rate,
conversion rate, price) are tracked by extended Kalman filters from delivery reports; the coming cycle is predicted, and
its best split is solved for. It knows the market's parameters, never its hidden state.

Shapes: B batch, P platforms, D + 1 delays.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from crossmix.baselines.player import Delivery, Task
from crossmix.market.conditions import Conditions
from crossmix.market.model import Market
from crossmix.market.oracle import best_share


@dataclass(slots=True)
class Drift:
    """Gaussian belief about one AR(1) log-drift x: x' = rho x + N(0, sigma^2 (1 - rho^2)); each (B, P)."""

    rho: Tensor
    sigma: Tensor
    mean: Tensor
    variance: Tensor

    @classmethod
    def stationary(cls, rho: Tensor, sigma: Tensor) -> Drift:
        return cls(rho, sigma, torch.zeros_like(sigma), sigma**2)

    def advance(self) -> None:
        """One cycle passes."""
        self.mean = self.rho * self.mean
        self.variance = self.rho**2 * self.variance + self.sigma**2 * (1 - self.rho**2)

    def count(self, seen: Tensor, usual: Tensor, noise: Tensor | float = 0.0) -> None:
        """A Poisson count whose mean is `usual` x factor(x), with more log-noise of variance `noise`.

        Extended Kalman filter: innovation seen / predicted - 1 of variance 1 / predicted + noise.
        """
        predicted = usual * self.factor()
        informed = predicted > 1e-6
        gain = self.variance / (self.variance + 1 / predicted.clamp(min=1e-6) + noise)
        # A count far above its prediction is a step too long for the linearisation.
        innovation = (seen / predicted.clamp(min=1e-6) - 1).clamp(-1, 2)
        self._update(torch.where(informed, gain, torch.zeros_like(gain)), innovation)

    def measure(self, log_value: Tensor, noise: Tensor) -> None:
        """A direct measurement of ln factor(x); infinite noise tells nothing."""
        gain = self.variance / (self.variance + noise)
        self._update(gain, log_value - self.mean + 0.5 * self.sigma**2)

    def factor(self) -> Tensor:
        """E[exp(x - sigma^2 / 2)]: 1 under the stationary law."""
        return torch.exp(self.mean + 0.5 * (self.variance - self.sigma**2))

    def _update(self, gain: Tensor, innovation: Tensor) -> None:
        self.mean = self.mean + gain * innovation
        self.variance = (1 - gain) * self.variance


class Mpc:
    """`Player` that filters and solves.

    Args:
        market: fitted parameters.
        campaign_B: which campaign each flight is.
    """

    def __init__(self, market: Market, campaign_B: Tensor) -> None:
        self.market, self.campaign_B = market, campaign_B
        value = {name: table[campaign_B] for name, table in market.value.items()}
        self.value = value
        self.price = market.prices(campaign_B)
        self.drift = {
            name: Drift.stationary(value[f"{name}_persistence"], value[f"{name}_drift"])
            for name in ("ctr", "cvr", "price")
        }
        self.delay_DBP = market.delay[campaign_B].permute(2, 0, 1)
        self.clicks_DBP = torch.zeros_like(self.delay_DBP)
        """Clicks of the last cycles, newest first: those whose conversions are still due."""
        rate = market.context_rate[campaign_B].clamp(min=1e-3).log()
        self.mix_BP = rate.var(1) if rate.shape[1] > 1 else torch.zeros_like(value["ctr"])

    def learn(self, delivery: Delivery) -> None:
        """Filter a cycle's report, then move to the next cycle."""
        requests = self._requests(delivery.weekday_B)
        week = self._week(self.market.response_week, delivery.weekday_B)
        won = (delivery.impressions / requests).clamp(1e-6, 1)
        kappa = self.value["saturation"].clamp(min=1e-4)
        fresh = delivery.impressions * -torch.expm1(-kappa * won) / (kappa * won)
        self.drift["ctr"].count(delivery.clicks, fresh * self.value["ctr"] * week, self.mix_BP)
        self.clicks_DBP = torch.cat([delivery.clicks[None], self.clicks_DBP[:-1]])
        due = (self.delay_DBP * self.clicks_DBP).sum(0)
        self.drift["cvr"].count(delivery.conversions, due * self.value["cvr"])
        self._price(delivery, won)
        for drift in self.drift.values():
            drift.advance()

    def act(self, task: Task) -> Tensor:
        """The best split of the predicted cycle."""
        return best_share(self.predicted(task), task.budget_B, task.low_BP, task.high_BP, grid=32, zooms=3)

    def predicted(self, task: Task) -> Conditions:
        """Mean conditions of the coming cycle."""
        week = self._week(self.market.response_week, task.weekday_B)
        ctr = self.value["ctr"] * week * self.drift["ctr"].factor() * self._context_rate(task.context_BD)
        return Conditions(
            requests=self._requests(task.weekday_B),
            price=self.price,
            level=self.drift["price"].factor(),
            ctr=ctr.clamp(max=0.95),
            cvr=(self.value["cvr"] * self.drift["cvr"].factor()).clamp(max=1),
            **self.market.fixed(self.campaign_B),
        )

    def _price(self, delivery: Delivery, won: Tensor) -> None:
        """The price level, from what an impression cost at the win rate seen: m = level S(w) / w."""

        def mean_price(w: Tensor) -> Tensor:
            return (self.price.spend(w) / w).clamp(min=1e-12)

        usual = mean_price(won)
        paid = delivery.spend / delivery.impressions.clamp(min=1)
        spread = (self.price.square(won) / won / usual**2 - 1).clamp(min=0)
        # Volume is known up to its noise, and with it the win rate: its part by the elasticity of the mean price.
        elasticity = (mean_price((1.1 * won).clamp(max=1)) / usual).log() / 0.0953
        noise = spread / delivery.impressions.clamp(min=1) + elasticity**2 * (
            self.value["requests_sd"] ** 2 + 1 / self._requests(delivery.weekday_B)
        )
        seen = (delivery.impressions > 0) & (paid > 0)
        noise = torch.where(seen, noise + 1e-8, torch.full_like(noise, torch.inf))
        self.drift["price"].measure(torch.where(seen, (paid.clamp(min=1e-12) / usual).log(), 0.0), noise)

    def _requests(self, weekday_B: Tensor) -> Tensor:
        return (self.value["requests"] * self._week(self.market.volume_week, weekday_B)).clamp(min=1)

    def _week(self, table_CP7: Tensor, weekday_B: Tensor) -> Tensor:
        table = table_CP7[self.campaign_B]
        return table.gather(2, weekday_B[:, None, None].expand(-1, table.shape[1], 1)).squeeze(2)

    def _context_rate(self, context_BD: Tensor) -> Tensor:
        """Click-rate multiplier of the logged context that is nearest, (B, P)."""
        bank_BND = self.market.context[self.campaign_B]
        nearest = (bank_BND - context_BD[:, None]).square().sum(2).argmin(1)
        return self.market.context_rate[self.campaign_B, nearest]


def without_drift(market: Market) -> Market:
    """The market as one that never drifts: MPC on it is the plug-in that also reads the context."""
    still = {name: torch.zeros_like(table) for name, table in market.value.items() if name.endswith("_drift")}
    return replace(market, value=market.value | still)
