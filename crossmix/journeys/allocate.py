"""Whom to advertise to, on which channel: by value less the shadow price of money, or by the seed's rules.

    value_c = p(click | c) worth of a click + p(conversion | c) worth of a conversion on c
    channel = argmax_c value_c - lambda cost_c;    allocated where that is above 0

lambda is the campaign's shadow price: what one unit of currency earns elsewhere. Dual descent moves it after every
round (Balseiro, Lu, Mirrokni 2023, "The best of many worlds", with the Euclidean potential):

    lambda <- max(0, lambda + step scale (spend - rho) / rho),    rho = budget left / rounds left

and what a round may buy ends where the budget does, so that spend never passes it whatever lambda is.

The seed (MTORL): eq. 17's initial policy from explicit and implicit click rates, Algorithm 1's mix with eta, the top N
users by predicted reward.

Shapes: B users of a batch, C channels, N logged exposures.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


ROUNDING = 1e-9
"""Of a budget: sums of the same costs in another order differ by less."""


class AllocationError(ValueError):
    """A question cannot be answered; the message names the field."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A channel per user, and who is allocated to."""

    channel_B: Ints
    margin_B: Floats
    """Value less lambda x cost of that channel, currency."""
    allocated_B: Bools


def value(click_BC: Floats, conversion_BC: Floats, worth_click: float, worth_conversion_C: Floats) -> Floats:
    """What an exposure is worth, (B, C), in the currency of the worths; `conversion` is not given a click."""
    return np.asarray(click_BC * worth_click + conversion_BC * worth_conversion_C)


def choose(value_BC: Floats, cost_BC: Floats, shadow: float, budget: float = np.inf, most: int | None = None) -> Chosen:
    """The best channel of every user, and who is allocated to: a margin above 0, the best first, within the budget.

    Args:
        cost_BC: (B, C) or (C,), currency.
        shadow: lambda, revenue per cost; 0 or more.
        budget: what the batch may cost; nobody after the first user that does not fit is allocated to.
        most: top-N: at most so many users.

    Raises:
        AllocationError: a number that is not finite, or a cost or lambda below 0.
    """
    cost_BC = np.broadcast_to(cost_BC, value_BC.shape)
    if not (np.isfinite(value_BC).all() and np.isfinite(cost_BC).all() and (cost_BC >= 0).all()):
        raise AllocationError("costs: every value and cost must be a finite number, and a cost 0 or more")
    if not shadow >= 0:
        raise AllocationError(f"lambda: {shadow} is no shadow price; it is 0 or more")
    margin_BC = value_BC - shadow * cost_BC
    channel_B = margin_BC.argmax(1)
    row = np.arange(len(value_BC))
    margin_B = margin_BC[row, channel_B]
    order = np.argsort(-margin_B, kind="stable")
    allocated_B = np.zeros(len(value_BC), bool)
    allocated_B[within(order[margin_B[order] > 0][:most], cost_BC[row, channel_B], budget)] = True
    return Chosen(channel_B, margin_B, allocated_B)


def within(order_K: Ints, cost_B: Floats, budget: float) -> Ints:
    """The longest beginning of a ranking that the budget pays for."""
    # Added up one by one, as a ledger does: the sum of any beginning is then the sum that a spender finds.
    return order_K[: int(np.searchsorted(np.cumsum(cost_B[order_K]), budget, side="right"))]


def paid_for(order_K: Ints, price_B: Floats, budget: float) -> Ints:
    """Those of a ranking that are won and paid, one by one, as their prices are told; in its order.

    A price is known once it is paid, and may be above the cost that the choice expected. Each exposure is bid for with
    at most what is left of the budget, so that a dearer one is not won, and the next is tried.
    """
    if float(np.cumsum(price_B[order_K])[-1:].sum()) <= budget:
        return order_K
    won, spend = [], 0.0
    for at in order_K:
        if spend + price_B[at] <= budget:
            won.append(at)
            spend += float(price_B[at])
    return np.array(won, np.int64)


def top(score_B: Floats, cost_B: Floats, budget: float, most: int | None = None) -> Bools:
    """The seed's user-level allocation: the best by predicted reward, as far as the budget goes; (B,)."""
    mask_B = np.zeros(len(score_B), bool)
    mask_B[within(np.argsort(-score_B, kind="stable")[:most], cost_B, budget)] = True
    return mask_B


@dataclass(frozen=True, slots=True)
class Pace:
    """A campaign's budget over rounds, and its shadow price."""

    shadow: float
    budget: float
    """Left, currency."""
    rounds: int
    """Left."""
    scale: float
    """What lambda moves in: revenue per cost of what the budget buys last."""
    step: float = 0.3

    @property
    def target(self) -> float:
        """What the coming round should spend."""
        return self.budget / max(self.rounds, 1)

    @property
    def cap(self) -> float:
        """What it may spend: twice its target, and never more than is left."""
        return min(self.budget, 2 * self.target)

    def after(self, spend: float) -> Pace:
        """After a round; with nothing left lambda stays."""
        left = self.budget - spend
        if left < -ROUNDING * self.budget:
            raise AllocationError(f"spend: {spend:g} in a round with {self.budget:g} left; buy within Pace.cap")
        target = self.target
        shadow = self.shadow
        if target > 0:
            shadow = max(0.0, shadow + self.step * self.scale * min(spend / target - 1, 1.0))
        return replace(self, shadow=shadow, budget=max(left, 0.0), rounds=max(self.rounds - 1, 0))


def begin(value_BC: Floats, cost_BC: Floats, budget: float, rounds: int) -> Pace:
    """Where dual descent starts: the lambda at which this batch would spend its round's part of the budget.

    Args:
        value_BC, cost_BC: of a batch as a round's will be, as of a log's users.
    """
    cost_BC = np.broadcast_to(cost_BC, value_BC.shape)
    # What costs nothing is bought at any lambda: it says nothing of where to begin.
    ratio_BC = np.divide(value_BC, cost_BC, out=np.zeros(value_BC.shape), where=cost_BC > 0)
    low, high = 0.0, float(ratio_BC.max(initial=0.0))
    target = budget / max(rounds, 1)
    for _ in range(60):
        middle = (low + high) / 2
        chosen = choose(value_BC, cost_BC, middle)
        spend = cost_BC[np.arange(len(value_BC)), chosen.channel_B][chosen.allocated_B].sum()
        low, high = (middle, high) if spend > target else (low, middle)
    return Pace(shadow=high, budget=budget, rounds=rounds, scale=high)


def explicit(channel_N: Ints, clicked_N: Bools, channels: int) -> Floats:
    """Eq. 17's P: click rates of the channels, over their sum; channels without exposures have 0."""
    return _shares(np.bincount(channel_N, clicked_N, channels), np.bincount(channel_N, minlength=channels))


def implicit(channel_N: Ints, reward_N: Floats, threshold: float, channels: int) -> Floats:
    """Eq. 17's P-hat: the share of exposures whose predicted reward (eq. 12) is above tau, over their sum."""
    counted = np.bincount(channel_N, reward_N > threshold, channels)
    return _shares(counted, np.bincount(channel_N, minlength=channels))


def initial(explicit_C: Floats, implicit_C: Floats, alpha: float) -> Floats:
    """Eq. 17: (1 - alpha) P + alpha P-hat."""
    return np.asarray((1 - alpha) * explicit_C + alpha * implicit_C)


def mix(policy_BC: Floats, initial_C: Floats, eta: float) -> Floats:
    """Algorithm 1, line 12: eta P_u + (1 - eta) P_initial."""
    return np.asarray(eta * policy_BC + (1 - eta) * initial_C)


def draw(policy_BC: Floats, rng: np.random.Generator) -> Ints:
    """A channel of each row's distribution."""
    edge_BC = np.cumsum(policy_BC, axis=1)
    return np.asarray((rng.random((len(policy_BC), 1)) * edge_BC[:, -1:] >= edge_BC).sum(1))


def _shares(counted_C: NDArray[np.generic], shown_C: Ints) -> Floats:
    rate_C = counted_C.astype(float) / np.maximum(shown_C, 1)
    total = rate_C.sum()
    return np.asarray(rate_C / total) if total > 0 else np.full(len(rate_C), 1 / len(rate_C))
