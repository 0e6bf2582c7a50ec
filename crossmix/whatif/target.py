"""The optimal frontier, and the largest budget on it that meets a target.

Shapes: P platforms, G budgets.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from crossmix.config import ConfigError
from crossmix.market.draws import spread
from crossmix.whatif.curves import LEVELS, Band, respond
from crossmix.whatif.scene import Floats, Scene
from crossmix.whatif.split import BudgetAnswer, best_shares, best_split

KINDS = ("cpa", "roas")
SMALLEST = 1e-3
"""Smallest budget on the frontier over the largest (`Scene.farthest`): below it a cycle is a few impressions."""
SECTIONS = 16
"""Budgets tried at once where the target is crossed; four rounds leave 1 part in 10^4 of a grid step."""


@dataclass(frozen=True, slots=True)
class Frontier:
    """The best split at every budget under the limits, (G,) each; money in currency per cycle."""

    budget_G: Floats
    share_GP: Floats
    revenue: Band
    """Of the best split; interval: the fitted parameters."""
    today_revenue_G: Floats
    """Of today's split."""
    conversions_G: Floats
    spend_G: Floats

    @property
    def cpa_G(self) -> Floats:
        """Spend / conversions, average; infinite without conversions."""
        return np.where(self.conversions_G > 1e-6, self.spend_G / np.maximum(self.conversions_G, 1e-300), np.inf)

    @property
    def roas_G(self) -> Floats:
        """Revenue / spend, average; 0 without spend."""
        return np.where(self.spend_G > 1e-6, self.revenue.value / np.maximum(self.spend_G, 1e-300), 0.0)


@dataclass(frozen=True, slots=True)
class TargetAnswer:
    """The largest total budget whose best split meets an average target."""

    kind: str
    """cpa (at most) or roas (at least)."""
    target: float
    verdict: str
    """met, never, or always: at any budget up to all supply, of a history up to the end of what it can be asked."""
    budget: float
    """The largest budget that meets the target, or the one that comes nearest to it; currency per cycle."""
    attained: float
    """The average CPA or ROAS there."""
    marginal: float
    """The CPA or ROAS of the last unit of money there: what the average hides."""
    answer: BudgetAnswer
    """The best split of that budget."""


def frontier(scene: Scene, *, points: int = 40, top: float | None = None) -> Frontier:
    """The best split from a thousandth of all supply up to all of it; of a history up to the end of what it can be
    asked (`Scene.farthest`).

    Args:
        points: budgets, evenly spaced in their logarithm.
        top: largest budget, currency; `None`: what all requests would cost, or `Scene.farthest`.
    """
    end = scene.farthest if top is None else top
    return _along(scene, np.geomspace(SMALLEST * end, end, points))


def budget_for(scene: Scene, kind: str, target: float, known: Frontier | None = None) -> TargetAnswer:
    """The largest budget whose revenue-maximal split has an average CPA of at most, or a ROAS of at least, `target`.

    Averages need not be monotone in the budget: the frontier is searched whole, and the last crossing is refined.

    Args:
        kind: cpa (currency per conversion) or roas (revenue / spend).
        known: the scene's frontier up to all supply, if it is there already.

    Raises:
        ConfigError: a target that is not above 0, or an unknown kind.
    """
    if kind not in KINDS:
        raise ConfigError(f"target: {kind!r} is unknown; use one of {', '.join(KINDS)}")
    if not (math.isfinite(target) and target > 0):
        unit = f"{scene.currency} per conversion" if kind == "cpa" else "revenue over spend"
        raise ConfigError(f"target-{kind}: {target!r}; give a number above 0 ({unit})")
    curve = known or frontier(scene)
    meets_G = _meets(curve, kind, target)
    if not meets_G.any():
        reached_G = curve.cpa_G if kind == "cpa" else -curve.roas_G
        return _answer(scene, kind, target, "never", float(curve.budget_G[int(np.argmin(reached_G))]))
    last = int(np.flatnonzero(meets_G)[-1])
    if last == len(meets_G) - 1:
        return _answer(scene, kind, target, "always" if meets_G.all() else "met", float(curve.budget_G[-1]))
    low, high = float(curve.budget_G[last]), float(curve.budget_G[last + 1])
    for _ in range(4):
        tried = _along(scene, np.linspace(low, high, SECTIONS + 1))
        last_met = int(np.flatnonzero(np.append(True, _meets(tried, kind, target)[1:-1]))[-1])
        low, high = float(tried.budget_G[last_met]), float(tried.budget_G[last_met + 1])
    return _answer(scene, kind, target, "met", low)


def _along(scene: Scene, budget_G: Floats) -> Frontier:
    money_G = torch.as_tensor(budget_G, dtype=torch.float64)
    share_GP, _ = best_shares(scene, money_G)
    amount_GP = money_G[:, None] * share_GP
    points, draws = len(money_G), len(scene.fitted.requests)
    rows = spread(scene.conditions, points)
    best = respond(rows, amount_GP)
    drawn_NG = respond(spread(scene.fitted, points), amount_GP.repeat(draws, 1)).revenue.sum(1).reshape(draws, points)
    low_G, high_G = np.quantile(drawn_NG.numpy(), LEVELS, axis=0)
    return Frontier(
        budget_G=budget_G,
        share_GP=share_GP.numpy(),
        revenue=Band(best.revenue.sum(1).numpy(), low_G, high_G),
        today_revenue_G=respond(rows, money_G[:, None] * scene.today_P).revenue.sum(1).numpy(),
        conversions_G=best.conversions.sum(1).numpy(),
        spend_G=best.spend.sum(1).numpy(),
    )


def _meets(curve: Frontier, kind: str, target: float) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    return np.asarray(curve.cpa_G <= target if kind == "cpa" else curve.roas_G >= target)


def _answer(scene: Scene, kind: str, target: float, verdict: str, budget: float) -> TargetAnswer:
    near = _along(scene, budget * np.array([0.99, 1.0, 1.01]))
    spend = near.spend_G[2] - near.spend_G[0]
    if kind == "cpa":
        attained, gained = float(near.cpa_G[1]), near.conversions_G[2] - near.conversions_G[0]
        marginal = float(spend / gained) if gained > 1e-9 else math.inf
    else:
        attained, gained = float(near.roas_G[1]), near.revenue.value[2] - near.revenue.value[0]
        marginal = float(gained / spend) if spend > 1e-9 else 0.0
    label = f"{kind.upper()} {'at most' if kind == 'cpa' else 'at least'} {target:g}"
    return TargetAnswer(kind, target, verdict, budget, attained, marginal, best_split(scene, budget, label=label))
