"""The best split of a budget, what it should bring against today's, and what each limit costs.

Shapes: B batch, N draws, P platforms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from crossmix.constraints import TOLERANCE, binding
from crossmix.market.draws import spread
from crossmix.market.oracle import best_share, solve
from crossmix.whatif.curves import LEVELS, Responses, respond, simulate
from crossmix.whatif.scene import Scene, part

SHARE_DRAWS = 100
"""Draws of the parameters for which the best split is found again."""
SOLVE_BLOCK = 50
"""Splits solved at once."""
ON_BOUND = 1e-4


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure at the fitted parameters, with a 95 % interval; NaN where it is undefined (CPA without conversions)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PlatformPlan:
    """One platform's part of a split; money in currency per cycle."""

    platform: str
    share: Estimate
    """Of the cycle budget. The interval of a best split is where the best share would lie if the parameters were others
    that the log also allows; a given split has none."""
    amount: Estimate
    """share x budget."""
    low: float
    """The share's bounds under the limits."""
    high: float
    revenue: Estimate
    conversions: Estimate
    spend: Estimate
    cpa: Estimate
    """Spend per conversion."""
    roas: Estimate
    """Revenue / spend."""
    roi: Estimate
    """Revenue / planned budget."""
    utilisation: Estimate
    """Spend / planned budget."""
    marginal_roi: Estimate
    """Revenue of the next unit of money on this platform."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A split of a budget and what a cycle of it should bring; the same figures as `PlatformPlan`, summed."""

    budget: float
    platforms: tuple[PlatformPlan, ...]
    revenue: Estimate
    conversions: Estimate
    spend: Estimate
    cpa: Estimate
    roas: Estimate
    roi: Estimate
    utilisation: Estimate
    cycle_revenue: tuple[float, float]
    """What a single cycle may bring at the fitted parameters (95 %): drift, volume and luck."""
    cycle_conversions: tuple[float, float]


@dataclass(frozen=True, slots=True)
class LimitPrice:
    """A limit that binds, and its shadow price."""

    platform: str
    kind: str
    """min, max, step or frozen."""
    loosen: str
    """Which way the share would go: raise or lower."""
    share: float
    """Where the limit holds it."""
    marginal_roi: Estimate
    other_marginal_roi: Estimate
    """Of the platforms that would give or take the money."""
    per_point: Estimate
    """Revenue per cycle, currency, of loosening the limit by one point of the cycle budget."""


@dataclass(frozen=True, slots=True)
class BudgetAnswer:
    """What a budget can bring under the limits."""

    label: str
    best: Plan
    today: Plan
    """Today's split of the same budget."""
    gain: Estimate
    """Revenue of the best split less that of today's split of the same budget, currency per cycle."""
    against_best_now: Estimate
    """Revenue less that of the best split of today's budget, currency per cycle."""
    next_unit: Estimate
    """Shadow price of the budget: revenue of one more unit of money, split as this one is. Limits are shares, so part
    of it goes where they hold it."""
    free_unit: float
    """Revenue of one more unit on the platforms that no limit holds (lambda); NaN where every platform is held."""
    limits: tuple[LimitPrice, ...]
    kkt: float
    """The optimum's certificate: largest violation of its conditions, relative to the largest marginal ROI."""


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A split evaluated at the fitted parameters (row 0) and at their draws, (1 + N, P)."""

    budget: float
    share_P: Tensor
    responses: Responses

    def estimate(self, figure: Callable[[Responses], Tensor]) -> Estimate:
        """A figure (1 + N,) of the responses, with its interval."""
        return _estimate(figure(self.responses))

    def plan(self, scene: Scene, shares_NP: Tensor | None = None) -> Plan:
        """The split in full; `shares_NP`: best splits at other parameters."""
        cycles = len(scene.cycles.requests)
        revenue_NP, conversions_NP = simulate(
            scene.cycles, (self.budget * self.share_P).expand(cycles, -1), seed=scene.seed
        )

        def share(slot: int, unit: float) -> Estimate:
            value = unit * float(self.share_P[slot])
            if shares_NP is None or not len(shares_NP):
                return Estimate(value, value, value)
            low, high = np.quantile(unit * shares_NP[:, slot].numpy(), LEVELS)
            return Estimate(value, min(float(low), value), max(float(high), value))

        def figures(of: Callable[[Tensor], Tensor], planned: float) -> dict[str, Estimate]:
            return {
                "revenue": self.estimate(lambda r: of(r.revenue)),
                "conversions": self.estimate(lambda r: of(r.conversions)),
                "spend": self.estimate(lambda r: of(r.spend)),
                "cpa": self.estimate(lambda r: _ratio(of(r.spend), of(r.conversions))),
                "roas": self.estimate(lambda r: _ratio(of(r.revenue), of(r.spend))),
                "roi": self.estimate(lambda r: _ratio(of(r.revenue), torch.full_like(of(r.revenue), planned))),
                "utilisation": self.estimate(lambda r: _ratio(of(r.spend), torch.full_like(of(r.spend), planned))),
            }

        return Plan(
            budget=self.budget,
            platforms=tuple(
                PlatformPlan(
                    platform=platform,
                    share=share(slot, 1.0),
                    amount=share(slot, self.budget),
                    low=float(scene.low_P[slot]),
                    high=float(scene.high_P[slot]),
                    marginal_roi=self.estimate(lambda r, slot=slot: r.slope[:, slot]),  # type: ignore[misc]
                    **figures(lambda x, slot=slot: x[:, slot], self.budget * float(self.share_P[slot])),  # type: ignore[misc]
                )
                for slot, platform in enumerate(scene.platforms)
            ),
            **figures(lambda x: x.sum(1), self.budget),
            cycle_revenue=_interval(revenue_NP.sum(1)),
            cycle_conversions=_interval(conversions_NP.sum(1)),
        )


def best_shares(scene: Scene, budget_B: Tensor) -> tuple[Tensor, Tensor]:
    """Best splits of several budgets, currency, (B, P), and their KKT residuals (B,)."""
    rows = spread(scene.conditions, len(budget_B))
    solution = solve(rows, budget_B.double(), scene.low_P[None], scene.high_P[None])
    return solution.share_BP, solution.kkt_B


def best_split(
    scene: Scene, budget: float, *, label: str = "", share_draws: int = SHARE_DRAWS, now: Tensor | None = None
) -> BudgetAnswer:
    """The split of `budget`, currency per cycle, that earns most under the limits.

    Args:
        share_draws: draws of the parameters at which the split is found again, for the shares' intervals; 0: none.
        now: the best split of today's budget, (P,), if it is known already.
    """
    share_BP, kkt_B = best_shares(scene, torch.tensor([budget], dtype=torch.float64))
    if now is None:
        now = best_shares(scene, torch.tensor([scene.budget], dtype=torch.float64))[0][0]
    best = _evaluate(scene, share_BP[0], budget)
    today, best_now = _evaluate(scene, scene.today_P, budget), _evaluate(scene, now, scene.budget)
    share_P, slope_NP = best.share_P, best.responses.slope
    free_P = _free(scene, share_P)
    return BudgetAnswer(
        label=label or f"{budget:,.0f}",
        best=best.plan(scene, _best_elsewhere(scene, budget, share_draws)),
        today=today.plan(scene),
        gain=_estimate((best.responses.revenue - today.responses.revenue).sum(1)),
        against_best_now=_estimate((best.responses.revenue - best_now.responses.revenue).sum(1)),
        next_unit=_estimate(slope_NP @ share_P),
        free_unit=float(slope_NP[0, free_P].mean()) if bool(free_P.any()) else float("nan"),
        limits=_limit_prices(scene, best),
        kkt=float(kkt_B[0]),
    )


def split_plan(scene: Scene, shares: Sequence[float], budget: float) -> Plan:
    """What any split (P,) of a budget should bring, whether the limits allow it or not."""
    return _evaluate(scene, torch.tensor(list(shares), dtype=torch.float64), budget).plan(scene)


def _evaluate(scene: Scene, share_P: Tensor, budget: float) -> _Drawn:
    amount_P = budget * share_P
    fixed, drawn = (
        respond(each, amount_P.expand(len(each.requests), -1), scene.budget)
        for each in (scene.conditions, scene.fitted)
    )
    both = (
        torch.cat([getattr(fixed, name), getattr(drawn, name)]) for name in ("revenue", "conversions", "spend", "slope")
    )
    return _Drawn(budget, share_P, Responses(*both))


def _best_elsewhere(scene: Scene, budget: float, draws: int) -> Tensor:
    """Best splits at drawn parameters, (draws, P); rounding's crumbs are nothing."""
    shares = []
    for start in range(0, min(draws, len(scene.fitted.requests)), SOLVE_BLOCK):
        rows = part(scene.fitted, start, min(start + SOLVE_BLOCK, draws))
        money_B = torch.full((len(rows.requests),), budget, dtype=torch.float64)
        share_BP = best_share(rows, money_B, scene.low_P[None], scene.high_P[None])
        shares.append(share_BP.masked_fill(share_BP < TOLERANCE, 0.0))
    return torch.cat(shares) if shares else torch.zeros(0, len(scene.platforms), dtype=torch.float64)


def _free(scene: Scene, share_P: Tensor) -> Tensor:
    at_low, at_high = binding(share_P, scene.low_P, scene.high_P, ON_BOUND)
    return ~(at_low | at_high)


def _limit_prices(scene: Scene, best: _Drawn) -> tuple[LimitPrice, ...]:
    """The dual variable of every limit that binds, as the one-sided slope of the best revenue in its bound.

    Where the share may rise, the money comes from the others: the free platforms, whose marginals are equal, or, where
    none is free, the one off its floor that loses least. Where it may fall, the money goes to the free ones, or to the
    one below its cap that gains most.
    """
    share_P, slope_NP = best.share_P, best.responses.slope
    at_low, at_high = binding(share_P, scene.low_P, scene.high_P, ON_BOUND)
    free = ~(at_low | at_high)
    prices = []
    for slot, platform in enumerate(scene.platforms):
        if not (at_low[slot] or at_high[slot]):
            continue
        others = torch.arange(len(share_P)) != slot
        choices = []
        for raises, held in ((True, bool(at_high[slot])), (False, bool(at_low[slot]))):
            kind = _kind(scene, slot, float(scene.high_P[slot] if raises else scene.low_P[slot]), raises)
            able = others & ~(at_low if raises else at_high)
            if not held or kind is None or not bool(able.any()):
                continue
            if bool((free & others).any()):
                other_N = slope_NP[:, free & others].mean(1)
            else:
                pick = torch.where(able, slope_NP[0], torch.inf if raises else -torch.inf)
                other_N = slope_NP[:, int(pick.argmin() if raises else pick.argmax())]
            gain_N = (slope_NP[:, slot] - other_N) * (1 if raises else -1)
            choices.append(
                LimitPrice(
                    platform=platform,
                    kind=kind,
                    loosen="raise" if raises else "lower",
                    share=float(share_P[slot]),
                    marginal_roi=_estimate(slope_NP[:, slot]),
                    other_marginal_roi=_estimate(other_N),
                    per_point=_estimate(gain_N * best.budget / 100),
                )
            )
        # A share that is held from both sides (frozen, or min = max) has one useful way out.
        if choices:
            prices.append(max(choices, key=lambda price: price.per_point.value))
    return tuple(sorted(prices, key=lambda price: -price.per_point.value))


def _kind(scene: Scene, slot: int, edge: float, raises: bool) -> str | None:
    """Which limit makes this edge of the box; `None` where nothing lies beyond it: a share below 0 or above 1."""
    if (raises and edge >= 1 - ON_BOUND) or (not raises and edge <= ON_BOUND):
        return None
    if scene.limits.freeze_P[slot]:
        return "frozen"
    bound = float((scene.limits.maximum_P if raises else scene.limits.minimum_P)[slot])
    return ("max" if raises else "min") if abs(edge - bound) <= 1e-6 else "step"


def _estimate(figure_N: Tensor) -> Estimate:
    """Row 0 is at the fitted parameters, the others are draws."""
    low, high = _interval(figure_N[1:])
    return Estimate(float(figure_N[0]), low, high)


def _interval(draws_N: Tensor) -> tuple[float, float]:
    known_N = draws_N[draws_N.isfinite()]
    if not len(known_N):
        return float("nan"), float("nan")
    low, high = np.quantile(known_N.numpy(), LEVELS)
    return float(low), float(high)


def _ratio(top_N: Tensor, bottom_N: Tensor) -> Tensor:
    """NaN where nothing is divided by: below a millionth of a conversion or of a unit of money."""
    return torch.where(bottom_N > 1e-6, top_N / bottom_N.clamp(min=1e-300), torch.nan)
