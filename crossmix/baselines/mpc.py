"""Model-predictive control: the fitted market with filtered drift, solved by the oracle's solver every cycle.

What an engineer with the fitted market would run: three AR(1) log-drifts per campaign and platform (click rate,
conversion rate, price) are tracked by extended Kalman filters (`crossmix.drift`) from delivery reports; the coming
cycle is predicted, and its best split is solved for. It knows the market's parameters, never its hidden state.

Shapes: B batch, P platforms, D + 1 delays.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from crossmix import drift
from crossmix.baselines.player import Delivery, Task
from crossmix.baselines.registry import BASELINES, Baseline
from crossmix.drift import Belief
from crossmix.market.conditions import Average, Conditions, scaled
from crossmix.market.model import Market
from crossmix.market.oracle import best_share


@dataclass(slots=True)
class DriftFilter:
    """What is believed of one AR(1) log-drift, each (B, P): `crossmix.drift`'s filter, cycle by cycle."""

    rho: Tensor
    sigma: Tensor
    belief: Belief

    @classmethod
    def stationary(cls, rho: Tensor, sigma: Tensor) -> DriftFilter:
        return cls(rho, sigma, drift.stationary(sigma**2))

    def advance(self) -> None:
        """One cycle passes."""
        self.belief = drift.predict(self.belief, self.rho, self.sigma**2)

    def count(self, events: Tensor, usual: Tensor, noise: Tensor | float = 0.0) -> None:
        """A Poisson count whose mean is `usual` x factor(x), with more log-noise of variance `noise`.

        Extended Kalman filter: innovation events / predicted - 1, noise 1 / predicted + `noise`.
        """
        predicted = usual * self.factor()
        bounded = predicted.clamp(min=1e-6)
        # A count far above its prediction is a step too long for the linearisation.
        innovation = (events / bounded - 1).clamp(-1, 2)
        whole = self.belief.variance + 1 / bounded + noise
        self.belief = drift.update(self.belief, innovation, whole, predicted > 1e-6)

    def measure(self, log_value: Tensor, noise: Tensor) -> None:
        """A direct measurement of ln factor(x); infinite noise tells nothing."""
        innovation = log_value - self.belief.mean + 0.5 * self.sigma**2
        self.belief = drift.update(self.belief, innovation, self.belief.variance + noise)

    def factor(self) -> Tensor:
        """E[exp(x - sigma^2 / 2)]: 1 under the stationary law."""
        return drift.expected_factor(self.belief, self.sigma**2)


class Mpc:
    """`Player` that filters and solves.

    Args:
        market: fitted parameters.
        campaign_B: which campaign each flight is.
    """

    def __init__(self, market: Market, campaign_B: Tensor) -> None:
        self.market, self.campaign_B = market, campaign_B
        self.average = Average.of(market, campaign_B)
        self.value = value = self.average.parameter
        self.drift = {
            name: DriftFilter.stationary(value[f"{name}_persistence"], value[f"{name}_drift"])
            for name in ("ctr", "cvr", "price")
        }
        self.delay_DBP = market.delay[campaign_B].permute(2, 0, 1)
        self.clicks_DBP = torch.zeros_like(self.delay_DBP)
        """Clicks of the last cycles, newest first: those whose conversions are still due."""
        rate = market.context_rate[campaign_B].clamp(min=1e-3).log()
        self.mix_BP = rate.var(1) if rate.shape[1] > 1 else torch.zeros_like(value["ctr"])

    def learn(self, delivery: Delivery) -> None:
        """Filter a cycle's report, then move to the next cycle."""
        average = self.average.conditions(delivery.weekday_B)
        won = (delivery.impressions / average.requests).clamp(1e-6, 1)
        kappa = self.value["saturation"].clamp(min=1e-4)
        fresh = delivery.impressions * -torch.expm1(-kappa * won) / (kappa * won)
        self.drift["ctr"].count(delivery.clicks, fresh * average.ctr, self.mix_BP)
        self.clicks_DBP = torch.cat([delivery.clicks[None], self.clicks_DBP[:-1]])
        due = (self.delay_DBP * self.clicks_DBP).sum(0)
        self.drift["cvr"].count(delivery.conversions, due * average.cvr)
        self._price(delivery, won, average.requests)
        for each in self.drift.values():
            each.advance()

    def act(self, task: Task) -> Tensor:
        """The best split of the predicted cycle."""
        return best_share(self.predicted(task), task.budget_B, task.low_BP, task.high_BP, grid=32, zooms=3)

    def predicted(self, task: Task) -> Conditions:
        """Mean conditions of the coming cycle."""
        return scaled(
            self.average.conditions(task.weekday_B),
            price_multiplier=self.drift["price"].factor(),
            ctr=(self.drift["ctr"].factor(), self._context_rate(task.context_BD)),
            cvr=self.drift["cvr"].factor(),
        )

    def _price(self, delivery: Delivery, won: Tensor, requests: Tensor) -> None:
        """The price multiplier, from what an impression cost at the win rate seen, over S(w) / w."""
        price = self.average.price

        def mean_price(w: Tensor) -> Tensor:
            return (price.spend(w) / w).clamp(min=1e-12)

        usual = mean_price(won)
        paid = delivery.spend / delivery.impressions.clamp(min=1)
        spread = (price.square(won) / won / usual**2 - 1).clamp(min=0)
        # Volume is known up to its noise, and with it the win rate: its part by the elasticity of the mean price.
        elasticity = (mean_price((1.1 * won).clamp(max=1)) / usual).log() / 0.0953
        noise = spread / delivery.impressions.clamp(min=1) + elasticity**2 * (
            self.value["requests_sd"] ** 2 + 1 / requests
        )
        bought = (delivery.impressions > 0) & (paid > 0)
        noise = torch.where(bought, noise + 1e-8, torch.full_like(noise, torch.inf))
        self.drift["price"].measure(torch.where(bought, (paid.clamp(min=1e-12) / usual).log(), 0.0), noise)

    def _context_rate(self, context_BD: Tensor) -> Tensor:
        """Click-rate multiplier of the logged context that is nearest, (B, P)."""
        bank_BND = self.market.context[self.campaign_B]
        nearest = (bank_BND - context_BD[:, None]).square().sum(2).argmin(1)
        return self.market.context_rate[self.campaign_B, nearest]


def without_drift(market: Market) -> Market:
    """The market as one that never drifts: MPC on it is the plug-in that also reads the context."""
    still = {name: torch.zeros_like(table) for name, table in market.value.items() if name.endswith("_drift")}
    return replace(market, value=market.value | still)


BASELINES.register(Baseline(name="mpc", label="MPC: filtered drift, solved each cycle", player=Mpc))
