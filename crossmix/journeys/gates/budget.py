"""A budget is spent and not passed, by the served allocation, at prices that nothing was fitted on.

A campaign whose test users are settled batch by batch, with what is left as `budget_left`, fails where

    a batch is allocated more than its `budget_left`, or more is paid than the budget
    less than `SPENT` of the budget is paid, by more than an exposure: the bundle's costs are far above the log's
    what was allocated costs more than `FAR` times what the bundle expected
    the bundle's lambda is off by `FAR` from that of the same budget on test users, and so is what it buys

and of groups that play in a world, with a budget each, none may pass it (`journey.value.spent` asks what they spend).
"""

from __future__ import annotations

from collections.abc import Iterator

from crossmix.journeys.allocate import ROUNDING
from crossmix.journeys.campaign import Campaign
from crossmix.journeys.gates.case import CRITERIA, Case, Rows
from crossmix.journeys.gates.played import RESPONSE
from crossmix.journeys.gates.value import SPENT
from crossmix.verdicts import FAIL, INSUFFICIENT, PASS, Criterion

FAR = 2.0
"""Times; users and prices of other users differ by less."""


def budget(case: Case) -> Rows:
    """Spend over budget of all campaigns together, and what is wrong with single ones."""
    wrong = [f"campaign {name}: {why}" for name, one in case.paced.items() for why in faults(one)]
    for number, block in enumerate(case.blocks):
        played = block.of(RESPONSE)
        if played.cost > played.budget * (1 + ROUNDING):
            wrong.append(f"group {number}: {played.cost / played.budget:.1%} of its budget spent")
    within = f"{SPENT:g} to 1 of the budget"
    silent = [name for name, one in case.paced.items() if not one.exposures]
    spend, whole, asked, expected = (
        sum(getattr(one, of) for one in case.paced.values()) for of in ("spend", "budget", "asked", "expected")
    )
    share = spend / whole if whole > 0 else 0.0
    campaigns = "1 campaign" if len(case.paced) == 1 else f"{len(case.paced)} campaigns"
    groups = f" and {len(case.blocks)} groups of test users" if case.blocks else ""
    detail = f"of all budgets of {campaigns}{groups}, settled as served"
    if expected > 0:
        detail += f"; their prices were {100 * asked / expected:.1f} % of the expected"
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        yield case.gate("journey.budget", share, within, FAIL, f"{'; '.join(wrong[:3])}{more}; {detail}")
    elif silent or not case.paced:
        lacks = f"no exposure of {', '.join(silent[:3]) or 'any campaign'} was asked for: no user is worth its price"
        yield case.gate("journey.budget", None, within, INSUFFICIENT, lacks)
    else:
        yield case.gate("journey.budget", share, within, PASS, detail)


def faults(one: Campaign) -> Iterator[str]:
    """What a campaign does that it may not."""
    if one.fullest > 1 + ROUNDING:
        yield f"a batch was allocated {one.fullest:.1%} of its budget_left"
    # Short by less than an exposure is not short: a small budget cannot be spent closer.
    short = bool(one.exposures) and one.spend + one.asked / one.exposures < SPENT * one.budget
    if one.share > 1 + ROUNDING or short:
        yield f"{one.share:.1%} of its budget spent"
    if one.asked > FAR * one.expected:
        yield f"what was allocated cost {one.asked:g} where {one.expected:g} were expected"
    if one.due > 0 and _far(one.shadow, one.found) and _far(one.bought, one.due):
        yield (
            f"at the bundle's lambda {one.shadow:g} a batch buys for {one.bought:g}, at that of its budget, "
            f"{one.found:g}, for {one.due:g}"
        )


def _far(value: float, other: float) -> bool:
    return not other / FAR <= value <= other * FAR


CRITERIA.register(Criterion(name="journey.budget", judge=budget))
