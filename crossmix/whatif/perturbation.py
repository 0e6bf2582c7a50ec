"""The paper's Fig. 4: marginal ROI measured on simulated cycles (§2.4).

A platform's share is moved by +-1 point of a fixed total budget, the others giving or taking in proportion to today's
split; a local linear regression of revenue on the platform's budget gives the slope; a Savitzky-Golay filter
(window 5, order 2) smooths it over the shares. The paper regresses total revenue: with the total budget fixed, that
slope is `net`, what the platform gains less what the others lose. Its own revenue's slope in the same cycles is `own`.

Shapes: P platforms, G shares, D = 3 G design points, n simulated cycles.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.signal import savgol_filter

from crossmix.market.draws import spread
from crossmix.reasons import Z95
from crossmix.whatif.curves import Band, reach, respond, simulate
from crossmix.whatif.scene import Floats, Scene

STEP = 0.01
WINDOW, ORDER = 5, 2


@dataclass(frozen=True, slots=True)
class Slope:
    """One slope over the shares, measured and in closed form."""

    measured: Band
    """From simulated cycles, smoothed; interval: Monte-Carlo error (95 %)."""
    closed: Floats
    """d revenue / d platform budget, (G,)."""
    smoothed: Floats
    """What the same regression and filter make of the expected revenue: `measured` differs from it by luck alone; what
    it differs from `closed` by is the smoothing, (G,)."""


@dataclass(frozen=True, slots=True)
class Perturbation:
    """Marginal ROI of one platform over its share of a fixed total budget."""

    platform: str
    share_G: Floats
    budget_G: Floats
    """Currency per cycle."""
    net: Slope
    """Of total revenue: the paper's."""
    own: Slope
    """Of the platform's own revenue."""


def perturbations(
    scene: Scene, *, spacing: float = 0.02, cycles: int = 400, bandwidth: float = 0.05, top: float | None = None
) -> tuple[Perturbation, ...]:
    """Fig. 4 for every platform; empty with one platform only, whose share cannot move.

    Args:
        spacing: between the shares at which the slope is measured.
        cycles: simulated cycles per design point.
        bandwidth: of the local regression, as a share; its weights are tricube.
        top: largest share; `None`: the largest platform's `reach` over the budget, at most 1.
    """
    platforms = len(scene.platforms)
    if platforms < 2:
        return ()
    end = min(1.0, float(reach(scene).max()) / scene.budget if top is None else top)
    share_G = np.arange(STEP, end - STEP + 1e-12, spacing)
    design_D = (share_G[:, None] + np.array([-STEP, 0.0, STEP])).reshape(-1)
    smoother_GD = _smoother(share_G, design_D, bandwidth) / scene.budget
    measured = []
    for slot, platform in enumerate(scene.platforms):
        budget_DP = scene.budget * _splits(scene, slot, design_D)
        closed = respond(spread(scene.conditions, len(design_D)), budget_DP)
        revenue, _ = simulate(
            spread(scene.conditions, len(design_D) * cycles),
            budget_DP.repeat_interleave(cycles, 0),
            seed=scene.seed + 1 + slot,
        )
        revenue_DnP = revenue.reshape(len(design_D), cycles, platforms)
        own_GP = closed.slope[1::3]
        measured.append(
            Perturbation(
                platform=platform,
                share_G=share_G,
                budget_G=share_G * scene.budget,
                net=_slope(
                    smoother_GD,
                    revenue_DnP.sum(2).numpy(),
                    closed.revenue.sum(1).numpy(),
                    (own_GP[:, slot] - own_GP @ _others(scene, slot)).numpy(),
                ),
                own=_slope(
                    smoother_GD,
                    revenue_DnP[:, :, slot].numpy(),
                    closed.revenue[:, slot].numpy(),
                    own_GP[:, slot].numpy(),
                ),
            )
        )
    return tuple(measured)


def _slope(smoother_GD: Floats, revenue_Dn: Floats, expected_D: Floats, closed_G: Floats) -> Slope:
    value_G = smoother_GD @ revenue_Dn.mean(1)
    error_G = np.sqrt(smoother_GD**2 @ (revenue_Dn.var(1, ddof=1) / revenue_Dn.shape[1]))
    return Slope(
        measured=Band(value_G, value_G - Z95 * error_G, value_G + Z95 * error_G),
        closed=closed_G,
        smoothed=smoother_GD @ expected_D,
    )


def _others(scene: Scene, slot: int) -> torch.Tensor:
    """How the other platforms share what this one leaves: as today among themselves, evenly if they have nothing."""
    others_P = scene.today_P.clone()
    others_P[slot] = 0
    if float(others_P.sum()) < 1e-9:
        others_P = torch.ones_like(others_P)
        others_P[slot] = 0
    return others_P / others_P.sum()


def _splits(scene: Scene, slot: int, design_D: Floats) -> torch.Tensor:
    """Splits with this platform at each design share, (D, P)."""
    share_D = torch.as_tensor(design_D, dtype=torch.float64)
    split_DP = (1 - share_D)[:, None] * _others(scene, slot)
    split_DP[:, slot] = share_D
    return split_DP


def _smoother(share_G: Floats, design_D: Floats, bandwidth: float) -> Floats:
    """Local linear slope at each share, then Savitzky-Golay: one matrix (G, D), as both are linear in the revenue."""
    distance_GD = design_D[None, :] - share_G[:, None]
    weight_GD = np.clip(1 - np.abs(distance_GD / bandwidth) ** 3, 0, None) ** 3
    centre_G1 = (weight_GD * distance_GD).sum(1, keepdims=True) / weight_GD.sum(1, keepdims=True)
    lever_GD = weight_GD * (distance_GD - centre_G1)
    slope_GD: Floats = lever_GD / (lever_GD * distance_GD).sum(1, keepdims=True)
    if len(share_G) < WINDOW:
        return slope_GD
    return np.asarray(savgol_filter(slope_GD, WINDOW, ORDER, axis=0))
