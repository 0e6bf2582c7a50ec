"""What a plan says in sentences: what binds and what it costs, who is next, how far the best is, what was done.

A shadow price is the slope at the plan's relaxation: it holds for little money, and whole creators come in steps.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from crossmix.creators.plan import Plan

if TYPE_CHECKING:
    from crossmix.creators.results import After

PART = 0.01
"""Of the budget: the money that shadow prices are told for."""
SLIGHT = 1e-6
"""Of the effect: what a rule adds less than does not bind."""


def effect(plan: Plan, value: float) -> str:
    """An effect: with as many decimals as give the whole plan's four digits, so that all of one plan stand alike."""
    decimals = 3 - math.floor(math.log10(plan.effect)) if plan.effect > 0 else 0
    return f"{value:,.{min(max(decimals, 0), 9)}f}"


def unit(plan: Plan) -> float:
    """Money that shadow prices are told for, currency: a hundredth of the budget, rounded to one digit."""
    return float(f"{plan.budget * PART:.0e}")


def binding(plan: Plan) -> list[str]:
    """The budget and every rule that holds the plan back, the dearest rule first."""
    money = unit(plan)
    more = money * plan.budget_price
    lines = [
        f"budget: {money:,.0f} {plan.currency} more would add about {effect(plan, more)} "
        f"({_share(more, plan)} of the effect)"
        if more > SLIGHT * plan.effect
        else "budget: more of it would add nothing, the rules hold the plan back"
    ]
    for name, price in sorted(plan.rule_prices.items(), key=lambda item: -item[1]):
        worth = money * price
        if worth > SLIGHT * plan.effect:
            lines.append(
                f"{name}: {money:,.0f} {plan.currency} of relief would add about {effect(plan, worth)} "
                f"({_share(worth, plan)})"
            )
    return lines


def free(plan: Plan) -> list[str]:
    """Names of the rules that do not bind."""
    return [name for name, price in plan.rule_prices.items() if unit(plan) * price <= SLIGHT * plan.effect]


def margins(plan: Plan) -> list[str]:
    """The next creator in and the last one out."""
    lines = []
    if plan.candidate is not None:
        one = plan.candidate
        lines.append(
            f"next in: {one.creator_id} ({one.channel}, {one.tier}), {one.cost:,.0f} {plan.currency} "
            f"for {effect(plan, one.effect)}"
        )
    for choice in plan.choices:
        if choice.creator_id == plan.last_out:
            lines.append(
                f"last out: {choice.creator_id} ({choice.channel}, {choice.phase}, {choice.tier}), "
                f"{choice.cost:,.0f} {plan.currency} for {effect(plan, choice.effect)}"
            )
    return lines


def distance(plan: Plan) -> str:
    """How far the plan is from the bound on all plans."""
    return (
        f"by the expected sums, which is what is maximised, the plan is worth {effect(plan, plan.value)} "
        f"and no plan under these rules more than {effect(plan, plan.bound)}: at most {100 * plan.gap:.1f} % is missed"
    )


def done(after: After, plan: Plan) -> str:
    """What the phases that are over gave, beside what was expected of them."""
    over = " and ".join(after.before.closed)
    against = (
        f", {100 * (after.gave / after.expected - 1):+.1f} % against what was expected" if after.expected > 0 else ""
    )
    return (
        f"{over}: {len(after.before.used):,} creators gave {effect(plan, after.gave)} for {after.spent:,.0f} "
        f"{plan.currency}{against}, before saturation. {after.learning}; {plan.budget:,.0f} {plan.currency} are left."
    )


def _share(part: float, plan: Plan) -> str:
    return f"{100 * part / plan.effect:.1f} %" if plan.effect > 0 else "-"
