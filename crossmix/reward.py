"""Reward: eq. 3 in the simulator, eq. 10 in dynamic allocation, eq. 11 online (docs/design.md#definitions).

`roi` is revenue / planned budget of the cycle. ROI over spent budget can be gamed by parking money on a platform that
cannot spend it. The excess penalty sees the share before `project`, so that the policy learns to stay inside.

Shapes: B batch, P platforms.
"""

from __future__ import annotations

from torch import Tensor

from crossmix.config import Reward


def simulator(weights: Reward, roi_B: Tensor, ctr_B: Tensor, excess_B: Tensor) -> Tensor:
    """Eq. 3: alpha ROI + beta CTR - gamma C_budget, with C_budget = `excess`, (B,)."""
    return weights.roi * roi_B + weights.ctr * ctr_B - weights.budget * excess_B


def money(weights: Reward, roi_B: Tensor, excess_B: Tensor) -> Tensor:
    """Eq. 3 without its CTR term and in units of ROI: ROI - (gamma / alpha) C_budget, (B,).

    What the pathwise step maximises. Where clicks are frequent and margins thin (measured on Criteo: CTR 0.5, ROI 0.4)
    the CTR term buys clicks with revenue; quality is told in revenue.
    """
    return roi_B - weights.budget / max(weights.roi, 1e-12) * excess_B


def dynamic(weights: Reward, roi_B: Tensor, ctr_B: Tensor, cvr_B: Tensor, excess_B: Tensor) -> Tensor:
    """Eq. 10: alpha ROI + beta CTR + gamma CVR - delta max_i(0, a_i - a_i^max), (B,)."""
    return online(weights, roi_B, ctr_B, cvr_B) - weights.excess * excess_B


def online(weights: Reward, roi_B: Tensor, ctr_B: Tensor, cvr_B: Tensor) -> Tensor:
    """Eq. 11: alpha ROI + beta CTR + gamma CVR, (B,)."""
    return weights.roi * roi_B + weights.ctr * ctr_B + weights.cvr * cvr_B


def excess(raw_share_BP: Tensor, high_BP: Tensor) -> Tensor:
    """max_i(0, a_i - a_i^max) of the share before projection (eq. 10), (B,)."""
    return (raw_share_BP - high_BP).clamp(min=0).amax(1)
