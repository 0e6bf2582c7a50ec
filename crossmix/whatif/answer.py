"""All of a what-if at once: what the command prints and the page shows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
import torch

from crossmix.config import ConfigError
from crossmix.evaluate.decision.standing import AS_JUDGED, Standing
from crossmix.response import Ever
from crossmix.schema import Held, together
from crossmix.whatif.curves import Curve, response_curves
from crossmix.whatif.perturbation import Perturbation, perturbations
from crossmix.whatif.scene import Scene
from crossmix.whatif.split import BudgetAnswer, best_shares, best_split
from crossmix.whatif.target import Frontier, TargetAnswer, budget_for, frontier

MOST_OF_SUPPLY = 10.0
"""A budget beyond so many times the cost of all requests is taken for a slip."""
LEAST_OF_TODAY = 1e-4
UNASKED = 3
"""Budgets that every answer begins with."""
TOLD = 0.005
"""Share of a platform that was never tried from which on a note tells it."""

DOUBTED = (
    "Today’s split is recommended. The best split, what it earns more, and budgets that meet a target by it are what "
    "the fit alone says; {}."
)
"""Said of an answer whose standing keeps today's split."""

COVERS = (
    "Intervals (95 %) come from the standard errors of the fitted parameters, each drawn on its own: of a log of "
    "impressions requests, rates, value and saturation, of a spend history the response to money as a whole. They "
    "cover the mean over many cycles. They do not cover the model’s form, nor carry-over between cycles, nor a market "
    "that moves on, nor, of impressions, the price curve. The best split is the best at the fitted parameters, which "
    "favours it a little; its standing says what was proved of it.",
    "A single cycle strays around its mean: the cycle interval takes the fitted parameters as given, so that where "
    "they are little known it is the narrower one, and draws the drift of rates and prices, the volume, the context "
    "and luck.",
    "The interval of a best share shows where the best share would lie at other parameters that the log also allows; "
    "revenue there differs little, as the optimum is flat.",
)
"""What the intervals mean, for page and console."""


@dataclass(frozen=True, slots=True)
class WhatIf:
    """Every answer about one campaign and moment; money in `currency` per cycle."""

    campaign: str
    platforms: tuple[str, ...]
    currency: str
    generated: bool
    cycle_hours: int
    moment: str
    budget: float
    """Today's, per cycle."""
    supply: float
    """What all requests of a cycle would cost; of a spend history, which tells none, the largest budget that is
    answered."""
    today: tuple[float, ...]
    """Today's split."""
    budgets: tuple[BudgetAnswer, ...]
    """Today's budget first."""
    targets: tuple[TargetAnswer, ...]
    frontier: Frontier
    curves: tuple[Curve, ...]
    perturbations: tuple[Perturbation, ...]
    untried: tuple[str, ...] = ()
    """Platforms where the campaign spent nothing in the cycles that are fitted on, the last 400: what is said of them
    is borrowed from others."""
    standing: Standing | None = None
    """How far to trust it; `None`: the market was asked apart from a run."""
    held: tuple[Held, ...] = ()
    """Money of the history that no split moves: of all campaigns together."""
    alone: bool = True
    """The market knows no other campaign."""
    ever: Ever | None = None
    """Of a spend history: the most that was ever spent."""
    ended: str | None = None
    """Date of the last cycle with spend of a campaign that is over."""

    @property
    def kept(self) -> bool:
        """Whether today's split is what is recommended, and the best one only what the fit alone says."""
        return self.standing is not None and self.standing.keep

    @property
    def doubt(self) -> str:
        """Why it is, in words that follow others; empty where it is not."""
        return (self.standing.doubt or AS_JUDGED) if self.standing is not None and self.kept else ""

    @property
    def together(self) -> str | None:
        """What a cycle costs with what is held; `None`: nothing is, or it is not this campaign's alone."""
        return together(self.budget, self.held, self.currency) if self.held and self.alone else None

    @property
    def end(self) -> str:
        """The largest budget that is answered, in words."""
        if self.ever is None:
            return "all supply"
        return f"{self.supply / self.ever.total:.3g} times the most that was ever spent, the largest that is answered"

    @property
    def notes(self) -> tuple[str, ...]:
        """What the intervals mean, and at which budget alone, and how far, something was proved."""
        proved = self.standing is not None and self.standing.word == "proved"
        doubted = (DOUBTED.format(self.doubt),) if self.kept else ()
        return (*doubted, *self._over(), *self._never(), *(self._beyond() if proved else ()), *COVERS)

    def _over(self) -> Iterator[str]:
        """That the campaign has ended."""
        if self.ended is not None:
            yield (
                f"{self.campaign} ended on {self.ended}: today it spends nothing. What is called today’s here is its "
                f"last window, {self.budget:,.2f} {self.currency} per cycle, for the case that it comes back."
            )

    def _never(self) -> Iterator[str]:
        """Which answers ask for more than was ever spent."""
        if self.ever is None:
            return
        # Today's, -20 % and +20 % are answered unasked: today's speaks for them.
        for one in [*self.budgets[:1], *self.budgets[UNASKED:], *(target.answer for target in self.targets)]:
            names = [plan.platform for plan in one.best.platforms]
            amounts = [plan.amount.value for plan in one.best.platforms]
            yield from self.ever.beyond(names, amounts, f"The best split of {one.label}", self.currency)

    def _beyond(self) -> Iterator[str]:
        """Where the answers go beyond what was proved."""
        if len(self.budgets) > 1:
            yield (
                f"What was proved is the change at today’s budget of {self.budget:,.2f} {self.currency} per cycle. "
                "What the best split of another budget earns above today’s split of it is what the fit expects; where "
                "its interval holds 0 it may be nothing."
            )
        best = {one.platform: one.share.value for one in self.budgets[0].best.platforms} if self.budgets else {}
        given = ", ".join(f"{name} {best[name]:.1%}" for name in self.untried if best.get(name, 0) > TOLD)
        if given:
            yield (
                f"The best split gives money to what was never tried ({given}): what that earns is borrowed from "
                "other platforms. What was proved gives it a probe at most (`limits.probe`)."
            )

    def as_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON; what is undefined is null."""
        answers: dict[str, Any] = plain(self)
        return answers | {"notes": list(self.notes), "recommended": "today" if self.kept else "best"}


def ask(
    scene: Scene,
    budgets: Sequence[tuple[str, float]] = (),
    targets: Sequence[tuple[str, float]] = (),
    *,
    simulated_cycles: int = 400,
    standing: Standing | None = None,
    held: Sequence[Held] = (),
    alone: bool = True,
) -> WhatIf:
    """Answer every question about a scene.

    Args:
        budgets: label and amount, currency per cycle, beyond today's, -20 % and +20 %, which are always answered.
        targets: (cpa | roas, target).
        simulated_cycles: per design point of Fig. 4; 0 leaves it out.
        standing: of the run whose market it is.
        held: money of its history that no split moves.
        alone: whether the market knows no other campaign.

    Raises:
        ConfigError: a budget or target that cannot be.
    """
    asked = {"today": scene.budget, "-20%": 0.8 * scene.budget, "+20%": 1.2 * scene.budget}
    for label, amount in budgets:
        check_budget(scene, amount)
        # The same amount under two names is answered once.
        if all(abs(amount - known) > 1e-9 * known for known in asked.values()):
            asked[label] = amount
    best_by_budget = frontier(scene)
    answered = [budget_for(scene, kind, target, best_by_budget) for kind, target in targets]
    now = best_shares(scene, torch.tensor([scene.budget], dtype=torch.float64))[0][0]
    return WhatIf(
        campaign=scene.campaign,
        platforms=scene.platforms,
        currency=scene.currency,
        generated=scene.generated,
        cycle_hours=scene.cycle_hours,
        moment=scene.moment,
        budget=scene.budget,
        supply=scene.farthest,
        today=tuple(scene.today_P.tolist()),
        budgets=tuple(best_split(scene, amount, label=label, now=now) for label, amount in asked.items()),
        targets=tuple(answered),
        frontier=best_by_budget,
        curves=response_curves(scene),
        perturbations=perturbations(scene, cycles=simulated_cycles) if simulated_cycles else (),
        untried=scene.untried,
        standing=standing,
        held=tuple(held),
        alone=alone,
        ever=scene.ever,
        ended=scene.ended,
    )


def check_budget(scene: Scene, amount: float) -> None:
    """Raise `ConfigError` for an amount that no cycle could have."""
    most = scene.farthest if scene.of_totals else max(MOST_OF_SUPPLY * scene.supply, 2 * scene.budget)
    if not (math.isfinite(amount) and amount > 0):
        raise ConfigError(f"budget: {amount:g}; give an amount above 0 in {scene.currency} per cycle")
    if amount < LEAST_OF_TODAY * scene.budget:
        raise ConfigError(
            f"budget: {amount:g} {scene.currency} is less than a ten-thousandth of today's {scene.budget:,.0f}; "
            "a budget is money per cycle"
        )
    if scene.of_totals and scene.ever is None and amount > most:
        raise ConfigError(
            f"budget: {amount:,.0f} {scene.currency} is above the {most:,.0f} up to which a market answers that does "
            "not say what was ever spent; give at most that, or run `crossmix run` again"
        )
    if scene.ever is not None and amount > most:
        raise ConfigError(scene.ever.too_far(amount, most, scene.currency))
    if amount > most:
        raise ConfigError(
            f"budget: {amount:,.0f} {scene.currency} is far above the {scene.supply:,.0f} that all requests of a cycle "
            f"would cost; give at most {most:,.0f}"
        )


def plain(value: Any) -> Any:
    """Dataclasses, arrays and tuples as dictionaries, lists and numbers; NaN and infinity as `None`."""
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
