"""What would happen if: response curves, best splits, targets and the price of limits, from a fitted market.

Pure functions of a `Scene` (`make_scene`); nothing here reads or writes a file but `page.render`, where it is asked to.
"""

from crossmix.whatif.answer import WhatIf, ask
from crossmix.whatif.curves import Band, Curve, response_curves
from crossmix.whatif.perturbation import Perturbation, perturbations
from crossmix.whatif.scene import Scene, make_scene
from crossmix.whatif.split import BudgetAnswer, Estimate, LimitPrice, Plan, PlatformPlan, best_split, split_plan
from crossmix.whatif.target import Frontier, TargetAnswer, budget_for, frontier

__all__ = [
    "Band",
    "BudgetAnswer",
    "Curve",
    "Estimate",
    "Frontier",
    "LimitPrice",
    "Perturbation",
    "Plan",
    "PlatformPlan",
    "Scene",
    "TargetAnswer",
    "WhatIf",
    "ask",
    "best_split",
    "budget_for",
    "frontier",
    "make_scene",
    "perturbations",
    "response_curves",
    "split_plan",
]
