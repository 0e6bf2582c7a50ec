"""What a plan says in sentences: what binds and what it costs, who is next, how far the best possible is.

A shadow price is the slope at the plan's relaxation: it holds for little money, and whole creators come in steps.
"""

from __future__ import annotations

from crossmix.creators.plan import Plan

PART = 0.01
"""Of the budget: the money that shadow prices are told for."""
SLIGHT = 1e-6
"""Of the effect: what a rule adds less than does not bind."""


def unit(plan: Plan) -> float:
    """Money that shadow prices are told for, currency: a hundredth of the budget, rounded to one digit."""
    return float(f"{plan.budget * PART:.0e}")


def binding(plan: Plan) -> list[str]:
    """The budget and every rule that holds the plan back, the dearest rule first."""
    money = unit(plan)
    more = money * plan.budget_price
    lines = [
        f"budget: {money:,.0f} {plan.currency} more would add about {more:,.0f} ({_share(more, plan)} of the effect)"
        if more > SLIGHT * plan.effect
        else "budget: more of it would add nothing, the rules hold the plan back"
    ]
    for name, price in sorted(plan.rule_prices.items(), key=lambda item: -item[1]):
        worth = money * price
        if worth > SLIGHT * plan.effect:
            lines.append(
                f"{name}: {money:,.0f} {plan.currency} of relief would add about {worth:,.0f} ({_share(worth, plan)})"
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
            f"for {one.effect:,.0f}"
        )
    for choice in plan.choices:
        if choice.creator_id == plan.last_out:
            lines.append(
                f"last out: {choice.creator_id} ({choice.channel}, {choice.phase}, {choice.tier}), "
                f"{choice.cost:,.0f} {plan.currency} for {choice.effect:,.0f}"
            )
    return lines


def distance(plan: Plan) -> str:
    """How far the plan is from the bound on all plans."""
    return (
        f"by the expected sums, which is what is maximised, the plan is worth {plan.value:,.0f} and no plan under "
        f"these rules more than {plan.bound:,.0f}: at most {plan.gap:.1%} is missed"
    )


def _share(part: float, plan: Plan) -> str:
    return f"{part / plan.effect:.1%}" if plan.effect > 0 else "-"
